package websocket

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
)

// Accepting. Three kinds of goroutines lead to a handler: one for each
// listener, which accepts; one for each opening handshake, whose stack grows to
// 8 KiB; and one for each connection, which begins with the smallest stack
// there is and stays small. (Handshakes by goroutines that are kept would take
// 6 % less CPU. But a server whose connections are gone has no goroutines left
// of them, and that is worth more.)

// Serve accepts connections on l, which it closes in the end, and serves each.
// It returns ErrServerClosed after Shutdown or Close, or when l was closed.
// Failures to accept that may pass, such as too many open files, are retried.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if s.Handler == nil && s.OnMessage == nil {
		return errors.New("websocket: " + noHandler)
	}
	if !s.track(l, true) {
		return ErrServerClosed
	}
	defer s.track(l, false)
	var pause time.Duration
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			go s.serve(newConn(nc, false))
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return ErrServerClosed
		}
		// No error says better than Temporary that it may pass.
		if passing, ok := err.(interface{ Temporary() bool }); !ok || !passing.Temporary() {
			return fmt.Errorf("websocket: accept: %w", err)
		}
		pause = min(max(5*time.Millisecond, 2*pause), time.Second)
		s.log(slog.LevelError, "websocket: accept failed", "error", err, "retry in", pause)
		time.Sleep(pause)
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
	var err error
	defer func() {
		if v := recover(); v != nil { // CheckOrigin's or Error's
			err = fmt.Errorf("websocket: panic in the opening handshake: %v\n%s", v, debug.Stack())
		}
		c.unreserve()
		if err != nil {
			s.members.remove(c)
			c.Close()
			s.log(slog.LevelWarn, "websocket: opening handshake failed", "remote", c.RemoteAddr(), "error", err)
			if _, refused := err.(HandshakeError); !refused { // which has been told
				s.Trace.traceHandshake(nil, r, nil, err)
			}
			return
		}
		// The handshake took more stack than the connection will. A new
		// goroutine begins with 2 KiB again.
		s.start(c, r)
	}()
	r, err = s.openingHandshake(c)
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
