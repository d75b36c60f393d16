package websocket

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/plainsocket/websocket/internal/parktest"
)

// A connection of a Server, from the end of the opening handshake to OnClose:
//
//	start ─► OnOpen ─┬─► Handler ──────────┬─► finish ─► OnClose
//	                 └─► drive: OnMessage ─┘
//	                       │    ▲
//	              parkConn ▼    │ resume
//	              parked, without a goroutine
//
// The Server is the parker of its connections (conn_park.go). One poller waits for all that are
// parked.

// start begins with c's messages, and returns. OnOpen is called here, because this goroutine has a
// large stack already, and ends soon.
func (s *Server) start(c *Conn, r *http.Request) {
	switch {
	case !s.open(c, r):
	case s.Handler != nil:
		// Calls the handler, and closes the connection after it. The stack frame stays for as long
		// as the connection lives. So it is kept small, and so is drive's.
		go func() {
			code := CloseInternalServerErr
			defer func() { s.finish(c, code, "", recover()) }()
			s.Handler(c, r)
			code = CloseNormalClosure
		}()
	case !s.parkNew(c):
		go s.drive(c, false)
	}
}

// open calls OnOpen. It reports false if that closed the connection or panicked. The connection is
// then finished.
func (s *Server) open(c *Conn, r *http.Request) (ok bool) {
	if s.OnOpen == nil {
		return true
	}
	code := CloseInternalServerErr
	defer func() {
		if !ok {
			s.finish(c, code, "", recover())
		}
	}()
	s.OnOpen(c, r)
	code = CloseNormalClosure
	return !c.flags.has(flagClosed)
}

// drive calls OnMessage for each message, and closes the connection after the last one. The
// caller holds readLock if held is true. The connection may go on in another goroutine, which
// takes readLock over, or be parked, with readLock held.
func (s *Server) drive(c *Conn, held bool) {
	code, reason, elsewhere := CloseInternalServerErr, "", false
	defer func() {
		if !elsewhere {
			s.finish(c, code, reason, recover())
		}
	}()
	if !held {
		c.lockRead()
	}
	err := c.handle(s.OnMessage, true)
	if err != errNewGoroutine {
		code, reason = c.closeAfter(err)
		return
	}
	elsewhere = true // c may be another's from here on
	if !c.parkConn() {
		go s.drive(c, true)
	}
}

// resume implements parker.
func (s *Server) resume(c *Conn) {
	growStack() // cheaper now than later
	s.drive(c, true)
}

// closeAfter returns the code and reason with which a connection of OnMessage is closed, after
// reading has ended with err.
func (c *Conn) closeAfter(err error) (code int, reason string) {
	end, dead := c.readEnded()
	_, isClose := errors.AsType[*CloseError](end)
	_, isBroken := errors.AsType[*ProtocolError](end)
	switch {
	case end == nil && isTimeout(err):
		return CloseGoingAway, "no message before the read deadline"
	case end == nil || dead || isClose || isBroken:
		return CloseNormalClosure, ""
	}
	return CloseInternalServerErr, "" // a handler for control frames failed
}

// finish ends a connection after its handler has returned or panicked. If the peer has gone away,
// finish needs no more stack than the handler did: a stack that grows for its last call costs 4 µs.
func (s *Server) finish(c *Conn, code int, reason string, panicked any) {
	defer s.members.remove(c) // even if Logger or Trace end the goroutine
	defer s.tellClose(c)
	if panicked != nil && panicked != http.ErrAbortHandler {
		s.logPanic(c, panicked)
	}
	if _, dead := c.readEnded(); dead {
		c.closeWhenSent()
	} else {
		c.Shutdown(context.Background(), code, reason)
	}
}

func (s *Server) logPanic(c *Conn, panicked any) {
	s.log(slog.LevelError, "websocket: handler panicked", "remote", c.RemoteAddr(),
		"panic", panicked, "stack", string(debug.Stack()))
}

// tellClose calls OnClose, after everything else.
func (s *Server) tellClose(c *Conn) {
	if s.OnClose == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			s.log(slog.LevelError, "websocket: OnClose panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.OnClose(c, c.end(c.closedErr()))
}

// maxParkTick is the longest tick of a Server that parks connections. A connection is parked after a
// silence of one to two ticks.
const maxParkTick = 7500 * time.Millisecond

// parks reports whether connections may wait without a goroutine. They may not if a Handler needs
// the goroutine's stack.
func (s *Server) parks() bool {
	return s.Handler == nil && s.OnMessage != nil && !parktest.Never.Load()
}

// initialSettings returns the settings of a connection that can be parked.
func (s *Server) initialSettings() *settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.initial == nil {
		s.initial = new(settings)
		*s.initial = standardSettings
		s.initial.parking = s
	}
	return s.initial
}

// parkNew parks a connection that has just been opened, before it has a goroutine. It reports false
// if the connection needs a goroutine.
func (s *Server) parkNew(c *Conn) bool {
	if c.settings.Load().parking == nil || !c.readLock.tryLock() {
		return false
	}
	c.tryReadFunc = nil // the opening handshake used it, and most connections will not again
	if c.in == noInput && c.readErr == nil && c.parkConn() {
		return true
	}
	c.unlockRead()
	return false
}

// watcher implements parker.
func (s *Server) watcher() (watcher, error) {
	if p := s.members.poller.Load(); p != nil {
		return p, nil
	}
	p, err := s.members.openPoller(s.resume)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// parkBatch is the number of goroutines that are started, for connections that have become
// readable, before these goroutines may run. Most of them end soon, so there are not many at a
// time.
const parkBatch = 128

// openPoller returns the poller, and makes it if there is none. Its caller is the reader of a
// member, so the poller stays until that member is no longer parked.
func (m *members) openPoller(resume func(c *Conn)) (*poller, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.poller.Load(); p != nil {
		return p, nil
	}
	ready := make([]*Conn, 0, parkBatch)
	p, err := newPoller(func(places []int32) {
		ready = m.takeUp(ready[:0], places)
		for _, c := range ready {
			go resume(c)
		}
		clear(ready)
	})
	if err == nil {
		m.poller.Store(p)
	}
	return p, err
}

// takeUp takes up the members at some places, and appends those that were parked to ready.
func (m *members) takeUp(ready []*Conn, places []int32) []*Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, place := range places {
		if int(place) >= len(m.list) {
			continue // the list was emptied after the event
		}
		if c := m.list[place]; c != nil && c.takeUp() {
			ready = append(ready, c)
		}
	}
	return ready
}
