package websocket

import "time"

// Keepalive: a peer that says nothing for PingInterval is sent a ping, and one
// that still says nothing for PongTimeout is given up (RFC 6455 sections 5.5.2
// and 5.5.3). Whatever arrives counts as life, not only the pong.
//
// No connection has a goroutine for it, and none looks at the clock when it
// reads. Time is counted in ticks of a quarter of PingInterval, by a Server for
// all its connections, by a timer for one that an Upgrader made. A read resets
// the count.

// ticksToPing is how many ticks of silence bring a ping: a tick is
// PingInterval divided by it, so a ping goes out after three to four quarters
// of PingInterval.
const ticksToPing = 4

// pingSchedule is what PingInterval and PongTimeout come to.
type pingSchedule struct {
	tick   time.Duration // 0 for no keepalive
	giveUp int32         // ticks of silence after which a connection is given up; 0 for never
}

// newPingSchedule takes a connection's settings: an interval of 0 or less is
// none, a timeout of 0 is the interval, less than 0 is none.
func newPingSchedule(interval, timeout time.Duration) (s pingSchedule) {
	if interval <= 0 {
		return s
	}
	s.tick = max(interval/ticksToPing, time.Millisecond)
	if timeout == 0 {
		timeout = interval
	}
	if timeout > 0 {
		// One tick more, as the first is begun when the ping goes out.
		s.giveUp = int32(min(ticksToPing+(timeout+s.tick-1)/s.tick+1, 1<<30))
	}
	return s
}

// heard is called for everything that is read: mostly one load.
func (c *Conn) heard() {
	if c.silent.Load() != 0 {
		c.silent.Store(0)
	}
}

// keepaliveTick counts one tick and returns what is to be done, nil for
// nothing: it may take a while. Ticks in which nobody reads do not count, for
// nothing could be heard in them.
func (c *Conn) keepaliveTick(s pingSchedule) (action func()) {
	if !c.readLock.isHeld() || c.flags.has(flagBusy) {
		return nil
	}
	switch n := c.silent.Add(1); {
	case n == 1:
		c.flags.set(flagCold)
	case n == ticksToPing:
		return c.keepalivePing
	case s.giveUp > 0 && n >= s.giveUp:
		return c.keepaliveGiveUp
	}
	return nil
}

// busy says that who reads is not waiting for the peer just now, until the
// function that it returns is called. It may be said within itself.
func (c *Conn) busy() (done func()) {
	if c.flags.set(flagBusy) {
		return func() {}
	}
	return func() { c.flags.clear(flagBusy) }
}

func (c *Conn) keepalivePing() {
	c.WriteControl(PingMessage, nil, time.Now().Add(controlTimeout))
}

func (c *Conn) keepaliveGiveUp() {
	c.flags.set(flagGaveUp)
	c.Close()
}

// startKeepalive gives c a timer of its own, which Close stops.
func (c *Conn) startKeepalive(s pingSchedule) {
	if s.tick == 0 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(time.Hour, func() {
		if action := c.keepaliveTick(s); action != nil {
			action()
		}
		if !c.flags.has(flagClosed) {
			t.Reset(s.tick)
		}
	})
	c.change(func(s *settings) { s.timer = t })
	t.Reset(s.tick)
}

func (c *Conn) stopKeepalive() {
	if t := c.settings.Load().timer; t != nil {
		t.Stop()
	}
}
