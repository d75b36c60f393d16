package websocket

import (
	"bytes"
	"fmt"
	"testing"
)

// maskByTheBook masks by section 5.3's definition, word for word:
//
//	j                   = i MOD 4
//	transformed-octet-i = original-octet-i XOR masking-key-octet-j
func maskByTheBook(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i%4]
	}
}

func TestMaskVector(t *testing.T) {
	// Section 5.7: "A single-frame masked text message", contains "Hello".
	b := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}
	mask(b, 0x3d21fa37)
	if string(b) != "Hello" {
		t.Errorf("unmasked %q, want Hello", b)
	}
}

// The lengths are all those up to several turns of the unrolled loop, and some around 1024, from which
// on mask aligns words. Each is tried at every alignment of the slice and of its array's end. The
// bytes around the slice must not change.
func TestMaskMatchesDefinition(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	plain := make([]byte, 1200)
	for i := range plain {
		plain[i] = byte(i * 7)
	}
	lengths := []int{1023, 1024, 1025, 1031, 1032, 1100}
	for n := range 200 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		for start := range 8 {
			for cut := range 8 {
				got, want := bytes.Clone(plain), bytes.Clone(plain)
				mask(got[start:start+n:len(got)-cut], 0x3d21fa37)
				maskByTheBook(want[start:start+n], key)
				if !bytes.Equal(got, want) {
					t.Fatalf("length %d, start %d, end cut by %d: masked differently from section 5.3", n, start, cut)
				}
			}
		}
	}
}

func TestMaskInPieces(t *testing.T) {
	whole := bytes.Repeat([]byte("what goes in pieces comes out whole "), 9)
	want := bytes.Clone(whole)
	mask(want, 0x04030201)
	for cut := range whole {
		got := bytes.Clone(whole)
		next := mask(got[:cut], 0x04030201)
		mask(got[cut:], next)
		if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: differs from masking the whole", cut)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, key uint32, cut uint8) {
		got, want := bytes.Clone(b), bytes.Clone(b)
		at := min(int(cut), len(b))
		mask(got[at:], mask(got[:at], key))
		maskByTheBook(want, [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)})
		if !bytes.Equal(got, want) {
			t.Errorf("mask(%x, %08x) in pieces = %x, want %x", b, key, got, want)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	for _, n := range []int{16, 125, 1024, 4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				mask(p, 0x3d21fa37)
			}
		})
	}
}
