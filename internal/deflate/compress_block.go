package deflate

import (
	"encoding/binary"
	"slices"
)

// This file writes blocks. For each block it computes the size in the three types of RFC 1951
// section 3.2.3, and writes the shortest.

// A blockWriter appends bits to out. The first bit becomes the lowest bit of a byte (section
// 3.1.1).
type blockWriter struct {
	out   []byte
	acc   uint64 // bits that are not in out yet
	nbits uint   // how many, fewer than 32

	hist        histogram
	lits, dists symbolSet // the histogram's symbols
	code        huffCode
	plan        dynamicPlan
	trees       treeBuilder
}

// A histogram counts how often each symbol occurs in a block.
type histogram struct {
	lit  [numLit]uint32
	dist [numDist]uint32
}

// write appends the low n bits of v, n ≤ 32.
func (w *blockWriter) write(v uint64, n uint) {
	w.acc |= v << (w.nbits & 63)
	w.nbits += n
	if w.nbits >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.acc >>= 32
		w.nbits -= 32
	}
}

// spill moves whole bytes from acc to out. Fewer than eight bits remain.
func (w *blockWriter) spill() {
	for w.nbits >= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.nbits -= 8
	}
}

// align fills the last byte with zeros.
func (w *blockWriter) align() {
	w.spill()
	if w.nbits > 0 {
		w.out = append(w.out, byte(w.acc))
		w.acc, w.nbits = 0, 0
	}
}

// flushMark ends a message. It writes the beginning of an empty stored block, three bits and
// padding. The rest of that block, 00 00 ff ff, is left out.
func (w *blockWriter) flushMark() {
	w.write(blockStored<<1, 3)
	w.align()
}

// fewSymbols bounds the blocks that are written with the fixed code without a look at the
// alternatives. With fewer literals and matches, the description of a code would cost more than
// the code saves.
const fewSymbols = 72

// writeBlock writes src, which seqs describe, as a block.
func (w *blockWriter) writeBlock(src []byte, seqs []sequence) {
	if len(seqs) <= fewSymbols && symbols(seqs) < fewSymbols {
		w.writeSequences(blockFixed, fixedCode, src, seqs, 9*len(src))
		return
	}
	extra := w.count(src, seqs)
	stored := 3 + 7 + 32 + 8*len(src)
	fixed := 3 + extra + w.hist.fixedBits()
	kind, best := blockFixed, fixed
	if w.dynamicGuess(extra) < fixed {
		w.planDynamic()
		if n := 3 + extra + w.plan.bits; n < best {
			kind, best = blockDynamic, n
		}
	}
	switch {
	case stored <= best:
		w.writeStored(src)
	case kind == blockFixed:
		w.writeSequences(blockFixed, fixedCode, src, seqs, fixed)
	default:
		p := &w.plan
		assignWords(w.code.lit[:], p.lengths[:p.lits], p.litCounts)
		assignWords(w.code.dist[:], p.lengths[p.lits:p.lits+p.dists], p.distCounts)
		w.writeSequences(blockDynamic, &w.code, src, seqs, best)
	}
}

// symbols returns the number of literals and matches.
func symbols(seqs []sequence) (n int) {
	for _, s := range seqs {
		n += int(s.literals) + 1
	}
	return n
}

// writeStored writes src as it is (section 3.2.4).
func (w *blockWriter) writeStored(src []byte) {
	w.write(blockStored<<1, 3)
	w.align()
	w.out = binary.LittleEndian.AppendUint16(w.out, uint16(len(src)))
	w.out = binary.LittleEndian.AppendUint16(w.out, ^uint16(len(src)))
	w.out = append(w.out, src...)
}

// count makes the histogram. It returns how many extra bits the lengths and distances have, which
// is the same with every code.
func (w *blockWriter) count(src []byte, seqs []sequence) (extra int) {
	h := &w.hist
	*h = histogram{}
	h.lit[endOfBlock] = 1
	for _, s := range seqs {
		for _, b := range src[:s.literals] {
			h.lit[b]++
		}
		if s.length == 0 {
			break // the last sequence, which has no match
		}
		l := lengthSymbol[uint8(s.length-minMatch)]
		d, n := distSymbol(int(s.dist))
		h.lit[endOfBlock+1+int(l)]++
		h.dist[d%numDist]++
		extra += int(lengthExtra[l]) + int(n)
		src = src[int(s.literals)+int(s.length):]
	}
	return extra
}

// fixedBits returns how many bits the symbols take with the fixed code, see fixedLengths. A
// distance takes five bits, every other symbol eight, with one more or one less in two ranges.
func (h *histogram) fixedBits() int {
	return 8*sum(h.lit[:]) + sum(h.lit[144:256]) - sum(h.lit[256:280]) + 5*sum(h.dist[:])
}

func sum(freq []uint32) (n int) {
	for _, v := range freq {
		n += int(v)
	}
	return n
}

// writeSequences writes a block with the code. The block has at most size bits. Words are
// collected in acc. All eight bytes of acc are written at once, and the complete ones among them
// count.
func (w *blockWriter) writeSequences(kind uint64, code *huffCode, src []byte, seqs []sequence, size int) {
	w.out = slices.Grow(w.out, size/8+24)
	w.write(kind<<1, 3)
	if kind == blockDynamic {
		w.writePlan()
	}
	w.spill()
	out, n := w.out[:cap(w.out)], len(w.out)
	acc, nbits := w.acc, w.nbits
	for _, s := range seqs {
		for _, b := range src[:s.literals] {
			word := code.lit[b]
			acc |= word.bits() << (nbits & 63)
			nbits += word.len()
			if nbits >= 48 { // one more word fits, two may not
				n, acc, nbits = drain(out, n, acc, nbits)
			}
		}
		n, acc, nbits = drain(out, n, acc, nbits)
		if s.length == 0 {
			break
		}
		acc, nbits = putMatch(code, s, acc, nbits)
		n, acc, nbits = drain(out, n, acc, nbits)
		src = src[int(s.literals)+int(s.length):]
	}
	end := code.lit[endOfBlock]
	w.out, w.acc, w.nbits = out[:n], acc, nbits
	w.write(end.bits(), end.len())
}

// drain writes acc to out[n:], and keeps the bits that do not fill a byte.
func drain(out []byte, n int, acc uint64, nbits uint) (int, uint64, uint) {
	binary.LittleEndian.PutUint64(out[n:], acc)
	return n + int(nbits>>3), acc >> (nbits & 56), nbits & 7
}

// putMatch adds a length and a distance to acc, at most 48 bits.
func putMatch(code *huffCode, s sequence, acc uint64, nbits uint) (uint64, uint) {
	l := uint8(s.length - minMatch)
	k := lengthSymbol[l] % uint8(len(lengthBase))
	word := code.lit[endOfBlock+1+int(k)]
	acc |= word.bits() << (nbits & 63)
	nbits += word.len()
	acc |= uint64(s.length-lengthBase[k]) << (nbits & 63)
	nbits += uint(lengthExtra[k])

	d, extra := distSymbol(int(s.dist))
	word = code.dist[d%uint(len(code.dist))]
	acc |= word.bits() << (nbits & 63)
	nbits += word.len()
	acc |= uint64(s.dist-1) & (1<<(extra&63) - 1) << (nbits & 63)
	nbits += extra
	return acc, nbits
}
