package websocket

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
)

// jsonBuffers hold messages while they are encoded or decoded.
var jsonBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledJSON is the largest buffer that is kept for the next message.
const maxPooledJSON = 64 << 10

func putJSONBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledJSON {
		jsonBuffers.Put(b)
	}
}

// WriteJSON sends v's JSON encoding as one text message. Like json.Encoder, it
// ends it with a line break. Nothing is sent if v cannot be encoded.
func (c *Conn) WriteJSON(v any) error {
	b := jsonBuffers.Get().(*bytes.Buffer)
	defer putJSONBuffer(b)
	b.Reset()
	if err := json.NewEncoder(b).Encode(v); err != nil {
		return err
	}
	return c.WriteMessage(TextMessage, b.Bytes())
}

// ReadJSON reads the next message, of either type, and stores the JSON value
// that it begins with in v, as json.Decoder does: what is behind it in the
// message is ignored. A message that ends within the value, or is empty, is
// io.ErrUnexpectedEOF. After an error of the decoder the connection can be
// used further.
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
