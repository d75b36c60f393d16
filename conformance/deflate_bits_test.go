package conformance

// This file has compressed messages made by hand, bit by bit (RFC 1951), that no compressor makes.

import "bytes"

// A bitWriter writes the blocks of a message.
type bitWriter struct {
	b    []byte
	free int // free bits in the last byte
}

// put writes the n lowest bits of v, the least first (RFC 1951 §3.1.1).
func (w *bitWriter) put(v, n int) *bitWriter {
	for i := range n {
		if w.free == 0 {
			w.b, w.free = append(w.b, 0), 8
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (8 - w.free)
		w.free--
	}
	return w
}

// code writes a Huffman code, the most significant bit first.
func (w *bitWriter) code(v, n int) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		w.put(v>>i, 1)
	}
	return w
}

func (w *bitWriter) align() *bitWriter {
	w.free = 0
	return w
}

// stored writes a block of uncompressed bytes (§3.2.4).
func (w *bitWriter) stored(p []byte) *bitWriter {
	w.put(0, 3).align().put(len(p), 16).put(^len(p), 16)
	w.b = append(w.b, p...)
	return w
}

// fixed starts a block with the fixed codes (§3.2.6). end ends it.
func (w *bitWriter) fixed() *bitWriter { return w.put(2, 3) }
func (w *bitWriter) end() *bitWriter   { return w.code(0, 7) }

// three writes a reference of length 3 (§3.2.5).
func (w *bitWriter) three(distance int) *bitWriter {
	symbol, extra, base := 0, 0, 1
	for base+1<<extra <= distance {
		base += 1 << extra
		if symbol++; symbol >= 4 && symbol%2 == 0 {
			extra++
		}
	}
	return w.code(1, 7).code(symbol, 5).put(distance-base, extra)
}

// reference is a block of a single one.
func (w *bitWriter) reference(distance int) *bitWriter { return w.fixed().three(distance).end() }

// message ends the message with a sync flush, whose last four bytes are not sent (RFC 7692 §7.2.1).
func (w *bitWriter) message() []byte { return w.put(0, 3).b }

// lengths starts a block with codes of its own: so many symbols, and the lengths of the codes that
// the lengths are written with (§3.2.7), of the symbols 16, 17, 18, 0, 8, 7, ...
func (w *bitWriter) lengths(literals, distances int, codeLengths ...int) *bitWriter {
	w.put(4, 3).put(literals-257, 5).put(distances-1, 5).put(len(codeLengths)-4, 4)
	for _, n := range codeLengths {
		w.put(n, 3)
	}
	return w
}

// A corruptMessage is a payload that is not DEFLATE.
type corruptMessage struct {
	name    string
	payload []byte
}

// An oddMessage is one that is.
type oddMessage struct {
	name    string
	payload []byte
	says    string
}

// Codes for code lengths. 18 repeats zero as often as 7 more bits say, 16 the length before.
var (
	zerosOrOne   = []int{0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1} // 0 is 1, 1 is 18
	repeatOrOne  = []int{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1} // 0 is 1, 1 is 16
	zerosOneTwo  = []int{0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2} // 0 is 18, 10 is 1, 11 is 2
	threeOfOne   = []int{1, 1, 1, 0}
	nothing      = []int{0, 0, 0, 0}
	onlyOneOfTwo = []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2} // 00 is 1
)

// zeros writes the code of 18 in zerosOrOne, and its repeats.
func (w *bitWriter) zeros(n int) *bitWriter { return w.code(1, 1).put(n-11, 7) }

// ones writes so often the code of 1 in zerosOrOne.
func (w *bitWriter) ones(n int) *bitWriter { return w.code(0, n) }

// literals256 starts a block in which no literal below 256 has a code.
func literals256(literals, distances int) *bitWriter {
	return new(bitWriter).lengths(literals, distances, zerosOrOne...).zeros(138).zeros(118)
}

// codesUpTo is an empty message with codes for so many symbols, of which the last of either has
// one.
func codesUpTo(literals, distances int) []byte {
	return literals256(literals, distances).ones(1).zeros(literals-258).ones(1).zeros(distances-1).ones(1).code(0, 1).message()
}

var hello = []byte("\xf2\x48\xcd\xc9\xc9\x07\x00") // RFC 7692 §7.2.3.1

// corruptMessages: each breaks another rule of RFC 1951, or ends too early.
func corruptMessages() []corruptMessage {
	w := func() *bitWriter { return new(bitWriter) }
	a := func() *bitWriter { return w().fixed().code(0x30, 8) } // a literal, to begin with
	return []corruptMessage{
		{"block of type 3", w().put(6, 3).message()},
		{"last block of type 3", w().put(7, 3).message()},
		{"plain text", []byte("Hello, plain text")},
		{"0xff", bytes.Repeat([]byte{0xff}, 100)},
		{"cut after one byte", hello[:1]},
		{"cut after two bytes", hello[:2]},
		{"cut in its last block", hello[:5]},
		{"cut before its last block", a().b},
		{"the flush's last bytes in part", append(bytes.Clone(hello), 0, 0)},
		{"stored, and the complement is wrong", []byte("\x00\x05\x00\xfa\xfeHello\x00")},
		{"stored, and the length instead of its complement", []byte("\x00\x05\x00\x05\x00Hello\x00")},
		{"stored, and shorter than it says", []byte("\x00\x16\x00\xe9\xffHel")},
		{"stored, and longer than it says", []byte("\x00\x04\x00\xfb\xffHello\x00")},
		{"distance before the first byte", a().three(100).end().message()},
		{"distance of 32768 bytes", a().three(32768).end().message()},
		{"length symbol 286", a().code(0xc6, 8).code(0, 5).end().message()},
		{"length symbol 287", a().code(0xc7, 8).code(0, 5).end().message()},
		{"distance symbol 30", a().code(1, 7).code(30, 5).end().message()},
		{"distance symbol 31", a().code(1, 7).code(31, 5).end().message()},
		{"too many codes for lengths", w().lengths(257, 1, threeOfOne...).put(0, 300).message()},
		{"too few codes for lengths", w().lengths(257, 1, onlyOneOfTwo...).put(0, 600).message()},
		{"no codes for lengths", w().lengths(257, 1, nothing...).put(0, 300).message()},
		{"nothing to repeat", w().lengths(257, 1, repeatOrOne...).code(1, 1).put(0, 300).message()},
		{"more lengths than there are symbols", w().lengths(258, 1, zerosOrOne...).zeros(138).zeros(122).put(0, 100).message()},
		{"no end of the block", w().lengths(259, 1, zerosOrOne...).zeros(138).zeros(119).ones(3).put(0, 100).message()},
		{"too many literals", literals256(260, 1).ones(5).code(0, 1).message()},
		{"too many distances", literals256(257, 4).ones(5).code(0, 1).message()},
		{"too few literals", w().lengths(257, 1, zerosOneTwo...).code(0, 1).put(138-11, 7).code(0, 1).put(118-11, 7).code(3, 2).code(2, 2).code(0, 2).message()},
		{"287 literals", codesUpTo(287, 12)},
		{"288 literals", codesUpTo(288, 12)},
		{"31 distances", codesUpTo(269, 31)},
		{"32 distances", codesUpTo(269, 32)},
	}
}

// oddMessages look like some of those and are right, so it is the fault alone that is refused.
func oddMessages() []oddMessage {
	w := func() *bitWriter { return new(bitWriter) }
	return []oddMessage{
		{"one block", hello, "Hello"},
		{"stored", w().stored([]byte("Hello")).message(), "Hello"},
		{"stored, twice, then nothing", w().stored([]byte("Hel")).stored([]byte("lo")).stored(nil).message(), "Hello"},
		{"two blocks, as of RFC 7692 §7.2.3.5", []byte("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"},
		{"BFINAL, as of RFC 7692 §7.2.3.4", []byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"},
		{"BFINAL, and on", append([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00"), hello...), "HelloHello"},
		{"BFINAL, stored", []byte("\x01\x05\x00\xfa\xffHello\x00"), "Hello"},
		{"nothing but a flush, RFC 7692 §7.2.3.6", []byte{0}, ""},
		{"nothing in an empty block", []byte{0x02, 0}, ""},
		{"nothing in many blocks", append(bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 100), 0), ""},
		{"nothing in a dynamic block", literals256(257, 1).ones(2).code(0, 1).message(), ""},
		{"286 literals, 30 distances", codesUpTo(286, 30), ""},
	}
}
