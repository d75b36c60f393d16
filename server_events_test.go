package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// eventStyles are the ways in which a Server calls the program.
var eventStyles = map[string]func(s *Server, onMessage func(c *Conn, messageType int, data []byte)){
	"Handler": func(s *Server, f func(*Conn, int, []byte)) {
		s.Handler = func(c *Conn, _ *http.Request) {
			for {
				messageType, p, err := c.ReadMessage()
				if err != nil {
					return
				}
				f(c, messageType, p)
			}
		}
	},
	"HandleMessages": func(s *Server, f func(*Conn, int, []byte)) {
		s.Handler = func(c *Conn, _ *http.Request) { c.HandleMessages(f) }
	},
	"OnMessage": func(s *Server, f func(*Conn, int, []byte)) { s.OnMessage = f },
}

// eventNetworks are the ways to a Server. Each returns the client's end of a new connection.
var eventNetworks = map[string]func(t *testing.T, s *Server) *Conn{
	"tcp": func(t *testing.T, s *Server) *Conn { return dialStyle(t, s, "tcp") },
	"tls": func(t *testing.T, s *Server) *Conn { return dialStyle(t, s, "tls") },
	"net/http": func(t *testing.T, s *Server) *Conn {
		hs := httptest.NewServer(s)
		t.Cleanup(hs.Close)
		c, _, err := DefaultDialer.Dial(strings.Replace(hs.URL, "http", "ws", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	},
	"pipe": func(t *testing.T, s *Server) *Conn { return dialStyle(t, s, "pipe") },
}

// Whatever ends a connection, OnClose is called once, after everything else and with
// the error that reads return, and the context ends with the same.
func TestServerEvents(t *testing.T) {
	ends := []struct {
		name      string
		end       func(s *Server, c *Conn, server *Conn) // c is the client's end, which is read
		want      func(err error) bool
		onMessage func(c *Conn, messageType int, data []byte)
	}{
		{"the peer closes", func(_ *Server, c, _ *Conn) {
			c.WriteControl(CloseMessage, FormatCloseMessage(4001, "bye"), time.Time{})
		}, isClose(4001), nil},
		{"the peer is lost", func(_ *Server, c, _ *Conn) { c.Close() }, isClose(CloseAbnormalClosure), nil},
		{"a violation", func(_ *Server, c, _ *Conn) { c.nc.Write([]byte{0xf0, 0x80, 0, 0, 0, 0}) }, isProtocolError, nil},
		{"Server.Shutdown", func(s *Server, _, _ *Conn) { go s.Shutdown(context.Background()) }, isClose(CloseGoingAway), nil},
		{"Server.Close", func(s *Server, _, _ *Conn) { s.Close() }, isErr(net.ErrClosed), nil},
		{"Conn.Close", func(_ *Server, _, server *Conn) { server.Close() }, isErr(net.ErrClosed), nil},
		{"Conn.Shutdown", func(_ *Server, _, server *Conn) {
			go server.Shutdown(context.Background(), CloseNormalClosure, "")
		}, isClose(CloseNormalClosure), nil},
		{"panic", func(_ *Server, c, _ *Conn) { c.WriteMessage(TextMessage, []byte("x")) },
			isClose(CloseInternalServerErr), func(*Conn, int, []byte) { panic(http.ErrAbortHandler) }},
		{"Goexit", func(_ *Server, c, _ *Conn) { c.WriteMessage(TextMessage, []byte("x")) },
			isClose(CloseInternalServerErr), func(*Conn, int, []byte) { runtime.Goexit() }},
		{"Close in the handler", func(_ *Server, c, _ *Conn) { c.WriteMessage(TextMessage, []byte("x")) },
			isErr(net.ErrClosed), func(c *Conn, _ int, _ []byte) { c.Close() }},
	}
	for style, set := range eventStyles {
		for network, dial := range eventNetworks {
			for _, tt := range ends {
				t.Run(tt.name+", "+style+", "+network, func(t *testing.T) {
					log := newEventLog()
					s := &Server{OnOpen: log.open, OnClose: log.close}
					set(s, func(c *Conn, messageType int, data []byte) {
						log.add("message")
						if tt.onMessage != nil {
							tt.onMessage(c, messageType, data)
						}
					})
					c := dial(t, s)
					defer c.Close()
					server := <-log.opened
					go func() {
						c.HandleMessages(func(*Conn, int, []byte) {})
						if tt.name == "a violation" { // for whose end the server waits
							c.Close()
						}
					}()
					tt.end(s, c, server)
					err := log.wait(t)
					if !tt.want(err) {
						t.Errorf("OnClose: %v", err)
					}
					if cause := context.Cause(server.Context()); cause != err {
						t.Errorf("the context's cause is %v, want %v", cause, err)
					}
					if err := s.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					want := "open close"
					if tt.onMessage != nil {
						want = "open message close"
					}
					if got := log.String(); got != want {
						t.Errorf("events: %s, want %s", got, want)
					}
				})
			}
		}
	}
}

func isClose(code int) func(error) bool {
	return func(err error) bool { return IsCloseError(err, code) }
}
func isErr(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
func isProtocolError(err error) bool    { return errors.As(err, new(*ProtocolError)) }

type contextKey struct{}

// An eventLog notes what a program hears of one connection.
type eventLog struct {
	opened chan *Conn
	ended  chan error
	events chan string
}

func newEventLog() *eventLog {
	return &eventLog{make(chan *Conn, 10), make(chan error, 10), make(chan string, 100)}
}

func (l *eventLog) add(event string) { l.events <- event }

func (l *eventLog) open(c *Conn, r *http.Request) {
	l.add("open")
	c.SetValue(r.URL.Path)
	l.opened <- c
}

func (l *eventLog) close(c *Conn, err error) {
	l.add("close")
	l.ended <- err
}

func (l *eventLog) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("OnClose was not called in 10 s")
		return nil
	}
}

func (l *eventLog) String() string {
	close(l.events)
	var all []string
	for event := range l.events {
		all = append(all, event)
	}
	return strings.Join(all, " ")
}

// OnOpen and OnClose that end oddly, and an OnOpen that closes, leave nothing behind.
func TestServerEventsThatEndOddly(t *testing.T) {
	ends := map[string]func(c *Conn){
		"panic":   func(*Conn) { panic(http.ErrAbortHandler) },
		"a panic": func(*Conn) { panic("oh no") },
		"Goexit":  func(*Conn) { runtime.Goexit() },
		"Close":   func(c *Conn) { c.Close() },
		"close frame, Close": func(c *Conn) {
			c.Enqueue(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""))
			c.Close()
		},
		"Shutdown": func(c *Conn) { c.Shutdown(context.Background(), CloseTryAgainLater, "") },
	}
	codes := map[string]int{"panic": CloseInternalServerErr, "a panic": CloseInternalServerErr, "Goexit": CloseInternalServerErr,
		"Close": CloseAbnormalClosure, "close frame, Close": CloseAbnormalClosure, "Shutdown": CloseTryAgainLater}
	for style, set := range eventStyles {
		for network, dial := range eventNetworks {
			for name, end := range ends {
				t.Run(name+" in OnOpen, "+style+", "+network, func(t *testing.T) {
					log := newEventLog()
					s := &Server{OnClose: log.close, OnOpen: func(c *Conn, _ *http.Request) { end(c) }}
					set(s, func(*Conn, int, []byte) { log.add("message") })
					c := dial(t, s)
					defer c.Close()
					go c.WriteMessage(TextMessage, []byte("hello"))
					c.SetReadDeadline(time.Now().Add(10 * time.Second))
					_, _, err := c.ReadMessage()
					code := codes[name]
					if !IsCloseError(err, code) && !(code == CloseAbnormalClosure && !isTimeout(err)) {
						t.Errorf("read: %v, want %d", err, code)
					}
					log.wait(t)
					if err := s.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					if got := log.String(); got != "close" {
						t.Errorf("events: %s, want close", got)
					}
				})
				t.Run(name+" in OnClose, "+style+", "+network, func(t *testing.T) {
					log := newEventLog()
					s := &Server{OnClose: func(c *Conn, err error) { log.close(c, err); end(c) }}
					set(s, func(*Conn, int, []byte) {})
					c := dial(t, s)
					c.Close()
					log.wait(t)
					if err := s.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					if got := log.String(); got != "close" {
						t.Errorf("events: %s, want close", got)
					}
				})
			}
		}
	}
}

// OnOpen comes before the first message, gets what Admit returned, and may read.
func TestServerOnOpen(t *testing.T) {
	type key struct{}
	for style, set := range eventStyles {
		for network, dial := range eventNetworks {
			t.Run(style+", "+network, func(t *testing.T) {
				s := new(Server)
				s.Admit = func(r *http.Request, _ http.Header) (*http.Request, error) {
					return r.WithContext(context.WithValue(r.Context(), key{}, "ann")), nil
				}
				s.OnOpen = func(c *Conn, r *http.Request) {
					_, p, _ := c.ReadMessage()
					c.SetValue(fmt.Sprint(r.Context().Value(key{}), " ", string(p)))
				}
				set(s, func(c *Conn, messageType int, data []byte) {
					c.WriteMessage(messageType, append([]byte(c.Value().(string)+" "), data...))
				})
				c := dial(t, s)
				defer c.Close()
				go func() {
					c.WriteMessage(TextMessage, []byte("1"))
					c.WriteMessage(TextMessage, []byte("2"))
				}()
				if _, p, err := c.ReadMessage(); string(p) != "ann 1 2" {
					t.Errorf("got %q, %v", p, err)
				}
				s.Close()
			})
		}
	}
}

// The context of a Conn is a context like others, and needs no goroutine.
func TestConnContext(t *testing.T) {
	server, client := connPairOverTCP(t)
	ctx := server.Context()
	if ctx != server.Context() || ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value("x") != nil {
		t.Errorf("a new context: %v, cause %v", ctx.Err(), context.Cause(ctx))
	}
	if _, ok := ctx.Deadline(); ok {
		t.Error("it has a deadline")
	}
	goroutines := runtime.NumGoroutine()
	var called atomic.Int32
	const n = 1000
	var stops []func() bool
	for i := range n {
		if i%2 == 0 {
			stops = append(stops, context.AfterFunc(ctx, func() { called.Add(1) }))
		} else {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			context.AfterFunc(child, func() { called.Add(1) })
		}
	}
	if grown := runtime.NumGoroutine() - goroutines; grown > n/10 {
		t.Errorf("%d functions cost %d goroutines", n, grown)
	}
	for _, stop := range stops[:n/4] {
		if !stop() || stop() {
			t.Error("stop must report true, then false")
		}
	}
	select {
	case <-ctx.Done():
		t.Error("it has ended")
	default:
	}
	child, cancel := context.WithCancel(context.WithValue(ctx, contextKey{}, "value"))
	defer cancel()
	client.WriteControl(CloseMessage, FormatCloseMessage(4001, ""), time.Time{})
	_, _, err := server.ReadMessage()
	for name, ctx := range map[string]context.Context{"ctx": ctx, "child": child} {
		<-ctx.Done()
		if ctx.Err() != context.Canceled || context.Cause(ctx) != err || !IsCloseError(err, 4001) {
			t.Errorf("%s: %v, cause %v, want %v", name, ctx.Err(), context.Cause(ctx), err)
		}
	}
	for range 1000 {
		if called.Load() == n-n/4 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if called.Load() != n-n/4 {
		t.Errorf("%d functions were called, want %d", called.Load(), n-n/4)
	}
	if stops[n/4]() {
		t.Error("stop after the end reports true")
	}
	late := make(chan struct{})
	context.AfterFunc(ctx, func() { close(late) })
	<-late
}

// It ends with the connection, whatever ends that, and whenever it is asked for.
func TestConnContextEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(server, client *Conn)
		want func(error) bool
	}{
		"Close":    {func(server, _ *Conn) { server.Close() }, isErr(net.ErrClosed)},
		"lost":     {func(server, client *Conn) { client.Close(); server.ReadMessage() }, isClose(CloseAbnormalClosure)},
		"Shutdown": {func(server, client *Conn) { go client.ReadMessage(); server.Shutdown(context.Background(), 1000, "") }, isClose(1000)},
		"the queue": {func(server, _ *Conn) {
			server.flags.set(flagTooSlow)
			server.closeNow()
		}, isErr(ErrQueueTimeout)},
	} {
		for _, early := range []bool{true, false} {
			for _, side := range []string{"server", "client"} {
				t.Run(fmt.Sprintf("%s, asked early %v, %s", name, early, side), func(t *testing.T) {
					t.Parallel()
					a, b := connPairOverTCP(t)
					if side == "client" {
						a, b = b, a
					}
					var ctx context.Context
					if early {
						ctx = a.Context()
						ctx.Done()
					}
					tt.end(a, b)
					if !early {
						ctx = a.Context()
					}
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Second):
						t.Fatal("it has not ended")
					}
					if err := context.Cause(ctx); !tt.want(err) {
						t.Errorf("cause: %v", err)
					}
				})
			}
		}
	}
}

// A deadline is no end.
func TestConnContextOutlivesDeadline(t *testing.T) {
	server, _ := connPairOverTCP(t)
	server.SetReadDeadline(time.Now().Add(-time.Second))
	if _, _, err := server.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := server.Context().Err(); err != nil {
		t.Errorf("the context has ended: %v", err)
	}
}

// connPairOverTCP returns both ends of a connection of an Upgrader and a Dialer.
func connPairOverTCP(t *testing.T) (server, client *Conn) {
	t.Helper()
	conns := make(chan *Conn, 1)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := new(Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		conns <- c
	}))
	client, _, err := DefaultDialer.Dial(strings.Replace(hs.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	server = <-conns
	t.Cleanup(func() { client.Close(); server.Close(); hs.Close() })
	return server, client
}
