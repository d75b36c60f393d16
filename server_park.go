package websocket

import (
	"time"

	"github.com/plainsocket/websocket/internal/parktest"
)

// A Server is the parker of its connections. Its list of members has the poller.

// parkBatch is how many goroutines are started for connections that have become
// readable before those that were started may run. Most end soon, so that there are
// not many at a time.
const parkBatch = 128

// parkTick is the longest tick of a Server that parks connections: so long a silence,
// at most twice, it takes.
const parkTick = 7500 * time.Millisecond

// parks reports whether connections may wait without a goroutine: only if they do not
// need its stack for a handler.
func (s *Server) parks() bool {
	return s.Handler == nil && s.OnMessage != nil && !parktest.Never.Load()
}

// initialSettings are those of a connection that can be parked.
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

// parkNew parks a connection that has just been opened, before it has a goroutine. It
// reports false if it has to have one.
func (s *Server) parkNew(c *Conn) bool {
	if c.settings.Load().parking == nil || !c.readLock.tryLock() {
		return false
	}
	c.tryReadFunc = nil // the opening handshake's; most will not read that way again
	if c.in == noInput && c.readErr == nil && c.parkConn() {
		return true
	}
	c.unlockRead()
	return false
}

func (s *Server) watcher() (watcher, error) {
	p, err := s.members.openPoller(s.resume)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// resume goes on with a connection that was taken up, on a goroutine that was started
// for it.
func (s *Server) resume(c *Conn) {
	growStack() // it will need that, and it is cheaper now than later
	s.drive(c, true)
}

// openPoller returns the poller, and makes it if there is none. Its caller is the
// reader of a member: so the poller is there until that one is no longer parked.
func (m *members) openPoller(resume func(c *Conn)) (*poller, error) {
	if p := m.poller.Load(); p != nil {
		return p, nil
	}
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

// takeUp takes the members at some places up, and appends those that were parked to
// ready.
func (m *members) takeUp(ready []*Conn, places []int32) []*Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, place := range places {
		if int(place) >= len(m.list) {
			continue // the member was the last one
		}
		if c := m.list[place]; c != nil && c.takeUp() {
			ready = append(ready, c)
		}
	}
	return ready
}
