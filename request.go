package websocket

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
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

// parseRequest parses a header that headerEnd has measured. The request holds copies of the bytes
// of b, so that b can be used again.
func parseRequest(b []byte) (*http.Request, *HandshakeError) {
	text := strings.TrimSuffix(string(b), "\r\n\r\n")
	line, rest, _ := strings.Cut(text, "\r\n")
	r, refusal := parseRequestLine(line)
	if refusal != nil {
		return nil, refusal
	}
	var hosts int
	if r.Header, r.Host, hosts, refusal = parseFields(rest); refusal != nil {
		return nil, refusal
	}
	// "A server MUST respond with a 400 […] to any HTTP/1.1 request message that lacks a Host
	// header field and to any request message that contains more than one Host header field line or
	// a Host header field with an invalid field value" (RFC 9112 section 3.2).
	switch {
	case hosts != 1:
		return nil, refuse(http.StatusBadRequest, "the request must have one Host header field, not %d", hosts)
	case !isHost(r.Host):
		return nil, refuse(http.StatusBadRequest, "the request's Host header field is %.100q, which names no host", r.Host)
	}
	if r.URL.Host != "" {
		r.Host = r.URL.Host // an absolute target overrides the field (section 3.2.2)
	}
	if !isHost(r.Host) {
		return nil, refuse(http.StatusBadRequest, "the request's target names the host %.100q, which is not one", r.Host)
	}
	if r.Header["Transfer-Encoding"] != nil || slices.ContainsFunc(r.Header["Content-Length"], func(s string) bool { return s != "0" }) {
		r.ContentLength = -1 // a body is announced, of any length: checkRequest refuses it
	}
	return r, nil
}

// parseRequestLine parses "GET /chat?room=1 HTTP/1.1".
func parseRequestLine(line string) (*http.Request, *HandshakeError) {
	method, rest, ok1 := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	major, minor, ok3 := http.ParseHTTPVersion(proto)
	if !ok1 || !ok2 || !ok3 || !isToken(method) {
		return nil, refuse(http.StatusBadRequest, "malformed request line %.100q", line)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "malformed request target %.100q", target)
	}
	return &http.Request{
		Method: method, RequestURI: target, URL: u,
		Proto: proto, ProtoMajor: major, ProtoMinor: minor,
		Body: http.NoBody,
	}, nil
}

// parseFields parses header fields, one "Name: value" a line. It refuses a line that goes on in the
// next line, which RFC 9112 section 5.2 allows, and white space before the colon, which section 5.1
// demands. Host does not belong in the Header of an http.Request, so parseFields returns it by
// itself, with the number of Host fields.
func parseFields(text string) (h http.Header, host string, hosts int, refusal *HandshakeError) {
	n := strings.Count(text, "\n") + 1
	h = make(http.Header, n)
	values := make([]string, 0, n) // most fields have one value, and these share an array
	for text != "" {
		var line string
		line, text = cutLine(text)
		name, value, _ := strings.Cut(line, ":")
		name, ok := canonicalName(name)
		if value = trimOWS(value); !ok || len(name) == len(line) || !isFieldValue(value) {
			return nil, "", 0, refuse(http.StatusBadRequest, "malformed header line %.100q", line)
		}
		switch {
		case name == "Host":
			host, hosts = value, hosts+1
		case h[name] != nil:
			h[name] = append(h[name], value)
		default:
			values = append(values, value)
			h[name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	return h, host, hosts, nil
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
// token. The names below come in every opening handshake, and net/textproto does not know them, so
// it would allocate a string for each.
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
	return textproto.CanonicalMIMEHeaderKey(name), isToken(name)
}
