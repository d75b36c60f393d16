// Package otelwebsocket counts what WebSocket connections do, with OpenTelemetry's metrics: open
// connections, how long they last and with which close code they end, messages and bytes, the
// queues of slow peers, dropped messages, and handshakes that fail.
//
// It stands on the Trace that a websocket.Server, Upgrader and Dialer have a field for, and on the
// Stats of pubsub.Topics:
//
//	instruments, err := otelwebsocket.New(otelwebsocket.Options{})
//	…
//	srv := &websocket.Server{
//		Upgrader:  websocket.Upgrader{Trace: instruments.ServerTrace(nil)},
//		OnMessage: …,
//	}
//	dialer := &websocket.Dialer{Trace: instruments.ClientTrace(nil)}
//	instruments.ObserveTopics(&topics)
//
// The program chooses the OpenTelemetry SDK and its exporters. Without an SDK nothing is exported.
//
// # Instruments
//
// Those of servers are listed here. The instruments of clients have "client" in place of "server".
//
//	websocket.server.active_connections   UpDownCounter  {connection}  open connections
//	websocket.server.handshakes           Counter        {handshake}   opening handshakes that have ended
//	websocket.server.connection.duration  Histogram      s             how long connections were open
//	websocket.server.messages             Counter        {message}     text and binary messages
//	websocket.server.io                   Counter        By            bytes of frames, headers included
//	websocket.server.queue.messages       UpDownCounter  {message}     messages that wait for slow peers
//	websocket.server.queue.size           UpDownCounter  By            their bytes of payload
//	websocket.server.dropped.messages     Counter        {message}     messages that a peer did not get
//	websocket.server.dropped.size         Counter        By            their bytes of payload
//
// Package pubsub has its own, which are the counts of pubsub.Stats:
//
//	websocket.pubsub.published.messages   Counter        {message}
//	websocket.pubsub.delivered.messages   Counter        {message}
//	websocket.pubsub.replaced.messages    Counter        {message}
//	websocket.pubsub.dropped.messages     Counter        {message}
//	websocket.pubsub.closed.members       Counter        {connection}
//	websocket.pubsub.topics               UpDownCounter  {topic}
//	websocket.pubsub.members              UpDownCounter  {connection}
//	websocket.pubsub.backlog              UpDownCounter  By
//
// There are no conventions of OpenTelemetry's for WebSocket yet. The names follow those for HTTP
// and SignalR. docs/metrics.md explains each instrument, and has queries for a dashboard.
//
// # Attributes
//
// All attributes have few values, whatever peers do. Names, addresses and paths are not among them.
//
//   - error.type of handshakes says why one failed. A handshake that succeeded has no error.type.
//     So the handshakes without one are the connections that were opened.
//   - http.response.status_code of a server's handshakes is the status of the refusal.
//   - error.type of connection.duration says why a connection failed. It is not there if a closing
//     handshake was done, or if this side closed the transport.
//   - websocket.close.code of connection.duration is the close code as text: the peer's, or the one
//     that this side sent because the peer broke a rule. It is 1006 if the connection failed without
//     a close frame, and not there if this side closed the transport.
//   - network.io.direction of messages and io is "transmit" or "receive".
//   - websocket.message.type of messages is "text" or "binary".
//
// # Cost
//
// A message costs some 100 ns, no allocation and no lock. The counters of messages and bytes are
// atomic integers, which are read when the SDK collects. An open connection costs some 30 bytes.
// A collection looks at the queue of each open connection: some 10 ms for 100,000 of them.
package otelwebsocket
