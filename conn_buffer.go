package websocket

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// The reading half's buffer: where it comes from, and when it goes back. The
// transport itself is read in wait_unix.go, or here, where it can only be read.

// readHalves are those that no connection has just now. Most have a buffer.
var readHalves = sync.Pool{New: func() any { return new(readHalf) }}

// newReadHalf takes one from the pool, for c to read into.
func (c *Conn) newReadHalf() *readHalf {
	in := readHalves.Get().(*readHalf)
	in.prepare(c)
	return in
}

// prepare makes in ready for c's first frame.
func (in *readHalf) prepare(c *Conn) {
	in.rules = c.inboundRules()
	if c.settings.Load().isTraced() {
		in.traced = c
	}
}

// recycle gives the readHalf to others. Nothing that it holds is needed.
func (in *readHalf) recycle() {
	buf := in.buf
	if len(buf) != bufferSize {
		buf = nil // a small one, or the opening handshake's
	}
	*in = readHalf{buf: buf}
	readHalves.Put(in)
}

// isIdle reports whether nothing is in progress: the connection is between
// messages, and not within a frame's header.
func (in *readHalf) isIdle() bool {
	return !in.open && len(in.unread) == 0 && in.reader == nil && in.err == nil
}

// release gives c.in back if it is idle: between messages a connection has one
// only while there are frames in it.
func (c *Conn) release() {
	in := c.in
	if in == nil || in.driven || !in.isIdle() {
		return
	}
	if 0 < len(in.buf) && len(in.buf) <= plainBufferSize {
		in.unread = nil
		return // this transport needs it to wait
	}
	c.in = nil
	in.recycle()
}

// fill waits for octets and puts them behind what is unread.
func (c *Conn) fill() error {
	n, err := c.readTransport(nil)
	if err == nil {
		c.in.unread = c.in.unread[:len(c.in.unread)+n]
	}
	return err
}

// readPlain is readTransport for a transport that can only be read.
func (c *Conn) readPlain(direct []byte) (int, error) {
	dst := direct
	if dst == nil {
		if c.in == nil {
			c.in = new(readHalf)
			c.in.prepare(c)
		}
		c.in.attachPlain()
		dst = c.in.free()
	}
	for {
		n, err := c.nc.Read(dst)
		if n > 0 {
			c.heard()
			return n, nil // an error that came along will come again
		}
		if err != nil {
			return 0, err
		}
	}
}

// attach takes a buffer from the pool, and moves what is unread to its front.
func (in *readHalf) attach() {
	if in.buf == nil {
		in.buf = getBuffer()[:]
	}
	in.unread = in.buf[:copy(in.buf, in.unread)]
}

// park prepares for a wait without a buffer. It returns what the connection
// keeps meanwhile: nothing between messages, and otherwise a readHalf with a
// copy of what is unread, a part of a header or control frame.
func (in *readHalf) park() *readHalf {
	if in.isIdle() {
		in.recycle()
		return nil
	}
	if in.buf != nil {
		in.unread = slices.Clone(in.unread)
		putBuffer((*[bufferSize]byte)(in.buf))
		in.buf = nil
	}
	return in
}

// attachPlain is attach where a connection keeps its buffer. It makes a larger
// one where that is full, as only the opening handshake can have it.
func (in *readHalf) attachPlain() {
	if len(in.buf) == 0 || len(in.unread) == len(in.buf) {
		in.buf = make([]byte, max(plainBufferSize, 2*len(in.buf)))
	}
	in.unread = in.buf[:copy(in.buf, in.unread)]
}

// free is the room behind what is unread.
func (in *readHalf) free() []byte { return in.buf[len(in.unread):] }

// fillOnce is fill where nothing is there yet.
func (c *Conn) fillOnce() error {
	if c.in != nil && len(c.in.unread) > 0 {
		return nil
	}
	return c.fill()
}

var errHeaderTooLarge = errors.New("the header is too large")

// readHeader reads until the header of an HTTP message, of at most limit
// octets, is at the front of c.in.unread, and returns its length.
func (c *Conn) readHeader(limit int) (n int, err error) {
	searched := 0
	for {
		if c.in != nil {
			n = headerEnd(c.in.unread, searched)
			searched = len(c.in.unread)
		}
		switch {
		case n > limit || n == 0 && searched >= limit:
			return 0, errHeaderTooLarge
		case n > 0:
			return n, nil
		}
		if err := c.fill(); err != nil {
			if searched > 0 {
				err = unexpectedEOF(err)
			}
			return 0, err
		}
	}
}

// unexpectedEOF is err, where an end is not expected.
func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
