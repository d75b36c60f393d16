package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// The writing half of a Conn: the only code that writes to the transport.
//
//	the caller ─► appendHeader ─► mask ─► transport
//
// A frame is written while its writer holds out.lock, so that frames never
// mix. A message of several frames (NextWriter) does not hold the lock between
// them: control frames may slip in, other messages wait (RFC 6455 section 5.4).

// writeHalf is owned by whoever holds lock.
type writeHalf struct {
	lock    lock
	heldLen int32
	held    *[bufferSize]byte // frames that were written and not sent yet; see conn_coalesce.go
	err     error             // why nothing more can be sent; final
	writer  *messageWriter    // the open one of NextWriter
}

// copyLimit is the largest payload that is copied behind its header, so that
// one call writes both. From about here on two slices in one writev are no
// slower, and a copy costs more than the call.
const copyLimit = 16 << 10

// WriteMessage sends data as one message of the given type: TextMessage, whose
// data should be UTF-8 (it is not checked; a peer will fail the connection over
// text that is not), BinaryMessage, or a control message as in WriteControl.
// It does not keep or change data.
func (c *Conn) WriteMessage(messageType int, data []byte) error {
	if messageType != TextMessage && messageType != BinaryMessage {
		return c.writeOther(messageType, data)
	}
	if err := c.lockForMessage(context.Background()); err != nil {
		return err
	}
	err := c.writeData(opcode(messageType), data)
	c.out.lock.unlock()
	return err
}

// writeData writes a message in one frame, compressed or not. Its caller holds
// out.lock.
func (c *Conn) writeData(op opcode, data []byte) error {
	if c.deflate.wants(len(data)) {
		return c.writeDeflated(op, data)
	}
	return c.writeFrame(op, true, data)
}

// writeOther is WriteMessage for what is no data message.
func (c *Conn) writeOther(messageType int, data []byte) error {
	if !opcode(messageType).isControl() {
		_, err := dataOpcode(messageType)
		return err
	}
	return c.WriteControl(messageType, data, c.deadlines.userWrite())
}

// dataOpcode is the opcode for a message type that is no control message's.
func dataOpcode(messageType int) (opcode, error) {
	if messageType != TextMessage && messageType != BinaryMessage {
		return 0, fmt.Errorf("websocket: bad message type %d, want TextMessage or BinaryMessage", messageType)
	}
	return opcode(messageType), nil
}

// lockForMessage locks out for the first frame of a message. Where a message
// is open, that has to be closed first.
func (c *Conn) lockForMessage(ctx context.Context) error {
	for {
		if err := c.lockWrite(ctx); err != nil {
			return err
		}
		if c.out.writer == nil { // as it is when nothing can be written any more
			return nil
		}
		done := c.out.writer.done
		c.out.lock.unlock()
		if err := waitFor(done, ctx, c.deadlines.userWrite()); err != nil {
			return waitFailed(err, "another message is still open (was its NextWriter not closed?)")
		}
	}
}

// lockWrite locks out until ctx or the user's deadline ends it.
func (c *Conn) lockWrite(ctx context.Context) error {
	if c.out.lock.tryLock() {
		return nil
	}
	return c.waitToWrite(ctx)
}

func (c *Conn) waitToWrite(ctx context.Context) error {
	err := c.out.lock.lock(ctx, c.deadlines.userWrite())
	return waitFailed(err, "another write did not end")
}

// waitFailed says what a write has waited for in vain.
func waitFailed(err error, what string) error {
	switch err {
	case nil:
		return nil
	case os.ErrDeadlineExceeded:
		return &timeoutError{what: "write: " + what}
	}
	return fmt.Errorf("websocket: write: %s: %w", what, err)
}

// WriteControl sends a control message: CloseMessage, PingMessage or
// PongMessage, with at most 125 octets of payload. It gives up when deadline
// passes; the zero time means never, and SetWriteDeadline's does not count. It may be called while a message is open. After a close message, all writes
// return ErrCloseSent.
func (c *Conn) WriteControl(messageType int, data []byte, deadline time.Time) error {
	if err := checkControl(messageType, data); err != nil {
		return err
	}
	if err := c.out.lock.lock(context.Background(), deadline); err != nil {
		return waitFailed(err, "another write did not end")
	}
	defer c.out.lock.unlock()
	if !deadline.IsZero() && !time.Now().Before(deadline) { // on TLS, trying would be the last write
		return &timeoutError{what: "write"}
	}
	if !deadline.IsZero() || !c.deadlines.userWrite().IsZero() {
		c.deadlines.override(writeSide, c.nc.SetWriteDeadline, deadline)
		defer c.deadlines.restore(writeSide, c.nc.SetWriteDeadline)
	}
	err := c.writeFrame(opcode(messageType), true, data)
	if err == nil && messageType == CloseMessage {
		c.out.end(ErrCloseSent)
	}
	return err
}

// checkControl says what is wrong with a control message that the caller wants
// to send.
func checkControl(messageType int, data []byte) error {
	switch messageType {
	case CloseMessage, PingMessage, PongMessage:
	default:
		return fmt.Errorf("websocket: bad message type %d, want CloseMessage, PingMessage or PongMessage", messageType)
	}
	if len(data) > maxControlPayload {
		return fmt.Errorf("websocket: a control message has at most %d octets, not %d", maxControlPayload, len(data))
	}
	if messageType == CloseMessage {
		return checkClose(data)
	}
	return nil
}

// pong answers a ping. That it could not be sent is no reason to stop reading:
// what is wrong with the transport will show there, and the peer may have
// closed its half.
func (c *Conn) pong(data []byte) error {
	c.WriteControl(PongMessage, data, time.Now().Add(controlTimeout))
	return nil
}

// writeFrame writes one frame. Its caller holds out.lock.
//
// Most frames fit a pooled buffer: header and payload are put together there,
// masked if need be, and written in one call, here and not in a function
// further down, for the sake of a shallow stack (see wait_unix.go).
func (c *Conn) writeFrame(op opcode, fin bool, payload []byte) error {
	if c.out.err != nil {
		return c.out.err
	}
	h := frameHeader{frameBits: frameBits{fin: fin}, opcode: op, length: int64(len(payload))}
	if c.client {
		h.masked, h.key = true, newMaskingKey()
	}
	if c.settings.Load().isTraced() {
		c.traceFrame(h, true, payload)
	}
	if len(payload) > copyLimit {
		return c.writeLarge(h, payload)
	}
	buf, held := c.out.takeHeld()
	b := appendHeader(buf[:held], h)
	n := len(b)
	b = append(b, payload...)
	if h.masked {
		mask(b[n:], h.key)
	}
	if op != opClose && c.hold(buf, len(b)) {
		return nil
	}
	n, err := c.nc.Write(b)
	if err != nil {
		return c.writeHeldFailed(err, n, buf, held)
	}
	c.took()
	putBuffer(buf)
	return nil
}

// writeLarge writes a frame that is not copied, or not at once.
func (c *Conn) writeLarge(h frameHeader, payload []byte) error {
	if err := c.flushHeld(); err != nil {
		return err
	}
	if c.raw != nil && !c.client {
		return c.writeVectored(h, payload)
	}
	return c.writePieces(h, payload)
}

// writePieces writes a frame by way of a pooled buffer, piece by piece: for
// clients, who must not mask the caller's octets in place, and for TLS, which
// would make a record of its own of the header.
func (c *Conn) writePieces(h frameHeader, payload []byte) error {
	buf := getBuffer()
	defer putBuffer(buf)
	b := appendHeader(buf[:0], h)
	begun := false
	for {
		piece := len(b)
		n := min(len(payload), len(buf)-piece)
		b = append(b, payload[:n]...)
		payload = payload[n:]
		if h.masked {
			h.key = mask(b[piece:], h.key)
		}
		written, err := c.nc.Write(b)
		if err != nil {
			return c.writeFailed(err, begun || written > 0)
		}
		c.took()
		if len(payload) == 0 {
			return nil
		}
		b, begun = buf[:0], true
	}
}

// vector is the two slices of a large frame. It is pooled whole, for
// net.Buffers escapes to the heap where it is written.
type vector struct {
	header  [maxHeaderLen]byte
	slices  [2][]byte
	buffers net.Buffers
}

var vectorPool = sync.Pool{New: func() any { return new(vector) }}

// A receiver on the same machine that waits is woken by what arrives first, and
// while it runs no more needs to be spent on waking it. So a very large frame is
// sent in two writes, of which the first is small: an echo of 1 MiB takes a tenth
// less CPU time so. At 128 KiB nothing is left of that.
const (
	veryLarge  = 256 << 10
	wakingSize = 4 << 10
)

// writeVectored writes a frame without copying its payload.
func (c *Conn) writeVectored(h frameHeader, payload []byte) error {
	first := len(payload)
	if first >= veryLarge {
		first = wakingSize
	}
	v := vectorPool.Get().(*vector)
	v.slices[0], v.slices[1] = appendHeader(v.header[:0], h), payload[:first]
	v.buffers = v.slices[:]
	written, err := v.buffers.WriteTo(c.nc)
	v.slices, v.buffers = [2][]byte{}, nil // keep nothing of the caller's
	vectorPool.Put(v)
	if err == nil && first < len(payload) {
		_, err = c.nc.Write(payload[first:])
	}
	if err != nil {
		return c.writeFailed(err, written > 0)
	}
	c.took()
	return nil
}

var errWriteClosed = fmt.Errorf("websocket: write: %w", net.ErrClosed)

// writeFailed makes an error final if it is: where a part of a frame has gone
// out, or is left in doubt, the peer could not make sense of anything after it.
func (c *Conn) writeFailed(err error, begun bool) error {
	switch {
	case c.flags.has(flagGaveUp):
		err = ErrPongTimeout
	case c.flags.has(flagClosed) && (err == net.ErrClosed || !errors.Is(err, net.ErrClosed)):
		err = errWriteClosed
	case !begun && isTimeout(err) && !isTLS(c.nc):
		return err
	}
	c.out.end(err)
	return err
}

// isTLS: crypto/tls refuses all writes after one that timed out.
func isTLS(nc net.Conn) bool {
	_, ok := nc.(*tls.Conn)
	return ok
}

// end makes err what all further writes return. Who waits for the open message
// to be closed need not wait longer.
func (out *writeHalf) end(err error) {
	out.err = err
	if out.held != nil {
		putBuffer(out.held)
		out.held, out.heldLen = nil, 0
	}
	if out.writer != nil {
		close(out.writer.done)
		out.writer = nil
	}
}
