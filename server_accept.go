package websocket

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Accepting connections. Three kinds of goroutines lead to a handler:
//
//   - One for each listener accepts.
//   - One for each opening handshake has a stack that grows to 8 KiB.
//   - One for each connection begins with the smallest stack there is and stays small.
//
// (If the goroutines of handshakes were kept and used again, a handshake would take 6 % less CPU
// time. But then a server without connections would still have goroutines.)

// Serve accepts connections on l and serves each of them. It closes l before it returns. It returns
// ErrServerClosed after Shutdown or Close, or after l was closed. Failures to accept that may pass,
// such as too many open files, are retried.
func (s *Server) Serve(l net.Listener) error {
	tracked := &trackedListener{Listener: l}
	defer tracked.Close()
	if s.Handler == nil && s.OnMessage == nil {
		return errors.New("websocket: " + noHandler)
	}
	if !s.track(tracked) {
		return ErrServerClosed
	}
	defer s.untrack(tracked)
	closing := s.closed()
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case isDone(closing) || errors.Is(err, net.ErrClosed):
			// After Shutdown the error of Accept does not matter: each listener has its own error
			// for having been closed.
			if err == nil {
				nc.Close()
			}
			return ErrServerClosed
		case err == nil:
			pause = 0
			go s.serve(newConn(nc, false))
			continue
		}
		// Temporary is deprecated, but nothing else tells whether a failure may pass.
		if passing, ok := err.(interface{ Temporary() bool }); !ok || !passing.Temporary() {
			return fmt.Errorf("websocket: accept: %w", err)
		}
		pause = min(max(5*time.Millisecond, 2*pause), time.Second)
		s.log(slog.LevelError, "websocket: accept failed", "error", err, "retry in", pause)
		select {
		case <-time.After(pause):
		case <-closing:
			return ErrServerClosed
		}
	}
}

// A trackedListener is a listener that Shutdown has to close. It can be closed twice, and its
// pointer can be the key of a map. Not every listener allows that.
type trackedListener struct {
	net.Listener
	once sync.Once
	err  error // of Close
}

func (l *trackedListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// track adds l to the listeners. It reports false if the server is closed.
func (s *Server) track(l *trackedListener) bool {
	closing := s.closed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if isDone(closing) {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[*trackedListener]struct{})
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l *trackedListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// closed returns the channel that Shutdown and Close close.
func (s *Server) closed() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil {
		s.closing = make(chan struct{})
	}
	return s.closing
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// closeListeners closes the channel of closed, and all listeners. Their Close is called without the
// lock, because it may take its time.
func (s *Server) closeListeners() {
	closing := s.closed()
	s.mu.Lock()
	if !isDone(closing) {
		close(closing)
	}
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
}

// serve does the opening handshake, and starts the handler.
func (s *Server) serve(c *Conn) {
	growStack()
	c.reserve()
	if !s.join(c) {
		c.unreserve()
		c.Close()
		return
	}
	var r *http.Request
	err := errGoexit // unless openingHandshake returns
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("websocket: panic in the opening handshake: %v\n%s", v, debug.Stack())
		}
		c.unreserve()
		if err != nil {
			s.abandon(c, r, err)
			return
		}
		// The handshake took more stack than the connection will. A new goroutine begins with 2 KiB
		// again.
		s.start(c, r)
	}()
	r, err = s.openingHandshake(c)
}

// errGoexit is the error of a handshake in which the application's code, such as CheckOrigin,
// called runtime.Goexit. A test's FailNow does that.
var errGoexit = errors.New("websocket: opening handshake: the application ended the goroutine (runtime.Goexit)")

// abandon ends a connection after its opening handshake has failed. It closes the connection first,
// because Logger and Trace are the application's code and may panic.
func (s *Server) abandon(c *Conn, r *http.Request, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log(slog.LevelError, "websocket: panic after the opening handshake failed", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.members.remove(c)
	c.Close()
	s.log(slog.LevelWarn, "websocket: opening handshake failed", "remote", c.RemoteAddr(), "error", err)
	if _, refused := err.(HandshakeError); !refused { // refuse has traced a refusal
		s.Trace.traceHandshake(nil, r, nil, err)
	}
}

// growStack makes the runtime double the stack at once. An opening handshake needs more than the
// 2 KiB that a goroutine begins with. If the stack grew in the middle of the handshake, the runtime
// would have a dozen stack frames to adjust, which takes 4 µs.
//
//go:noinline
func growStack() {
	var room [2 << 10]byte
	runtime.KeepAlive(&room)
}
