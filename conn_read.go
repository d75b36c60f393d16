package websocket

import (
	"context"
	"slices"
	"time"
)

// The reading half of a Conn: the only code that reads the transport. It moves
// octets and asks the pure files what they mean:
//
//	transport ─► unread ─► consumeHeader ─► inbound.accept ─► unmask ─► UTF-8 ─► the caller
//
// All state is in readHalf, none on the stack of a call, so that a read that
// is ended by a deadline or a context can go on in the next call, be it in the
// middle of a header.

// readHalf is what a connection has read and not delivered yet. It is owned by
// whoever holds the Conn's readLock. A connection that waits between messages
// has none: it comes from a pool, and goes back there, with its buffer. One that
// has ended has one that says why.
type readHalf struct {
	// Octets that were read and not consumed. They lie in buf, or, while the
	// connection waits inside a header or a message, in a copy of their own:
	// what waits holds no buffer. Whenever more is to be read, unread is shorter
	// than a control frame, for payload is moved on as soon as it arrives.
	unread []byte
	buf    []byte // from the pool; or, where the transport cannot be waited for without, a small one for good

	rules inbound // which frame may come next

	err  error // why nothing more will come; final, and all else is nothing then
	dead bool  // because of the transport

	// The message in progress.
	open        bool      // its first header was consumed, its end not yet
	fin         bool      // the current frame is its last
	messageType opcode    //
	key         uint32    // masking key, turned to the next octet
	left        int64     // payload octets of the current frame that are still to come
	text        utf8State //
	inflated    int64     // octets that a compressed message has come to
	partial     []byte    // what a ReadMessage that was ended early had of it

	reader *messageReader // the open one of NextReader
	traced *Conn          // whose Trace wants to know of frames; nil for none

	// tryRead's argument and results.
	direct []byte
	got    int
	gotErr error

	// For a step of HandleMessages; see conn_drive_unix.go.
	driven       bool     // one is being made: reads must not wait
	reads        int      // made in it
	drained      bool     // the last read left nothing, though perhaps a reset
	readAgain    bool     // the read after one that left nothing was made
	writes       uint8    // flags.writes at its start
	writesShow   uint8    // so many more show that the connection is alive
	tellsDrained bool     // the socket says so
	fd           int      //
	ancillary    [32]byte // what it says
}

// noMessage is the message type that comes with an error.
const noMessage = -1

// plainBufferSize is the size of a buffer that a connection keeps, where its
// transport cannot be waited for without: TLS, above all.
const plainBufferSize = 1024

// ReadMessage returns the next message, whose type is TextMessage or
// BinaryMessage. The slice is the caller's. Text is valid UTF-8.
//
// It returns a *CloseError when the peer closed, a *ProtocolError when the peer
// broke a rule, and after either the same error for ever. It may be called
// again after a deadline has passed: what had arrived is not lost.
func (c *Conn) ReadMessage() (messageType int, p []byte, err error) {
	return c.AppendMessage(nil)
}

// AppendMessage is ReadMessage into a buffer of the caller's: it appends the
// message to dst, growing it where the capacity does not do, and returns the
// longer slice. With an error it returns dst as it was.
//
//	var buf []byte
//	for {
//		messageType, buf, err = c.AppendMessage(buf[:0])
//		…
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	c.lockRead()
	defer c.readLock.unlock() // also where a handler panics
	return c.appendMessage(dst, c.await())
}

// lockRead waits until no other goroutine reads.
func (c *Conn) lockRead() {
	if !c.readLock.tryLock() {
		c.readLock.lockSlow(context.Background(), time.Time{})
	}
}

// await waits for the next message's first octets, if none are there. An idle
// connection waits here, where the stack is shallow, and not in the depth of
// nextFrame: see wait_unix.go.
func (c *Conn) await() error {
	if c.hasInput() {
		return nil
	}
	return c.fill()
}

// hasInput reports whether there is something to go on with: octets, a message
// that was begun, or an error.
func (c *Conn) hasInput() bool {
	return c.readErr() != nil || c.in != nil && (c.in.open || len(c.in.unread) > 0)
}

// appendMessage appends the next message to dst, unless await failed.
func (c *Conn) appendMessage(dst []byte, err error) (messageType int, p []byte, _ error) {
	if c.readErr() != nil {
		return noMessage, dst, c.readErr()
	}
	if err != nil {
		return noMessage, dst, c.readFailed(err)
	}
	messageType, data, ok, err := c.takeWhole()
	switch {
	case err != nil:
		return noMessage, dst, err
	case ok:
		p = append(dst, data...)
	default:
		if messageType, p, err = c.appendPieces(dst); err != nil {
			return noMessage, dst, err
		}
	}
	c.release()
	if p == nil {
		p = []byte{} // a message, if an empty one
	}
	return messageType, p, nil
}

// appendPieces is appendMessage for a message of which not all is there, or of
// several frames, or compressed.
func (c *Conn) appendPieces(dst []byte) (messageType int, p []byte, err error) {
	if !c.in.open || c.in.reader != nil {
		if err = c.beginMessage(); err != nil {
			return noMessage, dst, c.readFailed(err)
		}
	}
	p, err = c.appendPayload(c.in.resume(dst))
	if err != nil {
		if err = c.readFailed(err); c.readErr() == nil {
			c.in.suspend(dst, p)
		}
		return noMessage, dst, err
	}
	messageType = int(c.in.messageType)
	c.lookAhead()
	return messageType, p, nil
}

// beginMessage consumes the header of the next message's first frame, and on
// the way what is left of a message that a reader did not read to its end.
func (c *Conn) beginMessage() error {
	if c.in.open {
		if err := c.skipMessage(); err != nil {
			return err
		}
	}
	c.in.leaveReader()
	return c.nextFrame()
}

// resume puts what an earlier call had of the message behind dst.
func (in *readHalf) resume(dst []byte) []byte {
	partial := in.partial
	in.partial = nil
	if dst == nil {
		return partial
	}
	return append(dst, partial...)
}

// suspend keeps what p has of the message beyond dst for the next call.
func (in *readHalf) suspend(dst, p []byte) {
	if in.open && len(p) > len(dst) {
		in.partial = p
		if dst != nil {
			in.partial = slices.Clone(p[len(dst):]) // p is the caller's
		}
	}
}

// appendPayload appends the open message's payload up to its end.
func (c *Conn) appendPayload(dst []byte) ([]byte, error) {
	in := c.in
	if in.rules.compressed {
		return c.appendInflated(dst)
	}
	for {
		for in.left > 0 {
			n, err := 0, error(nil)
			if in.left <= int64(len(in.unread)) {
				// The common case. append makes room of the right size.
				n = int(in.left)
				dst = append(dst, in.unread[:n]...)
				in.unread = in.unread[n:]
				err = in.take(dst[len(dst)-n:])
			} else {
				dst = growFor(dst, in)
				n, err = c.readPayload(dst[len(dst):cap(dst)])
				dst = dst[:len(dst)+n]
			}
			if err != nil {
				return dst, err
			}
		}
		if in.fin {
			return dst, c.endMessage()
		}
		if err := c.nextFrame(); err != nil {
			return dst, err
		}
	}
}

// growFor makes room in dst for payload that has arrived, and beyond that for
// at most three times as much as arrived before: memory follows octets that
// were sent, not lengths that were announced.
func growFor(dst []byte, in *readHalf) []byte {
	const least = 4 << 10
	here, room := int64(len(in.unread)), int64(cap(dst)-len(dst))
	if room >= min(in.left, max(here, least)) {
		return dst
	}
	return slices.Grow(dst, int(min(in.left, max(least, 4*here, 3*int64(len(dst))))))
}

// readPayload moves payload of the current frame to dst, waiting for some
// where none is there.
func (c *Conn) readPayload(dst []byte) (n int, err error) {
	in := c.in
	dst = dst[:min(int64(len(dst)), in.left)]
	switch {
	case len(in.unread) > 0:
	case len(dst) >= bufferSize/2:
		// Straight to where it belongs.
		if n, err = c.readTransport(dst); err != nil {
			return 0, err
		}
		return n, in.take(dst[:n])
	default:
		// A small rest: read ahead, further frames may come along.
		if err = c.fill(); err != nil {
			return 0, err
		}
	}
	n = copy(dst, in.unread)
	in.unread = in.unread[n:]
	return n, in.take(dst[:n])
}

// take unmasks p, the next octets of the current frame's payload, and checks them.
func (in *readHalf) take(p []byte) error {
	in.unmask(p)
	if in.messageType == opText && !in.text.valid(p) {
		return errInvalidUTF8
	}
	return nil
}

// unmask accounts for p, the next octets of the current frame's payload, and
// unmasks them.
func (in *readHalf) unmask(p []byte) {
	in.left -= int64(len(p))
	if in.rules.wantMasked {
		in.key = mask(p, in.key)
	}
	if in.traced != nil {
		in.traced.tracePiece(p)
	}
}

// endMessage ends the message in progress.
func (c *Conn) endMessage() error {
	c.in.open = false
	if c.in.messageType == opText && !c.in.text.complete() {
		return errInvalidUTF8
	}
	return nil
}
