package websockettest

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// serverURL has a host name that no resolver will ever know (RFC 6761 section 6.2). A test that
// dials it by mistake, without the Server's Dialer, reaches nothing.
const serverURL = "ws://websocket.test"

// addrOfServer and addrOfClient are from a block for documentation (RFC 5737). They have the type
// that handlers expect: a handler may look at the port, or take r.RemoteAddr apart.
var addrOfServer = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 80), Port: 80}

func addrOfClient(n int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 49152 + n%(65536-49152)}
}

// A Server is an [http.Server] in memory: clients reach it through its Dialer.
type Server struct {
	URL string // ws://websocket.test

	http    http.Server
	dialled chan net.Conn // connections that wait for Accept
	closing chan struct{} // closed by Close

	mu      sync.Mutex         // guards all below
	changed sync.Cond          // signalled when conns or running has changed
	conns   map[*conn]struct{} // the server's ends, until they are closed
	running int                // calls of the handler
	count   int                // number of connections so far
	closed  bool
}

// NewServer starts a server with a handler, which may be a *[websocket.Server].
// The caller has to close it.
func NewServer(handler http.Handler) *Server {
	s := &Server{
		URL:     serverURL,
		dialled: make(chan net.Conn),
		closing: make(chan struct{}),
		conns:   make(map[*conn]struct{}),
	}
	s.changed.L = &s.mu
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.change(func() { s.running++ })
		defer s.change(func() { s.running-- })
		handler.ServeHTTP(w, r)
	})
	go s.http.Serve((*listener)(s))
	return s
}

// Dialer returns a new Dialer that reaches the server, and nothing else: any
// host in a URL will do. Its other fields may be set.
//
// Its NetDialContext also serves an [http.Transport], or another library.
func (s *Server) Dialer() *websocket.Dialer {
	return &websocket.Dialer{NetDialContext: s.dial}
}

// Dial opens a connection to a path of the server, such as "/chat?room=1", and
// closes it when the test is over. If that fails, so does the test.
func (s *Server) Dial(t testing.TB, path string) *websocket.Conn {
	t.Helper()
	c, resp, err := s.Dialer().DialContext(t.Context(), s.URL+path, nil)
	if err != nil {
		if resp != nil {
			body, _ := io.ReadAll(resp.Body)
			t.Fatalf("%s%s: %v: %s: %s", s.URL, path, err, resp.Status, body)
		}
		t.Fatalf("%s%s: %v", s.URL, path, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// patience is how long Close waits for handlers.
const patience = 5 * time.Second

// Close cuts all connections, and waits until the handlers have closed theirs and returned. If some
// have not after 5 s, it says so in the log.
//
// To end connections with a close frame, call Shutdown of the websocket.Server first.
func (s *Server) Close() {
	s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		c.cut()
	}
	impatient := false
	defer time.AfterFunc(patience, func() { s.change(func() { impatient = true }) }).Stop()
	for s.running > 0 || len(s.conns) > 0 {
		if impatient {
			log.Printf("websockettest: %d calls of handlers and %d connections at the server's end were left after Close",
				s.running, len(s.conns))
			return
		}
		s.changed.Wait()
	}
}

// change runs f, and wakes Close to look at the result.
func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed.Broadcast()
}

var errServerClosed = errors.New("websockettest: the Server is closed")

// dial makes a connection, and returns the client's end of it.
func (s *Server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := s.newConn()
	select {
	case s.dialled <- server:
		return client, nil
	case <-s.closing:
		server.Close()
		return nil, client.explain("dial", errServerClosed)
	case <-ctx.Done():
		server.Close()
		return nil, ctx.Err()
	}
}

// newConn makes a connection and registers it for Close.
func (s *Server) newConn() (client, server *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	client, server = newConnPair(addrOfClient(s.count), addrOfServer)
	s.count++
	server.closed = func() { s.change(func() { delete(s.conns, server) }) }
	s.conns[server] = struct{}{}
	if s.closed {
		server.cut() // http.Server may yet accept it
	}
	return client, server
}

// listener is the Server as http.Server sees it.
type listener Server

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialled:
		return c, nil
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { close(l.closing); return nil } // http.Server calls it once
func (l *listener) Addr() net.Addr { return addrOfServer }
