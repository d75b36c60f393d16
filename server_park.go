package websocket

import (
	"time"

	"github.com/plainsocket/websocket/internal/parktest"
)

// A Server is the parker of its connections (conn_park.go). Its list of members has the poller.

// parkBatch is the number of goroutines that are started, for connections that have become
// readable, before these goroutines may run. Most of them end soon, so there are not many at a
// time.
const parkBatch = 128

// parkTick is the longest tick of a Server that parks connections. A connection is parked after a
// silence of one to two ticks.
const parkTick = 7500 * time.Millisecond

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

// resume implements parker.
func (s *Server) resume(c *Conn) {
	growStack() // cheaper now than later
	s.drive(c, true)
}

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
