package websocket

import "strings"

// The grammar of Sec-WebSocket-Extensions, RFC 6455 section 9.1:
//
//	permessage-deflate; client_max_window_bits; server_max_window_bits="10", x-other
//
//	extension-list  = 1#extension
//	extension       = extension-token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
//
// A quoted value must be a token as well, once it is unquoted.

type extension struct {
	name   string
	params []extensionParam
}

type extensionParam struct {
	name     string
	value    string
	hasValue bool
}

// parseExtensions parses the list in all fields of that name. It reports false
// for a list that does not follow the grammar anywhere: who made such a list
// cannot be trusted to mean what the rest seems to say.
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

// A scanner takes a field's value apart from its front.
type scanner struct{ rest string }

// next skips white space, and c if that comes then.
func (s *scanner) next(c byte) bool {
	s.rest = strings.TrimLeft(s.rest, " \t")
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = strings.TrimLeft(s.rest[1:], " \t")
	return true
}

// skipEmpty skips empty elements of the list, and reports whether another comes.
func (s *scanner) skipEmpty() bool {
	for s.next(',') {
	}
	return s.rest != ""
}

// extension takes one element, with the comma behind it.
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

func (s *scanner) token() (string, bool) {
	n := 0
	for n < len(s.rest) && tokenOctets[s.rest[n]] {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token, n > 0
}

// quoted takes a quoted string: "When using the quoted-string syntax variant,
// the value after quoted-string unescaping MUST conform to the 'token' ABNF".
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
