package websocket

import (
	"context"
	"time"
)

// A PreparedMessage is a message that was encoded once, to be sent on many
// connections: a broadcast then costs a server one write each and nothing
// else. (A client still has to mask every copy with a fresh key.) It may be
// used by any number of goroutines.
type PreparedMessage struct {
	op      opcode
	frame   []byte // as a server sends it
	payload []byte // the end of frame
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
	frame = appendHeader(frame, frameHeader{fin: true, opcode: op, length: int64(len(data))})
	header := len(frame)
	frame = append(frame, data...)
	return &PreparedMessage{op: op, frame: frame, payload: frame[header:]}, nil
}

// WritePreparedMessage sends a prepared message, as WriteMessage would.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	if pm.op.isControl() {
		return c.WriteControl(int(pm.op), pm.payload, time.Time{})
	}
	if err := c.lockForMessage(context.Background()); err != nil {
		return err
	}
	defer c.out.lock.unlock()
	if c.client {
		return c.writeFrame(pm.op, true, pm.payload)
	}
	if c.out.err != nil {
		return c.out.err
	}
	n, err := c.nc.Write(pm.frame)
	if err != nil {
		return c.writeFailed(err, n > 0)
	}
	return nil
}
