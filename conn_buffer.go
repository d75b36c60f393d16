package websocket

import (
	"errors"
	"io"
	"slices"
)

// Buffers for special cases: for long messages of unknown length, for transports that can only be
// read, such as TLS, and for the header of an opening handshake.

// chunkSize is the size of the pieces of a long message of unknown length. A slice that grows is
// copied, and for a moment both copies are there. So 40 KB that inflate beyond the limit could cost
// twice the limit. The pieces are put together only at the end of the message.
const chunkSize = 256 << 10

// pieceFor returns the slice to which the next payload is appended: dst, or the last of
// the pieces behind it if the message is long and dst is full.
func (in *readState) pieceFor(dst *[]byte, long bool) *[]byte {
	n := len(in.chunks)
	if n == 0 && (!long || len(*dst) < cap(*dst)) {
		return dst
	}
	if n == 0 || len(in.chunks[n-1]) == cap(in.chunks[n-1]) {
		in.chunks = append(in.chunks, make([]byte, 0, chunkSize))
		n = len(in.chunks)
	}
	return &in.chunks[n-1]
}

// joinChunks appends the pieces of a message to dst.
func (in *readState) joinChunks(dst []byte) []byte {
	total := 0
	for _, chunk := range in.chunks {
		total += len(chunk)
	}
	dst = slices.Grow(dst, total)
	for _, chunk := range in.chunks {
		dst = append(dst, chunk...)
	}
	in.chunks = nil
	return dst
}

// plainBufferSize is the size of a buffer that a connection keeps if its transport
// cannot be waited for without one.
const plainBufferSize = 1024

// readPlain is readTransport for a transport that can only be read.
func (c *Conn) readPlain(direct []byte) (int, error) {
	dst := direct
	if dst == nil {
		dst = c.acquire().attachPlain()
	}
	for {
		n, err := c.nc.Read(dst)
		if n > 0 {
			c.noteActivity()
			return n, nil // an error that came along will come again
		}
		if err != nil {
			return 0, err
		}
	}
}

// attachPlain is attach for a connection that keeps its buffer. If the buffer is full, which only
// an opening handshake can cause, it makes a larger one.
func (in *readState) attachPlain() (room []byte) {
	if len(in.buf) == bufferSize { // the pool's
		putBuffer((*[bufferSize]byte)(in.buf))
		in.buf = nil
	}
	if len(in.buf) == 0 || len(in.unread) == len(in.buf) {
		in.buf = make([]byte, max(plainBufferSize, 2*len(in.unread)))
	}
	in.unread = in.buf[:copy(in.buf, in.unread)]
	return in.buf[len(in.unread):]
}

// fillOnce is fill, unless there are unread bytes.
func (c *Conn) fillOnce() error {
	if len(c.in.unread) > 0 {
		return nil
	}
	return c.fill()
}

var errHeaderTooLarge = errors.New("the header is too large")

// readHeader reads until the header of an HTTP message, of at most limit
// bytes, is at the front of c.in.unread, and returns its length.
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

// unexpectedEOF returns err, or io.ErrUnexpectedEOF for an end that is not expected.
func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
