package websocket

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Shutdown reaches every connection, though they leave while the list is
// walked; Close does.
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

// Peers that read nothing do not keep the others from being told.
func TestShutdownWithStuckPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: func(c *Conn, r *http.Request) { c.WriteMessage(TextMessage, []byte("hello")) }}
		l := newListener()
		go srv.Serve(l)
		var stuck []net.Conn
		for range 100 {
			stuck = append(stuck, l.dial(t).nc) // nobody takes its hello
		}
		c := l.dial(t)
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		told := make(chan time.Duration)
		go func() { c.ReadMessage(); told <- time.Since(start) }()
		go srv.Shutdown(t.Context())
		if after := <-told; after != 0 {
			t.Errorf("a peer that reads was told after %v", after)
		}
		for _, s := range stuck {
			s.Close()
		}
		c.Close()
		synctest.Wait()
	})
}

// A panic of the application's in the opening handshake is that connection's.
func TestServerHandshakePanics(t *testing.T) {
	for name, u := range map[string]Upgrader{
		"CheckOrigin": {CheckOrigin: func(r *http.Request) bool { return r.Header["Origin"][5] == "" }},
		"Error":       {Error: func(_ http.ResponseWriter, r *http.Request, _ int, _ error) { panic(r.URL.Path) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var logged bytes.Buffer
			srv := &Server{Upgrader: u, Handler: echo, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
			l := newListener()
			go srv.Serve(l)
			for _, request := range []string{"x\r\n\r\n", goodRequest} {
				s, c := net.Pipe()
				l.conns <- s
				io.WriteString(c, request)
				io.ReadAll(c)
			}
			synctest.Wait()
			if !strings.Contains(logged.String(), "panic") {
				t.Errorf("%s: logged %q", name, logged.String())
			}
			srv.Close()
			synctest.Wait()
		})
	}
}

// HTTP/2 has no Upgrade: the answer says what to do, and has no field that
// HTTP/2 forbids.
func TestServerHTTP2Request(t *testing.T) {
	hs := httptest.NewUnstartedServer(&Server{Handler: echo})
	hs.EnableHTTP2 = true
	hs.StartTLS()
	defer hs.Close()
	resp, err := hs.Client().Get(hs.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusHTTPVersionNotSupported ||
		resp.Header["Upgrade"] != nil || !strings.Contains(string(body), "HTTP/1.1") {
		t.Errorf("%s %d %v %q", resp.Proto, resp.StatusCode, resp.Header, body)
	}
}

// Who waits for another's message to be closed is woken by the connection's end.
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
