package websocket

import "github.com/plainsocket/websocket/internal/parktest"

// Waiting without a goroutine.
//
// A goroutine that waits for an idle connection costs more than twice as much memory
// as the connection itself. So a Server that calls OnMessage parks connections that
// are idle: a poller that all of them share waits for their sockets (park_linux.go).
// When one becomes readable, the poller starts a goroutine that goes on with
// HandleMessages as if nothing had happened.
//
//	          nothing to read, after a silence
//	driven ──────────────────────────────────────► parked
//	       ◄──────────────────────────────────────
//	          readable, Close, SetReadDeadline
//
// A goroutine parks its connection in three places:
//
//   - after the opening handshake, if no frame came with it
//   - after a message that came after a silence, and after at most parksPerTick
//     others in a tick, as a message to a parked connection takes up to twice the CPU time
//   - when it has waited for ticksToInterrupt
//
// One bit says which side owns the connection. While flagParked is set no goroutine reads, and
// readLock stays held for the next reader. The goroutine that clears flagParked owns
// the reading half from then on, and has to handle the connection's messages. So it does
// not matter how many want to take a connection up, or whether an event is an old one.
// One of them succeeds, and if there is nothing to read, it waits and parks again.
//
// Close and SetReadDeadline make a connection need a goroutine. They leave their mark
// first, and then look at flagParked. The goroutine that parks sets flagParked first,
// and then looks for their marks. So at least one of the two sees the other.

// A parker has connections wait without a goroutine. A Server is one.
type parker interface {
	// watcher returns an error if there is none on this system, or at this moment. It
	// is called before flagParked is set, by the reader of a connection that lives: as
	// soon as it is set, the connection may end, and the last one ends its watcher.
	watcher() (watcher, error)

	// resume handles the messages of a connection that was taken up.
	resume(c *Conn)
}

// A watcher waits for sockets.
type watcher interface {
	// watch has c taken up and resumed once it is readable. It uses nothing of c that
	// its next owner may change.
	watch(c *Conn) error
}

const (
	// ticksToInterrupt is how many ticks a goroutine waits for a connection before it
	// is called back, to park it.
	ticksToInterrupt = 2

	// parksPerTick is how often a connection is parked after a message until the next
	// tick. One that has sent more than that gets a goroutine.
	parksPerTick = 4

	// parkBudget has one bit of the flags for each time that is left.
	parkBudget = flagPark * (1<<parksPerTick - 1)
)

// parkConn has c wait without a goroutine. Its caller holds readLock, has handled
// everything that was read, and has nothing to do with c any more if parkConn reports
// true. If it reports false, nothing has changed.
func (c *Conn) parkConn() bool {
	p := c.settings.Load().parking
	if p == nil {
		return false
	}
	w, err := p.watcher()
	if err != nil {
		return false
	}
	c.flags.clear(flagDriven)
	c.liftInterrupt()
	c.flags.set(flagParked)
	if c.flags.has(flagClosed) || c.hasReadDeadline() || w.watch(c) != nil {
		return !c.takeUp() // if that fails, another goroutine has taken it up
	}
	return true
}

// takeUp makes the caller the owner of a parked connection's reading half. It reports
// false if c is not parked.
func (c *Conn) takeUp() bool {
	return c.flags.word.And(^flagParked)&flagParked != 0
}

// wake gives a goroutine to a connection that must not be parked any longer.
func (c *Conn) wake() {
	if c.flags.has(flagParked) && c.takeUp() {
		go c.settings.Load().parking.resume(c)
	}
}

// mayPark reports, after a message, whether this goroutine should end, and the connection be parked
// or go on with a new goroutine. It spends flagWasIdle, or else one bit of parkBudget.
func (c *Conn) mayPark() bool {
	if c.flags.has(flagWasIdle) {
		c.flags.clear(flagWasIdle)
		return true
	}
	if c.settings.Load().parking == nil {
		return false
	}
	left := c.flags.word.Load() & parkBudget
	c.flags.clear(left &^ (left - 1)) // the lowest one
	return left != 0 || parktest.Always.Load()
}

// tickParking is called at each tick for each connection of a Server.
func (c *Conn) tickParking() {
	if c.settings.Load().parking == nil {
		return
	}
	c.flags.set(parkBudget)
	switch {
	case c.flags.has(flagParked):
		// The program may have closed NetConn. No poller tells of that. To ask costs a few cache
		// misses for each connection.
		if c.idleTicks.Load()%ticksToPing == 0 && c.raw.Control(func(uintptr) {}) != nil {
			c.wake()
		}
	case c.flags.has(flagDriven) && !c.flags.has(flagBusy) && c.idleTicks.Load() >= ticksToInterrupt:
		c.interrupt()
	}
}

// interrupt calls the goroutine back that waits in HandleMessages, by a deadline that
// has passed. It does so only if there is no other deadline: then a deadline that
// passes there is either the user's or, if that is overridden, this one.
func (c *Conn) interrupt() {
	ds := &c.deadlines
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if c.flags.has(flagDriven) && ds.user[readSide] == 0 {
		ds.override(readSide)
		c.nc.SetReadDeadline(longAgo)
	}
}

// liftInterrupt undoes interrupt, and reports whether it was called. Its caller is
// the reader that was to be interrupted.
func (c *Conn) liftInterrupt() bool {
	ds := &c.deadlines
	ds.mu.Lock()
	defer ds.mu.Unlock()
	interrupted := ds.isOverridden(readSide)
	ds.restore(readSide, c.nc.SetReadDeadline)
	return interrupted
}

func (c *Conn) hasReadDeadline() bool {
	ds := &c.deadlines
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.user[readSide] != 0
}
