package websocket

import (
	"encoding/binary"
	"math/bits"
)

// Masking, RFC 6455 section 5.3.
//
// Every frame that a client sends carries a fresh 32-bit masking key, and its
// payload is XORed with that key, octet i with octet i modulo 4 of the key:
//
//	payload       'H'  'e'  'l'  'l'  'o'
//	              48   65   6c   6c   6f
//	key           37   fa   21   3d   37   fa   21   3d …
//	              ──   ──   ──   ──   ──
//	on the wire   7f   9f   4d   51   58
//
// This hides nothing, for the key travels in the frame's header. It keeps a
// script in a browser from choosing the octets that go over the wire, so that
// it cannot write what an ignorant proxy would take for an HTTP request and
// cache (section 10.3). XOR undoes itself: the same function masks and unmasks.

// mask XORs b in place with the masking key, whose lowest eight bits meet b[0],
// and returns the key as it must be for the octet after b: a payload may be
// masked in pieces.
//
// One word of 64 bits holds the key twice, and eight words make one turn of
// the loop: this is as fast as plain Go gets (crypto/subtle.XORBytes needs the
// key repeated in memory first, which costs more than it saves). What does not
// fill a word at the end is masked with the octets before it, as the last word,
// which is read before they are changed: that halves the time for 125 octets.
func mask(b []byte, key uint32) (next uint32) {
	if len(b) >= 1024 {
		// Words that lie across two cache lines take half as long again. An array
		// mostly ends at a multiple of 8, so the capacity tells where words begin.
		odd := cap(b) % 8
		key, b = maskOctets(b[:odd], key), b[odd:]
	}
	if len(b) < 8 {
		return maskOctets(b, key)
	}
	next = bits.RotateLeft32(key, -8*(len(b)%4))
	k := uint64(key)<<32 | uint64(key)
	last := b[len(b)-8:]
	masked := binary.LittleEndian.Uint64(last) ^ bits.RotateLeft64(k, -8*(len(b)%8))
	for len(b) > 64 { // not >=: b[64:] of what is longer costs one addition
		maskWords(b[:32], k)
		maskWords(b[32:64], k)
		b = b[64:]
	}
	if len(b) > 32 {
		maskWords(b[:32], k)
		b = b[32:]
	}
	for ; len(b) > 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
	}
	binary.LittleEndian.PutUint64(last, masked)
	return next
}

// maskOctets is mask for a few octets.
func maskOctets(b []byte, key uint32) (next uint32) {
	for i := range b {
		b[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}

// maskWords masks four words. It is inlined.
func maskWords(b []byte, k uint64) {
	_ = b[31]
	binary.LittleEndian.PutUint64(b[0:], binary.LittleEndian.Uint64(b[0:])^k)
	binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^k)
	binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^k)
	binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^k)
}
