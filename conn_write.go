package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Writing frames. The writing half of a Conn puts a header before a payload, masks it
// if this side is a client, and gives the frame to the transport:
//
//	the caller ─► appendHeader ─► mask ─► transport
//
// A frame is written while its writer holds out.lock, so that frames never mix. A
// message of several frames (NextWriter) does not hold the lock between them:
// control frames may come between, and other messages wait (RFC 6455 section 5.4).
// After the opening handshake the transport is written here, by writeFrame, send and
// writeVectored, and in write_unix.go, by tryWrite, which does not wait.

// writeHalf is owned by the goroutine that holds lock, except for its atomic fields.
type writeHalf struct {
	lock        lock
	messages    lock   // held while a message of NextWriter's is open, then by one writer that waited for its end
	pendingFrom uint16 // the pending bytes are pending[pendingFrom:pendingTo]
	pendingTo   uint16
	writing     bool                   // the transport's Write was called and has not returned
	pending     *[bufferSize]byte      // answers that were reported as written (conn_coalesce.go)
	err         error                  // the final error of writing, nil before
	writer      *messageWriter         // the open one of NextWriter
	box         atomic.Pointer[outbox] // for writers that do not wait for lock (conn_outbox.go)
}

// copyLimit is the largest payload that is copied behind its header, so that
// one call writes both. From about here on two slices in one writev are no
// slower, and a copy costs more than the call.
const copyLimit = 16 << 10

// WriteMessage sends data as one message of the given type. The data of a TextMessage
// should be UTF-8. It is not checked, and a peer closes the connection if it is not.
// The type may also be BinaryMessage, or a control message as in WriteControl. data is
// neither modified nor retained.
//
// WriteMessage waits until the transport has taken the message: behind the messages
// of other writers and those that Enqueue has queued, and for as long as the peer does
// not read. SetWriteDeadline and WriteMessageContext bound that.
func (c *Conn) WriteMessage(messageType int, data []byte) error {
	if messageType != TextMessage && messageType != BinaryMessage {
		return c.writeOther(messageType, data)
	}
	if err := c.lockForMessage(context.Background()); err != nil {
		return err
	}
	defer c.unlockWrite()
	if c.deflate.wants(len(data)) {
		return c.writeDeflated(opcode(messageType), data)
	}
	return c.writeFrame(opcode(messageType), true, data) // in fewer stack frames than by writeData
}

// WriteMessageContext is WriteMessage for as long as ctx lasts, for TextMessage
// and BinaryMessage. When ctx ends before the first byte is sent, it returns ctx's
// error and the connection remains usable. If the transport has no deadlines, nothing
// but its end can interrupt a write: then it is closed, and the error says so.
func (c *Conn) WriteMessageContext(ctx context.Context, messageType int, data []byte) error {
	op, err := dataOpcode(messageType)
	if err != nil {
		return err
	}
	if err := c.lockForMessage(ctx); err != nil {
		return err
	}
	defer c.unlockWrite()
	if err := ctx.Err(); err != nil {
		return err
	}
	restore := c.interruptWhenDone(ctx, writeSide)
	return restore(c.writeData(op, data))
}

// writeData writes a message in one frame, compressed or not. Its caller holds
// out.lock.
func (c *Conn) writeData(op opcode, data []byte) error {
	if c.deflate.wants(len(data)) {
		return c.writeDeflated(op, data)
	}
	return c.writeFrame(op, true, data)
}

// writeOther is WriteMessage for a control message, or for a wrong type.
func (c *Conn) writeOther(messageType int, data []byte) error {
	if !opcode(messageType).isControl() {
		_, err := dataOpcode(messageType)
		return err
	}
	return c.WriteControl(messageType, data, c.deadlines.userWrite())
}

// dataOpcode returns the opcode of TextMessage or BinaryMessage, and an error for other types.
func dataOpcode(messageType int) (opcode, error) {
	if messageType != TextMessage && messageType != BinaryMessage {
		return 0, fmt.Errorf("websocket: bad message type %d, want TextMessage or BinaryMessage", messageType)
	}
	return opcode(messageType), nil
}

// lockForMessage takes out.lock for the first frame of a message. If another message is open, that
// has to be closed first. Writers that wait for it are served in the order in which they came.
func (c *Conn) lockForMessage(ctx context.Context) error {
	if err := c.lockWrite(ctx); err != nil {
		return err
	}
	if c.out.writer == nil { // also if nothing can be written any more
		return nil
	}
	c.unlockWrite()
	if err := c.waitForMessage(ctx); err != nil {
		return err
	}
	defer c.out.messages.unlock()
	return c.lockWrite(ctx)
}

// waitForMessage waits for the open message's end, and takes out.messages.
func (c *Conn) waitForMessage(ctx context.Context) error {
	err := c.out.messages.lock(ctx, c.deadlines.userWrite())
	return waitFailed(err, "another message is still open (was its NextWriter not closed?)")
}

// lockWrite takes out.lock. It waits until ctx ends or the user's deadline passes.
func (c *Conn) lockWrite(ctx context.Context) error {
	if c.out.lock.tryLock() {
		return nil
	}
	return c.waitToWrite(ctx)
}

// waitToWrite is lockWrite for a lock that is held. It keeps lockWrite small enough to be inlined.
func (c *Conn) waitToWrite(ctx context.Context) error {
	err := c.out.lock.lock(ctx, c.deadlines.userWrite())
	return waitFailed(err, "another write did not end")
}

// waitFailed returns the error of a write that gave up its wait. obstacle says what it
// waited for.
func waitFailed(err error, obstacle string) error {
	switch err {
	case nil:
		return nil
	case os.ErrDeadlineExceeded:
		return &timeoutError{step: "write: " + obstacle}
	}
	return fmt.Errorf("websocket: write: %s: %w", obstacle, err)
}

// WriteControl sends a control message: CloseMessage, PingMessage or
// PongMessage, with at most 125 bytes of payload. It gives up when deadline
// passes. The zero time means never, and SetWriteDeadline's does not count. It may be
// called while a message is open. After a close message, all writes return
// ErrCloseSent.
func (c *Conn) WriteControl(messageType int, data []byte, deadline time.Time) error {
	if err := c.checkControl(messageType, data); err != nil {
		return err
	}
	if err := c.out.lock.lock(context.Background(), deadline); err != nil {
		return waitFailed(err, "another write did not end")
	}
	defer c.unlockWrite()
	if !deadline.IsZero() && !time.Now().Before(deadline) { // on TLS, trying would be the last write
		return &timeoutError{step: "write"}
	}
	if !deadline.IsZero() || !c.deadlines.userWrite().IsZero() {
		defer c.overrideWrite(deadline)()
	}
	err := c.writeFrame(opcode(messageType), true, data)
	if err == nil && messageType == CloseMessage {
		c.endWriting(ErrCloseSent)
	}
	return err
}

// A messageTransport is a transport that carries messages, not frames: a browser's WebSocket. Its
// checkControl returns an error for the control messages that it cannot carry.
type messageTransport interface {
	net.Conn
	checkControl(messageType int) error
}

// checkControl returns an error if c cannot send a control message.
func (c *Conn) checkControl(messageType int, data []byte) error {
	if err := checkControl(messageType, data); err != nil {
		return err
	}
	if nc, ok := c.nc.(messageTransport); ok {
		return nc.checkControl(messageType)
	}
	return nil
}

// checkControl returns an error if a control message must not be sent.
func checkControl(messageType int, data []byte) error {
	switch messageType {
	case CloseMessage, PingMessage, PongMessage:
	default:
		return fmt.Errorf("websocket: bad message type %d, want CloseMessage, PingMessage or PongMessage", messageType)
	}
	if len(data) > maxControlPayload {
		return fmt.Errorf("websocket: a control message has at most %d bytes, not %d", maxControlPayload, len(data))
	}
	if messageType == CloseMessage {
		return checkClose(data)
	}
	return nil
}

// writable returns an error if no frame can be begun. crypto/tls can write nothing after a write
// that timed out. So if the deadline has passed, writable says so before anything is written.
func (c *Conn) writable() error {
	if c.out.err != nil {
		return c.out.err
	}
	if c.raw == nil && isTLS(c.nc) && c.deadlines.writeHasPassed() {
		return &timeoutError{step: "write"}
	}
	return nil
}

// appendFrame appends a whole frame to dst.
func (c *Conn) appendFrame(dst []byte, op opcode, payload []byte) []byte {
	h := frameHeader{frameBits: frameBits{fin: true}, opcode: op, length: int64(len(payload))}
	if c.client {
		h.masked, h.key = true, newMaskingKey()
	}
	dst = appendHeader(dst, h)
	n := len(dst)
	dst = append(dst, payload...)
	if h.masked {
		mask(dst[n:], h.key)
	}
	return dst
}

// buildFrame turns b, which has room for a header in front of a payload, into a
// frame. h lacks the length and the mask.
func (c *Conn) buildFrame(b []byte, h frameHeader) (frame []byte) {
	payload := b[maxHeaderLen:]
	h.length = int64(len(payload))
	if c.client {
		h.masked, h.key = true, newMaskingKey()
		mask(payload, h.key)
	}
	var room [maxHeaderLen]byte
	header := appendHeader(room[:0], h)
	start := maxHeaderLen - len(header)
	copy(b[start:], header)
	return b[start:]
}

// writeFrame writes one frame. Its caller holds out.lock.
//
// Most frames fit a pooled buffer: header and payload are put together there,
// masked if need be, and written in one call, here and not in a function further
// down, to keep the stack shallow (see conn_wait_unix.go).
func (c *Conn) writeFrame(op opcode, fin bool, payload []byte) error {
	if err := c.writable(); err != nil {
		return err
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
	buf, pending := c.out.takePending()
	b := append(appendHeader(pending, h), payload...)
	if h.masked {
		mask(b[len(b)-len(payload):], h.key)
	}
	if op != opClose && c.deferWrite(buf, b) {
		return nil
	}
	c.out.writing = true // from here on sendBehind, without its stack frames
	n, err := c.nc.Write(b)
	c.out.writing = false
	c.took(n)
	if err == nil {
		putBuffer(buf)
		return nil
	}
	return c.sendBehindFailed(buf, pending, n, err)
}

// writeFrameBytes writes a frame that buildFrame has made. Its caller holds out.lock.
func (c *Conn) writeFrameBytes(frame []byte) error {
	if err := c.writable(); err != nil {
		return err
	}
	c.traceFrameBytes(frame)
	if c.out.pending != nil || c.flags.has(flagMore) {
		return c.writeBehind(frame)
	}
	return c.sendFrame(frame)
}

// send gives p to the transport, and waits until that has taken it.
func (c *Conn) send(p []byte) (n int, err error) {
	c.out.writing = true
	n, err = c.nc.Write(p)
	c.out.writing = false
	c.took(n)
	return n, err
}

// sendPieces sends p, the rest of a frame. A socket takes as much as it can at once.
// The bytes that have to wait go in pieces, each of which is counted as a sign of life
// (see keepalive.go). The frame stays one: some peers take every frame for a message.
func (c *Conn) sendPieces(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var written int
		if c.raw != nil {
			written, err = c.tryWrite(p[n:])
			if n += written; err != nil || n == len(p) {
				break
			}
		}
		written, err = c.send(p[n:min(len(p), n+pieceSize)])
		n += written
	}
	return n, err
}

// sendFrame sends a whole frame. No frames are pending, because they would have to go first.
func (c *Conn) sendFrame(frame []byte) error {
	var n int
	var err error
	if len(frame) <= pieceSize {
		n, err = c.send(frame)
	} else {
		n, err = c.sendPieces(frame)
	}
	if err != nil {
		return c.writeFailed(err, n > 0)
	}
	return nil
}

// pieceSize is how much of a large frame is written before the progress is noted, if
// the transport makes a writer wait.
const pieceSize = 32 << 10

// writeLarge writes a frame whose payload is too large to be copied whole.
func (c *Conn) writeLarge(h frameHeader, payload []byte) error {
	if err := c.sendPending(); err != nil {
		return err
	}
	if c.raw != nil && !c.client {
		return c.writeVectored(h, payload)
	}
	return c.writePieces(h, payload)
}

// writePieces writes a frame by way of a pooled buffer, piece by piece: for clients, which must not
// mask the caller's bytes in place, and for TLS, which would make a record of its own of the
// header.
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
		written, err := c.send(b)
		if err != nil {
			return c.writeFailed(err, begun || written > 0)
		}
		if len(payload) == 0 {
			return nil
		}
		b, begun = buf[:0], true
	}
}

// vector is the two slices of a large frame. It is pooled whole, because net.Buffers escapes to the
// heap when it is written.
type vector struct {
	header  [maxHeaderLen]byte
	slices  [2][]byte
	buffers net.Buffers
}

// vectorSize is how much payload goes out in one call with the header.
const vectorSize = 128 << 10

var vectorPool = sync.Pool{New: func() any { return new(vector) }}

// writeVectored writes a frame without copying its payload: the header and the
// first piece in one call.
func (c *Conn) writeVectored(h frameHeader, payload []byte) error {
	first := min(len(payload), vectorSize)
	v := vectorPool.Get().(*vector)
	v.slices[0], v.slices[1] = appendHeader(v.header[:0], h), payload[:first]
	v.buffers = v.slices[:]
	c.out.writing = true
	written, err := v.buffers.WriteTo(c.nc)
	c.out.writing = false
	v.slices, v.buffers = [2][]byte{}, nil // keep nothing of the caller's
	vectorPool.Put(v)
	c.took(int(written))
	if err == nil {
		_, err = c.sendPieces(payload[first:])
	}
	if err != nil {
		return c.writeFailed(err, written > 0)
	}
	return nil
}

var errWriteClosed = fmt.Errorf("websocket: write: %w", net.ErrClosed)

// writeFailed returns the error for the caller of a write that ended with err. The error is final
// if a part of a frame has gone out, or may have: the peer could not make sense of anything after
// it.
func (c *Conn) writeFailed(err error, begun bool) error {
	switch {
	case c.gaveUp() != nil:
		err = c.gaveUp()
	case c.flags.has(flagClosed) && (err == net.ErrClosed || !errors.Is(err, net.ErrClosed)):
		err = errWriteClosed
	case !begun && isTimeout(err) && !isTLS(c.nc):
		return err
	}
	c.endWriting(err)
	return err
}

// gaveUp returns the reason if the library itself gave the peer up, and nil otherwise.
func (c *Conn) gaveUp() error {
	switch {
	case c.flags.has(flagGaveUp):
		return ErrPongTimeout
	case c.flags.has(flagTooSlow):
		return ErrQueueTimeout
	}
	return nil
}

// isTLS reports whether nc is a TLS connection. Those refuse all writes after one that timed out.
func isTLS(nc net.Conn) bool {
	_, ok := nc.(*tls.Conn)
	return ok
}

// endWriting makes err the error of all further writes, and drops everything that waits to be sent.
// Writers no longer wait for the open message to be closed. Its caller holds out.lock.
func (c *Conn) endWriting(err error) {
	out := &c.out
	out.err = err
	if err == ErrCloseSent {
		c.flags.set(flagSentClose) // for those who queue messages, before the outbox forgets its close frame
	}
	if out.pending != nil {
		putBuffer(out.pending)
		out.pending, out.pendingFrom, out.pendingTo = nil, 0, 0
	}
	if out.writer != nil {
		out.writer = nil
		out.messages.unlock()
	}
	c.dropOutbox()
}
