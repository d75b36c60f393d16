package deflate

import (
	"encoding/binary"
	"slices"
)

// Writing blocks: what a block's sequences cost in each of the three types of
// RFC 1951 section 3.2.3, and the bits of the cheapest.

// A blockWriter appends bits to out, the first to the lowest bit of an octet
// (section 3.1.1).
type blockWriter struct {
	out  []byte
	acc  uint64 // not yet written
	held uint   // bits in acc, fewer than 32

	hist        histogram
	lits, dists symbolSet // of the histogram
	code        huffCode
	plan        dynamicPlan
	trees       treeBuilder
}

// A histogram is how often each symbol occurs in a block.
type histogram struct {
	lit  [numLit]uint32
	dist [numDist]uint32
}

// write appends the low n bits of v, n ≤ 32.
func (w *blockWriter) write(v uint64, n uint) {
	w.acc |= v << (w.held & 63)
	w.held += n
	if w.held >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.acc >>= 32
		w.held -= 32
	}
}

// spill writes whole octets, so that less than eight bits are held.
func (w *blockWriter) spill() {
	for w.held >= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.held -= 8
	}
}

// align fills the last octet with zeros.
func (w *blockWriter) align() {
	w.spill()
	if w.held > 0 {
		w.out = append(w.out, byte(w.acc))
		w.acc, w.held = 0, 0
	}
}

// flushMark ends a message: the three bits that begin an empty stored block,
// and padding. The rest of that block, 00 00 ff ff, is what RFC 7692 section
// 7.2.1 takes away again.
func (w *blockWriter) flushMark() {
	w.write(blockStored<<1, 3)
	w.align()
}

// fewSymbols is the number of literals and matches up to which a block is
// written with the fixed code unseen: the description of a code of its own
// would cost more than it saves.
const fewSymbols = 72

// writeBlock writes the block of src, which the sequences describe.
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

// symbols counts literals and matches.
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

// count makes the histogram, and returns how many extra bits lengths and
// distances take, whatever the code.
func (w *blockWriter) count(src []byte, seqs []sequence) (extra int) {
	h := &w.hist
	*h = histogram{}
	h.lit[endOfBlock] = 1
	for _, s := range seqs {
		for _, b := range src[:s.literals] {
			h.lit[b]++
		}
		if s.length == 0 {
			break // the last, after which no match comes
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

// fixedBits is what the symbols take with the fixed code, see fixedLengths: a
// distance five bits, all else eight, but one more or less in two ranges.
func (h *histogram) fixedBits() int {
	return 8*sum(h.lit[:]) + sum(h.lit[144:256]) - sum(h.lit[256:280]) + 5*sum(h.dist[:])
}

func sum(freq []uint32) (n int) {
	for _, v := range freq {
		n += int(v)
	}
	return n
}

// writeSequences writes a block of at most size bits with the code. Words are
// gathered in acc and go out eight octets at a time, of which those that are
// complete count.
func (w *blockWriter) writeSequences(kind uint64, code *huffCode, src []byte, seqs []sequence, size int) {
	w.out = slices.Grow(w.out, size/8+24)
	w.write(kind<<1, 3)
	if kind == blockDynamic {
		w.writePlan()
	}
	w.spill()
	out, n := w.out[:cap(w.out)], len(w.out)
	acc, held := w.acc, w.held
	for _, s := range seqs {
		for _, b := range src[:s.literals] {
			word := code.lit[b]
			acc |= word.bits() << (held & 63)
			held += word.len()
			if held >= 48 { // one word more fits, two may not
				n, acc, held = drain(out, n, acc, held)
			}
		}
		n, acc, held = drain(out, n, acc, held)
		if s.length == 0 {
			break
		}
		acc, held = putMatch(code, s, acc, held)
		n, acc, held = drain(out, n, acc, held)
		src = src[int(s.literals)+int(s.length):]
	}
	end := code.lit[endOfBlock]
	w.out, w.acc, w.held = out[:n], acc, held
	w.write(end.bits(), end.len())
}

// drain writes acc to out[n:] and keeps what fills no octet.
func drain(out []byte, n int, acc uint64, held uint) (int, uint64, uint) {
	binary.LittleEndian.PutUint64(out[n:], acc)
	return n + int(held>>3), acc >> (held & 56), held & 7
}

// putMatch adds a length and a distance: 48 bits at most.
func putMatch(code *huffCode, s sequence, acc uint64, held uint) (uint64, uint) {
	l := uint8(s.length - minMatch)
	k := lengthSymbol[l] % uint8(len(lengthBase))
	word := code.lit[endOfBlock+1+int(k)]
	acc |= word.bits() << (held & 63)
	held += word.len()
	acc |= uint64(s.length-lengthBase[k]) << (held & 63)
	held += uint(lengthExtra[k])

	d, extra := distSymbol(int(s.dist))
	word = code.dist[d%uint(len(code.dist))]
	acc |= word.bits() << (held & 63)
	held += word.len()
	acc |= uint64(s.dist-1) & (1<<(extra&63) - 1) << (held & 63)
	held += extra
	return acc, held
}
