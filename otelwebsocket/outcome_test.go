package otelwebsocket_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// request returns goodRequest with some texts replaced by others.
func request(edit ...string) string { return strings.NewReplacer(edit...).Replace(goodRequest) }

// A server's handshakes that fail have a reason of few, and the status of the response.
func TestServerHandshakeFailures(t *testing.T) {
	tests := map[string]struct {
		request string
		setUp   func(*websocket.Server)
		want    string
	}{
		"no WebSocket": {
			request: "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			want:    "error.type=upgrade_required,http.response.status_code=426",
		},
		"wrong version": {
			request: request("Version: 13", "Version: 8"),
			want:    "error.type=upgrade_required,http.response.status_code=426",
		},
		"wrong method": {
			request: request("GET ", "PUT "),
			want:    "error.type=method_not_allowed,http.response.status_code=405",
		},
		"bad key": {
			request: request("dGhlIHNhbXBsZSBub25jZQ==", "short"),
			want:    "error.type=bad_request,http.response.status_code=400",
		},
		"no HTTP": {
			request: "\x00\x01\x02\r\n\r\n",
			want:    "error.type=bad_request,http.response.status_code=400",
		},
		"large header": {
			request: request("Host: h", "Host: h\r\nCookie: "+strings.Repeat("x", 20<<10)),
			want:    "error.type=header_too_large,http.response.status_code=431",
		},
		"HTTP/2": {
			request: request("HTTP/1.1", "HTTP/2.0"),
			want:    "error.type=http_version,http.response.status_code=505",
		},
		"another origin": {
			request: request("Host: h", "Host: h\r\nOrigin: https://elsewhere.example"),
			want:    "error.type=origin_not_allowed,http.response.status_code=403",
		},
		"Admit refuses": {
			request: goodRequest,
			setUp: func(srv *websocket.Server) {
				srv.Admit = func(*http.Request, http.Header) (*http.Request, error) {
					return nil, &websocket.Refusal{Status: http.StatusUnauthorized}
				}
			},
			want: "error.type=refused,http.response.status_code=401",
		},
		"Admit refuses as a rule would": {
			request: goodRequest,
			setUp: func(srv *websocket.Server) {
				srv.Admit = func(*http.Request, http.Header) (*http.Request, error) { return nil, new(websocket.Refusal) }
			},
			want: "error.type=refused,http.response.status_code=403",
		},
		"Admit fails": {
			request: goodRequest,
			setUp: func(srv *websocket.Server) {
				srv.Admit = func(*http.Request, http.Header) (*http.Request, error) { return nil, errors.New("no database") }
			},
			want: "error.type=internal_error,http.response.status_code=500",
		},
		"the client leaves": {
			request: "GET / HT",
			want:    "error.type=connection_lost",
		},
		"nothing comes": {
			setUp: func(srv *websocket.Server) { srv.HandshakeTimeout = 20 * time.Millisecond },
			want:  "error.type=timeout",
		},
		"TLS to a server without": {
			request: "\x16\x03\x01\x00\x05hello",
			want:    "error.type=_OTHER",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeter(t)
			srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil)})
			if tt.setUp != nil {
				tt.setUp(srv)
			}
			nc, err := net.Dial("tcp", strings.TrimPrefix(serve(t, srv), "ws://"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			io.WriteString(nc, tt.request)
			if tt.request != "" && !strings.HasSuffix(tt.request, "\n") {
				nc.(*net.TCPConn).CloseWrite()
			}
			go io.Copy(io.Discard, nc)
			m.expect(t, "websocket.server.", map[string]int64{"handshakes{" + tt.want + "}": 1})
		})
	}
}

// A server that is closed in the middle of a handshake is closed by this side, whoever accepted the
// connection.
func TestServerHandshakeClosed(t *testing.T) {
	m := newMeter(t)
	closing := func() *websocket.Server {
		srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil)})
		srv.Admit = func(*http.Request, http.Header) (*http.Request, error) { return nil, srv.Close() }
		return srv
	}
	for _, url := range []string{serve(t, closing()), serveHTTP(t, closing())} {
		if c, _, err := new(websocket.Dialer).Dial(url, nil); err == nil {
			c.Close()
			t.Fatal("no error")
		}
	}
	m.expect(t, "websocket.server.", map[string]int64{"handshakes{error.type=closed}": 2})
}

// A server with TLS counts those who do not speak it, or do not like its certificate.
func TestServerHandshakeFailuresTLS(t *testing.T) {
	m := newMeter(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil)})
	go srv.Serve(tls.NewListener(l, testTLS(t)))
	t.Cleanup(func() { srv.Close() })

	d := &websocket.Dialer{Trace: m.ClientTrace(nil)}
	if _, _, err := d.Dial("wss://"+l.Addr().String(), nil); err == nil {
		t.Fatal("an unknown certificate was trusted")
	}
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, goodRequest)
	m.expect(t, "websocket.", map[string]int64{
		"server.handshakes{error.type=tls}": 2,
		"client.handshakes{error.type=tls}": 1,
	})
}

// testTLS returns a certificate that nobody trusts.
func testTLS(t *testing.T) *tls.Config {
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return &tls.Config{Certificates: ts.TLS.Certificates}
}

// A client's handshakes that fail have a reason too.
func TestClientHandshakeFailures(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	page := http.NewServeMux()
	page.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) {
		nc, _, _ := http.NewResponseController(w).Hijack()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n")
		nc.Close()
	})
	page.HandleFunc("/gone", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	url := serveHTTP(t, page)
	ended, end := context.WithCancel(context.Background())
	end()
	tests := map[string]struct {
		url  string
		ctx  context.Context
		want string
	}{
		"refused":       {url: url + "/nothing here", want: "refused"},
		"bad response":  {url: url + "/bad", want: "bad_response"},
		"gone":          {url: url + "/gone", want: "connection_lost"},
		"nobody there":  {url: "ws://" + closed.Addr().String(), want: "connect"},
		"no such name":  {url: "ws://name.invalid", want: "dns"},
		"silence":       {url: "ws://" + silent.Addr().String(), want: "timeout"},
		"context ended": {url: url, ctx: ended, want: "canceled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			d := &websocket.Dialer{Trace: m.ClientTrace(nil), HandshakeTimeout: 10 * time.Second}
			if tt.want == "timeout" {
				d.HandshakeTimeout = 20 * time.Millisecond
			}
			if tt.want == "dns" { // no network is asked
				d.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "name.invalid", IsNotFound: true}}
				}
			}
			if tt.ctx == nil {
				tt.ctx = context.Background()
			}
			if c, _, err := d.DialContext(tt.ctx, tt.url, nil); err == nil {
				c.Close()
				t.Fatal("no error")
			}
			m.expect(t, "websocket.client.", map[string]int64{"handshakes{error.type=" + tt.want + "}": 1})
		})
	}
}

// The ways in which a connection ends can be told apart.
func TestEnds(t *testing.T) {
	closeFrame := func(code int) func(*testing.T, net.Conn) {
		return func(_ *testing.T, nc net.Conn) {
			p := websocket.FormatCloseMessage(code, "")
			nc.Write(append([]byte{0x88, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...))
		}
	}
	send := func(frame ...byte) func(*testing.T, net.Conn) {
		return func(_ *testing.T, nc net.Conn) { nc.Write(frame) }
	}
	nothing := func(*testing.T, net.Conn) {}
	tests := map[string]struct {
		setUp func(*websocket.Server)
		peer  func(*testing.T, net.Conn)
		want  string
	}{
		"normal":             {peer: closeFrame(1000), want: "websocket.close.code=1000"},
		"going away":         {peer: closeFrame(1001), want: "websocket.close.code=1001"},
		"no code":            {peer: closeFrame(1005), want: "websocket.close.code=1005"},
		"the program's code": {peer: closeFrame(4001), want: "websocket.close.code=4001"},
		"another's code":     {peer: closeFrame(4711), want: "websocket.close.code=4xxx"},
		"a library's code":   {peer: closeFrame(3000), want: "websocket.close.code=3xxx"},
		"end without a close frame": {
			peer: func(_ *testing.T, nc net.Conn) { nc.Close() },
			want: "error.type=connection_lost,websocket.close.code=1006",
		},
		"reset": {
			peer: func(_ *testing.T, nc net.Conn) {
				nc.(*net.TCPConn).SetLinger(0)
				nc.Close()
			},
			want: "error.type=connection_lost,websocket.close.code=1006",
		},
		"an unmasked frame":     {peer: send(0x81, 0), want: "error.type=protocol_error,websocket.close.code=1002"},
		"text that is not UTF8": {peer: send(0x81, 0x81, 0, 0, 0, 0, 0xff), want: "error.type=protocol_error,websocket.close.code=1007"},
		"too large": {
			setUp: func(srv *websocket.Server) { srv.ReadLimit = 10 },
			peer:  send(0x82, 0x80|11, 0, 0, 0, 0),
			want:  "error.type=protocol_error,websocket.close.code=1009",
		},
		"no pong": {
			setUp: func(srv *websocket.Server) {
				srv.PingInterval, srv.PongTimeout = 20*time.Millisecond, 20*time.Millisecond
			},
			peer: nothing,
			want: "error.type=pong_timeout,websocket.close.code=1006",
		},
		"does not take what is queued": {
			setUp: func(srv *websocket.Server) {
				srv.QueueTimeout, srv.QueueLimit = 50*time.Millisecond, -1
				srv.OnOpen = func(c *websocket.Conn, _ *http.Request) {
					c.Enqueue(websocket.BinaryMessage, make([]byte, 16<<20))
					c.Enqueue(websocket.BinaryMessage, make([]byte, 16<<20))
				}
			},
			peer: nothing,
			want: "error.type=queue_timeout,websocket.close.code=1006",
		},
		"this side's Close": {
			setUp: func(srv *websocket.Server) { srv.OnOpen = func(c *websocket.Conn, _ *http.Request) { c.Close() } },
			peer:  nothing,
		},
		"the program's error": {
			setUp: func(srv *websocket.Server) {
				srv.OnOpen = func(c *websocket.Conn, _ *http.Request) {
					c.SetPingHandler(func(string) error { return errors.New("no more") })
				}
			},
			peer: send(0x89, 0x80, 0, 0, 0, 0),
			want: "error.type=_OTHER,websocket.close.code=1006",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeter(t, 4001)
			srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil)})
			if tt.setUp != nil {
				tt.setUp(srv)
			}
			tt.peer(t, rawDial(t, serve(t, srv)))
			want := "connection.duration"
			if tt.want != "" {
				want += "{" + tt.want + "}"
			}
			m.expect(t, "websocket.server.connection", map[string]int64{strings.TrimPrefix(want, "connection"): 1})
			m.expect(t, "websocket.server.active", map[string]int64{})
		})
	}
}

// The duration is the time from the handshake to the end, in seconds.
func TestDuration(t *testing.T) {
	m := newMeter(t)
	trace := m.ServerTrace(nil)
	c := new(websocket.Conn)
	trace.Handshake(c, nil, nil, nil)
	time.Sleep(50 * time.Millisecond)
	trace.Closed(c, net.ErrClosed)
	if sum := m.seconds(t, "websocket.server.connection.duration"); sum < 0.05 || sum > 10 {
		t.Errorf("the duration is %v s, want some 0.05", sum)
	}
}
