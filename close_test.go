package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// closePayloadOf returns a close frame's payload, made without the library.
func closePayloadOf(code int, reason string) []byte {
	return append([]byte{byte(code >> 8), byte(code)}, reason...)
}

// closeCodesOnWire are the ranges of the codes that a close frame may carry: RFC 6455 section 7.4
// with IANA's registry of WebSocket close code numbers.
var closeCodesOnWire = [][2]int{{1000, 1003}, {1007, 1014}, {3000, 4999}}

func closeCodeOnWire(code int) bool {
	for _, r := range closeCodesOnWire {
		if r[0] <= code && code <= r[1] {
			return true
		}
	}
	return false
}

func TestParseClose(t *testing.T) {
	longest := strings.Repeat("x", 123)
	for _, tt := range []struct {
		name    string
		payload []byte
		want    CloseError // zero if the payload is refused
		refused int        // the code of the refusal
	}{
		{"nothing", nil, CloseError{Code: 1005}, 0},
		{"empty", []byte{}, CloseError{Code: 1005}, 0},
		{"one byte", []byte{3}, CloseError{}, 1002},
		{"code alone", []byte{0x03, 0xe8}, CloseError{Code: 1000}, 0},
		{"code and reason", closePayloadOf(1001, "bye"), CloseError{Code: 1001, Text: "bye"}, 0},
		{"reason beyond ASCII", closePayloadOf(4000, "tschüß 😀"), CloseError{Code: 4000, Text: "tschüß 😀"}, 0},
		{"longest reason", closePayloadOf(1000, longest), CloseError{Code: 1000, Text: longest}, 0},
		{"reason with NUL", closePayloadOf(1000, "a\x00b"), CloseError{Code: 1000, Text: "a\x00b"}, 0},
		{"reason not UTF-8", closePayloadOf(1000, "\xff"), CloseError{}, 1007},
		{"reason cut in a character", closePayloadOf(1000, "caf\xc3"), CloseError{}, 1007},
		{"reason with a surrogate", closePayloadOf(1000, "\xed\xa0\x80"), CloseError{}, 1007},
		{"invalid code, reason not UTF-8", closePayloadOf(1005, "\xff"), CloseError{}, 1002},
	} {
		got, err := parseClose(tt.payload)
		if tt.refused != 0 {
			if broken, ok := errors.AsType[*ProtocolError](err); !ok || broken.Code != tt.refused {
				t.Errorf("%s: %v, %v; want a ProtocolError with code %d", tt.name, got, err, tt.refused)
			}
			continue
		}
		if err != nil || *got != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		e, err := parseClose(closePayloadOf(code, ""))
		broken, _ := errors.AsType[*ProtocolError](err)
		switch valid := closeCodeOnWire(code); {
		case valid && (err != nil || e.Code != code):
			t.Errorf("code %d received: %v, %v; want it accepted", code, e, err)
		case !valid && (broken == nil || broken.Code != 1002):
			t.Errorf("code %d received: %v, %v; want a ProtocolError with code 1002", code, e, err)
		case (checkClose(closePayloadOf(code, "")) == nil) != valid:
			t.Errorf("code %d to be sent: valid = %v, want %v", code, !valid, valid)
		}
	}
}

func TestCheckClose(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payload []byte
		want    string // in the error; "" for none
	}{
		{"nothing", nil, ""},
		{"code alone", closePayloadOf(1000, ""), ""},
		{"code and reason", closePayloadOf(4999, "bye"), ""},
		{"one byte", []byte{3}, "FormatCloseMessage"},
		{"1005", closePayloadOf(1005, ""), "1005 must not be sent"},
		{"999", closePayloadOf(999, "reason"), "999 must not be sent"},
		{"reason not UTF-8", closePayloadOf(1000, "\xff"), "valid UTF-8"},
	} {
		err := checkClose(tt.payload)
		if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want one about %q", tt.name, err, tt.want)
		}
	}
}

// Programs log these texts, and some match them.
func TestCloseErrorText(t *testing.T) {
	for _, tt := range []struct {
		e    CloseError
		want string
	}{
		{CloseError{Code: 1000}, "websocket: close 1000 (normal)"},
		{CloseError{Code: 1000, Text: "bye"}, "websocket: close 1000 (normal): bye"},
		{CloseError{Code: 1001}, "websocket: close 1001 (going away)"},
		{CloseError{Code: 1002}, "websocket: close 1002 (protocol error)"},
		{CloseError{Code: 1003}, "websocket: close 1003 (unsupported data)"},
		{CloseError{Code: 1005}, "websocket: close 1005 (no status)"},
		{CloseError{Code: 1006, Text: "unexpected EOF"}, "websocket: close 1006 (abnormal closure): unexpected EOF"},
		{CloseError{Code: 1007}, "websocket: close 1007 (invalid payload data)"},
		{CloseError{Code: 1008}, "websocket: close 1008 (policy violation)"},
		{CloseError{Code: 1009}, "websocket: close 1009 (message too big)"},
		{CloseError{Code: 1010}, "websocket: close 1010 (mandatory extension missing)"},
		{CloseError{Code: 1011}, "websocket: close 1011 (internal server error)"},
		{CloseError{Code: 1012}, "websocket: close 1012 (service restart)"},
		{CloseError{Code: 1013}, "websocket: close 1013 (try again later)"},
		{CloseError{Code: 1014}, "websocket: close 1014 (bad gateway)"},
		{CloseError{Code: 1015}, "websocket: close 1015 (TLS handshake error)"},
		{CloseError{Code: 3000}, "websocket: close 3000"},
		{CloseError{Code: 4000}, "websocket: close 4000"},
		{CloseError{Code: 4000, Text: "mine"}, "websocket: close 4000: mine"},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("%#v reads %q, want %q", tt.e, got, tt.want)
		}
	}
}

// Only an end without a close frame was not clean.
func TestCloseErrorUnwrap(t *testing.T) {
	for _, code := range []int{1000, 1001, 1005, 1006, 1011, 1015, 4000} {
		err := fmt.Errorf("wrapped: %w", &CloseError{Code: code})
		if got, want := errors.Is(err, io.ErrUnexpectedEOF), code == 1006; got != want {
			t.Errorf("code %d is io.ErrUnexpectedEOF: %v, want %v", code, got, want)
		}
	}
}

// Every error that a deadline, or keepalive, causes is a net.Error whose Timeout is true. Only the
// one of a deadline is worth another attempt, which Temporary says.
func TestTimeoutErrors(t *testing.T) {
	for _, tt := range []struct {
		err                 error
		text                string
		temporary, deadline bool
	}{
		{ErrPongTimeout, "websocket: keepalive: the peer did not answer a ping in time", false, false},
		{&timeoutError{step: "write"}, "websocket: write: i/o timeout", true, true},
	} {
		var ne net.Error
		if !errors.As(tt.err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no net.Error that says timeout", tt.err)
		}
		// Programs of before Go 1.18 ask for this method of net.Error.
		if got := tt.err.(interface{ Temporary() bool }).Temporary(); got != tt.temporary {
			t.Errorf("%v is temporary: %v, want %v", tt.err, got, tt.temporary)
		}
		if got := errors.Is(tt.err, os.ErrDeadlineExceeded); got != tt.deadline {
			t.Errorf("%v is os.ErrDeadlineExceeded: %v, want %v", tt.err, got, tt.deadline)
		}
		if tt.err.Error() != tt.text {
			t.Errorf("reads %q, want %q", tt.err.Error(), tt.text)
		}
	}
}

func TestIsCloseError(t *testing.T) {
	plain := &CloseError{Code: 1001}
	wrapped := fmt.Errorf("reading: %w", fmt.Errorf("room 5: %w", plain))
	joined := errors.Join(io.EOF, plain)
	for _, tt := range []struct {
		err              error
		codes            []int
		want, unexpected bool
	}{
		{plain, []int{1001}, true, false},
		{plain, []int{1000, 1001}, true, false},
		{plain, []int{1000, 1005}, false, true},
		{plain, nil, false, true},
		{wrapped, []int{1000, 1001}, true, false},
		{wrapped, []int{1000}, false, true},
		{joined, []int{1001}, true, false},
		{nil, []int{1001}, false, false},
		{nil, nil, false, false},
		{io.EOF, []int{1001}, false, false},
		// A violation by the peer is not a close by the peer, whatever its code.
		{violation("rule"), []int{1002}, false, false},
		{violation("rule"), []int{1000}, false, false},
	} {
		if got := IsCloseError(tt.err, tt.codes...); got != tt.want {
			t.Errorf("IsCloseError(%v, %v) = %v, want %v", tt.err, tt.codes, got, tt.want)
		}
		if got := IsUnexpectedCloseError(tt.err, tt.codes...); got != tt.unexpected {
			t.Errorf("IsUnexpectedCloseError(%v, %v) = %v, want %v", tt.err, tt.codes, got, tt.unexpected)
		}
	}
}

func TestFormatCloseMessage(t *testing.T) {
	for _, tt := range []struct {
		code int
		text string
		want string
	}{
		{1000, "", "\x03\xe8"},
		{1000, "bye", "\x03\xe8bye"},
		{4999, "", "\x13\x87"},
		// Codes that "MUST NOT be set as a status code in a Close control frame".
		{1005, "", ""},
		{1005, "reason", ""},
		{1006, "reason", ""},
		{1015, "reason", ""},
		// Codes whose low bytes are other codes.
		{1<<16 + 1000, "", "\x00\x00"},
		{1<<16 + 1005, "reason", "\x00\x00reason"},
		{1000 - 1<<16, "", "\x00\x00"},
	} {
		got := FormatCloseMessage(tt.code, tt.text)
		if string(got) != tt.want || got == nil {
			t.Errorf("FormatCloseMessage(%d, %q) = %#v, want %q", tt.code, tt.text, got, tt.want)
		}
	}
}

func TestCutReason(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"short", "bye", "bye"},
		{"just fits", x(123), x(123)},
		{"one too long", x(124), x(123)},
		{"much too long", x(5000), x(123)},
		{"2 bytes that fit", x(121) + "é", x(121) + "é"},
		{"2 bytes across the end", x(122) + "é", x(122)},
		{"2 bytes behind the end", x(123) + "é", x(123)},
		{"3 bytes that fit", x(120) + "€" + "y", x(120) + "€"},
		{"3 bytes, 2 fit", x(121) + "€", x(121)},
		{"3 bytes, 1 fits", x(122) + "€", x(122)},
		{"4 bytes that fit", x(119) + "😀" + "y", x(119) + "😀"},
		{"4 bytes, 3 fit", x(120) + "😀", x(120)},
		{"4 bytes, 2 fit", x(121) + "😀", x(121)},
		{"4 bytes, 1 fits", x(122) + "😀", x(122)},
	} {
		if got := cutReason(tt.in); got != tt.want {
			t.Errorf("%s: cut to %d bytes, want %d: %q", tt.name, len(got), len(tt.want), got)
		}
	}
}

// FuzzClose checks three rules. The valid payloads are the same for receiving and for sending. An
// accepted payload is written back as it came. A cut reason fits a close frame.
func FuzzClose(f *testing.F) {
	f.Add([]byte{}, "")
	f.Add([]byte{3}, strings.Repeat("ä", 200))
	f.Add([]byte("\x03\xe8bye"), "x"+strings.Repeat("😀", 40))
	f.Add([]byte("\x03\xee"), "\xff")
	f.Add([]byte("\x0f\xa0\xed\xa0\x80"), strings.Repeat("\x80", 130))
	f.Fuzz(func(t *testing.T, p []byte, reason string) {
		e, err := parseClose(bytes.Clone(p))
		if (checkClose(p) == nil) != (err == nil) {
			t.Errorf("%x: received %v, to be sent %v", p, err, checkClose(p))
		}
		if err == nil && !bytes.Equal(FormatCloseMessage(e.Code, e.Text), p) {
			t.Errorf("%x was read as %v and written as %x", p, e, FormatCloseMessage(e.Code, e.Text))
		}
		fuzzCloseVerdict(t, p, err)

		cut := cutReason(reason)
		if len(cut) > 123 || !strings.HasPrefix(reason, cut) || len(reason) <= 123 && cut != reason {
			t.Errorf("%q was cut to %q", reason, cut)
		}
		if utf8.ValidString(reason) && (!utf8.ValidString(cut) || len(reason) > 123 && len(cut) < 120) {
			t.Errorf("%q was cut to %q", reason, cut)
		}
	})
}

// fuzzCloseVerdict compares err with the rules of sections 5.5.1 and 7.4.
func fuzzCloseVerdict(t *testing.T, p []byte, err error) {
	want := 0 // the code of the ProtocolError
	switch {
	case len(p) == 0:
	case len(p) == 1 || !closeCodeOnWire(int(binary.BigEndian.Uint16(p))):
		want = 1002
	case !utf8.Valid(p[2:]):
		want = 1007
	}
	got := 0
	if broken, ok := errors.AsType[*ProtocolError](err); ok {
		got = broken.Code
	}
	if got != want {
		t.Errorf("%x: failed with code %d (%v), want %d", p, got, err, want)
	}
}
