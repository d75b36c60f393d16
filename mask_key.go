package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// keySource holds random octets for masking keys: asking the kernel for four
// at a time would cost more than masking.
type keySource struct {
	octets [512]byte
	used   int
}

var keySources = sync.Pool{New: func() any { return &keySource{used: len(keySource{}.octets)} }}

// newMaskingKey returns a key for one frame: "The masking key needs to be
// unpredictable" and derived "from a strong source of entropy" (RFC 6455
// section 5.3).
func newMaskingKey() uint32 {
	s := keySources.Get().(*keySource)
	if s.used == len(s.octets) {
		rand.Read(s.octets[:]) // never fails
		s.used = 0
	}
	key := binary.LittleEndian.Uint32(s.octets[s.used:])
	s.used += 4
	keySources.Put(s)
	return key
}
