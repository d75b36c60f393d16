package websocket

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// The bytes of an opening handshake's request, parsed for a Server that listens by itself.
//
// The request has a request line, header fields and an empty line, and no body (RFC 9112 sections 2
// to 5):
//
//	GET /chat?room=1 HTTP/1.1\r\n
//	Host: server.example.com\r\n
//	Upgrade: websocket\r\n
//	…\r\n
//	\r\n
//
// net/http could read it, at the price of two buffers of 4 KiB and a goroutine for as long as the
// connection lasts.

// headerEnd returns the length of the header at the front of b, including its empty line, or 0 if b
// ends before that. The first searched bytes were searched before. "A recipient MAY recognize a
// single LF as a line terminator" (RFC 9112 section 2.2), so a person who types a request by hand
// gets an answer.
func headerEnd(b []byte, searched int) int {
	for at := max(0, searched-2); ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		switch rest := b[at:]; {
		case len(rest) >= 1 && rest[0] == '\n':
			return at + 1
		case len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// A parsedRequest is an http.Request together with the parts that it points to.
type parsedRequest struct {
	http.Request
	url    url.URL
	values []string // of Header. Most fields have one value, so they share an array
}

// parsedRequests is a pool of requests that no function of the application's has seen. A map for
// the fields costs more memory than all else that an opening handshake allocates.
var parsedRequests = sync.Pool{New: func() any { return new(parsedRequest) }}

// maxPooledFields is the largest number of fields of a request that goes back to the pool. A map
// never becomes smaller.
const maxPooledFields = 32

// recycle gives r back to the pool.
func (r *parsedRequest) recycle() {
	if cap(r.values) <= maxPooledFields {
		r.reset()
		parsedRequests.Put(r)
	}
}

// reset empties r, and keeps the memory for the fields.
func (r *parsedRequest) reset() {
	clear(r.Header)
	clear(r.values)
	*r = parsedRequest{Request: http.Request{Header: r.Header}, values: r.values[:0]}
}

// parseRequest parses a header that headerEnd has measured. The request holds copies of the bytes
// of b, so that b can be used again.
func parseRequest(b []byte) (*parsedRequest, *HandshakeError) {
	r := parsedRequests.Get().(*parsedRequest)
	if refusal := r.parse(strings.TrimSuffix(string(b), "\r\n\r\n")); refusal != nil {
		return nil, refusal
	}
	return r, nil
}

// parse parses the text of a header, without the empty line at its end.
func (r *parsedRequest) parse(text string) *HandshakeError {
	line, rest, _ := strings.Cut(text, "\r\n")
	if refusal := r.parseRequestLine(line); refusal != nil {
		return refusal
	}
	hosts, refusal := r.parseFields(rest)
	// "A server MUST respond with a 400 […] to any HTTP/1.1 request message that lacks a Host
	// header field and to any request message that contains more than one Host header field line or
	// a Host header field with an invalid field value" (RFC 9112 section 3.2).
	switch {
	case refusal != nil:
		return refusal
	case hosts != 1:
		return refuse(http.StatusBadRequest, "the request must have one Host header field, not %d", hosts)
	case !isHost(r.Host):
		return refuse(http.StatusBadRequest, "the request's Host header field is %.100q, which names no host", r.Host)
	}
	if r.URL.Host != "" {
		r.Host = r.URL.Host // an absolute target overrides the field (section 3.2.2)
	}
	if !isHost(r.Host) {
		return refuse(http.StatusBadRequest, "the request's target names the host %.100q, which is not one", r.Host)
	}
	if r.Header["Transfer-Encoding"] != nil || slices.ContainsFunc(r.Header["Content-Length"], func(s string) bool { return s != "0" }) {
		r.ContentLength = -1 // a body is announced, of any length: checkRequest refuses it
	}
	return nil
}

// parseRequestLine parses "GET /chat?room=1 HTTP/1.1".
func (r *parsedRequest) parseRequestLine(line string) *HandshakeError {
	method, rest, ok1 := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	major, minor, ok3 := http.ParseHTTPVersion(proto)
	if !ok1 || !ok2 || !ok3 || !isToken(method) {
		return refuse(http.StatusBadRequest, "malformed request line %.100q", line)
	}
	if err := r.parseTarget(target); err != nil {
		return refuse(http.StatusBadRequest, "malformed request target %.100q", target)
	}
	r.Method, r.RequestURI, r.Body = method, target, http.NoBody
	r.Proto, r.ProtoMajor, r.ProtoMinor = proto, major, minor
	return nil
}

// parseTarget parses a target such as "/chat?room=1". Most are nothing but a path without escapes.
func (r *parsedRequest) parseTarget(target string) error {
	if strings.HasPrefix(target, "/") && pathBytes.holds(target) {
		r.URL = &r.url
		r.url.Path = target
		return nil
	}
	u, err := url.ParseRequestURI(target)
	r.URL = u
	return err
}

// pathBytes is the set of the bytes that package url neither escapes nor unescapes in a path.
var pathBytes = newByteSet("-._~/")

// parseFields parses header fields, one "Name: value" a line. It refuses a line that goes on in the
// next line, which RFC 9112 section 5.2 allows, and white space before the colon, which section 5.1
// demands. Host does not belong in the Header of an http.Request. parseFields stores it in r.Host,
// and returns the number of Host fields.
func (r *parsedRequest) parseFields(text string) (hosts int, refusal *HandshakeError) {
	n := strings.Count(text, "\n")
	if r.Header == nil {
		r.Header = make(http.Header, n)
	}
	r.values = slices.Grow(r.values, n)
	for text != "" {
		var line string
		line, text = cutLine(text)
		name, value, _ := strings.Cut(line, ":")
		name, ok := canonicalName(name)
		if value = trimOWS(value); !ok || len(name) == len(line) || !isFieldValue(value) {
			return 0, refuse(http.StatusBadRequest, "malformed header line %.100q", line)
		}
		if name == "Host" {
			r.Host, hosts = value, hosts+1
			continue
		}
		if earlier := r.Header[name]; earlier != nil {
			r.Header[name] = append(earlier, value)
			continue
		}
		r.values = append(r.values, value)
		end := len(r.values)
		r.Header[name] = r.values[end-1 : end : end]
	}
	return hosts, nil
}

// cutLine cuts text behind its first CRLF, or at its end. An LF by itself stays in the line, and
// isFieldValue then refuses the line.
func cutLine(text string) (line, rest string) {
	i := strings.IndexByte(text, '\n')
	switch {
	case i < 0:
		return text, ""
	case i > 0 && text[i-1] == '\r':
		return text[:i-1], text[i+1:]
	}
	return text[:i+1], text[i+1:]
}

// canonicalName returns the key of a field in an http.Header. It reports false if name is not a
// token. Most names are canonical already. The names below come in every opening handshake, and
// net/textproto does not know them, so it would allocate a string for each.
func canonicalName(name string) (key string, ok bool) {
	switch name {
	case "Sec-WebSocket-Key":
		return "Sec-Websocket-Key", true
	case "Sec-WebSocket-Version":
		return "Sec-Websocket-Version", true
	case "Sec-WebSocket-Extensions":
		return "Sec-Websocket-Extensions", true
	case "Sec-WebSocket-Protocol":
		return "Sec-Websocket-Protocol", true
	}
	canonical, upper := true, true
	for i := range len(name) {
		c := name[i]
		if !tokenBytes[c] {
			return name, false
		}
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			canonical = false
		}
		upper = c == '-'
	}
	if !canonical {
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	return name, name != ""
}
