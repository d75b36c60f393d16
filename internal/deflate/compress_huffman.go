package deflate

import (
	"math"
	"math/bits"
)

// This file makes Huffman codes, RFC 1951 section 3.2.2 and 3.2.7.
//
// A block may have a code of its own, with short words for the symbols that are frequent in it
// and long words for the rare ones. Huffman's tree gives the best words that have whole bits.
// Join the two rarest symbols to one, which is as frequent as both together, and go on until one
// is left. A symbol's word has as many bits as there are steps from the root to the symbol:
//
//	a:5  b:2  c:1  d:1          9
//	                          ┌─┴─┐
//	c+d=2, b+2=4, a+4=9       a   4       a 1 bit, b 2 bits, c and d 3 bits:
//	                            ┌─┴─┐     5·1 + 2·2 + 3 + 3 = 15 bits
//	                            b   2     instead of 18
//	                              ┌─┴─┐
//	                              c   d
//
// Only the lengths of the words are sent, because the words follow from them (section 3.2.2).

// A huffWord has a word in its low 16 bits, and the word's length above. The word is reversed, so
// that its first bit is the lowest and it can be written as it is.
type huffWord uint32

func (w huffWord) bits() uint64 { return uint64(w & 0xffff) }
func (w huffWord) len() uint    { return uint(w >> 16) }

// A huffCode is a block's code.
type huffCode struct {
	lit  [numLit + 2]huffWord
	dist [numDist + 2]huffWord
}

// fixedCode is the code of section 3.2.6.
var fixedCode = func() *huffCode {
	c := new(huffCode)
	lit, dist := fixedLengths()
	assignWords(c.lit[:], lit[:], wordCounts{7: 24, 8: 152, 9: 112})
	assignWords(c.dist[:], dist[:], wordCounts{5: 32})
	return c
}()

// wordCounts holds, for each n, how many words of a code have n bits.
type wordCounts [maxCodeBits + 1]int

// assignWords gives every symbol its word, by the algorithm of section 3.2.2.
func assignWords(words []huffWord, lengths []uint8, counts wordCounts) {
	var next [maxCodeBits + 1]uint16
	for n := 1; n <= maxCodeBits; n++ {
		next[n] = (next[n-1] + uint16(counts[n-1])) << 1
	}
	for s, n := range lengths {
		if n == 0 {
			continue // never looked up
		}
		w := next[n&15]
		next[n&15]++
		words[s] = huffWord(n)<<16 | huffWord(bits.Reverse16(w)>>(16-n&31))
	}
}

// A symbolSet holds the symbols that occur in a block, in ascending order.
type symbolSet struct {
	keys    [numLit]uint32 // a symbol in the low 9 bits, its frequency above
	n       int            // how many of keys are in use
	highest uint32         // the highest frequency
}

// fill makes u the set of the symbols whose frequency is not 0.
func (u *symbolSet) fill(freq []uint32) {
	n, highest := 0, uint32(0)
	for s, v := range freq {
		if v != 0 {
			u.keys[n%numLit] = v<<9 | uint32(s)
			highest = max(highest, v)
			n++
		}
	}
	u.n, u.highest = n, highest
}

// end returns one more than the last symbol that occurs.
func (u *symbolSet) end() int { return int(u.keys[u.n-1]&511) + 1 }

// bits returns how many bits the symbols take with words of these lengths.
func (u *symbolSet) bits(lengths []uint8) (n int) {
	for _, v := range u.keys[:u.n] {
		n += int(v>>9) * int(lengths[v&511])
	}
	return n
}

// A treeBuilder is the memory for making a code. A joint is an inner node of the tree.
type treeBuilder struct {
	sorted, swap [numLit]uint32
	leaf         [numLit + 1]uint32 // the symbols' weights, as sorted
	joint        [numLit + 1]uint32 // the joints' weights, in the order in which they are made
	leafParent   [numLit + 1]uint16 // the joint above each leaf
	jointParent  [numLit + 1]uint16 // the joint above each joint
	depth        [numLit]uint8      // the joints' distances from the root
}

// lengths computes the lengths of the symbols' words, at most limit bits. A symbol that does not
// occur has length 0.
func (t *treeBuilder) lengths(dst []uint8, u *symbolSet, limit int) wordCounts {
	clear(dst)
	if u.n < 2 { // a tree of one leaf has no steps, but a word has one bit at least
		for _, v := range u.keys[:u.n] {
			dst[v&511] = 1
		}
		return wordCounts{1: u.n}
	}
	t.sort(u)
	t.join(u.n)
	counts := t.depths(u.n, limit)

	// The rarest symbols get the longest words.
	i := 0
	for l := limit; l > 0; l-- {
		for range counts[l] {
			dst[t.sorted[i]&511] = uint8(l)
			i++
		}
	}
	return counts
}

// sort orders the symbols by frequency. It does a counting sort by the frequency's low byte, and
// a second one by the high byte if any frequency has one. No symbol occurs more than 65,535 times
// in a block.
func (t *treeBuilder) sort(u *symbolSet) {
	countingSort(t.sorted[:u.n], u.keys[:u.n], 9, min(u.highest, 255))
	if u.highest > 255 {
		copy(t.swap[:u.n], t.sorted[:u.n])
		countingSort(t.sorted[:u.n], t.swap[:u.n], 17, u.highest>>8)
	}
}

// countingSort orders src by the eight bits above shift, which are at most highest.
func countingSort(dst, src []uint32, shift uint, highest uint32) {
	var starts [257]uint16
	for _, v := range src {
		starts[v>>(shift&31)&255+1]++
	}
	for i := uint32(1); i <= highest; i++ {
		starts[i] += starts[i-1]
	}
	for _, v := range src {
		k := v >> (shift & 31) & 255
		dst[starts[k]] = v
		starts[k]++
	}
}

// join makes the tree of the first n symbols. The joints are made in ascending order of weight,
// and the leaves are sorted. So each is a queue, the lightest node without a parent is at the
// head of one of the two queues, and no heap is needed.
func (t *treeBuilder) join(n int) {
	for i, v := range t.sorted[:n] {
		t.leaf[i] = v >> 9
	}
	t.leaf[n] = math.MaxUint32
	leaf, joint := 0, 0
	for made := range n - 1 {
		t.joint[made] = math.MaxUint32 // not made yet, so it must not be taken
		sum := uint32(0)
		for range 2 {
			l, j := t.leaf[leaf], t.joint[joint]
			fromLeaf := 0
			if l <= j {
				fromLeaf = 1
			}
			// The heads of both queues get this parent. The head that is not taken gets another
			// one when it is.
			t.leafParent[leaf] = uint16(made)
			t.jointParent[joint] = uint16(made)
			sum += min(l, j)
			leaf += fromLeaf
			joint += 1 - fromLeaf
		}
		t.joint[made] = sum
	}
}

// depths counts the leaves at each depth. Leaves that are deeper than limit move up to limit,
// which has no room for so many words. To make room, other leaves move down.
func (t *treeBuilder) depths(n, limit int) (count wordCounts) {
	root := n - 2
	t.depth[root] = 0
	for i := root - 1; i >= 0; i-- {
		t.depth[i] = t.depth[t.jointParent[i]] + 1
	}
	for _, p := range t.leafParent[:n] {
		count[min(int(t.depth[p])+1, limit)]++
	}
	excess := -1 << limit // how many words of limit bits there are too many
	for l := 1; l <= limit; l++ {
		excess += count[l] << (limit - l)
	}
	for ; excess > 0; excess-- {
		// A leaf above the bottom goes down one level. Beside it is then room for a leaf from the
		// bottom.
		l := limit - 1
		for count[l] == 0 {
			l--
		}
		count[l]--
		count[l+1] += 2
		count[limit]--
	}
	return count
}

// informationUnit is the resolution of information: it counts in units of 2^-8 bit.
const informationUnit = 8

// nLogN holds n·log2(n) for each n, in units of information.
var nLogN = func() (t [256]uint32) {
	for n := range t {
		if n > 0 {
			t[n] = uint32(float64(n) * math.Log2(float64(n)) * (1 << informationUnit))
		}
	}
	return t
}()

// nLog returns about n·log2(n), in units of information.
func nLog(n uint32) uint64 {
	if n < 256 {
		return uint64(nLogN[n])
	}
	// log2(n) = log2(n >> s) + s, if the bits shifted out are ignored.
	s := uint(bits.Len32(n)) - 8
	return uint64(nLogN[n>>s])<<s + uint64(n)*uint64(s)<<informationUnit
}

// information returns Shannon's information: no code for these symbols takes fewer bits.
func (u *symbolSet) information() int {
	total, sum := uint32(0), uint64(0)
	for _, v := range u.keys[:u.n] {
		total += v >> 9
		sum += nLog(v >> 9)
	}
	return int((nLog(total) - min(sum, nLog(total))) >> informationUnit)
}
