package websocket

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// oddEnds are the ways in which a function may end without returning.
var oddEnds = map[string]func(){
	"panic":  func() { panic("oh no") },
	"Goexit": runtime.Goexit, // t.FailNow
}

// endsOddly is a slog.Handler.
type endsOddly struct{ end func() }

func (h endsOddly) Enabled(context.Context, slog.Level) bool  { return true }
func (h endsOddly) Handle(context.Context, slog.Record) error { h.end(); return nil }
func (h endsOddly) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h endsOddly) WithGroup(string) slog.Handler             { return h }

// connEndsOddly is a transport whose methods end oddly.
type connEndsOddly struct {
	net.Conn
	read, write, address func()
}

func (c connEndsOddly) Read(p []byte) (int, error) {
	if c.read != nil {
		c.read()
	}
	return c.Conn.Read(p)
}

func (c connEndsOddly) Write(p []byte) (int, error) {
	if c.write != nil {
		c.write()
	}
	return c.Conn.Write(p)
}

func (c connEndsOddly) RemoteAddr() net.Addr {
	if c.address != nil {
		c.address()
	}
	return c.Conn.RemoteAddr()
}

// handshakeCode lists the places in which the application's code runs during a server's opening
// handshake. Each function makes one of them end oddly.
var handshakeCode = []struct {
	name    string
	request string
	set     func(s *Server, end func())
	wrap    func(nc net.Conn, end func()) net.Conn // for a listener of its own only
}{
	{"CheckOrigin", with("Origin: https://a.example"), func(s *Server, end func()) {
		s.CheckOrigin = func(*http.Request) bool { end(); return true }
	}, nil},
	{"Admit", goodRequest, func(s *Server, end func()) {
		s.Admit = func(*http.Request, http.Header) (*http.Request, error) { end(); return nil, nil }
	}, nil},
	{"Error", with("Origin: https://a.example"), func(s *Server, end func()) {
		s.Error = func(http.ResponseWriter, *http.Request, int, error) { end() }
	}, nil},
	{"Error, after it answered", with("Origin: https://a.example"), func(s *Server, end func()) {
		s.Error = func(w http.ResponseWriter, _ *http.Request, status int, _ error) { w.WriteHeader(status); end() }
	}, nil},
	{"Error, no upgrade", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(s *Server, end func()) {
		s.Error = func(http.ResponseWriter, *http.Request, int, error) { end() }
	}, nil},
	{"Trace, agreed", goodRequest, func(s *Server, end func()) {
		s.Trace = &Trace{Handshake: func(*Conn, *http.Request, []byte, error) { end() }}
	}, nil},
	{"Trace, refused", with("Origin: https://a.example"), func(s *Server, end func()) {
		s.Trace = &Trace{Handshake: func(*Conn, *http.Request, []byte, error) { end() }}
	}, nil},
	{"Logger, refused", with("Origin: https://a.example", "Connection: close"), func(s *Server, end func()) {
		s.Logger = slog.New(endsOddly{end})
	}, nil},
	{"Error, unreadable", "x\r\n\r\n", func(s *Server, end func()) {
		s.Error = func(http.ResponseWriter, *http.Request, int, error) { end() }
	}, func(nc net.Conn, _ func()) net.Conn { return nc }},
	{"transport's Read", goodRequest, nil, func(nc net.Conn, end func()) net.Conn { return connEndsOddly{Conn: nc, read: end} }},
	{"transport's Write", goodRequest, nil, func(nc net.Conn, end func()) net.Conn { return connEndsOddly{Conn: nc, write: end} }},
	{"transport's RemoteAddr", goodRequest, func(srv *Server, _ func()) {
		srv.OnOpen = func(*Conn, *http.Request) {} // the address is asked for to show it in a request
	}, func(nc net.Conn, end func()) net.Conn { return connEndsOddly{Conn: nc, address: end} }},
	{"TLSConfig", goodRequest, nil, func(nc net.Conn, end func()) net.Conn {
		return tls.Server(nc, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { end(); return nil, nil }})
	}},
}

// The application's code may do anything during the opening handshake. A handler still runs only
// for a client that was told 101. Nothing is left of the others: no member, no goroutine, no
// transport.
func TestHandshakeThatEndsOddly(t *testing.T) {
	for _, tt := range handshakeCode {
		for name, end := range oddEnds {
			for _, style := range []string{"Handler", "OnMessage"} {
				t.Run(tt.name+", "+name+", "+style, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						srv, started := countingServer(style)
						if tt.set != nil {
							tt.set(srv, end)
						}
						l := newListener()
						go srv.Serve(l)
						s, c := net.Pipe()
						if tt.wrap != nil {
							s = tt.wrap(s, end)
						}
						l.conns <- s
						sendRequest(c, s, tt.request)
						c.SetReadDeadline(time.Now().Add(time.Minute))
						if _, err := io.ReadAll(c); isTimeout(err) {
							t.Error("the connection is still open after a minute")
							c.Close()
						}
						synctest.Wait()
						if n := started.Load(); n != 0 {
							t.Errorf("the handler was started %d times", n)
						}
						if n := len(srv.members.list); n != 0 {
							t.Errorf("%d members left", n)
						}
						if err := srv.Shutdown(t.Context()); err != nil {
							t.Errorf("Shutdown: %v", err)
						}
					})
				})
			}
		}
	}
}

// The same in an http.Server, with a Server and with an Upgrader.
func TestServeHTTPThatEndsOddly(t *testing.T) {
	for _, tt := range handshakeCode {
		for name := range oddEnds {
			for _, style := range []string{"ServeHTTP", "Upgrade"} {
				if tt.wrap != nil {
					continue
				}
				t.Run(tt.name+", "+name+", "+style, func(t *testing.T) {
					srv, started := countingServer("Handler")
					end := runtime.Goexit
					if name == "panic" {
						end = func() { panic(http.ErrAbortHandler) } // net/http does not log this one
					}
					tt.set(srv, end)
					var h http.Handler = srv
					if style == "Upgrade" {
						h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if c, err := srv.Upgrade(w, r, nil); err == nil {
								started.Add(1)
								c.Close()
							}
						})
					}
					hs := httptest.NewServer(h)
					defer hs.Close()
					nc, err := net.Dial("tcp", hs.Listener.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					defer nc.Close()
					io.WriteString(nc, tt.request)
					nc.SetReadDeadline(time.Now().Add(10 * time.Second))
					if _, err := io.ReadAll(nc); isTimeout(err) {
						t.Error("the connection is still open after 10 s")
					}
					if n := started.Load(); n != 0 {
						t.Errorf("the handler was started %d times", n)
					}
					if err := srv.Shutdown(t.Context()); err != nil {
						t.Errorf("Shutdown: %v", err)
					}
				})
			}
		}
	}
}

// countingServer returns a Server that counts how often its handler starts.
func countingServer(style string) (srv *Server, started *atomic.Int32) {
	srv, started = new(Server), new(atomic.Int32)
	if style == "Handler" {
		srv.Handler = func(*Conn, *http.Request) { started.Add(1) }
	} else {
		srv.OnMessage = func(*Conn, int, []byte) { started.Add(1) }
		srv.PingInterval = -1
	}
	return srv, started
}

// sendRequest sends a request from c to the server's end s, and, if a handler
// could be started by mistake, a message for it.
func sendRequest(c, s net.Conn, request string) {
	if _, ok := s.(*tls.Conn); ok {
		go tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
		return
	}
	message := appendFrame(nil, frameHeader{frameBits: frameBits{fin: true, masked: true}, opcode: opText}, nil)
	go func() {
		io.WriteString(c, request)
		c.Write(message)
	}()
}

func appendFrame(b []byte, h frameHeader, payload []byte) []byte {
	h.length = int64(len(payload))
	return append(appendHeader(b, h), payload...)
}

// A handler that ends its goroutine ends its connection with 1011, as one that panics does, and is
// no member afterwards.
func TestHandlerThatEndsOddly(t *testing.T) {
	for _, network := range []string{"tcp", "pipe", "tls"} {
		for _, style := range []string{"Handler", "HandleMessages", "OnMessage", "PingHandler"} {
			for name, end := range oddEnds {
				t.Run(network+", "+style+", "+name, func(t *testing.T) {
					srv := &Server{}
					switch style {
					case "Handler":
						srv.Handler = func(c *Conn, _ *http.Request) { c.ReadMessage(); end() }
					case "HandleMessages":
						srv.Handler = func(c *Conn, _ *http.Request) { c.HandleMessages(func(*Conn, int, []byte) { end() }) }
					case "OnMessage":
						srv.OnMessage = func(*Conn, int, []byte) { end() }
					case "PingHandler":
						srv.Handler = func(c *Conn, _ *http.Request) {
							c.SetPingHandler(func(string) error { end(); return nil })
							c.ReadMessage()
						}
					}
					c := dialStyle(t, srv, network)
					defer c.Close()
					c.SetReadDeadline(time.Now().Add(10 * time.Second))
					go func() {
						c.WriteControl(PingMessage, nil, time.Time{})
						c.WriteMessage(TextMessage, []byte("hello"))
					}()
					if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseInternalServerErr) {
						t.Errorf("read: %v, want 1011", err)
					}
					if err := srv.Shutdown(t.Context()); err != nil {
						t.Errorf("Shutdown: %v", err)
					}
				})
			}
		}
	}
}

// dialStyle starts srv and connects to it.
func dialStyle(t *testing.T, srv *Server, network string) *Conn {
	t.Helper()
	if network == "pipe" {
		l := newListener()
		go srv.Serve(l)
		return l.dial(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	url := "ws://" + l.Addr().String()
	if network == "tls" {
		srv.TLSConfig = testTLS()
		go srv.ServeTLS(l, "", "")
		url = "wss://" + l.Addr().String()
	} else {
		go srv.Serve(l)
	}
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
