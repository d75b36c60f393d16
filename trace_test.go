package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A traced records the calls of a Trace. Put together again, they have to be the bytes that went
// over the transport, in both directions.
type traced struct {
	mu         sync.Mutex
	sent, read bytes.Buffer
	latest     [2]Frame
	at         [2]uint32 // position in the masking key of the next byte of payload
	handshakes []string
	ends       []error
}

func (w *traced) trace() *Trace {
	direction := func(sent bool) (int, *bytes.Buffer) {
		if sent {
			return 1, &w.sent
		}
		return 0, &w.read
	}
	return &Trace{
		Handshake: func(c *Conn, r *http.Request, response []byte, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			line, _, _ := strings.Cut(string(response), "\r\n")
			switch {
			case err != nil:
				line = "error"
			case c == nil || r == nil:
				line = "no connection or request: " + line
			}
			w.handshakes = append(w.handshakes, line)
		},
		Frame: func(_ *Conn, f Frame) {
			w.mu.Lock()
			defer w.mu.Unlock()
			i, b := direction(f.Sent)
			w.latest[i], w.at[i] = f, binary.LittleEndian.Uint32(f.MaskingKey[:])
			b.Write(f.Header)
		},
		Payload: func(_ *Conn, sent bool, p []byte) {
			w.mu.Lock()
			defer w.mu.Unlock()
			i, b := direction(sent)
			p = bytes.Clone(p)
			if w.latest[i].Masked {
				w.at[i] = mask(p, w.at[i])
			}
			b.Write(p)
		},
		Closed: func(_ *Conn, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ends = append(w.ends, err)
		},
	}
}

// A tappedConn records all bytes.
type tappedConn struct {
	net.Conn
	mu            sync.Mutex
	read, written bytes.Buffer
}

func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.Write(p[:n])
	return n, err
}

func (c *tappedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.written.Write(p)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// A Trace gets everything that both sides send and receive, in all ways of sending it, to the last
// byte.
func TestTrace(t *testing.T) {
	for _, with := range []*Compression{nil, {}} {
		var ours, theirs traced
		srv := &Server{
			Upgrader: Upgrader{Trace: theirs.trace(), Compression: with},
			Handler: func(c *Conn, r *http.Request) {
				for m := range c.Messages() {
					c.WriteMessage(m.Type, m.Data)
				}
			},
		}
		l := newListener()
		go srv.Serve(l)
		var tap *tappedConn
		d := Dialer{Trace: ours.trace(), Compression: with, NetDial: func(string, string) (net.Conn, error) {
			s, c := tcpPair(t)
			l.conns <- s
			tap = &tappedConn{Conn: c}
			return tap, nil
		}}
		c, _, err := d.Dial("ws://server.example/chat", nil)
		if err != nil {
			t.Fatal(err)
		}
		allKinds(t, c)
		if err := c.Shutdown(context.Background(), CloseNormalClosure, "done"); err != nil {
			t.Error(err)
		}
		srv.Shutdown(context.Background())

		read, written := tap.read.Bytes(), tap.written.Bytes()
		read, written = read[headerEnd(read, 0):], written[headerEnd(written, 0):]
		for name, pair := range map[string][2][]byte{
			"client, sent":     {ours.sent.Bytes(), written},
			"client, received": {ours.read.Bytes(), read},
			"server, sent":     {theirs.sent.Bytes(), read},
			"server, received": {theirs.read.Bytes(), written},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("compression %v, %s: the trace has %d bytes, and there were %d; the first: %.80q and %.80q",
					with != nil, name, len(pair[0]), len(pair[1]), pair[0], pair[1])
			}
		}
		for name, w := range map[string]*traced{"client": &ours, "server": &theirs} {
			if len(w.handshakes) != 1 || w.handshakes[0] != "HTTP/1.1 101 Switching Protocols" {
				t.Errorf("%s: handshakes %q", name, w.handshakes)
			}
			if len(w.ends) != 1 || !IsCloseError(w.ends[0], CloseNormalClosure) {
				t.Errorf("%s: ended with %v", name, w.ends)
			}
		}
	}
}

// allKinds sends messages of all kinds, and reads them back.
func allKinds(t *testing.T, c *Conn) {
	t.Helper()
	expect := func(want string) {
		t.Helper()
		if _, p, err := c.ReadMessage(); string(p) != want || err != nil {
			t.Fatalf("%.40q came back as %.40q, %v", want, p, err)
		}
	}
	for _, size := range []int{0, 5, 200, copyLimit + 1, 3 * bufferSize} {
		text := strings.Repeat("letters ", size/8+1)[:size]
		go c.WriteMessage(TextMessage, []byte(text))
		expect(text)
	}
	long := strings.Repeat("0123456789", 10_000)
	go func() {
		w, _ := c.NextWriter(TextMessage)
		w.Write([]byte(long))
		c.WriteControl(PingMessage, []byte("between"), time.Time{})
		w.Close()
	}()
	expect(long)
	pm, _ := NewPreparedMessage(BinaryMessage, []byte(long))
	go c.WritePreparedMessage(pm)
	expect(long)
	c.Enqueue(TextMessage, []byte("queued"))
	expect("queued")
	c.EnqueuePrepared(pm)
	expect(long)
}

// A Trace gets each failure, once.
func TestTraceFailures(t *testing.T) {
	var ours, theirs traced
	srv := &Server{Handler: echo, Upgrader: Upgrader{Trace: theirs.trace()}}
	l := newListener()
	go srv.Serve(l)
	defer srv.Close()
	d := Dialer{Trace: ours.trace(), NetDial: func(string, string) (net.Conn, error) {
		s, c := net.Pipe()
		l.conns <- s
		return c, nil
	}}
	if _, _, err := d.Dial("ws://h/", http.Header{"Origin": {"https://elsewhere.example"}}); err != ErrBadHandshake {
		t.Error(err)
	}
	d.NetDial = func(string, string) (net.Conn, error) { return nil, errors.New("no network") }
	d.Dial("ws://h/", nil)
	s, c := net.Pipe()
	l.conns <- s
	c.Close() // before the request
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		theirs.mu.Lock()
		n := len(theirs.handshakes)
		theirs.mu.Unlock()
		if n == 2 {
			break
		}
	}
	for name, w := range map[string]*traced{"client": &ours, "server": &theirs} {
		w.mu.Lock()
		if len(w.handshakes) != 2 || w.handshakes[0] != "error" || w.handshakes[1] != "error" || len(w.ends) != 0 {
			t.Errorf("%s: handshakes %q, ends %v; want two errors, and no end of a connection that never began", name, w.handshakes, w.ends)
		}
		w.mu.Unlock()
	}
}

func TestLogTrace(t *testing.T) {
	var b bytes.Buffer
	trace := LogTrace(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	srv := &Server{Handler: echo}
	l := newListener()
	go srv.Serve(l)
	defer srv.Close()
	d := Dialer{Trace: trace, Subprotocols: []string{"chat"}, NetDial: func(string, string) (net.Conn, error) {
		s, c := net.Pipe()
		l.conns <- s
		return c, nil
	}}
	c, _, err := d.Dial("ws://h/path", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.WriteMessage(TextMessage, []byte("hello"))
	c.Close()
	d.Dial("ws://h/refused", http.Header{"Origin": {"https://elsewhere.example"}})
	for _, want := range []string{
		"level=INFO msg=\"websocket: opened\" remote=pipe host=h path=/path",
		"level=DEBUG msg=\"websocket: frame\" remote=pipe sent=true opcode=text fin=true compressed=false length=5",
		"level=INFO msg=\"websocket: closed\" remote=pipe cause=\"use of closed network connection\"",
		"level=WARN msg=\"websocket: opening handshake failed\" host=h path=/refused error=\"websocket: bad handshake\"",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, b.String())
		}
	}
}

// A Trace gets a frame that breaks a rule before the connection fails for it.
func TestTraceOfViolation(t *testing.T) {
	server, client := pipePair(t)
	var got []Frame
	server.change(func(s *settings) { s.trace = &Trace{Frame: func(_ *Conn, f Frame) { got = append(got, f) }} })
	clientSends(client, frame(3, true, "", testKey))
	go client.ReadMessage()
	server.ReadMessage()
	if len(got) != 2 || got[0].Opcode != 3 || got[0].Sent || got[1].Opcode != CloseMessage || !got[1].Sent {
		t.Errorf("the trace has %+v; want the frame with opcode 3, and the close", got)
	}
}

// A Trace costs no allocation for a message, in both roles and all ways of sending.
func TestTraceAllocations(t *testing.T) {
	var frames, bytes int
	trace := &Trace{
		Frame:   func(_ *Conn, f Frame) { frames += len(f.Header) },
		Payload: func(_ *Conn, _ bool, p []byte) { bytes += len(p) },
	}
	message := make([]byte, 125)
	pm, _ := NewPreparedMessage(BinaryMessage, message)
	for _, client := range []bool{false, true} {
		key := uint32(testKey)
		if client {
			key = 0
		}
		wire := frame(opBinary, true, strings.Repeat("x", 125), key)
		c := newConn(&memoryConn{r: &endless{wire: wire}}, client)
		c.change(func(s *settings) { s.trace = trace })
		var buf []byte
		for name, f := range map[string]func(){
			"AppendMessage": func() { _, buf, _ = c.AppendMessage(buf[:0]) },
			"WriteMessage":  func() { c.WriteMessage(BinaryMessage, message) },
			"WriteControl":  func() { c.WriteControl(PongMessage, message, time.Time{}) },
		} {
			if n := testing.AllocsPerRun(1000, f); n != 0 {
				t.Errorf("client %v, %s: %v allocations, want 0", client, name, n)
			}
		}
		if !client {
			if n := testing.AllocsPerRun(1000, func() { c.WritePreparedMessage(pm) }); n != 0 {
				t.Errorf("WritePreparedMessage: %v allocations, want 0", n)
			}
		}
	}
	if frames == 0 || bytes == 0 {
		t.Errorf("the trace was told of %d bytes of headers and %d of payload", frames, bytes)
	}
}

// closedInWrite is a transport that is closed by f while the opening handshake's response is
// written.
type closedInWrite struct {
	net.Conn
	f func()
}

func (c closedInWrite) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if f := c.f; bytes.HasPrefix(p, []byte("HTTP/1.1 101 ")) {
		f()
	}
	return n, err
}

// A connection that ends while its opening handshake does is traced in that order, and as one
// connection.
func TestTraceOfEarlyEnd(t *testing.T) {
	var mu sync.Mutex
	var got []string
	add := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
	}
	done := make(chan struct{})
	srv := &Server{
		Upgrader: Upgrader{Trace: &Trace{
			Handshake: func(c *Conn, _ *http.Request, _ []byte, err error) {
				time.Sleep(10 * time.Millisecond)
				add("handshake " + errText(err))
			},
			Closed: func(_ *Conn, err error) {
				add("closed " + errText(err))
				close(done)
			},
		}},
		OnMessage: func(*Conn, int, []byte) {},
	}
	l := newListener()
	go srv.Serve(l)
	s, c := net.Pipe()
	defer c.Close()
	go func() {
		c.Write([]byte(goodRequest))
		io.Copy(io.Discard, c)
	}()
	l.conns <- closedInWrite{s, func() { srv.Close() }}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
	}
	srv.Shutdown(context.Background())
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"handshake none", "closed " + net.ErrClosed.Error()}; !slices.Equal(got, want) {
		t.Errorf("the trace has %q, want %q", got, want)
	}
}

// A Trace is told of each opening handshake whose request was read, with the request, also if the
// connection ends before the response is sent.
func TestTraceOfHandshakeCutShort(t *testing.T) {
	for _, tt := range []struct {
		name   string
		serve  func(srv *Server, l net.Listener)
		cut    func(srv *Server, client net.Conn)
		closed bool // want ErrServerClosed
	}{
		{"Serve, the client has gone", func(s *Server, l net.Listener) { s.Serve(l) }, func(_ *Server, c net.Conn) { c.Close() }, false},
		{"Serve, the server is closed", func(s *Server, l net.Listener) { s.Serve(l) }, func(s *Server, _ net.Conn) { s.Close() }, false},
		{"ServeHTTP, the client has gone", func(s *Server, l net.Listener) { http.Serve(l, s) }, func(_ *Server, c net.Conn) { c.Close() }, false},
		{"ServeHTTP, the server is closed", func(s *Server, l net.Listener) { http.Serve(l, s) }, func(s *Server, _ net.Conn) { s.Close() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, client := net.Pipe()
			defer client.Close()
			told := make(chan string, 10)
			srv := &Server{OnMessage: func(*Conn, int, []byte) {}}
			srv.Admit = func(*http.Request, http.Header) (*http.Request, error) {
				tt.cut(srv, client)
				return nil, nil
			}
			srv.Trace = &Trace{Handshake: func(c *Conn, r *http.Request, _ []byte, err error) {
				if c != nil || r == nil || r.URL.Path != "/chat" || err == nil || tt.closed && err != ErrServerClosed {
					t.Errorf("Handshake(%v, %v, %v), want the request of /chat and an error", c, r, err)
				}
				told <- errText(err)
			}}
			l := newListener()
			defer l.Close()
			go tt.serve(srv, l)
			l.conns <- s
			go io.WriteString(client, goodRequest)
			select {
			case <-told:
			case <-time.After(10 * time.Second):
				t.Error("Handshake was not called")
			}
			srv.Shutdown(context.Background())
			if len(told) > 0 {
				t.Errorf("Handshake was called again: %s", <-told)
			}
		})
	}
}

// A connection whose Trace panics in Handshake is told of its end all the same.
func TestTraceHandshakePanics(t *testing.T) {
	closed := make(chan error, 2)
	trace := &Trace{
		Handshake: func(*Conn, *http.Request, []byte, error) { panic("no") },
		Closed:    func(_ *Conn, err error) { closed <- err },
	}
	srv := &Server{Upgrader: Upgrader{Trace: trace}, Handler: echo}
	l := newListener()
	go srv.Serve(l)
	defer srv.Close()
	d := Dialer{Trace: trace, NetDial: func(string, string) (net.Conn, error) {
		s, c := net.Pipe()
		l.conns <- s
		return c, nil
	}}
	func() {
		defer func() { recover() }()
		d.Dial("ws://h/", nil)
		t.Error("Dial has returned")
	}()
	for range 2 {
		select {
		case err := <-closed:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Closed was not called")
		}
	}
}

func errText(err error) string {
	if err == nil {
		return "none"
	}
	return err.Error()
}
