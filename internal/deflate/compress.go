package deflate

import (
	"math/bits"
	"sync"
)

// This file keeps the window of a Compressor, and drives the others: compress_match.go finds
// references, compress_block.go writes blocks.

// A Compressor compresses messages that may refer to earlier ones. It is used by one goroutine at
// a time.
type Compressor struct {
	window []byte   // the last bytes sent, at least 2^bits of them if there were as many
	table  []uint16 // see matchFinder
	pos    uint16   // how many bytes were sent, modulo 2^16
	bits   uint8    // the window's size, as a power of two

	nbits, acc uint8 // between two pieces: bits that do not fill a byte, and how many
}

// NewCompressor returns a Compressor whose references reach back at most 2^windowBits bytes.
// windowBits is 8 to 15.
func NewCompressor(windowBits int) *Compressor { return &Compressor{bits: uint8(windowBits)} }

// Size returns how many bytes d keeps of earlier messages, d itself not counted.
func (d *Compressor) Size() int { return cap(d.window) + 2*cap(d.table) }

// windowSlack says how much longer than needed the window may grow: by one part in windowSlack.
// While there is room, a message is put behind the one before, and the window need not be moved.
const windowSlack = 4

// tableSize returns the number of entries that a window's table has. More would find little more.
func tableSize(bits uint8) int { return 1 << min(max(bits-1, 9), maxTableBits) }

// maxTableBits bounds tables: 2^13 entries take 16 KiB.
const maxTableBits = 13

// compressors is a pool for Borrow.
var compressors = sync.Pool{New: func() any { return new(Compressor) }}

// Borrow returns a Compressor that has seen nothing. It serves a program that keeps no window
// between messages, for one message in pieces. The caller gives it back by Release.
func Borrow(windowBits int) *Compressor {
	d := compressors.Get().(*Compressor)
	d.bits = uint8(windowBits)
	return d
}

// Release gives back a Compressor that Borrow returned. It clears the table, because the output
// of the next message must not depend on this one.
func (d *Compressor) Release() {
	clear(d.table)
	*d = Compressor{window: d.window[:0], table: d.table[:0]}
	compressors.Put(d)
}

// Append appends the message p, compressed, to dst. If that would not be shorter than p, it
// returns dst with its length unchanged, and false. Then d is as it was before, as if p did not
// exist: the caller sends p uncompressed, and the peer's window does not take p in either.
//
// Append neither changes nor keeps p. It must not be called between the pieces of another
// message.
func (d *Compressor) Append(dst, p []byte) (out []byte, ok bool) {
	e := newEncoder(dst)
	d.compress(e, p)
	e.flushMark()
	out = e.release()
	if len(out)-len(dst) >= len(p) {
		return out[:len(dst)], false
	}
	d.Remember(p)
	return out, true
}

// AppendPiece appends a piece of a message, compressed, to dst. The output of all pieces together
// is the message. last says that p ends it. p may be empty.
//
// Between two pieces d holds back up to seven bits, so only the last piece ends with a flush.
// There is no way back from a piece: if it does not shrink, it becomes a stored block.
func (d *Compressor) AppendPiece(dst, p []byte, last bool) []byte {
	e := newEncoder(dst)
	e.acc, e.nbits = uint64(d.acc), uint(d.nbits)
	d.compress(e, p)
	d.Remember(p)
	if last {
		e.flushMark()
	}
	e.spill()
	d.acc, d.nbits = uint8(e.acc), uint8(e.nbits)
	return e.release()
}

// Append appends the message p, compressed, to dst, as [Compressor.Append] does. The message
// refers to nothing but itself, at most 2^windowBits bytes back, and nothing of it is kept.
func Append(dst, p []byte, windowBits int) (out []byte, ok bool) {
	e := newEncoder(dst)
	e.blocks(p, 0, e.newFinder(len(p), windowBits))
	e.flushMark()
	out = e.release()
	if len(out)-len(dst) >= len(p) {
		return out[:len(dst)], false
	}
	return out, true
}

// compress writes p as blocks. If there is room behind the window, it puts p there.
//
// If not, it joins the head of p to a copy of the window, and compresses the rest of p in its
// place: the window of the rest lies within p. A small window's table is too small for so much
// data, so a pooled table is used. Before, compress enters the window into the pooled table, and
// afterwards the end of p into the window's own.
func (d *Compressor) compress(e *encoder, p []byte) {
	d.makeRoom(len(p))
	size := 1 << d.bits
	m := newMatchFinder(d.table, size, hashFour)
	if n := len(d.window); len(p) <= cap(d.window)-n {
		m.base = d.pos - uint16(n)
		e.blocks(append(d.window, p...), n, m)
		return
	}
	past := d.window[max(0, len(d.window)-size):]
	head := p[:min(len(p), maxWindow)]
	e.joined = append(append(e.joined[:0], past...), head...)
	small := len(d.table) < len(e.table)
	if small {
		clear(e.table[:])
		m = newMatchFinder(e.table[:], size, hashFour)
	}
	m.base = d.pos - uint16(len(past))
	if small {
		m.enterEach(e.joined, 0, len(past), 2)
	}
	e.blocks(e.joined, len(past), m)
	m.base = d.pos
	e.blocks(p, len(head), m)
	if small {
		m = newMatchFinder(d.table, size, hashFour)
		m.base = d.pos
		m.enterEach(p, max(0, len(p)-size), len(p), 2)
	}
}

const maxWindow = 1 << 15

// makeRoom makes room for n bytes behind the window, if it can. The window grows as far as it
// may, and then drops the bytes that no reference can reach.
func (d *Compressor) makeRoom(n int) {
	if d.table = d.table[:cap(d.table)]; len(d.table) < tableSize(d.bits) {
		d.table = make([]uint16, tableSize(d.bits))
	}
	d.table = d.table[:tableSize(d.bits)]

	size := 1 << d.bits
	if len(d.window)+n <= cap(d.window) {
		return
	}
	if full := size + size/windowSlack; cap(d.window) < full {
		d.reserve(min(full, max(len(d.window)+n, 2*cap(d.window), 512)))
	}
	if over := len(d.window) - size; over > 0 && len(d.window)+n > cap(d.window) {
		d.window = d.window[:copy(d.window, d.window[over:])]
	}
}

// reserve gives the window an array of exactly n bytes. The built-in append would round up.
func (d *Compressor) reserve(n int) {
	d.window = append(make([]byte, 0, n), d.window...)
}

// Remember adds p to the window. A caller that sent p in a form made by [Append] calls it, since
// the receiver adds p to its window too.
func (d *Compressor) Remember(p []byte) {
	d.pos += uint16(len(p))
	size := 1 << d.bits
	if len(p) >= size {
		d.window, p = d.window[:0], p[len(p)-size:]
	}
	if len(d.window)+len(p) > cap(d.window) {
		keep := min(len(d.window), size-len(p))
		d.window = d.window[:copy(d.window, d.window[len(d.window)-keep:])]
	}
	d.window = append(d.window, p...)
}

// An encoder is the memory that compressing takes while a call runs. It has some 60 KB, and 64
// more after a message was joined to a window.
type encoder struct {
	blockWriter
	seqs   [maxSequences]sequence
	table  [1 << maxTableBits]uint16 // for messages without a window, and long ones
	joined []byte
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// newEncoder returns an encoder that appends to dst.
func newEncoder(dst []byte) *encoder {
	e := encoders.Get().(*encoder)
	e.out, e.acc, e.nbits = dst, 0, 0
	return e
}

// release returns the output, and gives the encoder back.
func (e *encoder) release() []byte {
	out := e.out
	e.out = nil
	encoders.Put(e)
	return out
}

// newFinder returns a matchFinder for a message of n bytes that refers to nothing before it. Its
// table must be cleared, because the output must not depend on earlier messages. To save time,
// the table is no larger than the message.
func (e *encoder) newFinder(n, windowBits int) matchFinder {
	size := 1 << min(max(bits.Len(uint(n)), 8), maxTableBits)
	clear(e.table[:size])
	if n <= 1024 {
		// A short message without a past has few matches. Those of three bytes count too.
		return newMatchFinder(e.table[:size], 1<<windowBits, hashThree)
	}
	return newMatchFinder(e.table[:size], 1<<windowBits, hashFour)
}

// blocks writes buf[from:]. References may reach into buf[:from].
func (e *encoder) blocks(buf []byte, from int, m matchFinder) {
	for from < len(buf) {
		n, next := m.find(e.seqs[:], buf[:min(len(buf), from+maxBlock)], from)
		e.writeBlock(buf[from:next], e.seqs[:n])
		from = next
	}
}
