package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

// dialAnswered dials a server that gives the answer. ACCEPT in the answer stands for the right
// accept value.
func dialAnswered(answer string) (*Conn, *http.Response, error) {
	d := Dialer{NetDial: func(string, string) (net.Conn, error) {
		s, c := net.Pipe()
		go func() {
			defer s.Close()
			r, err := http.ReadRequest(bufio.NewReader(s))
			if err != nil {
				return
			}
			accept := string(appendAccept(nil, r.Header.Get("Sec-WebSocket-Key")))
			io.WriteString(s, strings.Replace(answer, "ACCEPT", accept, 1))
		}()
		return c, nil
	}}
	return d.Dial("ws://a.example/", nil)
}

// "If the response lacks a |Connection| header field or the |Connection| header field doesn't
// contain a token that is an ASCII case-insensitive match for the value "Upgrade", the client MUST
// _Fail the WebSocket Connection_" (section 4.1). The field may contain other tokens too. An error
// shows the fields that came.
func TestDialConnectionField(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		ok     bool
	}{
		{[]string{"Upgrade"}, true},
		{[]string{"close, Upgrade"}, true},
		{[]string{"Upgrade, close"}, true},
		{[]string{"keep-alive, Upgrade, close"}, true},
		{[]string{"close,Upgrade"}, true},
		{[]string{"close", "Upgrade"}, true},
		{[]string{"Upgrade", "close"}, true},
		{[]string{"CLOSE , uPGRADE"}, true},
		{[]string{"close\r\n ,Upgrade"}, true}, // obsolete folding
		{[]string{"close"}, false},
		{[]string{"close", "keep-alive"}, false},
		{[]string{"close, X-Upgrade"}, false},
		{[]string{""}, false},
		{nil, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n"
			for _, f := range tt.fields {
				answer += "Connection: " + f + "\r\n"
			}
			c, resp, err := dialAnswered(answer + "\r\n")
			if err == nil {
				c.Close()
			}
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrBadHandshake) {
				t.Errorf("Connection %q: %v", tt.fields, err)
			}
			for _, f := range tt.fields {
				if err != nil && !strings.Contains(err.Error(), f) {
					t.Errorf("Connection %q: the error %q does not show it", tt.fields, err)
				}
			}
			if resp == nil || len(resp.Header["Connection"]) != len(tt.fields) || resp.Request == nil || resp.Body == nil {
				t.Errorf("Connection %q: response %+v", tt.fields, resp)
			}
		})
	}
}

// A refusal shows its Connection field too, and its body as always.
func TestDialRefusalShowsConnection(t *testing.T) {
	for _, framing := range []string{"Content-Length: 4\r\n\r\nbusy", "Transfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n", "\r\nbusy"} {
		synctest.Test(t, func(t *testing.T) {
			_, resp, err := dialAnswered("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 3\r\n" + framing)
			if err != ErrBadHandshake {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.Header.Get("Connection") != "close" || resp.Header.Get("Retry-After") != "3" || string(body) != "busy" || err != nil ||
				resp.Status != "503 Service Unavailable" || !resp.Close {
				t.Errorf("%q: %+v, body %q, %v", framing, resp, body, err)
			}
		})
	}
}

// goodResponse answers goodRequest.
const goodResponse = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// responseSeeds are headers of responses, good and bad.
var responseSeeds = []string{
	goodResponse,
	"HTTP/1.1 200 OK\n\n",
	"HTTP/1.0 200\r\n\r\n",
	"HTTP/1.1  403  No \r\nA: 1\r\nb:2\r\nA:\t3 \r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\n\t3\r\nB: 4\r\n\r\n",
	"HTTP/1.1 200 OK\r\n A: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA : 1\r\nA B: 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: \xff\r\nß: 1\r\n\r\n",
	"HTTP/1.1 20 OK\r\n\r\n",
	"HTTP/1.1 +20 OK\r\n\r\n",
	"HTTP/1.1 -20 OK\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1 200 OK\r\n\r\n",
	"HTTP/1.1\r\n\r\n",
	"ICY 200 OK\r\n\r\n",
	"\r\n\r\n",
	"220 mail.example ESMTP\r\n\r\n",
}

// FuzzParseResponse compares with net/http's parser. The request is HEAD, so that the response has
// no body.
func FuzzParseResponse(f *testing.F) {
	for _, s := range responseSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := headerEnd(b, 0)
		if n == 0 {
			return
		}
		b = b[:n]
		got, err := parseResponse(b)
		want, wantErr := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: "HEAD"})
		if err != nil || wantErr != nil {
			// net/http may refuse a response for its body, or take a code below 100.
			if err != nil && wantErr == nil && want.StatusCode >= 100 {
				t.Errorf("%q: refused with %v, and net/http takes it", b, err)
			}
			return
		}
		if got.Status != want.Status || got.StatusCode != want.StatusCode || got.Proto != want.Proto {
			t.Errorf("%q: %s %q (%d), net/http has %s %q (%d)", b, got.Proto, got.Status, got.StatusCode, want.Proto, want.Status, want.StatusCode)
		}
		for _, h := range []http.Header{got.Header, want.Header} {
			for _, name := range []string{"Connection", "Transfer-Encoding", "Trailer", "Content-Length", "Cache-Control"} {
				delete(h, name) // net/http changes these fields
			}
			for _, values := range h {
				for i := range values { // net/http leaves white space in front of an empty last line
					values[i] = trimOWS(values[i])
				}
			}
		}
		if !reflect.DeepEqual(got.Header, want.Header) {
			t.Errorf("%q: %q, net/http has %q", b, got.Header, want.Header)
		}
	})
}

func TestParseResponseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"\r\n\r\n":                                "malformed HTTP response",
		"HTTP/1.1\r\n\r\n":                        "malformed HTTP response",
		"220 mail.example ESMTP\r\n\r\n":          "malformed HTTP version",
		"HTTP/1.1 20 OK\r\n\r\n":                  "status code",
		"HTTP/1.1 099 OK\r\n\r\n":                 "status code",
		"HTTP/1.1 1010 OK\r\n\r\n":                "status code",
		"HTTP/1.1 101 X\r\n A: 1\r\n\r\n":         `" A: 1"`,
		"HTTP/1.1 101 X\r\nA\r\n\r\n":             `"A"`,
		"HTTP/1.1 101 X\r\nA: \x00\r\n\r\n":       `"A: \x00"`,
		"HTTP/1.1 101 X\r\nA: 1\r\n \x00\r\n\r\n": `" \x00"`,
		"HTTP/1.1 101 X\r\nA: 1\r\rB: 2\r\n\r\n":  "malformed header line",
		"HTTP/1.1 101 X\r\n: 1\r\n\r\n":           `": 1"`,
		"HTTP/1.1 101 X\r\n\t: 1\r\n\r\n":         "malformed header line",
		"HTTP/1.1 101 X\r\nA(: 1\r\n\r\n":         `"A(: 1"`,
	} {
		if r, err := parseResponse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, r, err, want)
		}
	}
}
