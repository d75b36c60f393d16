package websocket

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A request that cannot be read comes to Upgrader.Error in a form that can be inspected like any
// other: with a method, a URL, a header and an address.
func TestErrorOfUnreadableRequest(t *testing.T) {
	for _, request := range []string{
		"x\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", // no Host
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",    // two
		"GET / HTTP/1.1\r\nHost: a\r\n continued\r\n\r\n", // obsolete folding
	} {
		synctest.Test(t, func(t *testing.T) {
			var got *http.Request
			srv := &Server{Handler: echo, Upgrader: Upgrader{
				Error: func(w http.ResponseWriter, r *http.Request, status int, _ error) {
					got = r
					w.WriteHeader(status)
				},
			}}
			l := newListener()
			go srv.Serve(l)
			s, c := net.Pipe()
			l.conns <- s
			go io.WriteString(c, request)
			answer, _ := io.ReadAll(c)
			synctest.Wait()
			if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
				t.Errorf("%q: answered %.40q, want status 400", request, answer)
			}
			if got == nil || got.URL == nil || got.Method == "" || got.Header == nil || got.Body == nil || got.RemoteAddr == "" {
				t.Errorf("%q: Error got %+v", request, got)
			}
			srv.Close()
		})
	}
}

// A request that a function of the application's gets is not used again for another handshake. Every
// function of a Server and of a Trace that gets a request is tried.
func TestServerRequestsAreNotUsedAgain(t *testing.T) {
	for _, holder := range []reflect.Type{reflect.TypeFor[Server](), reflect.TypeFor[Trace]()} {
		for _, field := range reflect.VisibleFields(holder) {
			if field.Type.Kind() == reflect.Func && slices.Contains(slices.Collect(field.Type.Ins()), reflect.TypeFor[*http.Request]()) {
				t.Run(holder.Name()+"."+field.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testRequestsOf(t, holder, field) })
				})
			}
		}
	}
}

// testRequestsOf has one function keep the requests of three handshakes, and looks at them in the
// end.
func testRequestsOf(t *testing.T, holder reflect.Type, field reflect.StructField) {
	var got []*http.Request
	keep := reflect.MakeFunc(field.Type, func(args []reflect.Value) (results []reflect.Value) {
		for _, arg := range args {
			if r, ok := arg.Interface().(*http.Request); ok {
				got = append(got, r)
			}
		}
		for out := range field.Type.Outs() {
			result := reflect.New(out).Elem()
			if out.Kind() == reflect.Bool {
				result.SetBool(true) // CheckOrigin allows it
			}
			results = append(results, result)
		}
		return results
	})
	srv := &Server{OnMessage: func(*Conn, int, []byte) {}, Upgrader: Upgrader{Trace: new(Trace)}}
	v := reflect.ValueOf(srv)
	if holder == reflect.TypeFor[Trace]() {
		v = reflect.ValueOf(srv.Trace)
	}
	v.Elem().FieldByIndex(field.Index).Set(keep)
	l := newListener()
	go srv.Serve(l)
	defer srv.Close()
	fields := []string{"X-Number: 0", "X-Number: 1", "X-Number: 2"}
	for _, f := range fields {
		request := strings.Replace(goodRequest, "\r\n\r\n", "\r\nOrigin: https://a.example\r\n"+f+"\r\n\r\n", 1)
		if holder == reflect.TypeFor[Trace]() || field.Name != "CheckOrigin" && field.Name != "Error" {
			request = strings.Replace(request, "Origin: https://a.example\r\n", "", 1)
		}
		s, c := net.Pipe()
		l.conns <- s
		go io.Copy(io.Discard, c)
		io.WriteString(c, request)
		synctest.Wait()
		c.Close()
		synctest.Wait()
	}
	for i, f := range fields {
		if i >= len(got) || got[i] == nil || "X-Number: "+got[i].Header.Get("X-Number") != f {
			t.Errorf("the requests in the end: %v, want one with %s at %d", got, f, i)
		}
	}
}

// A panic in CheckOrigin or Error ends the connection that it was called for, and is logged with
// its place. Other connections go on, and new ones come.
func TestServerSurvivesHandshakePanic(t *testing.T) {
	panics := func(r *http.Request) {
		if r.Header.Get("X-Panic") != "" {
			panic("oh no")
		}
	}
	bad := strings.Replace(goodRequest, "\r\n\r\n", "\r\nX-Panic: 1\r\nOrigin: https://a.example\r\n\r\n", 1)
	for _, tt := range []struct {
		name, request string
		u             Upgrader
	}{
		{"CheckOrigin", bad, Upgrader{CheckOrigin: func(r *http.Request) bool { panics(r); return true }}},
		{"Error", bad, Upgrader{Error: func(_ http.ResponseWriter, r *http.Request, _ int, _ error) { panics(r) }}},
		{"Error, unreadable", "x\r\n\r\n", Upgrader{Error: func(http.ResponseWriter, *http.Request, int, error) { panic("oh no") }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				srv := &Server{Upgrader: tt.u, Handler: echo, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
				l := newListener()
				go srv.Serve(l)
				there := l.dial(t)
				s, c := net.Pipe()
				l.conns <- s
				go io.WriteString(c, tt.request)
				if answer, err := io.ReadAll(c); err != nil || len(answer) != 0 {
					t.Errorf("the client read %q, %v; want the end", answer, err)
				}
				synctest.Wait()
				if s := logged.String(); !strings.Contains(s, "oh no") || !strings.Contains(s, "server_handshake_test.go") {
					t.Errorf("logged %q, want the panic and its stack", s)
				}
				for _, c := range []*Conn{there, l.dial(t)} {
					go c.WriteMessage(TextMessage, []byte("unharmed"))
					if _, p, err := c.ReadMessage(); string(p) != "unharmed" || err != nil {
						t.Errorf("another connection: %q, %v", p, err)
					}
					c.Close()
				}
				synctest.Wait()
				if n := len(srv.members.list); n != 0 {
					t.Errorf("%d members left", n)
				}
				srv.Close()
			})
		})
	}
}

// A refusal of a request that came over HTTP/2 sets none of the fields that belong to a connection
// (RFC 9113 section 8.2.2), for every kind of incomplete request. The test looks at it before
// net/http would take Connection away.
func TestRefusalOverHTTP2(t *testing.T) {
	srv := &Server{Handler: echo}
	for _, version := range []string{"", "13"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		if version != "" {
			r.Header.Set("Sec-Websocket-Version", version)
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if w.Code != http.StatusHTTPVersionNotSupported || w.Header()["Upgrade"] != nil || w.Header()["Connection"] != nil {
			t.Errorf("version %q: status %d, %v; want 505 without Upgrade and Connection", version, w.Code, w.Header())
		}
	}
	// Over the network, for the client to judge.
	hs := httptest.NewUnstartedServer(srv)
	hs.EnableHTTP2 = true
	hs.StartTLS()
	defer hs.Close()
	resp, err := hs.Client().Get(hs.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("%s, status %d; want HTTP/2.0 and 505", resp.Proto, resp.StatusCode)
	}
}

// The handshake's answer comes before a close frame. A Shutdown during CheckOrigin cuts that
// connection off, and its client reads no byte of a frame.
func TestShutdownDuringHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: echo, Upgrader: Upgrader{CheckOrigin: func(*http.Request) bool { time.Sleep(time.Second); return true }}}
		l := newListener()
		go srv.Serve(l)
		s, c := net.Pipe()
		l.conns <- s
		io.WriteString(c, strings.Replace(goodRequest, "\r\n\r\n", "\r\nOrigin: https://a.example\r\n\r\n", 1))
		synctest.Wait()
		go srv.Shutdown(t.Context())
		if b, _ := io.ReadAll(c); len(b) != 0 {
			t.Errorf("the client read %q", b)
		}
		time.Sleep(time.Second)
		synctest.Wait()
	})
}

// A client that speaks TLS to a server that does not is turned away at once.
func TestTLSClientAtPlainServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: echo}
		l := newListener()
		go srv.Serve(l)
		s, c := net.Pipe()
		l.conns <- s
		start := time.Now()
		io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		if _, err := io.ReadAll(c); err != nil || time.Since(start) != 0 {
			t.Errorf("closed after %v, %v", time.Since(start), err)
		}
		srv.Close()
	})
}

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

// The request of a refusal has the client's address, or the one that the program has put in its
// place, whoever asks for it.
func TestAddressOfRefusedRequest(t *testing.T) {
	ownAddress := func(r *http.Request, _ http.Header) (*http.Request, error) {
		r.RemoteAddr = "192.0.2.1:4"
		return nil, &Refusal{}
	}
	for _, tt := range []struct {
		name, request string
		admit         func(*http.Request, http.Header) (*http.Request, error)
		want          string
	}{
		{"a rule", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, "pipe"},
		{"unreadable", "GET\r\n\r\n", nil, "pipe"},
		{"Admit", goodRequest, ownAddress, "192.0.2.1:4"},
	} {
		seen := make(chan string, 1)
		srv := &Server{OnMessage: func(*Conn, int, []byte) {}}
		srv.Admit = tt.admit
		srv.Error = func(w http.ResponseWriter, r *http.Request, status int, _ error) {
			seen <- r.RemoteAddr
			w.WriteHeader(status)
		}
		l := newListener()
		go srv.Serve(l)
		s, c := net.Pipe()
		l.conns <- s
		go io.WriteString(c, tt.request)
		go io.Copy(io.Discard, c)
		if got := <-seen; got != tt.want {
			t.Errorf("%s: RemoteAddr is %q, want %q", tt.name, got, tt.want)
		}
		c.Close()
		srv.Close()
	}
}
