package deflate

import (
	"math/bits"
	"sync"
)

// DEFLATE, RFC 1951, the sending half.
//
// DEFLATE is two ideas, one on top of the other. The first, LZ77, writes what
// was there before as a reference to it: how far back, and how long.
//
//	{"bid":10.5,"ask":10.6}{"bid":10.4,"ask":10.7}
//	                       └───┬────┘ └───┬────┘
//	                       10 octets, 10 octets,
//	                       23 back    23 back
//
// What is left are literals, lengths and distances. The second idea, Huffman's,
// gives each of them a word of bits, short for what is frequent: see
// deflate_huffman.go. The result is a sequence of blocks:
//
//	bits  1       2      …                                …
//	     ┌───────┬──────┬────────────────────────────────┬─────────────────┐
//	     │ final │ type │ 0: padding, length, complement │ octets as given │
//	     │       │      │ 1: nothing, the code is fixed  │ words of bits   │
//	     │       │      │ 2: the description of a code   │ words of bits   │
//	     └───────┴──────┴────────────────────────────────┴─────────────────┘
//
// A reference may reach back over blocks, and on a connection with context
// takeover (RFC 7692 section 7.1.1) over messages: that is what makes short
// messages, each like the one before, small. For that, both sides keep the last
// octets of what was sent, the window.
//
// This file keeps the window; deflate_match.go finds references, and
// deflate_block.go writes blocks.
//
// Why not compress/flate: its writer takes up to 1.2 MB and cannot take back a
// message that did not shrink; its window is always 32 KiB, so that a peer which
// asked for a smaller one must be refused; and at some levels it forgets what
// was before a flush. Here a connection holds the window and a table of a few
// KiB, and all else belongs to a running call.

// A deflater is the sending half's memory between messages.
type Compressor struct {
	window []byte   // what was sent, at least the last 2^bits octets of it
	table  []uint16 // see matchFinder
	pos    uint16   // how much was sent, modulo 2^16
	bits   uint8

	held, acc uint8 // bits of a message in pieces that do not fill an octet
}

// NewCompressor compresses messages that may refer to earlier ones, at most
// 2^bits octets back; bits is 8 to 15 (RFC 7692 section 7.1.2).
func NewCompressor(bits int) *Compressor { return &Compressor{bits: uint8(bits)} }

// Size returns how many bytes d keeps of earlier messages, d itself not counted.
func (d *Compressor) Size() int { return cap(d.window) + 2*cap(d.table) }

// windowSlack is how much longer than needed the window may grow, in parts of
// it: as long as there is room, a message is put behind the last one, and the
// window need not be moved.
const windowSlack = 4

// tableSize is the number of entries for a window: more find little more.
func tableSize(bits uint8) int { return 1 << min(max(bits-1, 9), maxTableBits) }

// maxTableBits bounds tables: 2^13 entries are 16 KiB.
const maxTableBits = 13

// compressors serve messages in pieces on connections without context.
var compressors = sync.Pool{New: func() any { return new(Compressor) }}

// Borrow returns a deflater that has seen nothing, for one message in
// pieces. It goes back by release.
func Borrow(bits int) *Compressor {
	d := compressors.Get().(*Compressor)
	d.bits = uint8(bits)
	return d
}

// release gives back what Borrow returned. What is compressed next must
// not depend on what was compressed here, so the table is cleared.
func (d *Compressor) Release() {
	clear(d.table)
	*d = Compressor{window: d.window[:0], table: d.table[:0]}
	compressors.Put(d)
}

// Append appends p, compressed, to dst. If that would not be shorter
// than p, it returns dst as it was, but for its capacity, and false: then p is to
// be sent as it is, and the window stays as it was, for the peer's will not see
// p either. It must not be called between the pieces of a message.
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

// AppendPiece appends a piece of a message. Between the pieces up to seven bits
// are held back, so that none but the last ends with a flush. There is no way
// back: a piece that does not shrink becomes a stored block.
func (d *Compressor) AppendPiece(dst, p []byte, last bool) []byte {
	e := newEncoder(dst)
	e.acc, e.held = uint64(d.acc), uint(d.held)
	d.compress(e, p)
	d.Remember(p)
	if last {
		e.flushMark()
	}
	e.spill()
	d.acc, d.held = uint8(e.acc), uint8(e.held)
	return e.release()
}

// Append is Append without context: p refers to nothing but
// itself, at most 2^bits octets back.
func Append(dst, p []byte, bits int) (out []byte, ok bool) {
	e := newEncoder(dst)
	e.blocks(p, 0, e.newFinder(len(p), bits))
	e.flushMark()
	out = e.release()
	if len(out)-len(dst) >= len(p) {
		return out[:len(dst)], false
	}
	return out, true
}

// compress writes p as blocks. If there is room behind the window, p is put
// there; if not, its head is joined to the window elsewhere, and the rest, for
// which the window lies within p, is compressed where it is. A small
// window's table is too small for that one: a pooled one serves, and what lies in
// the window is entered before and after.
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

// makeRoom makes room behind the window for n octets if it can: it lets the
// window grow, as far as it may, and forgets what no reference can reach.
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

// reserve gives the window an array of just n octets: append would round up.
func (d *Compressor) reserve(n int) {
	d.window = append(make([]byte, 0, n), d.window...)
}

// remember adds p, which was sent, to the window.
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

// An encoder is what compressing takes while a call runs; some 60 KB, and 64
// more once messages were joined to a window.
type encoder struct {
	blockWriter
	seqs   [maxSequences]sequence
	table  [1 << maxTableBits]uint16 // for messages without context
	joined []byte
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// newEncoder returns an encoder that appends to dst.
func newEncoder(dst []byte) *encoder {
	e := encoders.Get().(*encoder)
	e.out, e.acc, e.held = dst, 0, 0
	return e
}

// release returns what was appended to, and gives the encoder back.
func (e *encoder) release() []byte {
	out := e.out
	e.out = nil
	encoders.Put(e)
	return out
}

// newFinder returns a matchFinder for a message of n octets without context.
// Its table is no larger than the message, for it must be cleared: what comes
// out is not to depend on what was compressed before.
func (e *encoder) newFinder(n, windowBits int) matchFinder {
	size := 1 << min(max(bits.Len(uint(n)), 8), maxTableBits)
	clear(e.table[:size])
	if n <= 1024 {
		// Without a past there is little to find: three octets are welcome.
		return newMatchFinder(e.table[:size], 1<<windowBits, hashThree)
	}
	return newMatchFinder(e.table[:size], 1<<windowBits, hashFour)
}

// blocks writes buf[from:]. What is before may be referred to.
func (e *encoder) blocks(buf []byte, from int, m matchFinder) {
	for from < len(buf) {
		n, next := m.find(e.seqs[:], buf[:min(len(buf), from+maxBlock)], from)
		e.writeBlock(buf[from:next], e.seqs[:n])
		from = next
	}
}
