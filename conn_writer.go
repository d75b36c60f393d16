package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket/internal/deflate"
)

// A messageWriter writes one message as a stream. NextWriter returns it. Only one
// goroutine may use it at a time.
//
// Its buffer has room for a header in front, so that a fragment goes out without
// being copied.
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

	deflater   *deflate.Compressor // compresses this message, once it has outgrown buf
	borrowed   bool                // deflater goes back to its pool
	compressed []byte              // for the output of deflater

	frame    []byte // built and not sent yet, in buf or compressed
	frameFin bool   // frame is the message's last
	closing  bool   // Close was called
	err      error  // final

	calls atomic.Uint32 // begun and ended, for NextWriter to see whether the message is forgotten
}

var errWriterClosed = errors.New("websocket: write to a message that was closed")

// NextWriter returns a writer for one message, which its Close ends. The bytes
// that are written are collected and sent in frames of up to 32 KiB, or
// WriteBufferSize if that is more. A message that fits one frame is sent as one.
// Memory does not depend on the message's size.
//
// Until Close, other messages wait, whichever goroutine writes them, and are then
// sent in the order in which they came. Control messages do not wait. So each writer
// has to be closed before the next one is asked for: a second call waits for the
// first one's Close. That wait ends with an error, which names the writer that is
// not closed, when the deadline of SetWriteDeadline passes, and also if nothing
// was done with the open writer for 10 s. (gorilla/websocket closes the open
// writer instead.)
//
// After a deadline has passed, Write, Flush and Close can be called again: the
// bytes that Write reported as written are kept. Once Close was called, nothing can
// be added to the message.
//
// The writer for a data message also has a method Flush() error. It sends the
// bytes that were written so far as a frame: for a message whose parts are far
// apart in time.
//
// A writer for a control message, of at most 125 bytes, waits for nobody and
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
	if !c.out.messages.tryLock() {
		if err := c.waitForWriter(); err != nil {
			return nil, err
		}
	}
	if err := c.lockWrite(context.Background()); err != nil {
		c.out.messages.unlock()
		return nil, err
	}
	defer c.unlockWrite()
	if c.out.err != nil {
		c.out.messages.unlock()
		return nil, c.out.err
	}
	w := &messageWriter{c: c, op: op, n: maxHeaderLen}
	c.out.writer = w
	return w, nil
}

// forgottenAfter is how long an open writer may be left alone while another one is
// asked for.
const forgottenAfter = 10 * time.Second

var errForgotten = errors.New("nothing was done with it for 10 s")

// waitForWriter is waitForMessage, with an error if the open writer was forgotten, perhaps by the
// caller itself. Otherwise nothing would end the wait.
func (c *Conn) waitForWriter() error {
	ctx, forgotten := context.WithCancelCause(context.Background())
	defer forgotten(nil)
	var last *messageWriter
	var calls uint32
	var timer *time.Timer
	timer = time.AfterFunc(time.Hour, func() {
		if c.out.lock.tryLock() { // else somebody writes
			w := c.out.writer
			c.unlockWrite()
			if w != nil && w == last && w.calls.Load() == calls && calls%2 == 0 {
				forgotten(errForgotten)
				return
			}
			if last = w; w != nil {
				calls = w.calls.Load()
			}
		}
		timer.Reset(forgottenAfter)
	})
	timer.Reset(forgottenAfter)
	defer timer.Stop()
	err := c.waitForMessage(ctx)
	if errors.Is(err, context.Canceled) {
		err = waitFailed(errForgotten, "another message is still open (was its NextWriter not closed?)")
	}
	return err
}

// busy says that a call is under way, until the function that it returns is called.
func (w *messageWriter) busy() (done func()) {
	w.calls.Add(1)
	return func() { w.calls.Add(1) }
}

// Write appends p to the message.
func (w *messageWriter) Write(p []byte) (int, error) {
	return w.fill(len(p), func(dst []byte, from int) int { return copy(dst, p[from:]) })
}

// WriteString appends s to the message. It saves io.WriteString a copy.
func (w *messageWriter) WriteString(s string) (int, error) {
	return w.fill(len(s), func(dst []byte, from int) int { return copy(dst, s[from:]) })
}

// fill takes total bytes into the buffer, sending it each time that it is
// full and more is to come.
func (w *messageWriter) fill(total int, copyFrom func(dst []byte, from int) int) (taken int, err error) {
	defer w.busy()()
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

// ReadFrom appends all that r returns. It saves io.Copy a buffer.
func (w *messageWriter) ReadFrom(r io.Reader) (total int64, err error) {
	defer w.busy()()
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
// one, if WriteBufferSize asks for larger frames.
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
	if w.closing {
		return nil, errWriterClosed
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

// Flush sends the collected bytes as a frame, if there are any.
func (w *messageWriter) Flush() error {
	defer w.busy()()
	switch {
	case w.err != nil:
		return w.err
	case w.closing:
		return errWriterClosed
	case w.n == maxHeaderLen && w.frame == nil:
		return nil
	}
	return w.flush(false)
}

// Close sends the message's last frame. A second call does nothing, unless the
// first one gave up at a deadline.
func (w *messageWriter) Close() error {
	defer w.busy()()
	if w.err == errWriterClosed {
		return nil
	}
	w.closing = true
	for w.err == nil && w.frame != nil && !w.frameFin { // a deadline ended an earlier call
		if err := w.flush(false); err != nil {
			return err
		}
	}
	if w.err != nil {
		return w.err
	}
	return w.flush(true)
}

// flush sends one frame: the one that an earlier call has built and not sent, or
// the collected bytes. After a deadline it can be called again.
func (w *messageWriter) flush(fin bool) error {
	c := w.c
	if err := c.lockWrite(context.Background()); err != nil {
		return err
	}
	defer c.unlockWrite()
	last, err := w.send(fin)
	if err != nil && c.out.err == nil {
		return err // a deadline, before the first byte
	}
	w.frame, w.n = nil, maxHeaderLen
	if last || err != nil {
		w.end(err)
	}
	return err
}

// send writes one frame, and reports whether it is the message's last. Its caller
// holds c.out.lock.
func (w *messageWriter) send(fin bool) (last bool, err error) {
	c := w.c
	if c.out.err != nil {
		return false, c.out.err
	}
	if w.frame == nil {
		if fin && w.op != opContinuation {
			return true, c.writeData(w.op, w.payload()) // a message of one frame
		}
		w.buildFrame(fin)
	}
	if err := c.writeFrameBytes(w.frame); err != nil {
		return false, err
	}
	w.op, w.rsv = opContinuation, 0
	return w.frameFin, nil
}

// payload returns the collected bytes.
func (w *messageWriter) payload() []byte {
	if w.buf == nil {
		return nil
	}
	return w.buf[maxHeaderLen:w.n]
}

// buildFrame makes a frame of the collected bytes, compressed if the message is.
func (w *messageWriter) buildFrame(fin bool) {
	c := w.c
	if w.op != opContinuation && c.deflate.wants(w.n) {
		w.rsv = rsv1
		if w.deflater = c.deflate.deflater; w.deflater == nil {
			w.deflater, w.borrowed = deflate.Borrow(c.deflate.sendBits), true
		}
		w.compressed = make([]byte, maxHeaderLen, bufferSize/4)
	}
	b := w.buf[:w.n]
	if w.deflater != nil {
		w.compressed = w.deflater.AppendPiece(w.compressed[:maxHeaderLen], w.payload(), fin)
		b = w.compressed
	}
	w.frame, w.frameFin = c.buildFrame(b, frameHeader{frameBits: frameBits{fin: fin, rsv: w.rsv}, opcode: w.op}), fin
}

// end ends the message, so that others can be written. Its caller holds
// c.out.lock.
func (w *messageWriter) end(err error) {
	if err == nil {
		err = errWriterClosed
	}
	w.err = err
	if out := &w.c.out; out.writer == w {
		out.writer = nil
		if out.box.Load() != nil {
			out.lock.leave() // so that unlockWrite sends the messages that were queued meanwhile
		}
		out.messages.unlock()
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

// A controlWriter writes a control message. NextWriter returns it.
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
		return 0, fmt.Errorf("websocket: a control message has at most %d bytes, not %d", maxControlPayload, n)
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
