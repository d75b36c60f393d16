package websocket

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Shutdown reaches every connection, though they leave while the list is walked. So does Close.
func TestServerReachesEveryMember(t *testing.T) {
	const n = 1500
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: echo}
		l := newListener()
		go srv.Serve(l)
		var told atomic.Int32
		for range n {
			c := l.dial(t)
			go func() {
				if _, _, err := c.ReadMessage(); IsCloseError(err, CloseGoingAway) {
					told.Add(1)
				}
				c.Close()
			}()
		}
		synctest.Wait()
		start := time.Now()
		if err := srv.Shutdown(context.Background()); err != nil || time.Since(start) != 0 {
			t.Errorf("Shutdown: %v after %v", err, time.Since(start))
		}
		synctest.Wait()
		if told.Load() != n {
			t.Errorf("%d of %d were told 1001", told.Load(), n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: echo}
		l := newListener()
		go srv.Serve(l)
		var ended atomic.Int32
		for range n {
			c := l.dial(t)
			go func() {
				c.ReadMessage()
				ended.Add(1)
				c.Close()
			}()
		}
		synctest.Wait()
		srv.Close()
		synctest.Wait()
		if ended.Load() != n {
			t.Errorf("Close ended %d of %d", ended.Load(), n)
		}
	})
}

// Peers that read nothing do not keep the others from being told. A write may already wait for
// them, or the close frame may be the first. The same holds for an application that takes its time
// in the opening handshake.
func TestShutdownWithStuckPeers(t *testing.T) {
	hello := func(c *Conn, r *http.Request) { c.WriteMessage(TextMessage, []byte("hello")) }
	slow := Upgrader{CheckOrigin: func(r *http.Request) bool {
		if r.Header["Origin"] != nil {
			time.Sleep(time.Hour)
		}
		return true
	}}
	for name, srv := range map[string]*Server{
		"in a write":     {Handler: hello},
		"idle":           {Handler: echo},
		"in CheckOrigin": {Handler: echo, Upgrader: slow},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newListener()
			go srv.Serve(l)
			var stuck []net.Conn
			for range 100 {
				if srv.CheckOrigin == nil {
					stuck = append(stuck, l.dial(t).nc)
					continue
				}
				s, c := net.Pipe()
				l.conns <- s
				io.WriteString(c, strings.Replace(goodRequest, "\r\n\r\n", "\r\nOrigin: https://a.example\r\n\r\n", 1))
				stuck = append(stuck, c)
			}
			c := l.dial(t)
			start := time.Now()
			told := make(chan time.Duration)
			go func() {
				for { // a hello may come first
					if _, _, err := c.ReadMessage(); err != nil {
						break
					}
				}
				told <- time.Since(start)
			}()
			synctest.Wait()
			go srv.Shutdown(t.Context())
			if after := <-told; after != 0 {
				t.Errorf("%s: a peer that reads was told after %v", name, after)
			}
			for _, s := range stuck {
				s.Close()
			}
			c.Close()
			time.Sleep(time.Hour)
			synctest.Wait()
		})
	}
}

// A write that waits for another message to be closed is woken by the connection's end.
func TestOpenWriterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pipePair(t)
		go io.Copy(io.Discard, client.nc)
		if _, err := server.NextWriter(TextMessage); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error)
		go func() { errs <- server.WriteMessage(TextMessage, nil) }()
		synctest.Wait()
		server.WriteControl(CloseMessage, nil, time.Time{})
		if err := <-errs; err != ErrCloseSent {
			t.Errorf("waiting write: %v, want ErrCloseSent", err)
		}
	})
}

// A CheckOrigin that takes its time holds up neither Close nor the end of others.
func TestServerCloseDuringHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deciding := make(chan struct{})
		srv := &Server{Handler: echo}
		srv.CheckOrigin = func(r *http.Request) bool {
			if r.Header.Get("Origin") != "" {
				<-deciding
			}
			return true
		}
		l := newListener()
		go srv.Serve(l)
		ended := make(chan error, 2)
		first := l.dial(t)
		a, b := net.Pipe()
		l.conns <- b
		go io.WriteString(a, strings.Replace(goodRequest, "\r\n\r\n", "\r\nOrigin: https://slow.example\r\n\r\n", 1))
		second := l.dial(t)
		for _, c := range []*Conn{first, second} {
			go func() {
				_, _, err := c.ReadMessage()
				ended <- err
			}()
		}
		synctest.Wait()
		srv.Close()
		synctest.Wait()
		if len(ended) != 2 {
			t.Errorf("Close ended %d of 2 connections while a third was being checked", len(ended))
		}
		close(deciding)
		first.Close()
		second.Close()
		a.Close()
	})
}

// A Trace may panic in an HTTP handler, which net/http recovers. That leaves no connection behind.
func TestServerTracePanics(t *testing.T) {
	srv := &Server{Handler: echo}
	srv.Trace = &Trace{Handshake: func(*Conn, *http.Request, []byte, error) { panic(http.ErrAbortHandler) }}
	hs := httptest.NewServer(srv)
	defer hs.Close()
	c, _, err := DefaultDialer.Dial(hs.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseAbnormalClosure) {
		t.Errorf("read: %v", err)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
