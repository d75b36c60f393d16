package deflate

import "encoding/binary"

// readSymbols reads the symbols of a block, to its end. A Decompressor spends its time here. A
// literal goes to the output, and a length with its distance copies bytes of the output or of the
// history (RFC 1951 section 3.2.5). The variables are local so that they live in registers, and
// save puts them back.
func (f *Decompressor) readSymbols(o *output) Status {
	if f.copyLen > 0 && !f.finishCopy(o) {
		return Full
	}
	t := f.tables
	in, bits, nbits := f.in, f.bits, f.nbits
	out, n := o.buf, o.n
	for {
		// A length with its distance has at most 48 bits: 15+5 and 15+13.
		if nbits < 48 {
			bits, nbits, in = refill(bits, nbits, in)
		}
		e := t.lit[bits&(1<<litRootBits-1)]
		if e&entryPointer != 0 {
			e = t.lit[secondLevel(e, bits, litRootBits)&(litTableSize-1)]
		}
		used := uint(e & 0xff)
		if e&entryLiteral != 0 {
			if used > nbits {
				f.save(o, in, bits, nbits, n)
				return NeedInput
			}
			if uint(n) >= uint(len(out)) {
				if o.n = n; !o.grow() {
					f.save(o, in, bits, nbits, n)
					return Full
				}
				out = o.buf
			}
			out[n] = byte(e >> entryValue)
			n++
			bits >>= used & 63
			nbits -= used
			continue
		}
		if e&(entryEnd|entryInvalid) != 0 || used > nbits {
			f.save(o, in, bits, nbits, n)
			return f.endSymbols(e)
		}
		length := entryNumber(e, bits)

		d := t.dist[bits>>(used&63)&(1<<distRootBits-1)]
		if d&entryPointer != 0 {
			d = t.dist[secondLevel(d, bits>>(used&63), distRootBits)&(distTableSize-1)]
		}
		dist := entryNumber(d, bits>>(used&63))
		used += uint(d & 0xff)
		if used > nbits || d&entryInvalid != 0 {
			f.save(o, in, bits, nbits, n)
			return f.badDistance(used)
		}
		bits >>= used & 63
		nbits -= used

		// In the common cases nothing can go wrong. The source is in the buffer, or in one piece
		// of the history.
		if dist <= f.window && length <= len(out)-n {
			back := dist - (n - o.start)
			if back <= 0 {
				copyMatch(out, n, length, dist)
				n += length
				continue
			}
			if f.hist.copyWhole(out[n:n+length], back) {
				n += length
				continue
			}
		}
		f.save(o, in, bits, nbits, n)
		if status := f.startCopy(o, length, dist); status != goesOn {
			return status
		}
		out, n = o.buf, o.n
	}
}

// save puts the variables of readSymbols back.
func (f *Decompressor) save(o *output, in []byte, bits uint64, nbits uint, n int) {
	f.in, f.bits, f.nbits, o.n = in, bits, nbits, n
}

// secondLevel returns the index to which the pointer e and the bits lead.
func secondLevel(e tableEntry, bits uint64, root uint) uint64 {
	sub := e >> entryWord & 15
	return uint64(e>>entryValue) + bits>>root&(1<<sub-1)
}

// entryNumber returns the length or the distance of e: its base, and the extra bits that follow
// the word.
func entryNumber(e tableEntry, bits uint64) int {
	return int(e>>entryValue) + int(bits&(1<<(e&63)-1)>>(e>>entryWord&15))
}

// endSymbols handles an entry that is neither a literal nor a length.
func (f *Decompressor) endSymbols(e tableEntry) Status {
	used := uint(e & 0xff)
	if used > f.nbits {
		return NeedInput
	}
	if e&entryInvalid != 0 {
		return f.corrupt("a word that is no literal and no length")
	}
	f.drop(used)
	return f.endBlock()
}

// badDistance handles a distance that is not valid, or has not arrived as a whole.
func (f *Decompressor) badDistance(used uint) Status {
	if used > f.nbits {
		return NeedInput
	}
	return f.corrupt("a word that is no distance")
}

// startCopy copies a match that begins before the output of this call, or is too long for the
// buffer.
func (f *Decompressor) startCopy(o *output, length, dist int) Status {
	if dist > f.window {
		return f.corrupt("distance %d is beyond the window of %d bytes", dist, f.window)
	}
	if have := o.n - o.start + len(f.hist.buf); dist > have {
		return f.corrupt("distance %d reaches before the first of %d bytes", dist, have)
	}
	f.copyLen, f.copyDist = length, dist
	if !f.finishCopy(o) {
		return Full
	}
	return goesOn
}

// finishCopy continues a copy, and reports whether it is complete. If not, the output is full.
// The source may begin in the history, continue from the end of the history's array at its start,
// and go over into the output.
func (f *Decompressor) finishCopy(o *output) bool {
	for f.copyLen > 0 {
		if !o.grow() {
			return false
		}
		n := min(f.copyLen, len(o.buf)-o.n)
		if back := f.copyDist - (o.n - o.start); back > 0 {
			n = copy(o.buf[o.n:o.n+n], f.hist.at(back))
		} else {
			copyMatch(o.buf, o.n, n, f.copyDist)
		}
		o.n += n
		f.copyLen -= n
	}
	return true
}

// copyMatch copies to b[n:n+length] the bytes that begin dist before it. If dist is less than
// length, the copy repeats itself, as "aaaa" comes from "a" and the distance 1. Then the bytes to
// copy from double with every step.
func copyMatch(b []byte, n, length, dist int) {
	src := n - dist
	if dist >= 8 && length <= 32 && n+length+8 <= len(b) {
		// Most matches are short, and moving words is faster than calling memmove. The last word
		// may have bytes too many, which later output overwrites.
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(b[n+i:], binary.LittleEndian.Uint64(b[src+i:]))
		}
		return
	}
	for b = b[:n+length]; n < len(b); {
		n += copy(b[n:], b[src:n])
	}
}
