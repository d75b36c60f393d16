package websocket

import (
	"fmt"
	"iter"
	"net/http"
	"strings"
)

// The grammar of the header fields that the opening handshake uses (RFC 9110 section 5.6).
//
// A handshake is decided by the words in its fields, so two programs must find the same words. All
// these fields are lists: elements with commas between them, and optional white space around each.
// A list may go on in another field of the same name.
//
//	Connection: keep-alive, Upgrade
//	Sec-WebSocket-Protocol: chat
//	Sec-WebSocket-Protocol: superchat, soap

// A byteSet says of each byte whether it is in the set.
type byteSet [256]bool

// holds reports whether s has only bytes of the set, and at least one.
func (set *byteSet) holds(s string) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return s != ""
}

// newByteSet returns the set of the ASCII letters and digits and the bytes of others.
func newByteSet(others string) (set byteSet) {
	const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []byte(alphanumeric + others) {
		set[c] = true
	}
	return set
}

// tokenBytes is the set of the bytes that a token may hold (RFC 9110 section 5.6.2).
var tokenBytes = newByteSet("!#$%&'*+-.^_`|~")

// isToken reports whether s is a token.
func isToken(s string) bool { return tokenBytes.holds(s) }

// isFieldValue reports whether s may stand behind a field's colon. It may hold no control character
// but the tab, so that no value can end its line (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hostBytes is the set of the bytes that a host and port may hold (RFC 3986 section 3.2).
var hostBytes = newByteSet("!$%&'*+-._~()[],;=:")

// isHost reports whether s may be a Host field.
func isHost(s string) bool { return hostBytes.holds(s) }

// trimOWS removes optional white space from both ends of s: spaces and tabs, nothing else. It takes a
// quarter of the time of strings.Trim.
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// listElements yields the elements of a list, from all the fields of that name. It leaves out empty
// elements, which a recipient has to ignore (RFC 9110 section 5.6.1.2). It does not know quoted
// strings, because the lists that it is used for hold tokens.
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

// equalFold reports whether a and b are equal except for the case of ASCII letters. For
// strings.EqualFold "ſ" equals "s", and no server should take the one for the other.
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

// lower returns the lower case of an ASCII letter, and any other byte as it is.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// hasToken reports whether a list holds token, in upper or lower case.
func hasToken(fields []string, token string) bool {
	for element := range listElements(fields) {
		if equalFold(element, token) {
			return true
		}
	}
	return false
}

// checkExtraHeader returns an error if the caller's additions to a handshake must not be sent. A
// name or value with a line break would let its author add header fields. The fields that the
// handshake itself writes must not come twice.
func checkExtraHeader(h http.Header, reserved ...string) error {
	for name, values := range h {
		if !isToken(name) {
			return fmt.Errorf("websocket: %q is not a header field name", name)
		}
		for _, r := range reserved {
			if equalFold(name, r) {
				return fmt.Errorf("websocket: the header field %s is written by the handshake itself: leave it out", r)
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

// appendField appends a header field to b, one line for each value.
func appendField(b []byte, name string, values []string) []byte {
	for _, v := range values {
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, trimOWS(v)...)
		b = append(b, "\r\n"...)
	}
	return b
}

// The grammar of Sec-WebSocket-Extensions, RFC 6455 section 9.1:
//
//	permessage-deflate; client_max_window_bits; server_max_window_bits="10", x-other
//
//	extension-list  = 1#extension
//	extension       = extension-token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
//
// After unquoting, a quoted value must be a token as well.

// An extension is one element of the list.
type extension struct {
	name   string
	params []extensionParam
}

// An extensionParam is a parameter of an extension. Its value is optional.
type extensionParam struct {
	name     string
	value    string
	hasValue bool
}

// parseExtensions parses the list in all fields of that name. It reports false if any part of the
// list breaks the grammar, because the other parts may then mean something else than they seem to.
func parseExtensions(fields []string) (list []extension, ok bool) {
	for _, field := range fields {
		s := scanner{rest: field}
		for s.skipEmpty() {
			e, ok := s.extension()
			if !ok {
				return nil, false
			}
			list = append(list, e)
		}
	}
	return list, true
}

// A scanner parses a field's value from the front. Each method consumes the text that it returns.
type scanner struct{ rest string }

// next skips white space and then c. It reports whether c was there.
func (s *scanner) next(c byte) bool {
	s.rest = strings.TrimLeft(s.rest, " \t")
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = strings.TrimLeft(s.rest[1:], " \t")
	return true
}

// skipEmpty skips empty elements of the list. It reports whether another element comes.
func (s *scanner) skipEmpty() bool {
	for s.next(',') {
	}
	return s.rest != ""
}

// extension parses one element, and the comma behind it.
func (s *scanner) extension() (e extension, ok bool) {
	if e.name, ok = s.token(); !ok {
		return e, false
	}
	for s.next(';') {
		p, ok := s.param()
		if !ok {
			return e, false
		}
		e.params = append(e.params, p)
	}
	return e, s.next(',') || s.rest == ""
}

// param parses one parameter of an extension.
func (s *scanner) param() (p extensionParam, ok bool) {
	if p.name, ok = s.token(); !ok {
		return p, false
	}
	if !s.next('=') {
		return p, true
	}
	p.hasValue = true
	if strings.HasPrefix(s.rest, `"`) {
		p.value, ok = s.quoted()
	} else {
		p.value, ok = s.token()
	}
	return p, ok
}

// token parses a token. It reports false if there is none.
func (s *scanner) token() (string, bool) {
	n := 0
	for n < len(s.rest) && tokenBytes[s.rest[n]] {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token, n > 0
}

// quoted parses a quoted string, and unquotes it: "When using the quoted-string syntax variant, the
// value after quoted-string unescaping MUST conform to the 'token' ABNF".
func (s *scanner) quoted() (string, bool) {
	var value []byte
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			s.rest = s.rest[i+1:]
			return string(value), isToken(string(value))
		case '\\':
			if i++; i == len(s.rest) {
				return "", false
			}
		}
		value = append(value, s.rest[i])
	}
	return "", false
}
