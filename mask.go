package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
)

// Masking, RFC 6455 section 5.3: why a client XORs its payload, and how to do that fast.
//
// Every frame that a client sends carries a fresh 32-bit masking key. The client XORs the payload
// with that key, byte i with byte i modulo 4 of the key:
//
//	payload       'H'  'e'  'l'  'l'  'o'
//	              48   65   6c   6c   6f
//	key           37   fa   21   3d   37   fa   21   3d …
//	              ──   ──   ──   ──   ──
//	on the wire   7f   9f   4d   51   58
//
// XOR undoes itself, so the same function masks and unmasks.
//
// Masking hides nothing, because the key travels in the frame's header. It takes a choice away from
// the author of a web page: a script can choose its messages, but not the bytes on the wire.
// Without masks, an attacker's page could connect to the attacker's own server, through a proxy
// that knows nothing of WebSocket, and send a message that reads like an HTTP request for another
// site's script. The attacker's server sends a message that reads like the response. The proxy
// takes both for HTTP and caches the response, and every user behind that proxy then gets the
// attacker's script (section 10.3). So the attacker profits from an unmasked client, and the
// proxy's other users pay. A server's frames are not masked: no web page writes them.

// maskBytes masks b byte by byte, and turns the key to the next byte each time. This is all that
// masking is. The rest of the file does the same eight bytes at a time, and makes the keys.
func maskBytes(b []byte, key uint32) (next uint32) {
	for i := range b {
		b[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}

// mask XORs b in place with the masking key, whose lowest eight bits meet b[0]. It returns the key
// rotated for the byte after b, so that a payload can be masked in pieces.
//
// A 64-bit word holds the key twice. Eight words make one turn of the loop, which is as fast as
// plain Go gets. (crypto/subtle.XORBytes needs the key repeated in memory first, which costs more
// than it saves.) The last 8 bytes are read before the loop changes them, masked as one word, and
// stored last. So no loop over a tail is needed, which halves the time for 125 bytes.
func mask(b []byte, key uint32) (next uint32) {
	if len(b) >= 1024 {
		// Words that lie across two cache lines take half as long again. Begin at an address that
		// is a multiple of 8. The array behind b mostly ends at such an address, so the capacity
		// tells how far the next one is.
		odd := cap(b) % 8
		key, b = maskBytes(b[:odd], key), b[odd:]
	}
	if len(b) < 8 {
		return maskBytes(b, key)
	}
	next = bits.RotateLeft32(key, -8*(len(b)%4))
	k := uint64(key)<<32 | uint64(key)
	last := b[len(b)-8:]
	masked := binary.LittleEndian.Uint64(last) ^ bits.RotateLeft64(k, -8*(len(b)%8))
	for len(b) > 64 { // not >=: b[64:] of a longer slice costs one addition
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

// maskWords masks four words. The compiler inlines it.
func maskWords(b []byte, k uint64) {
	_ = b[31]
	binary.LittleEndian.PutUint64(b[0:], binary.LittleEndian.Uint64(b[0:])^k)
	binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^k)
	binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^k)
	binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^k)
}

// A keySource holds random bytes for masking keys. Asking the kernel for four bytes at a time would
// cost more than masking.
type keySource struct {
	random [512]byte
	used   int
}

var keySources = sync.Pool{New: func() any { return &keySource{used: len(keySource{}.random)} }}

// newMaskingKey returns a key for one frame. A script that could predict the key could choose the
// bytes on the wire after all: "The masking key needs to be unpredictable" and derived "from a
// strong source of entropy" (RFC 6455 section 5.3).
func newMaskingKey() uint32 {
	s := keySources.Get().(*keySource)
	if s.used == len(s.random) {
		rand.Read(s.random[:]) // never fails
		s.used = 0
	}
	key := binary.LittleEndian.Uint32(s.random[s.used:])
	s.used += 4
	keySources.Put(s)
	return key
}
