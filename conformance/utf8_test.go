package conformance

// This file sends text messages byte by byte. Invalid UTF-8 is noticed at the first wrong byte (RFC
// 6455 §8.1 with §5.6), and valid text arrives however it is cut.

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// wrongAtLast are sequences whose last byte, and no earlier one, makes it certain that they are not
// UTF-8 (RFC 3629 §4).
var wrongAtLast = []string{
	"\x80", "\xbf", "\xc0", "\xc1", "\xf5", "\xf8", "\xfc", "\xfe", "\xff",
	"\xc2A", "\xc2\xc2", "\xdf\x7f", "\xe1\x80A", "\xe1\x80\xc0", "\xf1\x80\x80A", "\xf1\x80A",
	"\xe0\x80", "\xe0\x9f", // overlong, three bytes
	"\xed\xa0", "\xed\xbf", // surrogates
	"\xf0\x80", "\xf0\x8f", // overlong, four bytes
	"\xf4\x90", "\xf4\xbf", // above U+10FFFF
	"\xc3\xa4\x80", "\xe2\x82\xac\xac", "\xf0\x9f\x98\x80\x80", // one too many
}

// TestConformanceTextFailsEarly sends frames that never end. The answer must not wait for the rest.
func TestConformanceTextFailsEarly(t *testing.T) {
	var vs []violation
	for _, seq := range wrongAtLast {
		for _, length := range []uint64{100, 1000, 100_000, 10 << 20} {
			vs = append(vs, violate(fmt.Sprintf("%q of %d bytes", seq, length), 1007, announce(opText, length, seq)))
		}
		vs = append(vs,
			violate(fmt.Sprintf("%q in a first frame", seq), 1007, frame{op: opText, more: true, payload: []byte(seq)}),
			violate(fmt.Sprintf("%q in a continuation that is cut off", seq), 1007, started, announce(opCont, 100, seq)))
	}
	refuse(t, vs)
}

// TestConformanceTextFailsAnywhere moves the wrong byte through a frame. Fast paths go through text
// in larger steps.
func TestConformanceTextFailsAnywhere(t *testing.T) {
	var vs []violation
	for n := range 80 {
		vs = append(vs, violate(fmt.Sprintf("after %d bytes", n), 1007, announce(opText, 100, strings.Repeat("a", n)+"\xff")))
	}
	for _, n := range []int{4 << 10, 16 << 10, 32 << 10, 64 << 10, 100_000, 1 << 20} {
		for _, d := range []int{-9, -1, 0, 1} {
			text := strings.Repeat("\u20ac", (n+d)/3) + strings.Repeat("a", (n+d)%3)
			vs = append(vs, violate(fmt.Sprintf("after %d bytes", n+d), 1007, announce(opText, 2<<20, text+"\xff")))
		}
	}
	refuse(t, vs)
}

// TestConformanceTextFailsByteByByte sends the wrong byte by itself, long after the frame's header.
// A server that looks only after it has the rest of the frame would wait here without end.
func TestConformanceTextFailsByteByByte(t *testing.T) {
	t.Parallel()
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		for i, seq := range wrongAtLast {
			length := []uint64{20, 100, 1000, 100_000}[i%4]
			b := wire(announce(opText, length, "head"+seq))
			head := len(b) - len(seq)
			p := s.connect(t)
			p.send(t, b[:head])
			for j := range len(seq) {
				pause()
				p.send(t, b[head+j:head+j+1])
			}
			p.expectFail(t, 1007)
		}
	})
}

// TestConformanceTextCutByFrames cuts a sequence between two frames. Its wrong byte opens the
// second.
func TestConformanceTextCutByFrames(t *testing.T) {
	var vs []violation
	for _, seq := range wrongAtLast {
		for cut := 1; cut < len(seq); cut++ {
			vs = append(vs, violate(fmt.Sprintf("%q cut at %d", seq, cut), 1007, frame{op: opText, more: true, payload: []byte("ok " + seq[:cut])},
				frame{op: opPing}, frame{op: opCont, more: true}, announce(opCont, 100, seq[cut:])))
		}
	}
	for _, seq := range []string{"\xc3", "\xe2\x82", "\xf0\x9f\x98"} { // good so far, but the message ends
		vs = append(vs,
			violate(fmt.Sprintf("%q at the end", seq), 1007, frame{op: opText, payload: []byte("ok " + seq)}),
			violate(fmt.Sprintf("%q before an empty last frame", seq), 1007, frame{op: opText, more: true, payload: []byte(seq)}, frame{op: opCont}))
	}
	refuse(t, vs)
}

// announce returns the header of a frame of length bytes, of which only text is sent.
func announce(op byte, length uint64, text string) frame {
	return frame{op: op, length: length, payload: []byte(text)}
}

// mixed has sequences of every length, first and last of each.
const mixed = "a\u00df\u0080\u07ff\u0800\u20ac\ud7ff\ue000\uffff\U00010000\U0001f600\U0010ffff\x00z"

// TestConformanceTextAnyCut cuts text at every place, also inside characters, and into single
// bytes.
func TestConformanceTextAnyCut(t *testing.T) {
	echoed := frame{op: opText, payload: []byte(mixed)}
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connect(t)
		for i := range len(mixed) + 1 {
			for j := i; j <= len(mixed); j++ {
				p.send(t, fragments(mixed[:i], mixed[i:j], mixed[j:]))
				p.expect(t, echoed)
			}
		}
		p.send(t, fragments(strings.Split(mixed, "")...))
		p.expect(t, echoed)
		var singles []string
		for i := range len(mixed) {
			singles = append(singles, "", mixed[i:i+1])
		}
		p.send(t, fragments(singles...))
		p.expect(t, echoed)
	})
}

// TestConformanceTextAnyWrite sends one frame in two writes, cut at every place. An unfinished
// character is no mistake as long as the frame is not finished either.
func TestConformanceTextAnyWrite(t *testing.T) {
	t.Parallel()
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connect(t)
		for i := range len(mixed) {
			b := wire(frame{op: opText, payload: []byte(mixed)})
			i += len(b) - len(mixed)
			p.send(t, b[:i])
			pause()
			p.send(t, b[i:])
			p.expect(t, frame{op: opText, payload: []byte(mixed)})
		}
	})
}

// TestConformanceBinaryIsFree: only text is UTF-8. A binary message after a text message may hold
// any bytes.
func TestConformanceBinaryIsFree(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connect(t)
		for _, seq := range wrongAtLast {
			p.send(t, slices.Concat(fragments("\u20ac", "uro"), wire(
				frame{op: opBin, more: true, payload: []byte(seq)},
				frame{op: opPing, payload: []byte(seq)},
				frame{op: opCont, payload: []byte(seq)})))
			p.expect(t, frame{op: opText, payload: []byte("\u20acuro")},
				frame{op: opPong, payload: []byte(seq)}, frame{op: opBin, payload: []byte(seq + seq)})
		}
	})
}

// TestConformanceControlBetween puts control frames between all fragments of a message. Pings are
// answered at once, in order.
func TestConformanceControlBetween(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connect(t)
		b := wire(frame{op: opText, more: true, payload: []byte("0")})
		text := "0"
		var want []frame
		for i := range 40 {
			text += fmt.Sprint(i)
			ping := frame{op: opPing, payload: bytes.Repeat([]byte{byte(i)}, i*3)}
			b = append(b, wire(ping, frame{op: opPong, payload: []byte("unasked")}, frame{op: opPing},
				frame{op: opCont, more: i < 39, payload: fmt.Append(nil, i)})...)
			want = append(want, frame{op: opPong, payload: ping.payload}, frame{op: opPong})
		}
		p.send(t, b)
		p.expect(t, append(want, frame{op: opText, payload: []byte(text)})...)
	})
}

// TestConformancePongsBeforeTheEnd: a ping inside a message is answered although the message never
// ends (RFC 6455 §5.5.2).
func TestConformancePongsBeforeTheEnd(t *testing.T) {
	forEachTarget(t, nil, func(t *testing.T, s *server) {
		p := s.connect(t)
		p.send(t, wire(started, frame{op: opPing, payload: []byte("there?")}))
		p.expect(t, frame{op: opPong, payload: []byte("there?")})
	})
}

// fragments is a text message of those parts.
func fragments(parts ...string) (b []byte) {
	op := byte(opText)
	for i, part := range parts {
		b = frame{op: op, more: i < len(parts)-1, payload: []byte(part)}.append(b)
		op = opCont
	}
	return b
}
