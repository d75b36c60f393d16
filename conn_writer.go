package websocket

import (
	"context"
	"errors"
	"io"
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
//	      0        maxHeaderLen                    n      bufferSize
type messageWriter struct {
	c    *Conn
	op   opcode // the message's, then continuation
	buf  *[bufferSize]byte
	n    int           // end of the payload in buf
	err  error         // final
	done chan struct{} // closed with the message, for those who wait to write theirs
}

var errWriterClosed = errors.New("websocket: write to a message that was closed")

// NextWriter returns a writer for one message, TextMessage or BinaryMessage,
// which Close ends. What is written is gathered and sent in frames of up to 32
// KiB; a message that fits one is sent as one. Memory does not depend on the
// message's size.
//
// Until Close, other messages wait, whichever goroutine writes them; control
// messages do not. A writer that was forgotten blocks them until their
// deadline, or for ever.
//
// After a deadline has passed, Write and Close can be called again: what Write
// reported as written is kept.
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
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

// room returns the free part of the buffer, which is never empty.
func (w *messageWriter) room() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.buf == nil {
		w.buf = getBuffer()
	}
	if w.n == len(w.buf) {
		if err := w.flush(false); err != nil {
			return nil, err
		}
	}
	return w.buf[w.n:], nil
}

// Close sends the message's last frame. A second call does nothing.
func (w *messageWriter) Close() error {
	if w.err == errWriterClosed {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	return w.flush(true)
}

// flush sends what was gathered as one frame.
func (w *messageWriter) flush(fin bool) error {
	c := w.c
	if err := c.lockWrite(context.Background()); err != nil {
		return err
	}
	defer c.out.lock.unlock()
	err := c.writeGathered(w, fin)
	switch {
	case err == nil:
		w.op, w.n = opContinuation, maxHeaderLen
	case c.out.err == nil:
		return err // a deadline: the caller may try again
	}
	if fin || err != nil {
		w.end(err)
	}
	return err
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
		putBuffer(w.buf)
		w.buf = nil
	}
}

// writeGathered writes w's buffer as one frame, its header right before the
// payload.
func (c *Conn) writeGathered(w *messageWriter, fin bool) error {
	if c.out.err != nil {
		return c.out.err
	}
	if w.buf == nil {
		return c.writeFrame(w.op, fin, nil)
	}
	payload := w.buf[maxHeaderLen:w.n]
	h := frameHeader{fin: fin, opcode: w.op, length: int64(len(payload))}
	if c.client {
		h.masked, h.key = true, newMaskingKey()
	}
	var room [maxHeaderLen]byte
	header := appendHeader(room[:0], h)
	start := maxHeaderLen - len(header)
	copy(w.buf[start:], header)
	if h.masked {
		mask(payload, h.key)
	}
	written, err := c.nc.Write(w.buf[start:w.n])
	if err == nil {
		return nil
	}
	if h.masked {
		mask(payload, h.key) // as it was, in case the caller tries again
	}
	return c.writeFailed(err, written > 0)
}
