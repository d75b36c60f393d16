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

// Accepting. Three kinds of goroutines lead to a handler. One for each listener
// accepts. One for each opening handshake has a stack that grows to 8 KiB. One for each
// connection begins with the smallest stack there is and stays small. (Handshakes by
// goroutines that are kept would take 6 % less CPU. But a server whose connections are gone has no goroutines left
// of them, and that is worth more.)

// Serve accepts connections on l, which it closes in the end, and serves each.
// It returns ErrServerClosed after Shutdown or Close, or when l was closed.
// Failures to accept that may pass, such as too many open files, are retried.
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
			// After Shutdown the error of Accept does not matter: each listener
			// has its own words for having been closed.
			if err == nil {
				nc.Close()
			}
			return ErrServerClosed
		case err == nil:
			pause = 0
			go s.serve(newConn(nc, false))
			continue
		}
		// No error says better than Temporary that it may pass.
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

// A trackedListener is one that Shutdown has to close. It may be closed twice,
// which not every listener bears, and its pointer is a key for a map, which not
// every listener is.
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

// closeListeners begins the end. The listeners' own code is called without the
// lock, for it may take its time.
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
		// The handshake took more stack than the connection will. A new
		// goroutine begins with 2 KiB again.
		s.start(c, r)
	}()
	r, err = s.openingHandshake(c)
}

// errGoexit is why a handshake failed during which code of the application's,
// such as CheckOrigin, called runtime.Goexit. A test's FailNow does.
var errGoexit = errors.New("websocket: opening handshake: the application ended the goroutine (runtime.Goexit)")

// abandon ends a connection whose opening handshake failed. The connection goes
// first: Logger and Trace are code of the application's too.
func (s *Server) abandon(c *Conn, r *http.Request, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log(slog.LevelError, "websocket: panic after the opening handshake failed", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.members.remove(c)
	c.Close()
	s.log(slog.LevelWarn, "websocket: opening handshake failed", "remote", c.RemoteAddr(), "error", err)
	if _, refused := err.(HandshakeError); !refused { // which has been told
		s.Trace.traceHandshake(nil, r, nil, err)
	}
}

// growStack has the runtime double the stack at once. An opening handshake needs
// more than the 2 KiB that a goroutine begins with, and to copy them in the
// depth of it takes 4 µs, because there are a dozen frames to adjust.
//
//go:noinline
func growStack() {
	var room [2 << 10]byte
	runtime.KeepAlive(&room)
}
