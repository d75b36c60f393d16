package websocket

import (
	"errors"
	"io"
	"slices"
)

// Buffers for special cases: for messages of which not all is there, for long messages whose
// length is not known, for transports that can only be read, such as TLS, and for the header
// of an opening handshake.

// resume puts the bytes that an earlier call had of the message behind dst.
func (in *readState) resume(dst []byte) []byte {
	partial := in.partial
	in.partial = nil
	if dst == nil {
		return partial
	}
	return append(dst, partial...)
}

// worthHolding is how much larger than its content a slice may be that waits for
// the rest of a message: memory follows the bytes that arrived.
const worthHolding = 16

// suspend keeps the bytes that p has of the message beyond dst for the next call.
func (in *readState) suspend(dst, p []byte) {
	if !in.open || len(p) <= len(dst) {
		return
	}
	in.partial = p
	if arrived := len(p) - len(dst); dst != nil || cap(p) > worthHolding*arrived {
		in.partial = slices.Clone(p[len(dst):]) // p may be the caller's
	}
}

// growFor makes room in dst for payload that has arrived, and beyond that for
// at most three times as much as arrived before: memory follows bytes that were
// sent, not lengths that were announced.
func growFor(dst []byte, in *readState) []byte {
	const least = 256
	here, room := int64(len(in.unread)), int64(cap(dst)-len(dst))
	if room >= min(in.left, max(here, least)) {
		return dst
	}
	return slices.Grow(dst, int(min(in.left, max(least, 4*here, 3*int64(len(dst))))))
}

// chunkSize is the size of the pieces of a long message whose length is not known. A
// slice that grows is copied, and for a moment both copies are there: 40 KB that
// inflate beyond the limit could so cost twice the limit. The pieces are put together
// only when the end has come.
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

// attachPlain is attach for a connection that keeps its buffer. It makes a larger
// one if that is full, as only the opening handshake can have it.
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

// fillOnce is fill if nothing is there yet.
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
