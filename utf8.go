package websocket

import "unicode/utf8"

// Checking text in pieces.
//
// A text message must be valid UTF-8 (RFC 6455 section 8.1). But it arrives in pieces, and the end of
// a fragment, or of the part of a frame that has arrived, may cut a character in two. So utf8.Valid
// alone cannot check a piece.

// A utf8State checks a message piece by piece. It fails at the first byte that cannot be right,
// whatever would follow, so that a peer learns of its mistake (close code 1007) before it has sent the
// rest of the message.
//
// The well-formed sequences are those of RFC 3629 section 4:
//
//	00..7f
//	c2..df  80..bf
//	e0      a0..bf  80..bf             (80..9f would be overlong)
//	e1..ec  80..bf  80..bf
//	ed      80..9f  80..bf             (a0..bf would be surrogates)
//	ee..ef  80..bf  80..bf
//	f0      90..bf  80..bf  80..bf     (80..8f would be overlong)
//	f1..f3  80..bf  80..bf  80..bf
//	f4      80..8f  80..bf  80..bf     (90..bf would be beyond U+10FFFF)
//
// The zero value is the state between two characters. Inside a character, lo and hi bound its next
// byte.
type utf8State struct {
	need   uint8 // bytes that the present character still lacks
	lo, hi uint8
}

// valid reports whether p may follow the pieces that were checked before.
func (s *utf8State) valid(p []byte) bool {
	for s.need > 0 && len(p) > 0 {
		if !s.next(p[0]) {
			return false
		}
		p = p[1:]
	}
	whole := len(p) - openTail(p)
	if !utf8.Valid(p[:whole]) {
		return false
	}
	for _, b := range p[whole:] {
		if !s.next(b) {
			return false
		}
	}
	return true
}

// complete reports whether the text may end here.
func (s *utf8State) complete() bool { return s.need == 0 }

// next checks one byte.
func (s *utf8State) next(b byte) bool {
	if s.need > 0 {
		if b < s.lo || b > s.hi {
			return false
		}
		s.need--
		s.lo, s.hi = 0x80, 0xbf
		return true
	}
	s.need = uint8(sequenceLen(b)) - 1
	s.lo, s.hi = 0x80, 0xbf
	switch b {
	case 0xe0:
		s.lo = 0xa0
	case 0xed:
		s.hi = 0x9f
	case 0xf0:
		s.lo = 0x90
	case 0xf4:
		s.hi = 0x8f
	}
	return b < 0x80 || 0xc2 <= b && b <= 0xf4
}

// sequenceLen returns the length of the sequence that begins with b, or 1 if none does.
func sequenceLen(b byte) int {
	switch {
	case b >= 0xf0:
		return 4
	case b >= 0xe0:
		return 3
	case b >= 0xc0:
		return 2
	}
	return 1
}

// openTail returns the number of bytes at the end of p that belong to a character whose end is not
// in p.
func openTail(p []byte) int {
	for i := 1; i <= min(3, len(p)); i++ {
		b := p[len(p)-i]
		if b&0xc0 == 0x80 {
			continue // not the first byte of its character: look further back
		}
		if i < sequenceLen(b) {
			return i
		}
		break
	}
	return 0
}
