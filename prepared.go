package websocket

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket/internal/deflate"
)

// A PreparedMessage is a message that was encoded once, to be sent on many
// connections: a broadcast then costs a server one write each and nothing
// else. (A client still has to mask every copy with a fresh key.) It may be
// used by any number of goroutines.
type PreparedMessage struct {
	op       opcode
	frame    []byte                     // as a server sends it
	payload  []byte                     // the end of frame
	deflated [16]atomic.Pointer[[]byte] // the compressed frame for each window; an empty one if that is not shorter
}

// NewPreparedMessage encodes a message, of a type that WriteMessage takes. It
// copies data.
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	op := opcode(messageType)
	if !op.isControl() {
		if _, err := dataOpcode(messageType); err != nil {
			return nil, err
		}
	} else if err := checkControl(messageType, data); err != nil {
		return nil, err
	}
	frame := make([]byte, 0, maxHeaderLen+len(data))
	frame = appendHeader(frame, frameHeader{frameBits: frameBits{fin: true}, opcode: op, length: int64(len(data))})
	header := len(frame)
	frame = append(frame, data...)
	return &PreparedMessage{op: op, frame: frame, payload: frame[header:]}, nil
}

// Type returns the message's type, such as TextMessage.
func (pm *PreparedMessage) Type() int { return int(pm.op) }

// Len returns how many bytes the message has, before compression.
func (pm *PreparedMessage) Len() int { return len(pm.payload) }

// WritePreparedMessage sends a prepared message, as WriteMessage would.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	if pm.op.isControl() {
		return c.WriteControl(int(pm.op), pm.payload, time.Time{})
	}
	if err := c.lockForMessage(context.Background()); err != nil {
		return err
	}
	defer c.unlockWrite()
	if c.client {
		return c.writeData(pm.op, pm.payload)
	}
	if err := c.writable(); err != nil {
		return err
	}
	err := c.writeFrameBytes(c.preparedFrame(pm))
	if err != nil && c.deflate != nil {
		c.deflate.forget() // the peer has not seen this message
	}
	return err
}

// preparedFrame returns the frame that c's peer gets: the compressed one, if that
// was agreed on, which refers to nothing before it. Later messages may refer to this
// one, so the window takes it in. Its caller holds out.lock.
func (c *Conn) preparedFrame(pm *PreparedMessage) []byte {
	if !c.deflate.wants(len(pm.payload)) {
		return pm.frame
	}
	frame := pm.deflatedFrame(c.deflate.sendBits)
	if len(frame) == 0 {
		return pm.frame
	}
	if c.deflate.deflater != nil {
		c.deflate.deflater.Remember(pm.payload)
	}
	return frame
}

// deflatedFrame returns the compressed frame for a window, made by whoever
// needs it first.
func (pm *PreparedMessage) deflatedFrame(bits int) []byte {
	if frame := pm.deflated[bits].Load(); frame != nil {
		return *frame
	}
	var frame []byte
	if out, ok := deflate.Append(nil, pm.payload, bits); ok {
		h := frameHeader{frameBits: frameBits{fin: true, rsv: rsv1}, opcode: pm.op, length: int64(len(out))}
		frame = append(appendHeader(make([]byte, 0, maxHeaderLen+len(out)), h), out...)
	}
	pm.deflated[bits].Store(&frame)
	return frame
}
