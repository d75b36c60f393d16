package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// handled runs one handler on a fresh stream in both ways of serving. The handler's error is what the
// function returns.
func handled(t *testing.T, u websocket.Upgrader, o Options, handle func(c *websocket.Conn) error, f func(t *testing.T, c *Client, result func() error)) {
	for _, s := range []struct {
		name    string
		handler func(func(*websocket.Conn) error) func(websocket.Upgrader) http.Handler
	}{{"Server", server}, {"Upgrader", upgrader}} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			done := make(chan error, 10)
			handler := s.handler(func(c *websocket.Conn) error {
				err := handle(c)
				done <- err
				return err
			})
			c := dial(t, serve(t, handler(u)), o)
			f(t, c, func() (err error) {
				t.Helper()
				within(t, "the handler's end", func() { err = <-done })
				return err
			})
		})
	}
}

// read is a handler that reads until there is an error.
func read(c *websocket.Conn) error {
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			return err
		}
	}
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != code {
		t.Errorf("the handler's error is %v, want a CloseError with code %d", err, code)
	}
}

// END_STREAM without a close frame is a lost peer, and the server ends its side.
func TestEndStream(t *testing.T) {
	t.Parallel()
	for _, cut := range []int{0, 1, 5, 8} {
		handled(t, websocket.Upgrader{}, Options{}, read, func(t *testing.T, c *Client, result func() error) {
			p := open(t, c)
			p.Write(frame(opText, []byte("Hello"))[:cut])
			p.CloseWrite()
			wantCode(t, result(), websocket.CloseAbnormalClosure)
			within(t, "the stream's end", func() { p.Ended() })
		})
	}
}

// RST_STREAM is one too, whatever its code, and does not touch other streams.
func TestReset(t *testing.T) {
	t.Parallel()
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeCancel, http2.ErrCodeProtocol} {
		handled(t, websocket.Upgrader{}, Options{}, echoAll, func(t *testing.T, c *Client, result func() error) {
			p, other := open(t, c), open(t, c)
			p.send(t, opText, "a")
			p.expect(t, opText, "a")
			p.Stream.Reset(code)
			wantCode(t, result(), websocket.CloseAbnormalClosure)
			other.send(t, opText, "still here")
			other.expect(t, opText, "still here")
		})
	}
}

// So is the end of the TCP connection.
func TestTCPGone(t *testing.T) {
	t.Parallel()
	handled(t, websocket.Upgrader{}, Options{}, read, func(t *testing.T, c *Client, result func() error) {
		open(t, c)
		c.Close()
		wantCode(t, result(), websocket.CloseAbnormalClosure)
	})
}

// A broken rule is told by a close frame, and then the stream ends.
func TestBrokenRules(t *testing.T) {
	t.Parallel()
	forEachStyle(t, websocket.Upgrader{ReadLimit: 1000}, func(t *testing.T, c *Client) {
		for _, tt := range []struct {
			bytes string
			code  int
		}{
			{"\x81\x05Hello", 1002},                                    // not masked
			{"\xc1\x80\x00\x00\x00\x00", 1002},                         // RSV1
			{"\x83\x80\x00\x00\x00\x00", 1002},                         // a reserved opcode
			{"\x81\x81\x00\x00\x00\x00\xff", 1007},                     // not UTF-8
			{"\x82\xfe\x7f\xff\x00\x00\x00\x00", 1009},                 // too long
			{"\x88\x82\x00\x00\x00\x00\x03\xed", 1002},                 // a code that must not be sent
			{"\x81\xfe\x00\x05\x00\x00\x00\x00Hello", 1002},            // not the shortest length
			{"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1002},         // the top bit of the length
			{"\x80\x80\x00\x00\x00\x00", 1002},                         // a continuation of nothing
			{"\x09\x80\x00\x00\x00\x00", 1002},                         // a ping in pieces
			{string(frame(opPing, make([]byte, 126))), 1002},           // a ping that is too long
			{"\x01\x80\x00\x00\x00\x00\x81\x80\x00\x00\x00\x00", 1002}, // a message in a message
		} {
			p := open(t, c)
			p.Write([]byte(tt.bytes))
			p.expectClose(t, tt.code)
			p.expectEnd(t)
		}
	})
}

// A write that waits for the peer's window ends with its deadline, with its context, and by Close. The
// other half goes on meanwhile.
func TestWindowExhausted(t *testing.T) {
	t.Parallel()
	large := make([]byte, 1<<20)
	for _, tt := range []struct {
		name  string
		write func(c *websocket.Conn) error
		want  func(error) bool
	}{
		{"deadline", func(c *websocket.Conn) error {
			c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			return c.WriteMessage(websocket.BinaryMessage, large)
		}, isTimeout},
		{"context", func(c *websocket.Conn) error {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			return c.WriteMessageContext(ctx, websocket.BinaryMessage, large)
		}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"Close", func(c *websocket.Conn) error {
			time.AfterFunc(50*time.Millisecond, func() { c.Close() })
			return c.WriteMessage(websocket.BinaryMessage, large)
		}, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		{"NextWriter and Close", func(c *websocket.Conn) error {
			time.AfterFunc(50*time.Millisecond, func() { c.Close() })
			w, err := c.NextWriter(websocket.BinaryMessage)
			for err == nil {
				_, err = w.Write(large)
			}
			return err
		}, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handle := func(c *websocket.Conn) error {
				if err := tt.write(c); !tt.want(err) {
					t.Errorf("the write returned %v", err)
				}
				if strings.Contains(tt.name, "Close") {
					return nil
				}
				_, p, err := c.ReadMessage() // the reading half has not noticed
				if err != nil || string(p) != "Hello" {
					t.Errorf("read %q, %v after the write gave up", p, err)
				}
				return nil
			}
			handled(t, websocket.Upgrader{}, Options{Window: 1000}, handle, func(t *testing.T, c *Client, result func() error) {
				p := open(t, c)
				p.send(t, opText, "Hello")
				if err := result(); err != nil {
					t.Error(err)
				}
				within(t, "the stream's end", func() { p.Ended() })
			})
		})
	}
}

// A message that did not fit the window arrives whole when the window opens.
func TestWindowOpens(t *testing.T) {
	t.Parallel()
	handled(t, websocket.Upgrader{}, Options{Window: 1000}, echoAll, func(t *testing.T, c *Client, result func() error) {
		p := open(t, c)
		want := strings.Repeat("x", 200_000)
		go func() {
			for range 300 {
				p.Grant(1000)
			}
		}()
		go p.Write(frame(opText, []byte(want)))
		p.expectMessage(t, want)
	})
}

// While a write waits for the window, pings are read, and the answers follow when it opens.
func TestReadingWhileAWriteWaits(t *testing.T) {
	t.Parallel()
	got := make(chan string, 100)
	handle := func(c *websocket.Conn) error {
		go c.WriteMessage(websocket.BinaryMessage, make([]byte, 200_000))
		for {
			_, p, err := c.ReadMessage()
			if err != nil {
				return err
			}
			got <- string(p)
		}
	}
	handled(t, websocket.Upgrader{}, Options{Window: 1000}, handle, func(t *testing.T, c *Client, result func() error) {
		p := open(t, c)
		time.Sleep(20 * time.Millisecond)
		for _, m := range []string{"1", "2", "3"} {
			p.send(t, opPing, "ping")
			p.send(t, opText, m)
			within(t, "reading", func() {
				if g := <-got; g != m {
					t.Errorf("read %q, want %q", g, m)
				}
			})
		}
		p.Grant(1 << 20)
		p.expectMessage(t, string(make([]byte, 200_000)))
		p.expect(t, opPong, "ping")
		p.send(t, opClose, "\x03\xe8")
		p.expectClose(t, 1000)
		wantCode(t, result(), 1000)
	})
}

// Keepalive and QueueTimeout give a peer up that takes nothing, also in the middle of a write.
func TestSilentPeer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		u      websocket.Upgrader
		handle func(c *websocket.Conn) error
		want   error
	}{
		{"read", websocket.Upgrader{PingInterval: 100 * time.Millisecond}, read, websocket.ErrPongTimeout},
		{"write", websocket.Upgrader{PingInterval: 100 * time.Millisecond}, func(c *websocket.Conn) error {
			go read(c)
			return c.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20))
		}, websocket.ErrPongTimeout},
		{"write without a reader", websocket.Upgrader{PingInterval: 100 * time.Millisecond}, func(c *websocket.Conn) error {
			return c.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20))
		}, websocket.ErrPongTimeout},
		{"queue", websocket.Upgrader{PingInterval: -1, QueueTimeout: 100 * time.Millisecond, QueueLimit: -1}, func(c *websocket.Conn) error {
			for range 20 {
				c.Enqueue(websocket.BinaryMessage, make([]byte, 10_000))
			}
			return read(c)
		}, websocket.ErrQueueTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handled(t, tt.u, Options{Window: 1000}, tt.handle, func(t *testing.T, c *Client, result func() error) {
				p := open(t, c)
				if err := result(); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				within(t, "the stream's end", func() { p.Ended() })
			})
		})
	}
}

// A peer whose streams have all the window they want, and that does not read from its TCP connection,
// holds up nobody but net/http: writes, Close, Shutdown and OnClose keep their times.
func TestTCPStuck(t *testing.T) {
	t.Parallel()
	errs, closed := make(chan error, 1), make(chan error, 1)
	srv := &websocket.Server{
		Handler: func(c *websocket.Conn, _ *http.Request) {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			for {
				if err := c.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20)); err != nil {
					errs <- err
					c.Close()
					return
				}
			}
		},
		OnClose: func(_ *websocket.Conn, err error) { closed <- err },
	}
	hs := serve(t, srv)
	nc := &stopper{}
	c := dialThrough(t, hs, nc)
	open(t, c)
	nc.stop()
	within(t, "a write deadline", func() {
		if err := <-errs; !isTimeout(err) {
			t.Errorf("the write returned %v, want a timeout", err)
		}
	})
	within(t, "OnClose", func() { <-closed })
	within(t, "Shutdown", func() {
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	nc.Close()
}

// The same with an Upgrader, whose handler returns although the last write is stuck in net/http.
func TestTCPStuckUpgrader(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	u := websocket.Upgrader{PingInterval: 200 * time.Millisecond}
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		for err == nil {
			err = c.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20))
		}
		c.Close()
		errs <- err
	}), func(hs *http.Server) { hs.HTTP2 = &http.HTTP2Config{WriteByteTimeout: 2 * time.Second} })
	nc := &stopper{}
	open(t, dialThrough(t, hs, nc))
	nc.stop()
	within(t, "keepalive and Close", func() {
		if err := <-errs; !errors.Is(err, websocket.ErrPongTimeout) {
			t.Errorf("the write returned %v", err)
		}
	})
	nc.Close()
}

// A stopper is a TCP connection that can stop reading.
type stopper struct {
	net.Conn
	mu      sync.Mutex
	stopped bool
	closed  chan struct{}
}

func (s *stopper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

func (s *stopper) Read(p []byte) (int, error) {
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		<-s.closed
		return 0, io.EOF
	}
	return s.Conn.Read(p)
}

func (s *stopper) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil
	default:
		close(s.closed)
		return s.Conn.Close()
	}
}

// The http.Server's own timeouts are meant for requests, and end no WebSocket.
func TestServerTimeouts(t *testing.T) {
	t.Parallel()
	for _, s := range styles {
		t.Run(s.name, func(t *testing.T) {
			hs := serve(t, s.handler(websocket.Upgrader{}), func(hs *http.Server) {
				hs.ReadTimeout, hs.WriteTimeout, hs.IdleTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
			})
			p := open(t, dial(t, hs, Options{}))
			time.Sleep(250 * time.Millisecond)
			p.send(t, opText, "still here")
			p.expect(t, opText, "still here")
		})
	}
}

// http.Server.Shutdown calls Server.Shutdown by RegisterOnShutdown, clients get 1001, and both end.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{true, false} {
		srv := &websocket.Server{Upgrader: websocket.Upgrader{CloseTimeout: 200 * time.Millisecond}, OnMessage: echoMessage}
		hs := serve(t, srv)
		hs.Config.RegisterOnShutdown(func() { srv.Shutdown(context.Background()) })
		c := dial(t, hs, Options{})
		var peers []*peer
		for range 5 {
			p := open(t, c)
			p.send(t, opText, "a")
			p.expect(t, opText, "a")
			peers = append(peers, p)
		}
		done := make(chan error, 1)
		go func() { done <- hs.Config.Shutdown(context.Background()) }()
		for _, p := range peers {
			p.expectClose(t, 1001)
			if answers {
				p.send(t, opClose, "\x03\xe9")
			}
			p.expectEnd(t)
		}
		within(t, "http.Server.Shutdown", func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// Close frees the handler in every state, also if HandleMessages' own function calls it, and the
// ResponseWriter is not used after the handler's return. The race detector watches.
func TestCloseAndReturn(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(c *websocket.Conn) error{
		"in HandleMessages": func(c *websocket.Conn) error {
			return c.HandleMessages(func(c *websocket.Conn, messageType int, data []byte) {
				go c.WriteMessage(messageType, make([]byte, 50_000))
				c.WriteMessage(messageType, data)
				c.Close()
			})
		},
		"by another goroutine": func(c *websocket.Conn) error {
			go func() {
				for c.WriteMessage(websocket.TextMessage, make([]byte, 20_000)) == nil {
				}
			}()
			go c.Close()
			return read(c)
		},
		"at once": func(c *websocket.Conn) error {
			go c.WriteMessage(websocket.TextMessage, make([]byte, 100_000))
			return nil
		},
		"after a close frame": func(c *websocket.Conn) error {
			go c.Enqueue(websocket.TextMessage, make([]byte, 100_000))
			c.Enqueue(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
			return nil
		},
		"panic": func(c *websocket.Conn) error {
			go c.WriteMessage(websocket.TextMessage, make([]byte, 100_000))
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []style{{"Server", server(handle)}, {"Upgrader", upgrader(handle)}} {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					c := dial(t, serve(t, s.handler(websocket.Upgrader{CloseTimeout: 500 * time.Millisecond})), Options{})
					var wg sync.WaitGroup
					for range 100 {
						s, err := c.Open(Connect("example.com", "/"), false)
						if err != nil {
							t.Fatal(err)
						}
						wg.Go(func() {
							s.Write(frame(opText, []byte("go"))) // which may come too late
							s.Ended()
							s.Close()
						})
					}
					within(t, "the end of all", wg.Wait)
				})
			}
		})
	}
}

// An Upgrader's handler that returns without Close has ended the connection: later calls return
// errors.
func TestReturnWithoutClose(t *testing.T) {
	t.Parallel()
	conns := make(chan *websocket.Conn, 1)
	var u websocket.Upgrader
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(w, r, nil); err == nil {
			conns <- c
		}
	}))
	p := open(t, dial(t, hs, Options{}))
	within(t, "the stream's end", func() { p.Ended() })
	c := <-conns
	within(t, "what follows", func() {
		if _, _, err := c.ReadMessage(); err == nil {
			t.Error("a message was read")
		}
		for range 3 {
			time.Sleep(10 * time.Millisecond)
			c.WriteMessage(websocket.TextMessage, []byte("late"))
		}
		if err := c.WriteMessage(websocket.TextMessage, []byte("late")); err == nil {
			t.Error("a message was written")
		}
		c.Close()
	})
}

// Requests that are refused, with their status and a part of the text.
func TestRefusals(t *testing.T) {
	t.Parallel()
	u := websocket.Upgrader{Admit: func(r *http.Request, h http.Header) (*http.Request, error) {
		if r.URL.Path == "/secret" {
			return nil, &websocket.Refusal{Status: 401, Message: "log in first", Header: http.Header{"WWW-Authenticate": {"Basic"}}}
		}
		return nil, nil
	}}
	get := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "example.com"}}
	other := Connect("example.com", "/")
	other[1].Value = "webtransport"
	for _, tt := range []struct {
		name   string
		fields []hpack.HeaderField
		end    bool
		status int
		text   string
	}{
		{"GET", get, true, 505, "GODEBUG=http2xconnect=1"},
		{"CONNECT", []hpack.HeaderField{{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: "example.com:80"}}, false, 505, "GODEBUG=http2xconnect=1"},
		{"another protocol", other, false, 501, `"webtransport"`},
		{"no version", Connect("example.com", "/")[:5], false, 400, "version 13"},
		{"version 8", Connect("example.com", "/", "sec-websocket-version", "8"), false, 400, "version 13"},
		{"END_STREAM", Connect("example.com", "/"), true, 400, "END_STREAM"},
		{"Content-Length", Connect("example.com", "/", "content-length", "5"), false, 400, "Content-Length"},
		{"origin", Connect("example.com", "/", "origin", "https://evil.example"), false, 403, "evil.example"},
		{"subprotocol", Connect("example.com", "/", "sec-websocket-protocol", "a b"), false, 400, "subprotocol"},
		{"Admit", Connect("example.com", "/secret"), false, 401, "log in first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachStyle(t, u, func(t *testing.T, c *Client) {
				s, err := c.Open(tt.fields, tt.end)
				if err != nil {
					t.Fatal(err)
				}
				status, field, err := s.Response()
				if err != nil || status != tt.status {
					t.Fatalf("status %d, %v; want %d", status, err, tt.status)
				}
				body, _ := io.ReadAll(s)
				if !strings.Contains(string(body), tt.text) {
					t.Errorf("the text is %q, without %q", body, tt.text)
				}
				if field("upgrade")+field("connection") != "" {
					t.Error("the response has fields that HTTP/2 does not have")
				}
				if tt.status == 401 && field("www-authenticate") != "Basic" {
					t.Error("the field of Admit's refusal is missing")
				}
			})
		})
	}
}

// Middleware: a ResponseWriter is looked for behind Unwrap, and one that hides net/http's is refused.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	srv := &websocket.Server{OnMessage: echoMessage}
	for _, tt := range []struct {
		name   string
		h      http.Handler
		status int
	}{
		{"Unwrap", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { srv.ServeHTTP(unwraps{w}, r) }), 200},
		{"MaxBytesHandler", http.MaxBytesHandler(srv, 1<<30), 200},
		{"a body that returns at once", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = struct {
				io.Reader
				io.Closer
			}{atOnce{r.Body}, r.Body}
			srv.ServeHTTP(w, r)
		}), 200},
		{"no Unwrap", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { srv.ServeHTTP(struct{ http.ResponseWriter }{w}, r) }), 500},
		{"TimeoutHandler", http.TimeoutHandler(srv, time.Minute, ""), 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, serve(t, tt.h), Options{})
			s, err := c.Open(Connect("example.com", "/"), false)
			if err != nil {
				t.Fatal(err)
			}
			status, _, err := s.Response()
			if err != nil || status != tt.status {
				t.Fatalf("status %d, %v; want %d", status, err, tt.status)
			}
			if status != 200 {
				return
			}
			p := open(t, c)
			for _, n := range []int{1, 1000, 100_000} {
				go p.Write(frame(opText, []byte(strings.Repeat("x", n))))
				p.expectMessage(t, strings.Repeat("x", n))
			}
		})
	}
}

// unwraps is a counter's or logger's writer, whose own Write must not be in the way.
type unwraps struct{ http.ResponseWriter }

func (u unwraps) Unwrap() http.ResponseWriter { return u.ResponseWriter }
func (u unwraps) Write([]byte) (int, error)   { return 0, errors.New("not meant for a WebSocket") }

// atOnce is a body whose Read of no bytes does not wait.
type atOnce struct{ io.Reader }

func (a atOnce) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return a.Reader.Read(p)
}

// Enqueue sends what there is room for, keeps the rest in order, and waits for nobody.
func TestEnqueue(t *testing.T) {
	t.Parallel()
	const n, size = 50, 10_000
	handle := func(c *websocket.Conn) error {
		start := time.Now()
		for i := range n {
			if err := c.Enqueue(websocket.BinaryMessage, []byte(strings.Repeat(string(rune('0'+i)), size))); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if elapsed := time.Since(start); elapsed > 5*time.Second {
			t.Errorf("Enqueue took %v", elapsed)
		}
		return read(c)
	}
	handled(t, websocket.Upgrader{QueueLimit: -1}, Options{Window: 1000}, handle, func(t *testing.T, c *Client, result func() error) {
		p := open(t, c)
		time.Sleep(50 * time.Millisecond)
		p.Grant(1 << 20)
		for i := range n {
			p.expect(t, opBinary, strings.Repeat(string(rune('0'+i)), size))
		}
		p.send(t, opClose, "\x03\xe8")
		p.expectClose(t, 1000)
		wantCode(t, result(), 1000)
	})
}
