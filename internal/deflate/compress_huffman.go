package deflate

import (
	"math"
	"math/bits"
)

// Making a Huffman code, RFC 1951 section 3.2.2 and 3.2.7.
//
// A block may bring its own code: short words for what is frequent in it, long
// ones for what is rare. Huffman's tree is the best that can be done with whole
// bits. Join the two rarest symbols to one, which is as frequent as both
// together, and go on until one is left; a symbol's word is then as long as its
// way from the root:
//
//	a:5  b:2  c:1  d:1          9
//	                          ┌─┴─┐
//	c+d=2, b+2=4, a+4=9       a   4       a 1 bit, b 2 bits, c and d 3 bits:
//	                            ┌─┴─┐     5·1 + 2·2 + 3 + 3 = 15 bits
//	                            b   2     instead of 18
//	                              ┌─┴─┐
//	                              c   d
//
// Only the lengths of the words are sent: those alone define the words.

// A huffWord is a word, reversed so that it can be written as it is, and its
// length above it.
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

// wordCounts is how many words of a code have how many bits.
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

// A symbolSet is the symbols that occur in a block, in their order.
type symbolSet struct {
	keys    [numLit]uint32 // frequency above, symbol in the low 9 bits
	n       int
	highest uint32 // frequency
}

func (u *symbolSet) gather(freq []uint32) {
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

// end is one more than the last symbol that occurs.
func (u *symbolSet) end() int { return int(u.keys[u.n-1]&511) + 1 }

// bits is what the symbols take with words of these lengths.
func (u *symbolSet) bits(lengths []uint8) (n int) {
	for _, v := range u.keys[:u.n] {
		n += int(v>>9) * int(lengths[v&511])
	}
	return n
}

// A treeBuilder is what making a code takes.
type treeBuilder struct {
	sorted, swap [numLit]uint32
	leaf         [numLit + 1]uint32 // weights: of the symbols as sorted,
	joint        [numLit + 1]uint32 // and of joints as they are made
	leafParent   [numLit + 1]uint16 // which joint
	jointParent  [numLit + 1]uint16
	depth        [numLit]uint8 // of joints
}

// lengths computes how long the words of the symbols are to be, at most limit,
// and 0 for symbols that do not occur.
func (t *treeBuilder) lengths(dst []uint8, u *symbolSet, limit int) wordCounts {
	clear(dst)
	if u.n < 2 { // a word has one bit at least
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

// sort orders the symbols by frequency: a counting sort by the frequency's low
// octet, and another by the high one where there is one. Nothing in a block
// occurs more than 65,535 times.
func (t *treeBuilder) sort(u *symbolSet) {
	countingSort(t.sorted[:u.n], u.keys[:u.n], 9, min(u.highest, 255))
	if u.highest > 255 {
		copy(t.swap[:u.n], t.sorted[:u.n])
		countingSort(t.sorted[:u.n], t.swap[:u.n], 17, u.highest>>8)
	}
}

// countingSort orders by the eight bits above shift, which are at most highest.
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

// join makes the tree of the first n symbols. Joints come into being in the
// order of their weight, so the two lightest nodes are always among the first
// leaves and the first joints that have no parent yet: no heap is needed.
func (t *treeBuilder) join(n int) {
	for i, v := range t.sorted[:n] {
		t.leaf[i] = v >> 9
	}
	t.leaf[n] = math.MaxUint32
	leaf, joint := 0, 0
	for made := range n - 1 {
		t.joint[made] = math.MaxUint32 // not yet made, not to be taken
		sum := uint32(0)
		for range 2 {
			l, j := t.leaf[leaf], t.joint[joint]
			fromLeaf := 0
			if l <= j {
				fromLeaf = 1
			}
			// Both queues' heads get this parent; the one that is not taken
			// gets its own when it is.
			t.leafParent[leaf] = uint16(made)
			t.jointParent[joint] = uint16(made)
			sum += min(l, j)
			leaf += fromLeaf
			joint += 1 - fromLeaf
		}
		t.joint[made] = sum
	}
}

// depths counts how many leaves lie how deep, and shortens what is deeper than
// limit: those leaves move up to limit, which is more words than there is room
// for, until enough others have moved down.
func (t *treeBuilder) depths(n, limit int) (count wordCounts) {
	root := n - 2
	t.depth[root] = 0
	for i := root - 1; i >= 0; i-- {
		t.depth[i] = t.depth[t.jointParent[i]] + 1
	}
	for _, p := range t.leafParent[:n] {
		count[min(int(t.depth[p])+1, limit)]++
	}
	excess := -1 << limit // in words of limit bits
	for l := 1; l <= limit; l++ {
		excess += count[l] << (limit - l)
	}
	for ; excess > 0; excess-- {
		// A leaf above goes down one level and makes room beside it for one
		// from the bottom.
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

// informationUnit is the resolution of information: 2^-8 bit.
const informationUnit = 8

// nLogN[n] is n·log2(n) in units of information.
var nLogN = func() (t [256]uint32) {
	for n := range t {
		if n > 0 {
			t[n] = uint32(float64(n) * math.Log2(float64(n)) * (1 << informationUnit))
		}
	}
	return t
}()

func nLog(n uint32) uint64 {
	if n < 256 {
		return uint64(nLogN[n])
	}
	// log2(n) = log2(n >> s) + s, but for the bits shifted out.
	s := uint(bits.Len32(n)) - 8
	return uint64(nLogN[n>>s])<<s + uint64(n)*uint64(s)<<informationUnit
}

// information is Shannon's: what any code for these symbols takes at least, in
// bits.
func (u *symbolSet) information() int {
	total, sum := uint32(0), uint64(0)
	for _, v := range u.keys[:u.n] {
		total += v >> 9
		sum += nLog(v >> 9)
	}
	return int((nLog(total) - min(sum, nLog(total))) >> informationUnit)
}
