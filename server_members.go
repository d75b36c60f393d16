package websocket

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// members is a Server's list of connections, for keepalive, parking and Shutdown.
type members struct {
	mu     sync.Mutex // guards all below
	list   []*Conn    // nil at free places. A member's place is constant
	free   []int32    // the free places
	closed bool

	poller atomic.Pointer[poller] // of parked members, nil before the first and after the last one

	// Channels that are closed, and set to nil, when the last member is gone. They are nil if no
	// goroutine waits for that.
	ticking chan struct{} // for the goroutine of keepAlive
	empty   chan struct{} // for Shutdown
}

// add makes c a member. It reports false if the list is closed.
func (m *members) add(c *Conn, schedule pingSchedule) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	if last := len(m.free) - 1; last >= 0 {
		c.member.index = m.free[last]
		m.free = m.free[:last]
		m.list[c.member.index] = c
	} else {
		c.member.index = int32(len(m.list))
		m.list = append(m.list, c)
	}
	if schedule.tick > 0 && m.ticking == nil {
		m.ticking = make(chan struct{})
		go m.keepAlive(schedule, m.ticking)
	}
	return true
}

func (m *members) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// ready notes that c's opening handshake is done.
func (m *members) ready(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.member.handshakeDone = true
}

// remove takes c out of the list. The poller and the goroutine of keepAlive end with the last
// member.
func (m *members) remove(c *Conn) {
	if last := m.removeFromList(c); last != nil {
		last.close() // without m.mu: it waits for the poller's goroutine, which may wait for m.mu
	}
}

// removeFromList returns the poller if c was the last member.
func (m *members) removeFromList(c *Conn) *poller {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list[c.member.index] = nil
	m.free = append(m.free, c.member.index)
	if len(m.free) < len(m.list) {
		return nil
	}
	m.list, m.free = nil, nil
	last := m.poller.Swap(nil) // before Shutdown is told
	m.announceEmpty()
	return last
}

// announceEmpty tells the goroutines that wait for the last member's end.
func (m *members) announceEmpty() {
	for _, c := range []*chan struct{}{&m.ticking, &m.empty} {
		if *c != nil {
			close(*c)
			*c = nil
		}
	}
}

// burst is the number of members for which each calls f before it lets goroutines run that f has
// started. Otherwise a large server would have all of them at once, and the runtime keeps some 480
// bytes of each for ever.
const burst = 64

// each calls f for every member, except perhaps for members that are added meanwhile.
func (m *members) each(f func(c *Conn, ready bool)) {
	type entry struct {
		c     *Conn
		ready bool
	}
	chunk := make([]entry, 0, burst)
	for from := 0; ; from += burst {
		m.mu.Lock()
		here := m.list[min(from, len(m.list)):min(from+burst, len(m.list))]
		chunk = chunk[:0]
		for _, c := range here {
			if c != nil {
				chunk = append(chunk, entry{c, c.member.handshakeDone})
			}
		}
		m.mu.Unlock()
		if len(here) == 0 {
			return
		}
		for _, e := range chunk {
			f(e.c, e.ready)
		}
		runtime.Gosched()
	}
}

// keepAlive counts the ticks of all members until there are none.
func (m *members) keepAlive(schedule pingSchedule, empty <-chan struct{}) {
	ticker := time.NewTicker(schedule.tick)
	defer ticker.Stop()
	for {
		select {
		case <-empty:
			return
		case <-ticker.C:
		}
		m.each(func(c *Conn, ready bool) {
			switch {
			case !ready: // HandshakeTimeout bounds it
			case c.keepaliveTick(schedule):
				c.flags.set(flagGaveUp)
				c.closeInTurn()
			default:
				c.tickParking()
			}
		})
	}
}

// close closes the list to new members. It returns a channel that is closed when the last member is
// gone.
func (m *members) close() (empty <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.empty == nil {
		m.empty = make(chan struct{})
	}
	empty = m.empty
	if len(m.list) == 0 {
		m.announceEmpty()
	}
	return empty
}

// cutOff closes every member's transport.
func (m *members) cutOff() {
	m.each(func(c *Conn, ready bool) {
		if ready {
			c.closeInTurn()
		} else {
			go c.Close()
		}
	})
}

// closeInTurn is closeNow for one of many connections. The Close of TLS sends an alert first, which
// may take its time, so a goroutine calls it.
func (c *Conn) closeInTurn() {
	if c.raw == nil {
		go c.closeNow()
	} else {
		c.closeNow()
	}
}
