package deflate

import "encoding/binary"

// The parts of a block, RFC 1951 section 3.2.3 and on.

// take returns the next n bits, n ≤ 16, and whether there were as many.
func (f *Decompressor) take(n uint) (v int, ok bool) {
	f.fill(n)
	if f.nbits < n {
		return 0, false
	}
	v = int(f.bits & (1<<n - 1))
	f.drop(n)
	return v, true
}

func (f *Decompressor) drop(n uint) {
	f.bits >>= n & 63
	f.nbits -= n
}

// fill holds at least n bits, n ≤ 48, if the input has them.
func (f *Decompressor) fill(n uint) {
	if f.nbits < n {
		f.bits, f.nbits, f.in = refill(f.bits, f.nbits, f.in)
	}
}

// refill fills the bit buffer with whole octets, to 56 bits or more if the
// input has them. With eight octets at hand it takes them as one word and counts
// those that fit; the bits of the next one that fit in part are set again, to
// the same values, by the next refill.
func refill(bits uint64, n uint, in []byte) (uint64, uint, []byte) {
	if len(in) >= 8 {
		bits |= binary.LittleEndian.Uint64(in) << (n & 63)
		return bits, n | 56, in[(63-n)>>3:]
	}
	for n < 56 && len(in) > 0 {
		bits |= uint64(in[0]) << (n & 63)
		in = in[1:]
		n += 8
	}
	return bits, n, in
}

// align drops the bits up to the next octet.
func (f *Decompressor) align() { f.drop(f.nbits & 7) }

// readBlock reads a block's first bits (section 3.2.3).
func (f *Decompressor) readBlock() Status {
	if f.last && !f.tailFed && len(f.in) == 0 && f.endsUsually() {
		return Done
	}
	v, ok := f.take(3)
	if !ok {
		return NeedInput
	}
	f.mayEnd = false
	f.final = v&1 != 0
	switch v >> 1 {
	case blockStored:
		f.align()
		f.step = stepLength
	case blockFixed:
		f.tables = fixedTables
		f.step = stepSymbols
	case blockDynamic:
		f.needScratch()
		f.step = stepCounts
	default:
		return f.corrupt("a block of type 3")
	}
	return goesOn
}

// endsUsually reports whether what is left of the message is three zero bits and
// padding: with the tail, that is the empty block of a flush. It is what nearly
// every message ends with, so it is worth a short cut.
func (f *Decompressor) endsUsually() bool {
	return 3 <= f.nbits && f.nbits <= 3+7 && f.bits&7 == blockStored<<1
}

// endBlock comes after every block. A final one ends its DEFLATE stream, but
// not the message: the next stream begins at the next octet, with the same
// window (RFC 7692 section 7.2.3.4 and 7.2.3.5). There the message may also
// end without a tail.
func (f *Decompressor) endBlock() Status {
	if f.final {
		f.align()
		f.mayEnd = true
	}
	f.step = stepBlock
	return goesOn
}

// readStoredLength reads a length and its complement (section 3.2.4).
func (f *Decompressor) readStoredLength() Status {
	f.fill(32)
	if f.nbits < 32 {
		return NeedInput
	}
	v := uint32(f.bits)
	f.drop(32)
	if uint16(v) != ^uint16(v>>16) {
		return f.corrupt("a stored block's length %d does not match its complement", uint16(v))
	}
	f.left = int(uint16(v))
	f.step = stepStored
	return goesOn
}

// readStored copies a stored block: first the octets that are in the bit buffer
// already, then straight from the input.
func (f *Decompressor) readStored(o *output) Status {
	for f.left > 0 {
		if !o.grow() {
			return Full
		}
		if f.nbits > 0 {
			o.buf[o.n] = byte(f.bits)
			f.drop(8)
			o.n++
			f.left--
			continue
		}
		f.bits = 0 // of an octet that is now taken by other means
		n := copy(o.buf[o.n:], f.in[:min(f.left, len(f.in))])
		if n == 0 {
			return NeedInput
		}
		f.in = f.in[n:]
		o.n += n
		f.left -= n
	}
	return f.endBlock()
}

// A dynamicHeader is what is known so far of the description that begins a
// dynamic block (section 3.2.7), see deflate_plan.go.
type dynamicHeader struct {
	lits, dists, pres uint16 // how many lengths of each
	done              uint16 // how many are known, of what is being read
	pre               [numPre]uint8
}

func (f *Decompressor) readCounts() Status {
	v, ok := f.take(14)
	if !ok {
		return NeedInput
	}
	h := dynamicHeader{
		lits:  uint16(v&31 + 257),
		dists: uint16(v>>5&31 + 1),
		pres:  uint16(v>>10 + 4),
	}
	if h.lits > numLit {
		return f.corrupt("a block with %d literals and lengths", h.lits)
	}
	if h.dists > numDist {
		return f.corrupt("a block with %d distances", h.dists)
	}
	f.header = h
	f.step = stepPreLengths
	return goesOn
}

// The code length code's table is where that of the distances will be.
func (f *Decompressor) readPreLengths() Status {
	h := &f.header
	for ; h.done < h.pres; h.done++ {
		v, ok := f.take(3)
		if !ok {
			return NeedInput
		}
		h.pre[preOrder[h.done]] = uint8(v)
	}
	if !buildTable(f.scratch.tables.dist[:], maxPreBits, h.pre[:], preEntries[:]) {
		return f.corrupt("lengths that make no code of code lengths")
	}
	h.done = 0
	f.step = stepLengths
	return goesOn
}

// readLengths reads both codes' lengths, which are one sequence: a repetition
// may run from the one into the other.
func (f *Decompressor) readLengths() Status {
	h, t := &f.header, &f.scratch.tables
	total := int(h.lits + h.dists)
	for int(h.done) < total {
		f.fill(maxPreBits + 7)
		e := t.dist[f.bits&(1<<maxPreBits-1)]
		symbol, word := e>>entryValue, uint(e&0xff)
		extra := repeatBits(int(symbol))
		if word+extra > f.nbits {
			return NeedInput
		}
		if e&entryInvalid != 0 {
			return f.corrupt("a word that is not in the code of code lengths")
		}
		n := int(f.bits >> (word & 63) & (1<<extra - 1))
		f.drop(word + extra)
		if symbol < 16 {
			f.scratch.lengths[h.done] = uint8(symbol)
			h.done++
			continue
		}
		if problem := f.repeatLength(symbol, n, total); problem != "" {
			return f.corrupt("%s", problem)
		}
	}
	return f.buildCodes(f.scratch.lengths[:h.lits], f.scratch.lengths[h.lits:total])
}

// repeatLength does what symbols above 15 say: 16 repeats the last length 3-6
// times, 17 and 18 are 3-10 and 11-138 zeros. It returns what is wrong.
func (f *Decompressor) repeatLength(symbol tableEntry, n, total int) string {
	done, lengths := int(f.header.done), &f.scratch.lengths
	value := uint8(0)
	switch symbol {
	case 16:
		if done == 0 {
			return "a repetition of a length before the first"
		}
		n, value = n+3, lengths[done-1]
	case 17:
		n += 3
	case 18:
		n += 11
	}
	if n > total-done {
		return "more lengths of code words than announced"
	}
	for i := range lengths[done : done+n] {
		lengths[done+i] = value
	}
	f.header.done += uint16(n)
	return ""
}

func (f *Decompressor) buildCodes(lits, dists []uint8) Status {
	t := &f.scratch.tables
	if lits[endOfBlock] == 0 {
		return f.corrupt("a block without an end")
	}
	if !buildTable(t.lit[:], litRootBits, lits, litEntries[:]) {
		return f.corrupt("lengths that make no code of literals and lengths")
	}
	if !buildTable(t.dist[:], distRootBits, dists, distEntries[:]) {
		return f.corrupt("lengths that make no code of distances")
	}
	f.tables = t
	f.step = stepSymbols
	return goesOn
}
