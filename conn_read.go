package websocket

import (
	"context"
	"errors"
	"sync"
	"time"
	"unicode/utf8"
)

// Reading messages. This file has the way of a message from the transport to
// ReadMessage's caller, from the bottom to the top:
//
//	transport ─► fill ─► unread ─► nextFrame ─► readPayload ─► ReadMessage
//
//   - fill waits for bytes and puts them behind those in unread. An idle
//     connection has no buffer for them: the state of reading comes with a message's
//     first byte, and goes with its end (conn_buffer.go).
//   - nextFrame consumes frame headers, and asks frame.go and inbound.go for their
//     meaning. conn_frames.go deals with control frames, and with errors.
//   - readPayload moves payload to the message, unmasked (mask.go) and, if it is
//     text, checked (utf8.go). conn_deflate.go does that for compressed messages.
//   - appendMessage puts a message together. Most messages lie in unread whole. For
//     these its first branch, takeWhole, does the work of nextFrame and readPayload.
//
// A small message that comes whole passes six files: conn_wait_unix.go reads it into a
// buffer of conn_buffer.go, and takeWhole asks frame.go, inbound.go and mask.go.
//
// handleMessage calls a function with a message instead, for conn_handle.go.
// conn_reader.go reads messages as streams. The transport itself is read in conn_wait_unix.go
// and conn_handle_unix.go, if it is a socket, and else in conn_buffer.go.
//
// All state is in readState, none on the stack of a call. So a read that is ended by
// a deadline or a context can go on in the next call. An example: of the frame
// 82 85 37fa213d 7f9f4d5158 ("Hello"), 9 bytes have come when the deadline passes.
//
//	consumed: 82 85 37fa213d    open, left = 5, key = 37fa213d
//	arrived:  7f 9f 4d          partial = "Hel", left = 2, key turned by 3 bytes
//	to come:  51 58
//
// Had only 82 85 37 come, unread would keep these bytes, and nothing would be open.

// noMessage is the message type that comes with an error.
const noMessage = -1

// ReadMessage returns the next message, whose type is TextMessage or
// BinaryMessage. The slice is the caller's. Text is valid UTF-8.
//
// It returns a *CloseError when the peer closed, a *ProtocolError when the peer
// broke a rule, and after either the same error for ever. It may be called
// again after a deadline has passed: the bytes that had arrived are not lost.
func (c *Conn) ReadMessage() (messageType int, p []byte, err error) {
	return c.AppendMessage(nil)
}

// AppendMessage is ReadMessage into a buffer of the caller's: it appends the
// message to dst, growing it if the capacity does not do, and returns the
// longer slice. With an error it returns dst as it was.
//
//	var buf []byte
//	for {
//		messageType, buf, err = c.AppendMessage(buf[:0])
//		…
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	c.lockRead()
	defer c.unlockRead() // also if a handler panics
	return c.appendMessage(dst)
}

// ReadMessageContext is ReadMessage for as long as ctx lasts. When ctx ends
// first, it returns ctx's error and nothing is lost: the next read goes on. If the
// transport has no deadlines, nothing but its end can interrupt a read: then it is
// closed, and the error says so.
func (c *Conn) ReadMessageContext(ctx context.Context) (messageType int, p []byte, err error) {
	if err := c.readLock.lock(ctx, time.Time{}); err != nil {
		return noMessage, nil, err
	}
	defer c.unlockRead()
	if err := ctx.Err(); err != nil {
		return noMessage, nil, err
	}
	restore := c.interruptWhenDone(ctx, readSide)
	messageType, p, err = c.appendMessage(nil)
	return messageType, p, restore(err)
}

// lockRead waits until no other goroutine reads.
func (c *Conn) lockRead() {
	if !c.readLock.state.CompareAndSwap(lockFree, lockHeld) {
		c.readLock.lockSlow(context.Background(), time.Time{})
	}
}

func (c *Conn) unlockRead() {
	if !c.readLock.state.CompareAndSwap(lockHeld, lockFree) {
		c.readLock.release()
	}
}

// await waits for the next message's first bytes, if none are there. An idle
// connection waits here, where the stack is shallow, and not in the depth of
// nextFrame. conn_wait_unix.go says why.
func (c *Conn) await() error {
	switch {
	case c.readErr != nil:
		return c.readErr
	case c.flags.has(flagClosed): // even if a message is there
		return errReadClosed
	case c.hasInput():
		return nil
	}
	return c.fill()
}

// hasInput reports whether reading need not begin with a wait: there are unread
// bytes, or a message was begun.
func (c *Conn) hasInput() bool { return len(c.in.unread) > 0 || c.in.open }

// appendMessage appends the next message to dst. Its caller holds readLock.
func (c *Conn) appendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err = c.await(); err != nil {
		return noMessage, dst, c.readFailed(err)
	}
	messageType, data, ok, err := c.takeWhole()
	switch {
	case err != nil:
		return noMessage, dst, c.readFailed(err)
	case ok:
		p = appendArrived(dst, data, true)
	default:
		if messageType, p, err = c.appendPieces(dst); err != nil {
			return noMessage, dst, err
		}
	}
	c.release()
	if p == nil {
		p = []byte{} // an empty message is not nil
	}
	return messageType, p, nil
}

// takeWhole returns the next message without copying it, if it is one frame, not
// compressed, and lies in unread whole. data is valid until more is read. Nothing
// is in progress before such a message and nothing after it, so no other state
// changes. For any other message, and for a frame that breaks a rule, takeWhole
// reports false and changes nothing. nextFrame then looks at the frame again.
// If the text is not valid UTF-8, the error says so and ok is true.
//
// Most messages are small and come whole. Because of takeWhole an echo of 125
// bytes takes an eighth less time outside of the kernel.
func (c *Conn) takeWhole() (messageType int, data []byte, ok bool, err error) {
	in := c.in
	if in.open || in.reader != nil || in.traced != nil {
		return noMessage, nil, false, nil
	}
	h, n, err := consumeHeader(in.unread)
	if err != nil || n == 0 || h.length > int64(len(in.unread)-n) || !in.rules.acceptsWhole(h, c.settings.Load().limit) {
		return noMessage, nil, false, nil
	}
	end := n + int(h.length)
	if h.masked {
		mask(in.unread[n:end], h.key)
	}
	data, in.unread = in.unread[n:end:end], in.unread[end:]
	if h.opcode == opText && !utf8.Valid(data) {
		return noMessage, nil, true, errInvalidUTF8
	}
	c.lookAhead()
	return int(h.opcode), data, true, nil
}

// appendPieces is appendMessage for the messages that takeWhole does not take: those
// that have not come whole, have several frames, or are compressed.
func (c *Conn) appendPieces(dst []byte) (messageType int, p []byte, err error) {
	if !c.in.open || c.in.reader != nil {
		if err = c.beginMessage(); err != nil {
			return noMessage, dst, c.readFailed(err)
		}
	}
	p, err = c.appendPayload(c.in.resume(dst))
	if err != nil {
		if err = c.readFailed(err); c.readErr == nil {
			c.in.suspend(dst, p)
		}
		return noMessage, dst, err
	}
	messageType = int(c.in.messageType)
	c.lookAhead()
	return messageType, p, nil
}

// beginMessage consumes the header of the next message's first frame. If the reader
// of NextReader did not read its message to the end, it skips the rest first.
func (c *Conn) beginMessage() error {
	if c.in.open {
		if err := c.skipMessage(); err != nil {
			return err
		}
	}
	c.in.leaveReader()
	return c.nextFrame()
}

// nextFrame consumes the header of the next data frame. Control frames may come
// before it, and nextFrame deals with each of them as soon as it is there whole.
func (c *Conn) nextFrame() error {
	for {
		h, n, err := consumeHeader(c.in.unread)
		if n > 0 {
			err = c.in.rules.accept(h, c.settings.Load().limit)
			if err != nil && c.in.traced != nil {
				c.traceFrame(h, false, nil)
			}
		}
		if err != nil {
			return err
		}
		if n == 0 || h.opcode.isControl() && len(c.in.unread)-n < int(h.length) {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		c.in.unread = c.in.unread[n:]
		if !h.opcode.isControl() {
			c.in.beginFrame(h)
			return nil
		}
		if err := c.handleControl(h); err != nil {
			return err
		}
	}
}

// beginFrame makes h the current data frame.
func (in *readState) beginFrame(h frameHeader) {
	if h.opcode != opContinuation {
		in.open, in.messageType, in.text, in.inflated = true, h.opcode, utf8State{}, 0
	}
	in.fin, in.key, in.left = h.fin, h.key, h.length
	if in.traced != nil {
		in.traced.traceFrame(h, false, nil)
	}
}

// appendPayload appends the open message's payload up to its end.
func (c *Conn) appendPayload(dst []byte) ([]byte, error) {
	if c.in.rules.compressed {
		return c.appendInflated(dst)
	}
	in := c.in // stays, as a message is open
	for {
		for in.left > 0 {
			var err error
			if long := len(in.chunks) > 0 || !in.fin && len(dst) >= chunkSize; long {
				// A long message, and nothing says how long: see chunkSize.
				err = c.readInto(in.pieceFor(&dst, true), false)
			} else if in.left <= int64(len(in.unread)) {
				// The common case.
				n := int(in.left)
				dst = appendArrived(dst, in.unread[:n], in.fin)
				in.unread = in.unread[n:]
				err = in.unmaskAndValidate(dst[len(dst)-n:])
			} else {
				err = c.readInto(&dst, true)
			}
			if err != nil {
				return dst, err
			}
		}
		if in.fin {
			return in.joinChunks(dst), c.endMessage()
		}
		if err := c.nextFrame(); err != nil {
			return dst, err
		}
	}
}

// readInto appends payload of the current frame to p. If it may, it makes p larger first,
// but only after the wait: a connection that waits holds no room for bytes to come.
func (c *Conn) readInto(p *[]byte, mayGrow bool) error {
	if len(c.in.unread) == 0 && cap(*p)-len(*p) < c.worthDirect() {
		if err := c.fill(); err != nil {
			return err
		}
	}
	if mayGrow {
		*p = growFor(*p, c.in)
	}
	n, err := c.readPayload((*p)[len(*p):cap(*p)])
	*p = (*p)[:len(*p)+n]
	return err
}

// readPayload moves payload of the current frame to dst, waiting for some if none
// is there.
func (c *Conn) readPayload(dst []byte) (n int, err error) {
	in := c.in // stays, as a message is open
	dst = dst[:min(int64(len(dst)), in.left)]
	switch {
	case len(in.unread) > 0:
	case len(dst) >= c.worthDirect():
		// A large rest: read it straight into dst.
		if n, err = c.readTransport(dst); err != nil {
			return 0, err
		}
		return n, in.unmaskAndValidate(dst[:n])
	default:
		// A small rest: fill may bring the next frames with it.
		if err = c.fill(); err != nil {
			return 0, err
		}
	}
	n = copy(dst, in.unread)
	in.unread = in.unread[n:]
	return n, in.unmaskAndValidate(dst[:n])
}

// worthDirect is the least room for payload into which it is read straight. With less room a read
// into the buffer is better, as it may bring the next frames too.
func (c *Conn) worthDirect() int {
	if c.raw == nil {
		return plainBufferSize // the buffer is no larger
	}
	return bufferSize / 2
}

// unmaskAndValidate unmasks p, the next bytes of the current frame's payload, and
// checks them if the message is text.
func (in *readState) unmaskAndValidate(p []byte) error {
	in.unmask(p)
	if in.messageType == opText && !in.text.valid(p) {
		return errInvalidUTF8
	}
	return nil
}

// unmask unmasks p, the next bytes of the current frame's payload, and counts them.
func (in *readState) unmask(p []byte) {
	in.left -= int64(len(p))
	if in.rules.wantMasked {
		in.key = mask(p, in.key)
	}
	if in.traced != nil {
		in.traced.tracePiece(p)
	}
}

// endMessage ends the message in progress. It returns an error if the message is text
// that ends inside a character.
func (c *Conn) endMessage() error {
	c.in.open = false
	if c.in.messageType == opText && !c.in.text.complete() {
		return errInvalidUTF8
	}
	return nil
}

// messageBuffers holds buffers for messages that are being handled.
var messageBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledMessage is the largest buffer that is kept for the next message, 4 MiB and a page for
// leadRoom. A new one of a megabyte costs more than reading the megabyte does.
const maxPooledMessage = 4<<20 + 8<<10

// handleMessage reads one message, of which the first bytes are there, and calls f
// with it. After Close it calls f no more.
func (c *Conn) handleMessage(f func(c *Conn, messageType int, data []byte)) error {
	messageType, data, ok, err := c.takeWhole()
	if !ok {
		return c.handlePieces(f)
	}
	if err == nil && c.flags.has(flagClosed) {
		err = errReadClosed
	}
	if err != nil {
		return err
	}
	f(c, messageType, data)
	c.release()
	return nil
}

// handlePieces is handleMessage for the messages that takeWhole does not take.
func (c *Conn) handlePieces(f func(c *Conn, messageType int, data []byte)) error {
	var buf *[]byte
	if !c.in.open {
		buf = messageBuffers.Get().(*[]byte)
		if c.in.step.underWay || cap(*buf) <= worthHolding*len(c.in.unread) {
			c.in.partial = (*buf)[:0] // for appendPieces to go on with
		} else { // reading may wait for the rest of the message, and must not hold a large buffer
			messageBuffers.Put(buf)
			buf = nil
		}
	}
	messageType, data, err := c.appendPieces(nil)
	if err == nil && c.flags.has(flagClosed) {
		err = errReadClosed
	}
	if err != nil {
		c.giveBack(buf)
		return err
	}
	c.release()
	f(c, messageType, data)
	if cap(data) <= maxPooledMessage {
		if buf == nil {
			buf = new([]byte)
		}
		*buf = data
		messageBuffers.Put(buf)
	}
	return nil
}

// giveBack returns buf to the pool after a message that failed, or has to wait for its
// rest. If the message's first bytes lie in buf, buf stays with them.
func (c *Conn) giveBack(buf *[]byte) {
	if buf == nil {
		return
	}
	partial := c.in.partial
	if len(partial) == 0 && c.in != noInput {
		c.in.partial = nil
	}
	if len(partial) == 0 || cap(*buf) == 0 || &partial[0] != &(*buf)[:1][0] {
		messageBuffers.Put(buf)
	}
}

// lookAhead tells the writing half whether a further complete frame is there (see
// conn_coalesce.go). It is called for every message, just before it is delivered,
// and for every control frame. The header is parsed again when its turn comes:
// keeping it would cost more for all those connections that do not coalesce.
func (c *Conn) lookAhead() {
	if !c.coalesce {
		return
	}
	h, n, err := consumeHeader(c.in.unread)
	more := err == nil && n > 0 && h.length <= int64(len(c.in.unread)-n)
	if more != c.flags.has(flagMore) { // mostly not, and a load is cheaper than a store
		if more {
			c.flags.set(flagMore)
		} else {
			c.flags.clear(flagMore)
		}
	}
	c.flushNeeded = c.flushNeeded || more
}

// fill waits for bytes, and appends them to unread.
func (c *Conn) fill() error {
	n, err := c.readTransport(nil)
	if err == nil {
		c.in.unread = c.in.unread[:len(c.in.unread)+n]
	}
	return err
}

// errWouldBlock is returned by a read that must not wait, if no bytes are there.
// HandleMessages then waits in a place of its own (conn_handle_unix.go).
var errWouldBlock = errors.New("websocket: nothing to read now")
