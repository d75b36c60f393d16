package websocket

import (
	"math"
	"runtime"
	"sync"
	"time"
)

// members is a Server's list of connections. They are reached through it for
// keepalive and at the end.
type members struct {
	mu     sync.Mutex // guards all below, and every member's place in the list
	list   []*Conn
	closed bool

	// Closed when the last member is gone, and nil then; nil also where nobody
	// wants to know.
	ticking chan struct{} // the keepalive goroutine
	empty   chan struct{} // Shutdown
}

// add makes c a member. It reports false when the list is closed.
func (m *members) add(c *Conn, schedule pingSchedule) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	c.member.index = int32(len(m.list))
	m.list = append(m.list, c)
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

// ready says that c's opening handshake is done.
func (m *members) ready(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.member.ready = true
}

// remove takes c out; the last member takes its place.
func (m *members) remove(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.list) - 1
	m.list[c.member.index] = m.list[last]
	m.list[c.member.index].member.index = c.member.index
	m.list[last] = nil
	m.list = m.list[:last]
	if last == 0 {
		m.announceEmpty()
	}
}

func (m *members) announceEmpty() {
	for _, c := range []*chan struct{}{&m.ticking, &m.empty} {
		if *c != nil {
			close(*c)
			*c = nil
		}
	}
}

// each calls f for every member, from the end of the list to its start: one
// that leaves meanwhile is replaced by one from the end, which was called for
// before. A member may be called for twice, but none is missed.
func (m *members) each(f func(c *Conn, ready bool)) {
	const chunkSize = 256 // how many are looked at before others may change the list
	type entry struct {
		c     *Conn
		ready bool
	}
	chunk := make([]entry, 0, chunkSize)
	for to := math.MaxInt; to > 0; {
		m.mu.Lock()
		to = min(to, len(m.list))
		from := max(0, to-chunkSize)
		chunk = chunk[:0]
		for _, c := range m.list[from:to] {
			chunk = append(chunk, entry{c, c.member.ready})
		}
		m.mu.Unlock()
		for _, e := range chunk {
			f(e.c, e.ready)
		}
		to = from
	}
}

// burst is how many goroutines are started before those that have nothing to wait
// for may end. A large server would else have all of them at once, and the
// runtime keeps some 480 bytes of each for ever.
const burst = 64

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
		n := 0
		m.each(func(c *Conn, ready bool) {
			if n++; n%burst == 0 {
				runtime.Gosched() // a ping over TLS has a goroutine of its own
			}
			if !ready {
				return // HandshakeTimeout watches over it
			}
			if c.keepaliveTick(schedule) {
				c.flags.set(flagGaveUp)
				c.closeInTurn()
			}
		})
	}
}

// close closes the list to new members. The channel that it returns is closed
// when the last one is gone.
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

// closeInTurn is closeNow for one of many connections: TLS says goodbye first, which
// may take its time.
func (c *Conn) closeInTurn() {
	if c.raw == nil {
		go c.closeNow()
	} else {
		c.closeNow()
	}
}
