package websocket

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A listener that is odd: it cannot be compared, it reports its end with an error of its own, and
// it must not be closed twice.
type oddListener struct {
	accept []func() (net.Conn, error)
	closed chan struct{}
	calls  *atomic.Int32
}

func (l oddListener) Accept() (net.Conn, error) {
	n := int(l.calls.Add(1))
	if n > len(l.accept) {
		<-l.closed
		n = len(l.accept)
	}
	return l.accept[n-1]()
}
func (l oddListener) Close() error   { close(l.closed); return nil }
func (l oddListener) Addr() net.Addr { return nil }

type passingError struct{}

func (passingError) Error() string   { return "try again" }
func (passingError) Temporary() bool { return true }

// After Shutdown and Close, Serve returns ErrServerClosed at once, for any error of the listener.
func TestServeOnOddListeners(t *testing.T) {
	ends := map[string]func(srv *Server){
		"Shutdown": func(srv *Server) { srv.Shutdown(context.Background()) },
		"Close":    func(srv *Server) { srv.Close() },
		"both":     func(srv *Server) { srv.Close(); srv.Shutdown(context.Background()) },
	}
	for name, last := range map[string]func() (net.Conn, error){
		"an error":             func() (net.Conn, error) { return nil, errors.New("the pipe is gone") },
		"EOF":                  func() (net.Conn, error) { return nil, io.EOF },
		"net.ErrClosed":        func() (net.Conn, error) { return nil, net.ErrClosed },
		"an error that passes": func() (net.Conn, error) { return nil, passingError{} },
		"a connection": func() (net.Conn, error) {
			s, c := net.Pipe()
			c.Close()
			return s, nil
		},
	} {
		for endName, end := range ends {
			synctest.Test(t, func(t *testing.T) {
				l := oddListener{accept: []func() (net.Conn, error){last}, closed: make(chan struct{}), calls: new(atomic.Int32)}
				l.calls.Store(1) // the first call waits for Close
				srv := &Server{Handler: echo}
				done := make(chan error, 1)
				go func() { done <- srv.Serve(l) }()
				synctest.Wait()
				end(srv)
				start := time.Now()
				if err := <-done; err != ErrServerClosed || time.Since(start) != 0 {
					t.Errorf("%s, then Accept says %s: Serve: %v after %v, want ErrServerClosed at once", endName, name, err, time.Since(start))
				}
				if n := l.calls.Load(); n != 2 {
					t.Errorf("%s, then Accept says %s: Accept was called %d times, want 1", endName, name, n-1)
				}
			})
		}
	}
}

// Nor does Serve sit out the pause before the next attempt to accept.
func TestShutdownDuringPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passing := func() (net.Conn, error) { return nil, passingError{} }
		l := oddListener{closed: make(chan struct{}), calls: new(atomic.Int32)}
		for range 20 {
			l.accept = append(l.accept, passing)
		}
		srv := &Server{Handler: echo}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		time.Sleep(2500 * time.Millisecond) // by then the pause is 1 s
		calls := l.calls.Load()
		start := time.Now()
		srv.Close()
		if err := <-done; err != ErrServerClosed || time.Since(start) != 0 || l.calls.Load() != calls {
			t.Errorf("Serve: %v after %v and %d more calls of Accept", err, time.Since(start), l.calls.Load()-calls)
		}
	})
}

// Two Serve calls share a listener that cannot be compared, and each ends.
func TestServeTwoOddListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := []func() (net.Conn, error){func() (net.Conn, error) { return nil, io.EOF }}
		srv := &Server{Handler: echo, TLSConfig: testTLS()}
		done := make(chan error, 2)
		for i := range 2 {
			l := oddListener{accept: gone, closed: make(chan struct{}), calls: new(atomic.Int32)}
			l.calls.Store(1)
			go func() {
				if i == 0 {
					done <- srv.Serve(l)
				} else {
					done <- srv.ServeTLS(l, "", "")
				}
			}()
		}
		synctest.Wait()
		srv.Close()
		for range 2 {
			if err := <-done; err != ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
		}
	})
}

// A transport without addresses, such as a channel inside of another protocol.
type nowhere struct{ net.Conn }

func (nowhere) LocalAddr() net.Addr  { return nil }
func (nowhere) RemoteAddr() net.Addr { return nil }

// A transport without addresses is served like any other, in every event, and for every callback.
func TestTransportWithoutAddress(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, request := range []string{goodRequest, "x\r\n\r\n", with("Origin: https://evil.example")} {
		synctest.Test(t, func(t *testing.T) {
			remote := "not called"
			srv := &Server{Logger: logger, Handler: func(c *Conn, r *http.Request) {
				remote = r.RemoteAddr
				c.ReadMessage()
				panic("for Logger")
			}}
			srv.Trace = LogTrace(logger)
			l := newListener()
			go srv.Serve(l)
			s, c := net.Pipe()
			l.conns <- nowhere{s}
			if request != goodRequest {
				go io.WriteString(c, request)
				if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 40") {
					t.Errorf("%q, %v", answer, err)
				}
				srv.Close()
				return
			}
			d := Dialer{NetDial: func(string, string) (net.Conn, error) { return nowhere{c}, nil }, Trace: LogTrace(logger)}
			client, _, err := d.Dial("ws://a.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			go client.WriteMessage(TextMessage, []byte("hello"))
			if _, _, err := client.ReadMessage(); !IsCloseError(err, CloseInternalServerErr) {
				t.Errorf("read: %v, want 1011", err)
			}
			client.Close()
			synctest.Wait()
			if remote != "" {
				t.Errorf("the request's RemoteAddr is %q", remote)
			}
			srv.Close()
		})
	}
}
