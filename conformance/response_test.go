package conformance

// This file tests the opening handshake as a client sees it. Each row is a response and the result
// that it must have (RFC 6455 §4.1).

import (
	"net"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// responseTests are responses, ACCEPT standing for the right accept value and a line break for CR
// LF, and whether they establish a connection (RFC 6455 §4.1).
var responseTests = []struct {
	name, response string
	ok             bool
}{
	{"as the suite sends it", "HTTP/1.1 101 Switching Protocols\nUpgrade: WebSocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", true},
	{"without a reason", "HTTP/1.1 101 \nUpgrade: websocket\nConnection: upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", true},
	{"names in any case", "HTTP/1.1 101 OK\nupgrade: websocket\nCONNECTION: Upgrade\nsec-websocket-accept:ACCEPT\n\n", true},
	{"spaces around the value", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: \t ACCEPT \t\n\n", true},
	{"Connection as a list", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: keep-alive, Upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", true},
	{"a response before the response", "HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", true},
	{"other status", "HTTP/1.1 200 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\nContent-Length: 0\n\n", false},
	{"refusal", "HTTP/1.1 403 Forbidden\nContent-Length: 2\n\nno", false},
	{"redirect", "HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0\n\n", false},
	{"no Upgrade", "HTTP/1.1 101 OK\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", false},
	{"other Upgrade", "HTTP/1.1 101 OK\nUpgrade: h2c\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", false},
	{"no Connection", "HTTP/1.1 101 OK\nUpgrade: websocket\nSec-WebSocket-Accept: ACCEPT\n\n", false},
	{"other Connection", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: close\nSec-WebSocket-Accept: ACCEPT\n\n", false},
	{"no accept", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\n\n", false},
	{"the sample's accept", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n", false},
	{"an extension", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\nSec-WebSocket-Extensions: permessage-deflate\n\n", false},
	{"a subprotocol", "HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\nSec-WebSocket-Protocol: chat\n\n", false},
	{"HTTP/1.0", "HTTP/1.0 101 OK\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\n\n", false},
	{"no HTTP", "SSH-2.0-OpenSSH_9.6\n\n", false},
	{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", false},
	{"nothing", "", false},
	{"half a response", "HTTP/1.1 101 OK\nUpgrade: websocket\nConn", false},
}

// TestConformanceResponse sends each and ends the server's side of TCP. A client that refuses sends
// nothing but its own end.
func TestConformanceResponse(t *testing.T) {
	t.Parallel()
	for _, tt := range responseTests {
		t.Run(tt.name, func(t *testing.T) {
			c := startClient(t, websocket.Dialer{HandshakeTimeout: patience})
			p, result := c.openResult(t)
			r, err := c.readRequest(p)
			if err != nil {
				t.Fatal(err)
			}
			accept := acceptKey(r.Header.Get("Sec-WebSocket-Key"))
			p.send(t, []byte(strings.NewReplacer("\n", "\r\n", "ACCEPT", accept).Replace(tt.response)))
			p.nc.(*net.TCPConn).CloseWrite()
			if err := <-result; (err == nil) != tt.ok {
				t.Errorf("error %v, want a connection: %v", err, tt.ok)
			}
			p.expectEnd(t)
		})
	}
}

// TestConformanceResponseFlood: a client gives up a response whose header does not end.
func TestConformanceResponseFlood(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ start, unit string }{
		{"HTTP/1.1 101 OK\r\n", strings.Repeat("X: a\r\n", 170)},
		{"HTTP/1.1 101 OK\r\nX: ", strings.Repeat("a", 1024)},
		{"", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"", strings.Repeat("\r\n", 512)},
	} {
		c := startClient(t, websocket.Dialer{HandshakeTimeout: 2 * patience})
		p, result := c.openResult(t)
		var err error
		for b := []byte(tt.start); err == nil; b = []byte(tt.unit) {
			_, err = p.nc.Write(b)
		}
		if err := <-result; err == nil || isTimeout(err) {
			t.Errorf("%q, then %.30q without end: %v", tt.start, tt.unit, err)
		}
	}
}
