package deflate

import "math/bits"

// What RFC 1951 fixes in advance, for both directions.

// The alphabet of literals and lengths (section 3.2.5): 0..255 are octets, 256
// ends the block, 257..285 are lengths.
const (
	endOfBlock = 256
	numLit     = 286
	numDist    = 30
	numPre     = 19 // the alphabet of code lengths, section 3.2.7

	maxCodeBits = 15 // of a word
	maxPreBits  = 7  // of a word of the code length code

	minMatch = 3
	maxMatch = 258
)

// The types of a block (section 3.2.3).
const (
	blockStored  = 0
	blockFixed   = 1
	blockDynamic = 2
)

// preOrder is the order in which the lengths of the code length code are sent:
// what is rarely used comes last, so that it can be left out.
var preOrder = [numPre]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// repeatBits are the extra bits of the code length code's symbols: 16, 17 and 18
// say how often a length is repeated.
func repeatBits(symbol int) uint {
	switch symbol {
	case 16:
		return 2
	case 17:
		return 3
	case 18:
		return 7
	}
	return 0
}

// A length is a symbol, which names a range, and extra bits, which say where in
// the range:
//
//	symbol  257  258  ...  264  265    266    ...  284      285
//	length   3    4   ...   10  11-12  13-14  ...  227-257  258
//	extra    0    0   ...    0  1      1      ...  5        0
var lengthBase, lengthExtra, lengthSymbol = lengthTables()

// lengthTables computes the table of section 3.2.5: ranges double after every
// fourth symbol, and 258, the longest, has a symbol of its own. symbol is
// indexed by the length - 3 and counts from 257.
func lengthTables() (base [29]uint16, extra [29]uint8, symbol [256]uint8) {
	n := minMatch
	for s := range base {
		if s >= 8 {
			extra[s] = uint8(s/4 - 1)
		}
		base[s] = uint16(n)
		for i := range 1 << extra[s] {
			symbol[min(n+i-minMatch, 255)] = uint8(s)
		}
		n += 1 << extra[s]
	}
	base[28], extra[28], symbol[255] = maxMatch, 0, 28
	return base, extra, symbol
}

// A distance works likewise, its ranges doubling after every second symbol, so
// that the symbol can be read off the number's highest two bits:
//
//	symbol    0  1  2  3  4    5    6     ...  29
//	distance  1  2  3  4  5-6  7-8  9-12  ...  24577-32768
//	extra     0  0  0  0  1    1    2     ...  13
func distSymbol(dist int) (symbol, extra uint) {
	d := uint(dist - 1)
	if d < 2 {
		return d, 0
	}
	extra = uint(bits.Len(d)) - 2
	return 2*extra + d>>extra, extra
}

func distExtra(symbol int) int { return max(symbol/2-1, 0) }

func distBase(symbol int) int {
	if symbol < 2 {
		return symbol + 1
	}
	return (2+symbol&1)<<distExtra(symbol) + 1
}

// fixedLengths are the code of section 3.2.6, which needs no description in
// the block. Its last two symbols of either alphabet never occur; they are
// there to make the codes complete.
func fixedLengths() (lit [288]uint8, dist [32]uint8) {
	for s := range lit {
		switch {
		case s < 144:
			lit[s] = 8
		case s < 256:
			lit[s] = 9
		case s < 280:
			lit[s] = 7
		default:
			lit[s] = 8
		}
	}
	for s := range dist {
		dist[s] = 5
	}
	return lit, dist
}
