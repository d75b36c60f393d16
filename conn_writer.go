package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/plainsocket/websocket/internal/deflate"
)

// A messageWriter is what NextWriter returns: one message as a stream. Not
// safe for use by several goroutines.
//
// Its buffer has room for a header in front, so that a fragment goes out from
// where it was gathered.
//
//	buf   ┌─────────────┬──────────────────────────┬─────────┐
//	      │ header room │ payload                  │         │
//	      └─────────────┴──────────────────────────┴─────────┘
//	      0        maxHeaderLen                    n      len(buf)
type messageWriter struct {
	c   *Conn
	op  opcode // of the next frame: the message's, then continuation
	rsv uint8  // of the next frame
	buf []byte
	n   int // end of the payload in buf

	deflater *deflate.Compressor // compresses this message, once it has outgrown buf
	borrowed bool                // deflater goes back to its pool
	packed   []byte              // for what deflater makes of buf

	frame []byte        // in buf or packed: sealed, not sent yet
	err   error         // final
	done  chan struct{} // closed with the message, for those who wait to write theirs
}

var errWriterClosed = errors.New("websocket: write to a message that was closed")

// NextWriter returns a writer for one message, which its Close ends. What is
// written is gathered and sent in frames of up to 32 KiB, or WriteBufferSize if
// that is more; a message that fits one is sent as one. Memory does not depend
// on the message's size.
//
// Until Close, other messages wait, whichever goroutine writes them; control
// messages do not. A writer that was forgotten blocks them until their
// deadline, or for ever.
//
// After a deadline has passed, Write and Close can be called again: what Write
// reported as written is kept.
//
// The writer for a data message also has a method Flush() error. It sends what
// was written so far as a frame: for a message whose parts are far apart in time.
//
// A writer for a control message, of at most 125 octets, waits for nobody and
// sends it when it is closed, as WriteControl does.
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
	if opcode(messageType).isControl() {
		if err := checkControl(messageType, nil); err != nil {
			return nil, err
		}
		return &controlWriter{c: c, messageType: messageType}, nil
	}
	op, err := dataOpcode(messageType)
	if err != nil {
		return nil, err
	}
	if err := c.lockForMessage(context.Background()); err != nil {
		return nil, err
	}
	defer c.out.lock.unlock()
	if c.out.err != nil {
		return nil, c.out.err
	}
	w := &messageWriter{c: c, op: op, n: maxHeaderLen, done: make(chan struct{})}
	c.out.writer = w
	return w, nil
}

// Write appends p to the message.
func (w *messageWriter) Write(p []byte) (int, error) {
	return w.gather(len(p), func(dst []byte, from int) int { return copy(dst, p[from:]) })
}

// WriteString appends s to the message. It saves io.WriteString a copy.
func (w *messageWriter) WriteString(s string) (int, error) {
	return w.gather(len(s), func(dst []byte, from int) int { return copy(dst, s[from:]) })
}

// gather takes total octets into the buffer, sending it each time that it is
// full and more is to come.
func (w *messageWriter) gather(total int, copyFrom func(dst []byte, from int) int) (taken int, err error) {
	for taken < total {
		room, err := w.room()
		if err != nil {
			return taken, err
		}
		n := copyFrom(room, taken)
		w.n += n
		taken += n
	}
	return taken, w.err
}

// ReadFrom appends what r has, for io.Copy, without a buffer between.
func (w *messageWriter) ReadFrom(r io.Reader) (total int64, err error) {
	for {
		room, err := w.room()
		if err != nil {
			return total, err
		}
		n, err := r.Read(room)
		w.n += n
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// writerBuffer returns a buffer for a messageWriter: the pool's, or a larger
// one, where WriteBufferSize asks for larger frames.
func (c *Conn) writerBuffer() []byte {
	if size := c.settings.Load().frameSize + maxHeaderLen; size > bufferSize {
		return make([]byte, size)
	}
	return getBuffer()[:]
}

// room returns the free part of the buffer, which is never empty.
func (w *messageWriter) room() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.buf == nil {
		w.buf = w.c.writerBuffer()
	}
	if w.n == len(w.buf) || w.frame != nil {
		if err := w.flush(false); err != nil {
			return nil, err
		}
	}
	return w.buf[w.n:], nil
}

// Flush sends what was gathered as a frame, if anything was.
func (w *messageWriter) Flush() error {
	if w.err != nil || w.n == maxHeaderLen && w.frame == nil {
		return w.err
	}
	return w.flush(false)
}

// Close sends the message's last frame. A second call does nothing.
func (w *messageWriter) Close() error {
	if w.err == errWriterClosed {
		return nil
	}
	if w.err == nil && w.frame != nil { // a deadline ended an earlier call
		if err := w.flush(false); err != nil {
			return err
		}
	}
	if w.err != nil {
		return w.err
	}
	return w.flush(true)
}

// flush sends what was gathered as one frame. After a deadline it can be called
// again.
func (w *messageWriter) flush(fin bool) error {
	c := w.c
	if err := c.lockWrite(context.Background()); err != nil {
		return err
	}
	defer c.out.lock.unlock()
	err := w.send(fin)
	if err != nil && c.out.err == nil {
		return err // a deadline, before the first octet
	}
	w.frame, w.n = nil, maxHeaderLen
	if fin || err != nil {
		w.end(err)
	}
	return err
}

// send writes one frame. Its caller holds c.out.lock.
func (w *messageWriter) send(fin bool) error {
	c := w.c
	if c.out.err != nil {
		return c.out.err
	}
	if w.frame == nil {
		if fin && w.op != opContinuation {
			return c.writeData(w.op, w.gathered()) // a message of one frame
		}
		w.seal(fin)
	}
	if err := c.writeSealed(w.frame); err != nil {
		return err
	}
	w.op, w.rsv = opContinuation, 0
	return nil
}

// gathered is the payload in buf.
func (w *messageWriter) gathered() []byte {
	if w.buf == nil {
		return nil
	}
	return w.buf[maxHeaderLen:w.n]
}

// seal makes a frame of what was gathered, compressed if the message is.
func (w *messageWriter) seal(fin bool) {
	c := w.c
	if w.op != opContinuation && c.deflate.wants(w.n) {
		w.rsv = rsv1
		if w.deflater = c.deflate.deflater; w.deflater == nil {
			w.deflater, w.borrowed = deflate.Borrow(c.deflate.sendBits), true
		}
		w.packed = make([]byte, maxHeaderLen, bufferSize/4)
	}
	b := w.buf[:w.n]
	if w.deflater != nil {
		w.packed = w.deflater.AppendPiece(w.packed[:maxHeaderLen], w.gathered(), fin)
		b = w.packed
	}
	w.frame = c.seal(b, frameHeader{frameBits: frameBits{fin: fin, rsv: w.rsv}, opcode: w.op})
}

// end ends the message, so that others can be written. Its caller holds
// c.out.lock.
func (w *messageWriter) end(err error) {
	if err == nil {
		err = errWriterClosed
	}
	w.err = err
	if w.c.out.writer == w {
		w.c.out.writer = nil
		close(w.done)
	}
	if w.buf != nil {
		if len(w.buf) == bufferSize {
			putBuffer((*[bufferSize]byte)(w.buf))
		}
		w.buf = nil
	}
	if w.borrowed {
		w.deflater.Release()
	}
	w.deflater = nil
}

// A controlWriter is what NextWriter returns for a control message.
type controlWriter struct {
	c           *Conn
	messageType int
	payload     []byte
	closed      bool
}

func (w *controlWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errWriterClosed
	}
	if n := len(w.payload) + len(p); n > maxControlPayload {
		return 0, fmt.Errorf("websocket: a control message has at most %d octets, not %d", maxControlPayload, n)
	}
	w.payload = append(w.payload, p...)
	return len(p), nil
}

func (w *controlWriter) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	return w.c.WriteControl(w.messageType, w.payload, time.Time{})
}
