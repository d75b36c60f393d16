package websocket

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// The state of reading, and its buffers. They come and go here: an idle connection has
// none. acquire takes a state from a pool when the first byte of a message is to be read,
// and release gives it back when nothing of a message is left.
//
// Below these are the buffers of special cases: of messages that are not whole yet, of long
// messages of unknown length, of transports that are no sockets, such as TLS, and of
// the header of an opening handshake.

// readState holds the bytes that a connection has read and not delivered yet, and the place
// in the message at which they stand. The goroutine that holds readLock owns it. No function
// keeps a pointer to it, or to unread, over a call of fill: a connection that waits between
// messages gives it back.
type readState struct {
	// Bytes that were read and not consumed. They lie in buf, or, while the
	// connection waits inside a header, in a copy of their own: no buffer is held
	// while waiting. Whenever more is to be read, unread is shorter than a control
	// frame, as payload is moved on as soon as it arrives.
	unread []byte
	buf    []byte // from the pool, or a small one that stays, for a transport that is no socket

	rules frameRules // which frame may come next

	// The message in progress.
	open        bool      // its first header was consumed, its end not yet
	fin         bool      // the current frame is its last
	messageType opcode    // opText or opBinary
	key         uint32    // masking key, turned to the next byte
	left        int64     // payload bytes of the current frame that are still to come
	text        utf8State // whether text is valid so far
	inflated    int64     // bytes of a compressed message so far, after inflating
	partial     []byte    // the bytes that a ReadMessage had when it was ended early
	chunks      [][]byte  // the bytes behind partial, of a long message

	reader *messageReader // the open one of NextReader
	traced *Conn          // whose Trace wants to know of frames, nil for none

	direct []byte     // the slice that tryRead fills. If it is nil, tryRead appends to unread
	result readResult // of tryRead
	step   handleStep // of HandleMessages (conn_handle_unix.go)
}

type readResult struct {
	n   int
	err error
}

// noInput is the state of all connections that are idle: between messages, and
// with nothing in unread. It is never changed, because they share it.
var noInput = new(readState)

// readStates is a pool of states, most with a buffer.
var readStates = sync.Pool{New: func() any { return new(readState) }}

// bufferSize is the size of all pooled buffers: one read takes several frames
// at once, one write takes a frame of up to 16 KiB or a piece of a larger one.
const bufferSize = 32 << 10

var bufferPool = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func getBuffer() *[bufferSize]byte  { return bufferPool.Get().(*[bufferSize]byte) }
func putBuffer(b *[bufferSize]byte) { bufferPool.Put(b) }

// acquire returns c's state of reading, and takes one from the pool if c is idle.
func (c *Conn) acquire() *readState {
	if c.in != noInput {
		return c.in
	}
	c.in = readStates.Get().(*readState)
	c.setRules()
	return c.in
}

// setRules sets the rules by which messages are read from now on, from c's settings.
func (c *Conn) setRules() {
	s := c.settings.Load()
	c.in.rules = frameRules{wantMasked: !c.client, deflate: c.deflate != nil, maxFragments: s.maxFragments}
	c.in.traced = nil
	if s.isTraced() {
		c.in.traced = c
	}
}

// release gives the state of reading back if nothing is in progress and nothing is
// unread.
func (c *Conn) release() {
	in := c.in
	switch {
	case in.open || len(in.unread) > 0 || in.reader != nil || in.step.underWay || in == noInput:
	case 0 < len(in.buf) && len(in.buf) <= plainBufferSize:
		in.unread = nil // a transport that is no socket needs the buffer for its wait
	default:
		c.drop()
	}
}

// drop gives the state of reading back, with anything that is in it.
func (c *Conn) drop() {
	in, buf := c.in, c.in.buf
	if in == noInput {
		return
	}
	if len(buf) != bufferSize {
		buf = nil // a small one, or the opening handshake's
	}
	*in = readState{buf: buf}
	c.in = noInput
	readStates.Put(in)
}

// releaseBuffer prepares for a wait without a buffer. Between messages the whole state
// goes back. Otherwise only the buffer does. The unread bytes are a part of a header or
// of a control frame then, and are kept in a small copy.
func (c *Conn) releaseBuffer() {
	if c.release(); len(c.in.buf) == bufferSize {
		c.in.unread = slices.Clone(c.in.unread)
		c.in.givePooled()
	}
}

// attach takes a buffer from the pool if there is none, moves the unread bytes to
// its front, and returns the room behind them.
func (in *readState) attach() []byte {
	if in.buf == nil {
		in.buf = getBuffer()[:]
	}
	in.unread = in.buf[:copy(in.buf, in.unread)]
	return in.buf[len(in.unread):]
}

// resume appends to dst the bytes of the message that suspend has kept, if any.
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

// suspend keeps the message's first bytes for the next call. They lie in p behind dst.
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
	n := min(in.left, max(least, 4*here, 3*int64(len(dst))))
	return growMessage(dst, int(n), in.fin && n == in.left)
}

// appendArrived appends payload to dst. last says that it is the last of its message. It is not
// inlined, because an idle connection waits in appendMessage, whose stack frame has to stay small.
//
//go:noinline
func appendArrived(dst, payload []byte, last bool) []byte {
	if len(dst)+len(payload) > copyLimit {
		dst = growMessage(dst, len(payload), last)
	}
	return append(dst, payload...) // a small message gets room of the right size here
}

// growMessage makes room for n more bytes of a message in dst. If dst becomes too large to be copied
// when a server sends it on (see copyLimit), it begins leadRoom bytes into its array. A compressed
// message does not, unless it consists of chunks.
func growMessage(dst []byte, n int, last bool) []byte {
	size := len(dst) + n
	switch {
	case size <= cap(dst):
		return dst
	case size <= copyLimit:
		return slices.Grow(dst, n)
	}
	if !last {
		size = max(size, cap(dst)+cap(dst)/4) // as append does, so that not every small piece moves all
	}
	array := slices.Grow([]byte(nil), leadRoom+size) // not make: Grow takes what the allocator rounds up to
	return append(array[leadRoom:leadRoom], dst...)
}

// leadRoom is the distance of a long message from the beginning of its array, which is mostly the
// beginning of a page. Many servers send on what they have received. The kernel copies it behind a
// header of 4 or 10 bytes, which is at the beginning of a page, too. Some processors copy slowly to
// an address that lies so little further into its page than the source. On an AMD EPYC of the fourth
// generation, 128 KiB reach the peer in 75 µs or more without leadRoom, and in 30 with it
// (go test -run - -bench WriteLong .). 16 bytes would do there. 128 leave a margin for other
// processors, and for reading behind a header.
const leadRoom = 128

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
	dst = growMessage(dst, total, true)
	for _, chunk := range in.chunks {
		dst = append(dst, chunk...)
	}
	in.chunks = nil
	return dst
}

// plainBufferSize is the size of a buffer that a connection keeps if its transport
// cannot be waited for without one.
const plainBufferSize = 1024

// readPlain is readTransport for a transport that is no socket. It can only wait in Read.
func (c *Conn) readPlain(direct []byte) (int, error) {
	dst := direct
	if dst == nil {
		dst = c.acquire().attachPlain()
	} else if len(c.in.unread) == 0 {
		c.in.givePooled()
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
	in.givePooled()
	if len(in.buf) == 0 || len(in.unread) == len(in.buf) {
		in.buf = make([]byte, max(plainBufferSize, 2*len(in.unread)))
	}
	in.unread = in.buf[:copy(in.buf, in.unread)]
	return in.buf[len(in.unread):]
}

// givePooled gives the buffer back if it is the pool's. Unread bytes that lie in it have to be copied
// before another connection takes it.
func (in *readState) givePooled() {
	if len(in.buf) == bufferSize {
		putBuffer((*[bufferSize]byte)(in.buf))
		in.buf = nil
	}
}

// fillOnce is fill if nothing is unread. Otherwise it does nothing.
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

// unexpectedEOF returns io.ErrUnexpectedEOF if err is io.EOF, and err itself otherwise.
func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
