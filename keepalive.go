package websocket

import "time"

// Keepalive: a peer that gives no sign of life for PingInterval is sent a ping, and
// one that still gives none for PongTimeout is given up (RFC 6455 sections 5.5.2
// and 5.5.3). Everything that arrives is a sign of life, not only the pong. So is
// progress of a write that had to wait: the peer takes bytes then, and a ping or
// its answer may be far behind them. A write that did not have to wait is none:
// the kernel takes bytes for a peer that is gone.
//
// No connection has a goroutine for it, and none looks at the clock when it
// reads or writes. Time is counted in ticks of a quarter of PingInterval or less, by a
// Server for all its connections, by a timer for one that an Upgrader made. A sign
// of life resets the count. To see progress, a tick that finds a write under way
// sets flagWriteWaits, and the next bytes that the transport takes clear it.

// ticksToPing is the number of ticks in PingInterval. A ping goes out at the fourth tick in
// silence. That is after three to four quarters of PingInterval, because the first of these
// ticks may come at once. If a tick must be shorter than a quarter, there are more of them.
const ticksToPing = 4

// pingSchedule is PingInterval and PongTimeout in ticks.
type pingSchedule struct {
	tick   time.Duration // 0 for none
	ping   int32         // ticks of silence before a ping, 0 for never
	giveUp int32         // ticks of silence before a connection is given up, 0 for never
}

// newPingSchedule returns the schedule for a PingInterval and a PongTimeout. An interval of
// 0 or less is none. A timeout of 0 is the interval, and less than 0 is none.
func newPingSchedule(interval, timeout time.Duration) pingSchedule {
	if interval <= 0 {
		return pingSchedule{}
	}
	return newTickSchedule(interval, timeout, interval)
}

// newTickSchedule is newPingSchedule with ticks that are not longer than longest. There are ticks
// even if there is no interval.
func newTickSchedule(interval, timeout, longest time.Duration) (s pingSchedule) {
	if interval <= 0 {
		return pingSchedule{tick: longest}
	}
	ticks := max(ticksToPing, roundUp(interval, longest))
	s.tick, s.ping = max(interval/ticks, time.Millisecond), int32(min(ticks, 1<<29))
	if timeout == 0 {
		timeout = interval
	}
	if timeout > 0 {
		// One tick more, as the first is begun when the ping goes out.
		s.giveUp = s.ping + int32(min(roundUp(timeout, s.tick)+1, 1<<29))
	}
	return s
}

// roundUp returns how many units it takes to make a duration.
func roundUp(d, unit time.Duration) time.Duration { return (d-1)/unit + 1 }

// noteActivity notes a sign of life. It mostly costs one load.
func (c *Conn) noteActivity() {
	if c.idleTicks.Load() != 0 {
		c.idleTicks.Store(0)
	}
}

// keepaliveTick counts one tick, sends a ping if it is time, and reports whether
// the peer is to be given up. Ticks in which nobody reads do not count, as nothing
// could be heard in them, unless a write has made no progress since the last tick.
func (c *Conn) keepaliveTick(s pingSchedule) (giveUp bool) {
	stuck := c.out.lock.isHeld() && c.flags.set(flagWriteWaits)
	if !stuck && (!c.readLock.isHeld() || c.flags.has(flagBusy)) {
		return false
	}
	n := c.idleTicks.Add(1)
	if n == 1 {
		c.flags.set(flagWasIdle)
	}
	if n == s.ping {
		c.leavePing()
	}
	return s.giveUp > 0 && n >= s.giveUp
}

// markBusy says that the reader does not wait for the peer, until the function that
// it returns is called. Calls may be nested.
func (c *Conn) markBusy() (done func()) {
	if c.flags.set(flagBusy) {
		return func() {}
	}
	return func() { c.flags.clear(flagBusy) }
}

// keepaliveGiveUp ends a connection with a peer that gave no sign of life.
func (c *Conn) keepaliveGiveUp() {
	c.flags.set(flagGaveUp)
	c.closeNow()
}

// startKeepalive gives c a timer of its own, which Close stops.
func (c *Conn) startKeepalive(s pingSchedule) {
	if s.tick == 0 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(time.Hour, func() {
		if c.keepaliveTick(s) {
			c.keepaliveGiveUp()
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
