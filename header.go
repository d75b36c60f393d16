package websocket

import (
	"fmt"
	"iter"
	"net/http"
	"strings"
)

// The grammar of the header fields that the opening handshake uses (RFC 9110
// section 5.6). All of them are lists: elements separated by commas, with
// optional white space around each, and a list may go on in a further field of
// the same name.
//
//	Connection: keep-alive, Upgrade
//	Sec-WebSocket-Protocol: chat
//	Sec-WebSocket-Protocol: superchat, soap

// tokenOctets are the octets that a token may hold (RFC 9110 section 5.6.2).
var tokenOctets = func() (set [256]bool) {
	for c := '0'; c <= '9'; c++ {
		set[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		set[c], set[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		set[c] = true
	}
	return set
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenOctets[s[i]] {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether s may stand behind a field's colon: no control
// characters but the tab, so that no value can end its line (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hostOctets are those that RFC 3986 section 3.2 lets a host and port be made of.
var hostOctets = func() (set [256]bool) {
	set = tokenOctets
	for _, c := range "()[],;=:" {
		set[c] = true
	}
	for _, c := range "#^`|" {
		set[c] = false
	}
	return set
}()

// isHost reports whether s may be a Host field.
func isHost(s string) bool {
	for i := range len(s) {
		if !hostOctets[s[i]] {
			return false
		}
	}
	return s != ""
}

// trimOWS removes optional white space: spaces and tabs, nothing else.
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// listElements yields the elements of a list field, from all the fields of
// that name, without the empty ones that RFC 9110 section 5.6.1.2 tells a
// recipient to ignore. It does not know quoted strings: the lists that it is
// used for hold tokens.
func listElements(fields []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, field := range fields {
			for element := range strings.SplitSeq(field, ",") {
				if element = trimOWS(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// equalFold compares without regard to case, of ASCII letters only: to
// strings.EqualFold "ſ" is an "s", and no server should take it for one.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// hasToken reports whether a list field holds token, in any case.
func hasToken(fields []string, token string) bool {
	for element := range listElements(fields) {
		if equalFold(element, token) {
			return true
		}
	}
	return false
}

// checkExtraHeader says whether the caller's additions to a handshake may be
// sent: a name or value with a line break in it would let whoever chose it
// write header fields of their own, and the fields that the handshake itself
// writes cannot be given twice.
func checkExtraHeader(h http.Header, reserved ...string) error {
	for name, values := range h {
		if !isToken(name) {
			return fmt.Errorf("websocket: %q is no header field name", name)
		}
		for _, r := range reserved {
			if equalFold(name, r) {
				return fmt.Errorf("websocket: the header field %s is written by the handshake itself; leave it out", r)
			}
		}
		for _, v := range values {
			if !isFieldValue(v) {
				return fmt.Errorf("websocket: value %q of header field %s holds a control character", v, name)
			}
		}
	}
	return nil
}

// appendField appends a header field, one line for each value.
func appendField(b []byte, name string, values []string) []byte {
	for _, v := range values {
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, trimOWS(v)...)
		b = append(b, "\r\n"...)
	}
	return b
}
