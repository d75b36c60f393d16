// Package deflate compresses and decompresses messages with DEFLATE, RFC 1951.
//
// It is for a program that exchanges many messages with many peers. Such messages are often
// short, and one resembles the next. Compressed alone, a short message hardly shrinks. Compressed
// as a continuation of the messages before it, it shrinks to a third. For that, both sides keep
// the last bytes that were sent, and a program with 100,000 peers keeps them 100,000 times. So a
// [Compressor] and a [Decompressor] hold little between two messages: the window, whose size the
// program chooses, and a table of a few KiB. All other memory belongs to a call that runs, and
// calls share it.
//
// # Why not compress/flate
//
// The Writer of compress/flate takes up to 1.2 MB. It cannot take back a message that did not
// shrink. Its window always has 32 KiB, so it is of no use to a peer that keeps less. At some
// levels it forgets the data before a flush. Its Reader pulls its input from an [io.Reader], and
// so needs a waiting goroutine for a message that has arrived in part. A Decompressor is given
// its input instead.
//
// # The format
//
// DEFLATE is two ideas, one on top of the other. The first is LZ77: bytes that occurred before
// are replaced by a reference to them, which says how far back they are and how many.
//
//	{"bid":10.5,"ask":10.6}{"bid":10.4,"ask":10.7}
//	                       └───┬────┘ └───┬────┘
//	                       10 bytes,  10 bytes,
//	                       23 back    23 back
//
// Three kinds of symbols remain: literals, which are bytes as they are, lengths and distances.
// The second idea is Huffman's: each symbol is written as a word of bits, and frequent symbols
// have short words. The result is a sequence of blocks:
//
//	bits  1       2      …                                …
//	     ┌───────┬──────┬────────────────────────────────┬─────────────────┐
//	     │ final │ type │ 0: padding, length, complement │ bytes as given  │
//	     │       │      │ 1: nothing, the code is fixed  │ words of bits   │
//	     │       │      │ 2: the description of a code   │ words of bits   │
//	     └───────┴──────┴────────────────────────────────┴─────────────────┘
//
// A block of type 0 is called stored, one of type 1 fixed, one of type 2 dynamic.
//
// # Messages
//
// A message is some blocks. A stream of DEFLATE ends with a block whose final bit is set, but the
// stream of messages goes on. So a message ends with a flush, which is an empty stored block:
// three bits, padding, and the four bytes 00 00 ff ff. These four are the same in every message.
// A Compressor leaves them out, and a Decompressor puts them back. A Decompressor reads final
// blocks too, and then expects the next block at the next byte.
//
// # Windows
//
// The window is how far back a reference may reach. It has 2^n bytes, n being 8 to 15, and is
// called by n. Both sides must agree on it: a Compressor for a window of 2^12 bytes writes
// messages that every Decompressor for 2^12 bytes or more can read.
//
// # Reading the source
//
// Begin with tables.go, the numbers that RFC 1951 fixes. Then compress.go (the window),
// compress_match.go (LZ77), compress_block.go (the choice of a block's type, and its bits),
// compress_huffman.go (the best code for some symbols), and compress_plan.go (the description of
// a code). The other direction is decompress.go (messages in pieces), decompress_huffman.go
// (looking up words), decompress_symbols.go (the loop that takes the time), decompress_block.go
// (all else in a block), and decompress_history.go (the window).
package deflate
