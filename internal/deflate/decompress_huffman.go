package deflate

import "math/bits"

// This file looks up the words of a Huffman code, RFC 1951 section 3.2.
//
// A block of DEFLATE is a string of symbols, each written as a word of the block's code. No word
// begins with another word, so the next bits of the input name exactly one symbol. A table says
// which:
//
//	symbol  word      the next three bits: symbol and its word's length
//	  A     0         000 A 1    010 A 1    100 B 2    110 C 3
//	  B     10        001 A 1    011 A 1    101 B 2    111 D 3
//	  C     110
//	  D     111
//
// Every index that begins with A's word holds A and the length 1, and so on. One look-up gives
// the symbol and how many bits to take from the input.
//
// Words have up to 15 bits. A table of 32,768 entries would take longer to fill than most
// messages take to read. So the first level of a table looks at the first bits only. For a longer
// word, it holds a pointer to a second level, which looks at the rest:
//
//	input  ... r r r r r r r r r | s s s ...
//	          index of level one    index of level two, in the table
//	                                that level one's entry names
//
// The first bit of the input is the lowest bit of its first byte, but the first bit of a word is
// its highest (section 3.1.1). So words are stored reversed.

// The first levels have 2^litRootBits and 2^distRootBits entries. The second levels need at most
// 852-512 and 402-256 more, by a trial of every set of lengths, as zlib's enough.c makes it. The
// sizes of the tables are rounded up to powers of two, so that a mask proves every index good.
const (
	litRootBits  = 9
	distRootBits = 8

	litTableSize  = 1024
	distTableSize = 512
)

// A tableEntry is an entry of a table:
//
//	31 ............ 16 | 15  14  13  12 | 11 ..... 8 | 7 ......... 0
//	value              | kind           | word's bits| bits in all
//
// The value is a literal's byte, or the base to which the extra bits of a length or a distance
// are added (section 3.2.5). "Bits in all" counts these extra bits too. In a pointer, the value
// is where the second level starts, "bits in all" is the number of bits that index the first
// level, and "word's bits" the number of bits that index the second.
type tableEntry = uint32

const (
	entryLiteral tableEntry = 1 << 15
	entryEnd     tableEntry = 1 << 14 // the end of the block
	entryPointer tableEntry = 1 << 13
	entryInvalid tableEntry = 1 << 12

	entryValue = 16 // shifts
	entryWord  = 8
)

// litEntries, distEntries and preEntries are the entries of all symbols, without the length of
// the word. That length depends on the block's code, and is added to both counts of bits.
var litEntries, distEntries, preEntries = symbolEntries()

func symbolEntries() (lit [288]tableEntry, dist [32]tableEntry, pre [19]tableEntry) {
	for s := range lit {
		switch {
		case s < endOfBlock:
			lit[s] = entryLiteral | tableEntry(s)<<entryValue
		case s == endOfBlock:
			lit[s] = entryEnd
		case s < numLit:
			k := s - endOfBlock - 1
			lit[s] = tableEntry(lengthBase[k])<<entryValue | tableEntry(lengthExtra[k])
		default: // 286 and 287 have words in the fixed code but never occur
			lit[s] = entryInvalid
		}
	}
	for s := range dist {
		dist[s] = entryInvalid // so are 30 and 31
		if s < numDist {
			dist[s] = tableEntry(distBase(s))<<entryValue | tableEntry(distExtra(s))
		}
	}
	for s := range pre {
		pre[s] = tableEntry(s) << entryValue
	}
	return lit, dist, pre
}

// decodeTables are the tables of the block that is being read.
type decodeTables struct {
	lit  [litTableSize]tableEntry
	dist [distTableSize]tableEntry
}

// fixedTables are the tables of every fixed block (section 3.2.6).
var fixedTables = func() *decodeTables {
	t := new(decodeTables)
	lit, dist := fixedLengths()
	buildTable(t.lit[:], litRootBits, lit[:], litEntries[:])
	buildTable(t.dist[:], distRootBits, dist[:], distEntries[:])
	return t
}()

// buildTable fills table for the code in which symbol s has a word of lengths[s] bits, or no word
// if that is 0. The lengths define the code (section 3.2.2): shorter words come before longer
// ones, and words of one length are in the order of their symbols.
//
// It reports whether the lengths are valid. Every string of bits must begin with exactly one
// word. There are two exceptions, as in every decoder. A code may have no word, if its symbols
// are not used: a block of literals has no distances. And a code may have a single word, which
// then has one bit (section 3.2.7).
func buildTable(table []tableEntry, rootBits uint, lengths []uint8, entries []tableEntry) bool {
	var count [maxCodeBits + 1]uint16
	used := 0
	for _, n := range lengths {
		if n != 0 {
			count[n&15]++
			used++
		}
	}
	switch left := wordsLeft(&count); {
	case left < 0, left > 0 && used > 1, left > 0 && used == 1 && count[1] != 1:
		return false
	case left > 0:
		fillHalf(table[:1<<rootBits], lengths, entries)
		return true
	}
	var sorted [numLit + 2]uint16
	sortSymbols(&sorted, lengths, &count)
	f := tableFiller{table: table, root: rootBits, entries: entries, count: &count}
	f.fill(sorted[:used])
	return true
}

// wordsLeft returns how many strings of the greatest length begin with none of the words counted.
// It is 0 if the code is complete, and negative if there are too many words.
func wordsLeft(count *[maxCodeBits + 1]uint16) int {
	left := 1
	for _, n := range count[1:] {
		if left = left<<1 - int(n); left < 0 {
			break
		}
	}
	return left
}

// sortSymbols puts the symbols into the order of their words.
func sortSymbols(sorted *[numLit + 2]uint16, lengths []uint8, count *[maxCodeBits + 1]uint16) {
	var start [maxCodeBits + 1]uint16
	for n := 1; n < maxCodeBits; n++ {
		start[n+1] = start[n] + count[n]
	}
	for s, n := range lengths {
		if n != 0 {
			sorted[start[n&15]] = uint16(s)
			start[n&15]++
		}
	}
}

// fillHalf makes the table of a code that has one word, the bit 0, or no word. All other entries
// are invalid.
func fillHalf(table []tableEntry, lengths []uint8, entries []tableEntry) {
	word := entryInvalid
	for s, n := range lengths {
		if n == 1 {
			word = entries[s]
		}
	}
	for i := 0; i < len(table); i += 2 {
		table[i] = word + 1<<entryWord + 1
		table[i+1] = entryInvalid + 1<<entryWord + 1
	}
}

// A tableFiller enters words into a table, those of the first level and those of the second.
type tableFiller struct {
	table   []tableEntry
	root    uint
	entries []tableEntry
	count   *[maxCodeBits + 1]uint16 // words of each length
}

// fill enters the symbols, which are in the order of their words. As long as words fit level one,
// the table grows with them. While words of n bits are entered, each once, it has 2^n entries.
// When n grows, the table is copied behind itself, because the next bit makes no difference to an
// entry of n bits.
func (f *tableFiller) fill(sorted []uint16) {
	word, size := 0, 1 // the next word, reversed, and how many entries are filled
	n := uint(1)
	for ; n <= f.root && len(sorted) > 0; n++ {
		copy(f.table[size:2*size], f.table[:size])
		size *= 2
		add := tableEntry(n<<entryWord | n)
		for _, s := range sorted[:f.count[n]] {
			f.table[word] = f.entries[s] + add
			word = nextWord(word, size-1)
		}
		sorted = sorted[f.count[n]:]
	}
	for ; size < 1<<f.root; size *= 2 {
		copy(f.table[size:2*size], f.table[:size])
	}
	if len(sorted) > 0 {
		f.fillSecond(sorted, n, word)
	}
}

// fillSecond enters the words that are too long for level one. The first of them has n bits.
func (f *tableFiller) fillSecond(sorted []uint16, n uint, word int) {
	rootMask := 1<<f.root - 1
	prefix, start, subBits := -1, 0, uint(0)
	next := 1 << f.root // the start of the next second level
	left := int(f.count[n])
	for _, s := range sorted {
		for left == 0 {
			n++
			left = int(f.count[n])
		}
		if word&rootMask != prefix {
			prefix, start = word&rootMask, next
			subBits = f.secondBits(n, left)
			next += 1 << subBits
			f.table[prefix] = entryPointer | tableEntry(start)<<entryValue |
				tableEntry(subBits<<entryWord) | tableEntry(f.root)
		}
		e := f.entries[s] + tableEntry(n<<entryWord|n)
		for i := word >> f.root; i < 1<<subBits; i += 1 << (n - f.root) {
			f.table[start+i] = e
		}
		left--
		word = nextWord(word, 1<<n-1)
	}
}

// secondBits returns how many bits index a second level. Its first word has n bits, and left
// words of that length are still to come. The bits must be enough for its longest word, which is
// the word with which it is full.
func (f *tableFiller) secondBits(n uint, left int) uint {
	room := 1<<(n-f.root) - left
	for room > 0 && n < maxCodeBits {
		n++
		room = room<<1 - int(f.count[n])
	}
	return n - f.root
}

// nextWord returns the word that follows w among those of its length. mask has all bits of a word
// set. Words are reversed, so the carry of adding 1 runs down from the highest bit. If the
// following word is one bit longer, its new highest bit is zero, and nothing changes.
func nextWord(w, mask int) int {
	bit := 1 << bits.Len(uint(w^mask)) >> 1 // the highest zero
	return w&(bit-1) | bit
}
