package websocket

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket/internal/deflate"
)

// One message for many connections, encoded and compressed once.

// A PreparedMessage is an encoded message that can be sent on many connections. A broadcast then
// costs a server one write for each connection, and nothing else. (A client still has to mask every
// copy with a fresh key.) Any number of goroutines may use it.
type PreparedMessage struct {
	op      opcode
	frame   []byte // the frame as a server sends it
	payload []byte // the end of frame

	// deflated holds the compressed frame for each window. A frame is empty if compression does not
	// make it shorter.
	deflated [16]atomic.Pointer[[]byte]
}

// NewPreparedMessage encodes a message of any type that WriteMessage accepts. It copies data.
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

var errZeroPrepared = errors.New("websocket: the PreparedMessage is not one of NewPreparedMessage")

// Type returns the message's type, such as TextMessage.
func (pm *PreparedMessage) Type() int { return int(pm.op) }

// Len returns the message's size in bytes, before compression.
func (pm *PreparedMessage) Len() int { return len(pm.payload) }

// WritePreparedMessage sends a prepared message. In all else it behaves as WriteMessage.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	switch {
	case pm.frame == nil:
		return errZeroPrepared
	case pm.op.isControl():
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

// preparedFrame returns the frame for c's peer. If compression was agreed on, that is the
// compressed frame, which refers to no earlier message. Later messages may refer to this one, so it
// is added to the window. The caller holds out.lock.
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

// deflatedFrame returns the compressed frame for a window of 2^bits bytes. It is made when it is
// first needed.
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
