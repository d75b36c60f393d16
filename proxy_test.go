package websocket

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
)

// tunnelStatus accepts well-formed responses to CONNECT, and refuses all others.
func TestTunnelStatus(t *testing.T) {
	for line, want := range map[string]string{
		"HTTP/1.1 200 Connection established\r\n\r\n": "200 Connection established",
		"HTTP/1.0 204\r\nContent-Length: x\r\n\r\n":   "204",
		"HTTP/1.1 407 Who?\n\n":                       "407 Who?",
		"HTTP/1.1 2oops\r\n\r\n":                      "",
		"HTTP/1.1 2000 x\r\n\r\n":                     "",
		"HTTP/9.9 200 OK\r\n\r\n":                     "",
		"HTTP/1.1\r\n\r\n":                            "",
		"SSH-2.0-x\r\n\r\n":                           "",
	} {
		if got, err := tunnelStatus([]byte(line)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}

// All interim responses share one budget, and 101 does not open a tunnel.
func TestTunnelRefused(t *testing.T) {
	for _, tt := range []struct{ answers, want string }{
		{strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), "too large"},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", "refused: 101"},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", "refused: 403 No"},
	} {
		nc := &scriptedConn{Reader: strings.NewReader(tt.answers), Writer: new(strings.Builder)}
		if err := openTunnel(nc, nil, "h:80"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.30q: %v, want %q", tt.answers, err, tt.want)
		}
	}
}

// A dial function that returns nothing is an error, not a panic.
func TestDialReturnsNothing(t *testing.T) {
	d := Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil }}
	if _, _, err := d.Dial("ws://h/", nil); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("Dial: %v", err)
	}
}

// A scriptedConn reads from a script, and keeps the bytes that are written to it.
type scriptedConn struct {
	net.Conn
	io.Reader
	io.Writer
}

func (c *scriptedConn) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c *scriptedConn) Write(p []byte) (int, error) { return c.Writer.Write(p) }
