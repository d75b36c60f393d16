package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const goodRequest = "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

func echo(c *Conn, _ *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		if c.WriteMessage(messageType, p) != nil {
			return
		}
	}
}

// listenerOf accepts connections that are sent to it.
type listenerOf struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *listenerOf {
	return &listenerOf{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listenerOf) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *listenerOf) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listenerOf) Addr() net.Addr { return &net.TCPAddr{} }

// dial opens a connection and does the opening handshake by hand.
func (l *listenerOf) dial(t *testing.T) *Conn {
	t.Helper()
	s, c := net.Pipe()
	l.conns <- s
	return clientOf(t, c)
}

func clientOf(t *testing.T, c net.Conn) *Conn {
	t.Helper()
	io.WriteString(c, goodRequest)
	got := make([]byte, len(goodResponse))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != goodResponse {
		t.Fatalf("opening handshake: %q, %v", got, err)
	}
	return newConn(c, true)
}

func TestServerOverTheNetwork(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "tls"} {
		t.Run(network, func(t *testing.T) {
			srv := &Server{Handler: echo, TLSConfig: testTLS()}
			var l net.Listener
			var err error
			if network == "unix" {
				l, err = net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			} else {
				l, err = net.Listen("tcp", "127.0.0.1:0")
			}
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			var nc net.Conn
			if network == "tls" {
				go func() { done <- srv.ServeTLS(l, "", "") }()
				nc, err = tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			} else {
				go func() { done <- srv.Serve(l) }()
				nc, err = net.Dial(l.Addr().Network(), l.Addr().String())
			}
			if err != nil {
				t.Fatal(err)
			}
			c := clientOf(t, nc)
			go c.WriteMessage(TextMessage, []byte("hello"))
			if _, p, err := c.ReadMessage(); string(p) != "hello" || err != nil {
				t.Errorf("echo: %q, %v", p, err)
			}
			go c.ReadMessage()
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if err := <-done; err != ErrServerClosed {
				t.Errorf("Serve: %v, want ErrServerClosed", err)
			}
			c.Close()
			if err := srv.Serve(l); err != ErrServerClosed {
				t.Errorf("Serve after Shutdown: %v, want ErrServerClosed", err)
			}
		})
	}
}

// plain HTTP on a TLS port gets an explanation.
func TestServerTLSMismatch(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &Server{Handler: echo, TLSConfig: testTLS()}
	go srv.ServeTLS(l, "", "")
	defer srv.Close()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(b), "wss://") {
		t.Errorf("%d %q", resp.StatusCode, b)
	}
}

// The end of a handler decides the end of the connection.
func TestServerHandlerEnds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(c *Conn, r *http.Request)
		code    int
		logged  string
	}{
		{"returns", func(*Conn, *http.Request) {}, CloseNormalClosure, ""},
		{"panics", func(*Conn, *http.Request) { panic("oh no") }, CloseInternalServerErr, "oh no"},
		{"aborts", func(*Conn, *http.Request) { panic(http.ErrAbortHandler) }, CloseInternalServerErr, ""},
		{"closes by itself", func(c *Conn, _ *http.Request) { c.Shutdown(context.Background(), 4321, "") }, 4321, ""},
		{"breaks off", func(c *Conn, _ *http.Request) { c.Close() }, CloseAbnormalClosure, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				srv := &Server{Handler: tt.handler, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
				l := newListener()
				go srv.Serve(l)
				// It suffers nothing from the end of the next one.
				other := l.dial(t)
				c := l.dial(t)
				if _, _, err := c.ReadMessage(); !IsCloseError(err, tt.code) {
					t.Errorf("the peer read %v, want code %d", err, tt.code)
				}
				synctest.Wait()
				if tt.logged == "" && logged.Len() > 0 || !strings.Contains(logged.String(), tt.logged) {
					t.Errorf("logged %q, want %q", logged.String(), tt.logged)
				}
				c.Close()
				other.Close()
				srv.Close()
				synctest.Wait()
			})
		})
	}
}

// The handler has the request, the subprotocol, and bytes that came glued to the request.
func TestServerHandlerGetsTheRequest(t *testing.T) {
	type result struct {
		r *http.Request
		p []byte
	}
	got := make(chan result, 1)
	srv := &Server{Handler: func(c *Conn, r *http.Request) {
		_, p, _ := c.ReadMessage()
		got <- result{r, p}
	}}
	defer srv.Close()
	l := newListener()
	go srv.Serve(l)
	s, c := net.Pipe()
	l.conns <- s
	go c.Write(append([]byte(goodRequest), frame(opText, true, "glued", testKey)...))
	go io.Copy(io.Discard, c)
	res := <-got
	if string(res.p) != "glued" {
		t.Errorf("glued message %q", res.p)
	}
	if r := res.r; r.URL.Path != "/chat" || r.FormValue("room") != "1" || r.Host != "server.example.com" ||
		r.Method != "GET" || r.RemoteAddr == "" || r.Header.Get("Sec-Websocket-Version") != "13" || r.Context().Err() != nil {
		t.Errorf("request %+v", r)
	}
	c.Close()
}

// Half-open handshakes end by time, floods of header fields by size.
func TestServerHandshakeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: echo}
		l := newListener()
		go srv.Serve(l)
		s, c := net.Pipe()
		l.conns <- s
		io.WriteString(c, goodRequest[:50])
		start := time.Now()
		b, err := io.ReadAll(c)
		if len(b) != 0 || err != nil || time.Since(start) != defaultHandshakeTimeout {
			t.Errorf("half a request: read %q, %v after %v", b, err, time.Since(start))
		}
		s, c = net.Pipe()
		l.conns <- s
		go io.WriteString(c, goodRequest[:len(goodRequest)-2]+strings.Repeat("X-Flood: 0123456789\r\n", 2000))
		resp := make([]byte, 12)
		io.ReadFull(c, resp)
		if string(resp) != "HTTP/1.1 431" {
			t.Errorf("a flood of header fields: %q", resp)
		}
		c.Close()
		srv.Close()
		synctest.Wait()
	})
}

func TestServerShutdown(t *testing.T) {
	// Reading, busy, and mute connections: the first two end with the closing handshake, the third
	// is cut off.
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: func(c *Conn, r *http.Request) {
			if _, p, err := c.ReadMessage(); err == nil && string(p) == "work" {
				time.Sleep(3 * time.Second)
				c.WriteMessage(TextMessage, []byte("too late"))
			}
		}}
		l := newListener()
		go srv.Serve(l)
		reading, busy, mute := l.dial(t), l.dial(t), l.dial(t)
		half, other := net.Pipe() // in the opening handshake
		l.conns <- half
		busy.WriteMessage(TextMessage, []byte("work"))
		synctest.Wait()
		errs := make(chan error, 2)
		for _, c := range []*Conn{reading, busy} {
			go func() { _, _, err := c.ReadMessage(); errs <- err }()
		}
		start := time.Now()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(start); took != defaultCloseTimeout {
			t.Errorf("Shutdown took %v, want the mute connection's %v", took, defaultCloseTimeout)
		}
		for range 2 {
			if err := <-errs; !IsCloseError(err, CloseGoingAway) {
				t.Errorf("a client read %v, want 1001", err)
			}
		}
		for _, c := range []io.Closer{reading, busy, mute, other} {
			c.Close()
		}
	})
	// A handler that does not return is waited for until ctx ends.
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		srv := &Server{Handler: func(*Conn, *http.Request) { <-release }}
		l := newListener()
		go srv.Serve(l)
		c := l.dial(t)
		go c.ReadMessage()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v, want the context's error", err)
		}
		close(release)
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
		c.Close()
	})
}

// failingListener fails before it works.
type failingListener struct {
	*listenerOf
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.listenerOf.Accept()
}

func TestServerRetriesAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tooMany := &net.OpError{Op: "accept", Err: syscall.EMFILE}
		l := &failingListener{newListener(), []error{tooMany, tooMany, tooMany}}
		srv := &Server{Handler: echo}
		done := make(chan error)
		start := time.Now()
		go func() { done <- srv.Serve(l) }()
		c := l.dial(t)
		if took := time.Since(start); took != (5+10+20)*time.Millisecond {
			t.Errorf("served after %v of back-off", took)
		}
		c.Close()
		srv.Close()
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		broken := errors.New("broken for good")
		if err := (&Server{Handler: echo}).Serve(&failingListener{newListener(), []error{broken}}); !errors.Is(err, broken) {
			t.Errorf("Serve on a broken listener: %v", err)
		}
		if err := new(Server).Serve(newListener()); err == nil || !strings.Contains(err.Error(), "Handler") {
			t.Errorf("Serve without a handler: %v", err)
		}
		synctest.Wait()
	})
}

func TestServerAsHandler(t *testing.T) {
	done := make(chan error, 1)
	type key struct{}
	srv := &Server{Handler: func(c *Conn, r *http.Request) {
		if r.Context().Value(key{}) != "value" {
			done <- errors.New("the context's values are lost")
			return
		}
		time.Sleep(20 * time.Millisecond) // ServeHTTP has returned by now
		done <- r.Context().Err()
		echo(c, r)
	}}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "value")))
	}))
	defer hs.Close()
	nc, err := net.Dial("tcp", hs.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, nc)
	defer c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	go c.WriteMessage(TextMessage, []byte("through net/http"))
	if _, p, err := c.ReadMessage(); string(p) != "through net/http" || err != nil {
		t.Errorf("echo: %q, %v", p, err)
	}
	resp, err := http.Get(hs.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired || resp.Header.Get("Upgrade") != "websocket" {
		t.Errorf("a plain GET: %d, %v", resp.StatusCode, resp.Header)
	}
	go c.ReadMessage()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	_, resp, err = DefaultDialer.Dial(hs.URL, nil)
	if err != ErrBadHandshake || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Shutdown: %v, %v, want 503", resp, err)
	}
	srv = new(Server)
	_, resp, err = DefaultDialer.Dial(hs.URL, nil)
	if err != ErrBadHandshake || resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("without a handler: %v, %v, want 500", resp, err)
	}
}

// Many connections come and go while the list is walked.
func TestMembers(t *testing.T) {
	var m members
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var mine []*Conn
			for i := range 2000 {
				c := newConn(&memoryConn{}, false)
				m.add(c, pingSchedule{})
				m.ready(c)
				if mine = append(mine, c); i%3 == 0 {
					m.remove(mine[0])
					mine = mine[1:]
				}
			}
			m.each(func(*Conn, bool) {})
			for _, c := range mine {
				m.remove(c)
			}
		})
	}
	wg.Wait()
	if len(m.list) != 0 {
		t.Errorf("%d members left", len(m.list))
	}
	<-m.close()
	if m.add(newConn(&memoryConn{}, false), pingSchedule{}) {
		t.Error("a closed list takes new members")
	}
}

// A client that has its 101 is told 1001 by a Shutdown that comes just then,
// and waited for.
func TestServerShutdownRightAfterHandshake(t *testing.T) {
	for _, path := range []string{"Serve", "ServeHTTP"} {
		t.Run(path, func(t *testing.T) {
			for range 200 {
				srv := &Server{Handler: echo}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				if path == "Serve" {
					go srv.Serve(l)
				} else {
					hs := &http.Server{Handler: srv}
					go hs.Serve(l)
					defer hs.Close()
				}
				nc, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				c := clientOf(t, nc)
				told := make(chan error)
				go func() { _, _, err := c.ReadMessage(); c.Close(); told <- err }()
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if err := <-told; !IsCloseError(err, CloseGoingAway) {
					t.Fatalf("the client read %v, want 1001", err)
				}
			}
		})
	}
}
