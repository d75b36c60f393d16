package deflate

// This file describes codes. A dynamic block begins with the description of its code, RFC 1951
// section 3.2.7: the lengths of all words. The lengths are much alike, so they are compressed in
// turn. A repetition becomes one symbol, and these symbols have a code too, the code length code.
// The lengths of its words come first:
//
//	5 bits  5 bits  4 bits  3 bits each          in the code length code
//	n1-257  n2-1    n3-4    n3 lengths of        n1 lengths of literals and
//	                        the code length code   lengths, n2 of distances
//
// The description of a code for a short text has 40 to 60 bytes, and the code must save more than
// that.

// A dynamicPlan is a block's code and the code's description.
type dynamicPlan struct {
	lits, dists, sent int                         // how many lengths of each code are written
	lengths           [numLit + numDist]uint8     // the first lits, then the dists
	packed            [numLit + numDist]preSymbol // the lengths, with repetitions replaced
	n                 int                         // how many of packed are in use
	preFreq           [numPre]uint32
	pres              symbolSet
	preLengths        [numPre]uint8

	litCounts, distCounts, preCounts wordCounts

	bits int // the size of the description and of the symbols, without the symbols' extra bits
}

// A preSymbol is a symbol of the code length code, and the value of its extra bits.
type preSymbol struct{ symbol, value uint8 }

// planDynamic makes the best code for the block's symbols, and computes its size.
func (w *blockWriter) planDynamic() {
	p := &w.plan
	if w.dists.n == 0 {
		// Section 3.2.7 allows a code without words if a block has no matches, but not every
		// decoder does. So a word is described that no symbol uses.
		w.dists.keys[0], w.dists.n = 1<<9, 1
	}
	p.lits, p.dists = w.lits.end(), w.dists.end()
	lits, dists := p.lengths[:p.lits], p.lengths[p.lits:p.lits+p.dists]
	p.litCounts = w.trees.lengths(lits, &w.lits, maxCodeBits)
	p.distCounts = w.trees.lengths(dists, &w.dists, maxCodeBits)
	p.pack()
	p.pres.fill(p.preFreq[:])
	p.preCounts = w.trees.lengths(p.preLengths[:], &p.pres, maxPreBits)
	p.sent = numPre
	for p.preLengths[preOrder[p.sent-1]] == 0 {
		p.sent--
	}
	p.bits = 14 + 3*p.sent + p.pres.bits(p.preLengths[:]) + w.lits.bits(lits) + w.dists.bits(dists)
	for s := 16; s < numPre; s++ {
		p.bits += int(p.preFreq[s]) * int(repeatBits(s))
	}
}

// pack replaces repetitions by the symbols 16, 17 and 18, see repeatLength.
func (p *dynamicPlan) pack() {
	p.n, p.preFreq = 0, [numPre]uint32{}
	lengths := p.lengths[:p.lits+p.dists]
	for i := 0; i < len(lengths); {
		l, run := lengths[i], 1
		for i+run < len(lengths) && lengths[i+run] == l {
			run++
		}
		i += run
		if l != 0 {
			p.put(l, 0)
			run--
			for ; run >= 3; run -= min(run, 6) {
				p.put(16, uint8(min(run, 6)-3))
			}
		} else {
			for ; run >= 11; run -= min(run, 138) {
				p.put(18, uint8(min(run, 138)-11))
			}
			if run >= 3 {
				p.put(17, uint8(run-3))
				run = 0
			}
		}
		for range run {
			p.put(l, 0)
		}
	}
}

// put appends a symbol to packed.
func (p *dynamicPlan) put(symbol, value uint8) {
	p.packed[p.n] = preSymbol{symbol, value}
	p.n++
	p.preFreq[symbol]++
}

// writePlan writes the description (section 3.2.7).
func (w *blockWriter) writePlan() {
	p := &w.plan
	w.write(uint64(p.lits-257), 5)
	w.write(uint64(p.dists-1), 5)
	w.write(uint64(p.sent-4), 4)
	for _, s := range preOrder[:p.sent] {
		w.write(uint64(p.preLengths[s]), 3)
	}
	var words [numPre]huffWord
	assignWords(words[:], p.preLengths[:], p.preCounts)
	for _, s := range p.packed[:p.n] {
		word := words[s.symbol]
		w.write(word.bits()|uint64(s.value)<<word.len(), word.len()+repeatBits(int(s.symbol)))
	}
}

// dynamicGuess estimates the size of the block with a code of its own. Making the code takes
// longer than all else for a small message, so writeBlock makes it only if the estimate is good.
func (w *blockWriter) dynamicGuess(extra int) int {
	w.lits.fill(w.hist.lit[:])
	w.dists.fill(w.hist.dist[:])
	return extra + w.lits.information() + w.dists.information() + 60 + 5*(w.lits.n+w.dists.n)
}
