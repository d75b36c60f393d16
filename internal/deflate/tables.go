package deflate

import "math/bits"

// This file holds the numbers that RFC 1951 fixes. Both directions use them.

// In the alphabet of literals and lengths (section 3.2.5), 0 to 255 are bytes, 256 ends the
// block, and 257 to 285 are lengths.
const (
	endOfBlock = 256
	numLit     = 286 // symbols of literals and lengths
	numDist    = 30  // symbols of distances
	numPre     = 19  // symbols of the code length code, section 3.2.7

	maxCodeBits = 15 // the longest word
	maxPreBits  = 7  // the longest word of the code length code

	minMatch = 3
	maxMatch = 258
)

// The types of a block (section 3.2.3).
const (
	blockStored  = 0
	blockFixed   = 1
	blockDynamic = 2
)

// preOrder is the order in which the lengths of the code length code are sent. Rare symbols come
// last, so that their lengths can be left out.
var preOrder = [numPre]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// repeatBits returns how many extra bits follow a symbol of the code length code. The symbols 16,
// 17 and 18 stand for repetitions, and their extra bits say how many.
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

// A length is written as a symbol, which names a range, and extra bits, which name a place in the
// range:
//
//	symbol  257  258  ...  264  265    266    ...  284      285
//	length   3    4   ...   10  11-12  13-14  ...  227-257  258
//	extra    0    0   ...    0  1      1      ...  5        0
var lengthBase, lengthExtra, lengthSymbol = lengthTables()

// lengthTables computes the table of section 3.2.5. The ranges double after every fourth symbol,
// and 258, the longest length, has a symbol of its own. base and extra are indexed by the symbol
// - 257, and symbol, which holds symbols - 257, by the length - 3.
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

// distSymbol returns the symbol of a distance and how many extra bits it has. Distances are
// written as lengths are. Their ranges double after every second symbol, so the symbol follows
// from the length of the number and its highest two bits:
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

// distExtra returns how many extra bits follow a distance's symbol.
func distExtra(symbol int) int { return max(symbol/2-1, 0) }

// distBase returns the first distance of a symbol's range.
func distBase(symbol int) int {
	if symbol < 2 {
		return symbol + 1
	}
	return (2+symbol&1)<<distExtra(symbol) + 1
}

// fixedLengths returns the lengths of the words of the code of section 3.2.6, which needs no
// description in the block. The last two symbols of each alphabet never occur. They make the
// codes complete.
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
