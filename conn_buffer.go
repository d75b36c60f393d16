package websocket

import (
	"errors"
	"io"
	"slices"
)

// The reading half's buffer: where it comes from, and when it goes back. The
// transport itself is read in wait_unix.go, or here, where it can only be read.

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
		c.in.attachPlain()
		dst = c.in.free()
	}
	for {
		n, err := c.nc.Read(dst)
		if n > 0 {
			c.keepalive.heard()
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

// detach gives the buffer back, and keeps what is unread, a part of a header
// or control frame, in a copy.
func (in *readHalf) detach() {
	if in.buf == nil {
		return
	}
	in.unread = slices.Clone(in.unread)
	in.giveBack()
}

// release gives the buffer back if nothing is unread: between messages, a
// connection holds one only while it has frames in it.
func (in *readHalf) release() {
	if len(in.unread) == 0 {
		in.unread = nil
		in.giveBack()
	}
}

func (in *readHalf) giveBack() {
	if len(in.buf) == bufferSize {
		putBuffer((*[bufferSize]byte)(in.buf))
		in.buf = nil
	} else if len(in.buf) > plainBufferSize {
		in.buf = nil // the opening handshake's; too large to keep
	}
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
	if len(c.in.unread) > 0 {
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
		n = headerEnd(c.in.unread, searched)
		searched = len(c.in.unread)
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
