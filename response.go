package websocket

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The bytes of an opening handshake's response, parsed for a Dialer (RFC 9112 sections 4 and 5):
//
//	HTTP/1.1 101 Switching Protocols\r\n
//	Upgrade: websocket\r\n
//	Connection: Upgrade\r\n
//	…\r\n
//	\r\n
//
// net/http could read it, but it deletes the field Connection if that says close, and "close, Upgrade"
// is valid.

// parseResponse parses a header that headerEnd has measured. Like net/http, and unlike parseRequest, it
// accepts lines that end with LF alone, and lines that go on in the next line.
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

// addFieldLine adds a line to the fields, and returns the name of its field. A line that begins with
// white space continues the field of the previous line, last: "A user agent that receives an obs-fold
// in a response message […] MUST replace each received obs-fold with one or more SP" (section 5.2).
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
	// A name with a space in it matches no field that the handshake needs. As in net/http, it stays as
	// it is, so that the caller can see it.
	if !ok || !isToken(strings.ReplaceAll(name, " ", "")) || line[0] == ' ' {
		return "", fmt.Errorf("malformed header line %.100q", line)
	}
	if !strings.Contains(name, " ") {
		name = http.CanonicalHeaderKey(name)
	}
	h[name] = append(h[name], trimOWS(value))
	return name, nil
}

// cutHeaderLine cuts text behind its first line, which ends with CRLF or LF.
func cutHeaderLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}
