package deflate

import (
	"encoding/binary"
	"math/bits"
)

// This file finds references, by LZ77.
//
// A table says, for a hash of four bytes, where these bytes were last seen:
//
//	position  0        8        16       24
//	          the cat, the dog, the fox
//	                            ▲ hash("the ") ──► table ──► 9: "the " again?
//	                                                 └ now 18, for the next
//
// An entry may be wrong. Other bytes may have the same hash, or the bytes at that position may
// have left the window long ago. So the bytes there are compared, and a wrong entry does no harm.
// This is why entries need only 16 bits, positions modulo 65,536. It is also why the table is
// neither cleared nor corrected when the window moves on, or when a message is taken back.

// A sequence is some literals and the match that follows them. If no match follows the last
// literals of a block, length is 0.
type sequence struct {
	literals     uint32
	length, dist uint16
}

const (
	maxSequences = 4096
	maxBlock     = 65535 // bytes: a stored block holds no more
)

// Masks for the bytes that are hashed and must be equal.
const (
	hashFour  = 1<<32 - 1
	hashThree = 1<<24 - 1
)

// A matchFinder looks for matches in a buffer.
type matchFinder struct {
	table []uint16 // 2^n entries
	base  uint16   // the position of the buffer's first byte
	reach int      // the longest distance
	mask  uint32   // hashFour or hashThree
	shift uint     // shifts out all but the hash's n highest bits
}

func newMatchFinder(table []uint16, reach int, mask uint32) matchFinder {
	shift := 32 - bits.Len(uint(len(table)-1))
	return matchFinder{table: table, reach: reach, mask: mask, shift: uint(shift)}
}

// hashFactor is 2^32 divided by the golden ratio. If bytes differ anywhere, their products with
// it differ in the highest bits.
const hashFactor = 0x9e3779b1

// longEnough is the length of a match that is taken without a look for a longer one.
const longEnough = 32

// find divides buf[from:] into sequences. It returns how many there are, and the position at
// which it stopped: the end of buf, or an earlier one if seqs is full.
func (m *matchFinder) find(seqs []sequence, buf []byte, from int) (n, next int) {
	literals := from
	for n < len(seqs) {
		i, dist := m.search(buf, literals)
		if dist == 0 {
			break
		}
		length := matchLen(buf, i, dist)
		// If the next byte begins a longer match, one more literal is the better choice.
		for length < longEnough {
			d := m.look(buf, i+1)
			if d == 0 {
				break
			}
			l := matchLen(buf, i+1, d)
			if l <= length {
				break
			}
			i, length, dist = i+1, l, d
		}
		seqs[n] = sequence{uint32(i - literals), uint16(length), uint16(dist)}
		n++
		literals = i + length
		m.enter(buf, i+2, literals)
	}
	if n < len(seqs) && literals < len(buf) {
		seqs[n] = sequence{literals: uint32(len(buf) - literals)}
		return n + 1, len(buf)
	}
	return n, literals
}

// search returns the first position from i on that has a match, and the distance, which is 0 if
// there is no match. If it finds nothing for long, it looks at every second position only, then
// at every third, and so on: such data is probably compressed already, and not worth the time.
func (m *matchFinder) search(buf []byte, i int) (at, dist int) {
	table, shift, start := m.table, m.shift&31, i
	for last := len(buf) - 4; i <= last; i += 1 + (i-start)>>7 {
		v := binary.LittleEndian.Uint32(buf[i:])
		h := v & m.mask * hashFactor >> shift
		if h >= uint32(len(table)) {
			break
		}
		pos := m.base + uint16(i)
		dist := int(pos - table[h])
		table[h] = pos
		if uint(dist-1) < uint(min(i, m.reach)) &&
			(binary.LittleEndian.Uint32(buf[i-dist:])^v)&m.mask == 0 {
			return i, dist
		}
	}
	return i, 0
}

// look returns the distance of a match at position i, 0 if there is none.
func (m *matchFinder) look(buf []byte, i int) (dist int) {
	if i > len(buf)-4 {
		return 0
	}
	v := binary.LittleEndian.Uint32(buf[i:])
	entry := &m.table[v&m.mask*hashFactor>>(m.shift&31)]
	pos := m.base + uint16(i)
	dist = int(pos - *entry)
	*entry = pos
	if uint(dist-1) < uint(min(i, m.reach)) &&
		(binary.LittleEndian.Uint32(buf[i-dist:])^v)&m.mask == 0 {
		return dist
	}
	return 0
}

// enter puts every third position of a match into the table. With fewer, matches would be
// shorter. With more, the table would forget sooner.
func (m *matchFinder) enter(buf []byte, i, end int) { m.enterEach(buf, i, end, 3) }

// enterEach puts every step-th position of buf[i:end] into the table.
func (m *matchFinder) enterEach(buf []byte, i, end, step int) {
	table, shift := m.table, m.shift&31
	for end = min(end, len(buf)-3); i < end; i += step {
		v := binary.LittleEndian.Uint32(buf[i:])
		table[v&m.mask*hashFactor>>shift] = m.base + uint16(i)
	}
}

// matchLen returns how many bytes of buf[i:] equal the bytes dist before them, at most maxMatch.
func matchLen(buf []byte, i, dist int) int {
	a := buf[i:min(len(buf), i+maxMatch)]
	b := buf[i-dist:]
	b = b[:len(a)]
	n := 0
	for len(a)-n >= 8 {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}
