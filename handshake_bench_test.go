package websocket

import (
	"net"
	"testing"
	"time"
)

// browserRequest is the opening handshake of a browser, with the other fields that a browser sends.
const browserRequest = "GET / HTTP/1.1\r\n" +
	"Host: localhost:8080\r\n" +
	"Connection: Upgrade\r\n" +
	"Upgrade: websocket\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"\r\n"

// A writeOnlyConn is a transport that discards writes.
type writeOnlyConn struct{ net.Conn }

func (writeOnlyConn) Write(p []byte) (int, error)      { return len(p), nil }
func (writeOnlyConn) RemoteAddr() net.Addr             { return nil }
func (writeOnlyConn) SetDeadline(time.Time) error      { return nil }
func (writeOnlyConn) SetReadDeadline(time.Time) error  { return nil }
func (writeOnlyConn) SetWriteDeadline(time.Time) error { return nil }
func (writeOnlyConn) Close() error                     { return nil }

// The request has arrived, so the kernel has no part in these figures. They include the Conn.
func BenchmarkServerHandshake(b *testing.B) {
	for _, style := range []struct {
		name string
		s    *Server
	}{
		{"Handler", &Server{Handler: echo}},
		{"OnMessage", &Server{OnMessage: func(*Conn, int, []byte) {}}},
	} {
		b.Run(style.name, func(b *testing.B) {
			s := style.s
			first := newConn(writeOnlyConn{}, false) // the keepalive starts and ends with it
			s.join(first)
			defer s.members.remove(first)
			b.ReportAllocs()
			for b.Loop() {
				c := newConn(writeOnlyConn{}, false)
				in := c.acquire()
				in.unread = in.attach()[:copy(in.attach(), browserRequest)]
				s.join(c)
				if _, err := s.openingHandshake(c); err != nil {
					b.Fatal(err)
				}
				s.members.remove(c)
			}
		})
	}
}
