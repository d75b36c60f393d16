package websocket

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The response of an opening handshake as it comes over the wire, for a Dialer
// (RFC 9112 sections 4 and 5):
//
//	HTTP/1.1 101 Switching Protocols\r\n
//	Upgrade: websocket\r\n
//	Connection: Upgrade\r\n
//	…\r\n
//	\r\n
//
// net/http could read it, but it deletes the field Connection when that says
// close, and Upgrade may stand beside close.

// parseResponse parses a header that headerEnd has measured. It takes what
// net/http takes: lines that end with LF alone, and lines that go on in the
// next, which a request may not have.
func parseResponse(b []byte) (*http.Response, error) {
	line, rest := cutHeaderLine(string(b))
	resp, err := parseStatusLine(line)
	if err != nil {
		return nil, err
	}
	resp.Header, resp.Body = make(http.Header), http.NoBody
	for name := ""; rest != ""; {
		if line, rest = cutHeaderLine(rest); line == "" {
			break
		}
		if name, err = addFieldLine(resp.Header, name, line); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// parseStatusLine parses "HTTP/1.1 101 Switching Protocols".
func parseStatusLine(line string) (*http.Response, error) {
	proto, status, ok := strings.Cut(line, " ")
	if !ok {
		return nil, fmt.Errorf("malformed HTTP response %.100q", line)
	}
	major, minor, ok := http.ParseHTTPVersion(proto)
	if !ok {
		return nil, fmt.Errorf("malformed HTTP version %.100q", proto)
	}
	status = strings.TrimLeft(status, " ")
	digits, _, _ := strings.Cut(status, " ")
	code, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || code < 100 {
		return nil, fmt.Errorf("malformed HTTP status code %.100q", digits)
	}
	return &http.Response{Status: status, StatusCode: code, Proto: proto, ProtoMajor: major, ProtoMinor: minor}, nil
}

// addFieldLine adds a line to the fields, and returns the name of its field. A
// line that begins with white space goes on with the field of the line before,
// called last: "A user agent that receives an obs-fold in a response message
// […] MUST replace each received obs-fold with one or more SP" (section 5.2).
func addFieldLine(h http.Header, last, line string) (name string, err error) {
	if !isFieldValue(line) {
		return "", fmt.Errorf("malformed header line %.100q", line)
	}
	if values := h[last]; values != nil && (line[0] == ' ' || line[0] == '\t') {
		value := &values[len(values)-1]
		*value = trimOWS(*value + " " + trimOWS(line))
		return last, nil
	}
	name, value, ok := strings.Cut(line, ":")
	// A name with a space in it names none of the fields that count here. It
	// stays as it is, for the caller to see, as in net/http.
	if !ok || !isToken(strings.ReplaceAll(name, " ", "")) || line[0] == ' ' {
		return "", fmt.Errorf("malformed header line %.100q", line)
	}
	if !strings.Contains(name, " ") {
		name = http.CanonicalHeaderKey(name)
	}
	h[name] = append(h[name], trimOWS(value))
	return name, nil
}

// cutHeaderLine cuts text behind its first line, which CRLF or LF ends.
func cutHeaderLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}
