package websocket

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
)

// Messages that hold a JSON value, encoded and decoded in pooled buffers.

// jsonBuffers is a pool of buffers for messages that are being encoded or decoded.
var jsonBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledJSON is the size of the largest buffer that is kept for the next message.
const maxPooledJSON = 64 << 10

// putJSONBuffer returns b to the pool, unless it is too large.
func putJSONBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledJSON {
		jsonBuffers.Put(b)
	}
}

// WriteJSON sends v's JSON encoding as one text message. Like json.Encoder, it adds a line break at
// the end. If v cannot be encoded, nothing is sent.
func (c *Conn) WriteJSON(v any) error {
	b := jsonBuffers.Get().(*bytes.Buffer)
	defer putJSONBuffer(b)
	b.Reset()
	if err := json.NewEncoder(b).Encode(v); err != nil {
		return err
	}
	return c.WriteMessage(TextMessage, b.Bytes())
}

// ReadJSON reads the next message, text or binary, and stores the JSON value at its beginning in v,
// as json.Decoder does. The rest of the message is ignored. If the message is empty or ends within
// the value, the error is io.ErrUnexpectedEOF. After an error of the decoder, the connection can
// still be used.
func (c *Conn) ReadJSON(v any) error {
	b := jsonBuffers.Get().(*bytes.Buffer)
	b.Reset()
	_, p, err := c.AppendMessage(b.AvailableBuffer())
	defer func() { putJSONBuffer(bytes.NewBuffer(p)) }() // p may have outgrown b
	if err != nil {
		return err
	}
	err = json.NewDecoder(bytes.NewReader(p)).Decode(v)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
