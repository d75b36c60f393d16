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
// key repeated in memory first, which costs more than it saves).
func mask(b []byte, key uint32) (next uint32) {
	next = bits.RotateLeft32(key, -8*(len(b)%4))
	k := uint64(key)<<32 | uint64(key)
	for len(b) >= 64 {
		w := b[:64:64]
		binary.LittleEndian.PutUint64(w[0:], binary.LittleEndian.Uint64(w[0:])^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		binary.LittleEndian.PutUint64(w[32:], binary.LittleEndian.Uint64(w[32:])^k)
		binary.LittleEndian.PutUint64(w[40:], binary.LittleEndian.Uint64(w[40:])^k)
		binary.LittleEndian.PutUint64(w[48:], binary.LittleEndian.Uint64(w[48:])^k)
		binary.LittleEndian.PutUint64(w[56:], binary.LittleEndian.Uint64(w[56:])^k)
		b = b[64:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	if len(b) >= 4 {
		binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)^key)
		b = b[4:]
	}
	// All steps so far were whole turns of the key, so the rest begins with
	// its first octet.
	for i := range b {
		b[i] ^= byte(key >> (8 * i))
	}
	return next
}
