package deflate

import "encoding/binary"

// This file reads the parts of a block, except for its symbols: RFC 1951 section 3.2.3 to 3.2.7.

// take returns the next n bits, n ≤ 16. If there are not so many yet, it takes none and reports
// false.
func (f *Decompressor) take(n uint) (v int, ok bool) {
	f.fill(n)
	if f.nbits < n {
		return 0, false
	}
	v = int(f.bits & (1<<n - 1))
	f.drop(n)
	return v, true
}

// drop removes the next n bits.
func (f *Decompressor) drop(n uint) {
	f.bits >>= n & 63
	f.nbits -= n
}

// fill makes at least n bits available, n ≤ 48, if the input has them.
func (f *Decompressor) fill(n uint) {
	if f.nbits < n {
		f.bits, f.nbits, f.in = refill(f.bits, f.nbits, f.in)
	}
}

// refill fills the bit buffer with whole bytes, to 56 bits or more if the input has them. If the
// input has eight bytes, it adds them as one word, and counts those that fit. Some bits of the
// next byte may fit too. They are not counted, and the next refill sets them again, to the same
// values.
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

// align drops the bits up to the next byte.
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

// endsUsually reports whether the rest of the message is three zero bits and padding. With the
// tail, that is the empty block of a flush. Nearly every message ends so, which is worth a short
// cut.
func (f *Decompressor) endsUsually() bool {
	return 3 <= f.nbits && f.nbits <= 3+7 && f.bits&7 == blockStored<<1
}

// endBlock follows every block. A final block ends its DEFLATE stream, but not the message: the
// next stream begins at the next byte, with the same window. The message may also end there,
// without a tail.
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

// readStored copies a stored block. It begins with the bytes that are in the bit buffer, and
// continues straight from the input.
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
		f.bits = 0 // see refill: bits of a byte that is copied now
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

// A dynamicHeader holds the known parts of the description that begins a dynamic block (section
// 3.2.7), see compress_plan.go.
type dynamicHeader struct {
	lits, dists, pres uint16 // how many lengths each code has
	done              uint16 // how many lengths are known, in the step under way
	pre               [numPre]uint8
}

// readCounts reads how many lengths each code has.
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

// readPreLengths reads the lengths of the code length code, and puts its table into the place of
// the table of distances, which is not needed yet.
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

// readLengths reads the lengths of both codes. They are one sequence: a repetition may begin in
// the one and end in the other.
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

// repeatLength enters the lengths that a symbol above 15 stands for. 16 repeats the last length 3
// to 6 times, 17 stands for 3 to 10 zeros, 18 for 11 to 138. n is the value of the extra bits. If
// the repetition is not valid, repeatLength returns the reason.
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

// buildCodes builds both tables of a dynamic block.
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
