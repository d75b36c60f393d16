package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
)

// helloKey is the masking key 37 fa 21 3d of section 5.7's examples.
const helloKey = 0x3d21fa37

// frameExamples are all examples of section 5.7. The last two are headers only, because any 256 or
// 65,536 bytes may follow.
var frameExamples = []struct {
	name    string
	header  frameHeader
	payload string
	wire    string // the whole frame, except for the last two
}{
	{"single-frame unmasked text message",
		frameHeader{frameBits: frameBits{fin: true}, opcode: opText, length: 5}, "Hello",
		"\x81\x05\x48\x65\x6c\x6c\x6f"},
	{"single-frame masked text message",
		frameHeader{frameBits: frameBits{fin: true, masked: true}, opcode: opText, key: helloKey, length: 5}, "Hello",
		"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"},
	{"fragmented unmasked text message, first frame",
		frameHeader{opcode: opText, length: 3}, "Hel",
		"\x01\x03\x48\x65\x6c"},
	{"fragmented unmasked text message, last frame",
		frameHeader{frameBits: frameBits{fin: true}, opcode: opContinuation, length: 2}, "lo",
		"\x80\x02\x6c\x6f"},
	{"unmasked ping",
		frameHeader{frameBits: frameBits{fin: true}, opcode: opPing, length: 5}, "Hello",
		"\x89\x05\x48\x65\x6c\x6c\x6f"},
	{"masked pong",
		frameHeader{frameBits: frameBits{fin: true, masked: true}, opcode: opPong, key: helloKey, length: 5}, "Hello",
		"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"},
	{"256 bytes binary message in a single unmasked frame",
		frameHeader{frameBits: frameBits{fin: true}, opcode: opBinary, length: 256}, "",
		"\x82\x7e\x01\x00"},
	{"64KiB binary message in a single unmasked frame",
		frameHeader{frameBits: frameBits{fin: true}, opcode: opBinary, length: 65536}, "",
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
}

func TestFrameExamplesWritten(t *testing.T) {
	for _, tt := range frameExamples {
		got := appendHeader(nil, tt.header)
		n := len(got)
		got = append(got, tt.payload...)
		mask(got[n:], tt.header.key)
		if string(got) != tt.wire {
			t.Errorf("%s: wrote %x, want %x", tt.name, got, tt.wire)
		}
	}
}

func TestFrameExamplesRead(t *testing.T) {
	for _, tt := range frameExamples {
		b := []byte(tt.wire)
		h, n, err := consumeHeader(b)
		if err != nil || h != tt.header {
			t.Errorf("%s: read %+v, %v; want %+v", tt.name, h, err, tt.header)
			continue
		}
		mask(b[n:], h.key)
		if string(b[n:]) != tt.payload {
			t.Errorf("%s: payload %q, want %q", tt.name, b[n:], tt.payload)
		}
	}
}

// frameLengths are lengths around the ends of the three forms, 125/126 and 65,535/65,536. The largest
// is 2^63-1 (section 5.2).
var frameLengths = []struct {
	length int64
	wire   string // the bytes of the length, without the mask bit
}{
	{0, "\x00"},
	{1, "\x01"},
	{125, "\x7d"},
	{126, "\x7e\x00\x7e"},
	{127, "\x7e\x00\x7f"},
	{65535, "\x7e\xff\xff"},
	{65536, "\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
	{1<<31 - 1, "\x7f\x00\x00\x00\x00\x7f\xff\xff\xff"},
	{1 << 31, "\x7f\x00\x00\x00\x00\x80\x00\x00\x00"},
	{1 << 32, "\x7f\x00\x00\x00\x01\x00\x00\x00\x00"},
	{math.MaxInt64, "\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"},
}

// frameForms yields every first byte with every length, masked and not.
func frameForms(yield func(h frameHeader, wire []byte) bool) {
	for first := range 256 {
		for _, l := range frameLengths {
			h := frameHeader{
				frameBits: frameBits{fin: first&0x80 != 0, rsv: uint8(first & 0x70)}, opcode: opcode(first & 0x0f), length: l.length,
			}
			wire := append([]byte{byte(first)}, l.wire...)
			if !yield(h, wire) {
				return
			}
			h.masked, h.key = true, 0x04030201
			wire = append(bytes.Clone(wire), 1, 2, 3, 4)
			wire[1] |= 0x80
			if !yield(h, wire) {
				return
			}
		}
	}
}

func TestHeaderForms(t *testing.T) {
	for h, wire := range frameForms {
		if got := appendHeader([]byte("before"), h); string(got) != "before"+string(wire) {
			t.Errorf("%+v: wrote %x, want %x behind what was there", h, got, wire)
		}
		for _, behind := range []string{"", "payload"} {
			got, n, err := consumeHeader(append(bytes.Clone(wire), behind...))
			if err != nil || n != len(wire) || got != h {
				t.Errorf("%x and %q: read %+v, %d, %v; want %+v, %d", wire, behind, got, n, err, h, len(wire))
			}
		}
		if len(wire) > maxHeaderLen {
			t.Errorf("%x is longer than maxHeaderLen", wire)
		}
	}
}

// A header that has not arrived in full is no error, at whatever byte it is cut.
func TestHeaderPrefixes(t *testing.T) {
	for h, wire := range frameForms {
		for cut := range wire {
			if _, n, err := consumeHeader(wire[:cut]); n != 0 || err != nil {
				t.Fatalf("%+v cut to %x: n = %d, err = %v; want 0 and no error", h, wire[:cut], n, err)
			}
		}
	}
}

func TestHeaderRefusesLengths(t *testing.T) {
	for _, tt := range []struct{ name, wire string }{
		// "the minimal number of bytes MUST be used to encode the length"
		{"0 in 16 bits", "\x7e\x00\x00"},
		{"125 in 16 bits", "\x7e\x00\x7d"},
		{"0 in 64 bits", "\x7f\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"125 in 64 bits", "\x7f\x00\x00\x00\x00\x00\x00\x00\x7d"},
		{"126 in 64 bits", "\x7f\x00\x00\x00\x00\x00\x00\x00\x7e"},
		{"65,535 in 64 bits", "\x7f\x00\x00\x00\x00\x00\x00\xff\xff"},
		// "the most significant bit MUST be 0"
		{"2^63", "\x7f\x80\x00\x00\x00\x00\x00\x00\x00"},
		{"2^63+5", "\x7f\x80\x00\x00\x00\x00\x00\x00\x05"},
		{"2^64-1", "\x7f\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		for first := range 256 {
			for _, maskBit := range []byte{0, 0x80} {
				b := append([]byte{byte(first)}, tt.wire...)
				b[1] |= maskBit
				// The length alone decides. The masking key need not be there.
				for _, behind := range []string{"", "key.", "key.payload"} {
					_, n, err := consumeHeader(append(bytes.Clone(b), behind...))
					if broken, ok := errors.AsType[*ProtocolError](err); n != 0 || !ok || broken.Code != 1002 {
						t.Fatalf("%s, %x: n = %d, err = %v; want a ProtocolError with code 1002", tt.name, b, n, err)
					}
				}
			}
		}
	}
}

func TestOpcode(t *testing.T) {
	for op, want := range map[opcode]struct {
		name    string
		control bool
	}{
		0x0: {"continuation", false}, 0x1: {"text", false}, 0x2: {"binary", false},
		0x3: {"reserved opcode 0x3", false}, 0x7: {"reserved opcode 0x7", false},
		0x8: {"close", true}, 0x9: {"ping", true}, 0xa: {"pong", true},
		// "Opcodes 0xB-0xF are reserved for further control frames" (section 5.5).
		0xb: {"reserved opcode 0xb", true}, 0xf: {"reserved opcode 0xf", true},
	} {
		if got := fmt.Sprint(op); got != want.name {
			t.Errorf("opcode %#x is called %q, want %q", uint8(op), got, want.name)
		}
		if got := op.isControl(); got != want.control {
			t.Errorf("opcode %#x: isControl = %v, want %v", uint8(op), got, want.control)
		}
	}
}

// FuzzHeader reads arbitrary bytes as a header, and writes arbitrary headers.
func FuzzHeader(f *testing.F) {
	for _, tt := range frameExamples {
		f.Add([]byte(tt.wire), tt.wire[0], uint64(tt.header.length), tt.header.masked, tt.header.key)
	}
	f.Add([]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), uint8(0xff), uint64(math.MaxInt64), true, uint32(1))
	f.Add([]byte("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), uint8(0), uint64(65536), false, uint32(0))
	f.Add([]byte("\x82\xfe\x00\x7d"), uint8(0x71), uint64(126), true, uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, b []byte, first byte, length uint64, masked bool, key uint32) {
		fuzzHeaderRead(t, b)

		h := frameHeader{
			frameBits: frameBits{fin: first&0x80 != 0, rsv: first & 0x70, masked: masked},
			opcode:    opcode(first & 0x0f), length: int64(length & math.MaxInt64),
		}
		if masked {
			h.key = key
		}
		got, n, err := consumeHeader(appendHeader(nil, h))
		if got != h || n == 0 || err != nil {
			t.Errorf("wrote %+v, read %+v, %d, %v", h, got, n, err)
		}
	})
}

// fuzzHeaderRead checks two rules that hold for any bytes. An accepted header is in the one form that
// appendHeader writes, and bytes that come later change nothing.
func fuzzHeaderRead(t *testing.T, b []byte) {
	h, n, err := consumeHeader(b)
	switch {
	case err != nil && n != 0:
		t.Errorf("%x: n = %d with error %v", b, n, err)
	case n > len(b) || n > maxHeaderLen || h.length < 0:
		t.Errorf("%x: read %+v, %d bytes long", b, h, n)
	case n > 0 && !bytes.Equal(appendHeader(nil, h), b[:n]):
		t.Errorf("%x was accepted; its one form is %x", b[:n], appendHeader(nil, h))
	}
	decided := false // by fewer bytes
	for cut := range len(b) + 1 {
		if cut > maxHeaderLen+1 {
			break
		}
		h1, n1, err1 := consumeHeader(b[:cut])
		if decided = decided || n1 > 0 || err1 != nil; !decided {
			continue
		}
		if n1 != n || (err1 == nil) != (err == nil) || n > 0 && h1 != h {
			t.Errorf("%x: %d bytes say %+v, %d, %v; all say %+v, %d, %v", b, cut, h1, n1, err1, h, n, err)
		}
	}
	if !decided && (n > 0 || err != nil) && len(b) <= maxHeaderLen {
		t.Errorf("%x: decided by nothing", b)
	}
}
