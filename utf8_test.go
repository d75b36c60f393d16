package websocket

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// mayBegin reports whether some valid text begins with p. utf8State must agree with it at every byte.
func mayBegin(p []byte) bool {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(p)
		}
		p = p[n:]
	}
	return true
}

func TestUTF8FirstWrongByte(t *testing.T) {
	for _, tt := range []struct {
		in   string
		fail int // index of the first wrong byte, -1 for none
	}{
		{"", -1},
		{"Hello", -1},
		{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", -1},
		{"\xf0\x9f\x98\x80", -1},
		{"\xf4\x8f\xbf\xbf", -1},        // U+10FFFF
		{"\xf4\x90\x80\x80", 1},         // U+110000: the second byte says so
		{"\xed\x9f\xbf", -1},            // U+D7FF
		{"\xed\xa0\x80", 1},             // U+D800, a surrogate
		{"\xe0\x9f\xbf", 1},             // overlong
		{"\xf0\x8f\xbf\xbf", 1},         // overlong
		{"\xc0\x80", 0},                 // overlong NUL: c0 can begin nothing
		{"\xc1\xbf", 0},                 //
		{"\xf5\x80\x80\x80", 0},         // beyond every plane
		{"\xff", 0},                     //
		{"\x80", 0},                     // continuation without a first byte
		{"abc\xbfd", 3},                 //
		{"\xe2\x82", -1},                // not complete, but not wrong
		{"\xe2\x82a", 2},                // cut short
		{"\xf0\x9f\x98a", 3},            //
		{"12345678\xce\xbaabc\xfe", 13}, //
	} {
		var s utf8State
		got := -1
		for i := range len(tt.in) {
			if !s.valid([]byte(tt.in[i : i+1])) {
				got = i
				break
			}
		}
		if got != tt.fail {
			t.Errorf("%q byte by byte: failed at %d, want %d", tt.in, got, tt.fail)
		}
		whole := new(utf8State)
		if ok := whole.valid([]byte(tt.in)); ok != (tt.fail < 0) {
			t.Errorf("%q in one piece: valid = %v, want %v", tt.in, ok, tt.fail < 0)
		}
	}
}

// The sequences are all those of up to two bytes, and many of three and four, in one piece and cut at
// every place.
func TestUTF8Exhaustive(t *testing.T) {
	check := func(p []byte) {
		for cut := range len(p) {
			var s utf8State
			ok := s.valid(p[:cut]) && s.valid(p[cut:])
			if ok != mayBegin(p) {
				t.Fatalf("%x cut at %d: valid = %v, want %v", p, cut, ok, !ok)
			}
			if ok && s.complete() != utf8.Valid(p) {
				t.Fatalf("%x cut at %d: complete = %v, want %v", p, cut, s.complete(), utf8.Valid(p))
			}
		}
	}
	interesting := []byte{0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xff}
	for a := range 256 {
		check([]byte{byte(a)})
		for b := range 256 {
			check([]byte{byte(a), byte(b)})
			for _, c := range interesting {
				check([]byte{byte(a), byte(b), c})
				if a >= 0xf0 {
					for _, d := range interesting {
						check([]byte{byte(a), byte(b), c, d})
					}
				}
			}
		}
	}
}

func FuzzUTF8(f *testing.F) {
	f.Add([]byte("\xce\xba\xe1\xbd\xb9\xcf\x83"), uint8(3))
	f.Add([]byte("plain text \xf0\x9f\x98\x80\xf4\x90"), uint8(14))
	f.Fuzz(func(t *testing.T, p []byte, cut uint8) {
		var s utf8State
		at := min(int(cut), len(p))
		ok := s.valid(bytes.Clone(p[:at])) && s.valid(bytes.Clone(p[at:]))
		if ok != mayBegin(p) {
			t.Errorf("%x cut at %d: valid = %v", p, at, ok)
		}
		if ok && s.complete() != utf8.Valid(p) {
			t.Errorf("%x cut at %d: complete = %v", p, at, s.complete())
		}
	})
}
