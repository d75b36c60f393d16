// An echo server on ws. It prints its address.
const { WebSocketServer } = require('ws')

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, skipUTF8Validation: false })
server.on('connection', (ws) => {
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }))
  ws.on('error', () => {})
})
server.on('listening', () => console.log(`127.0.0.1:${server.address().port}`))
