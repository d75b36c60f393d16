package websocket

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// Deadlines. A transport has one deadline for reads and one for writes. They are the
// user's, and the library needs them at times for itself. Then the user's are
// remembered, and given to the transport again afterwards:
//
//	                    side    until            instead of the user's deadline
//	overrideWrite       writes  restoreWrite     WriteControl's
//	liftWrite           writes  unliftWrite      none: what is sent is nobody's call
//	interruptWhenDone   both    restore          one that has passed, once a context ends
//	interrupt           reads   liftInterrupt    one that has passed, to park a connection
//	overrideRead        reads   the end          the closing handshake's
//
// A transport may have no deadlines. The first and third then close it when their time
// comes.

// deadlines remembers the user's deadlines.
type deadlines struct {
	mu   sync.Mutex // guards all below, and the order of calls to the transport
	user [2]int64   // in Unix nanoseconds, 0 for none. The lowest bit is overridden
}

// overridden is the bit that says that the transport has another deadline than the user's at this
// moment.
const overridden = 1

// A side is the half that a deadline is for.
type side int

const (
	readSide side = iota
	writeSide
)

// longAgo is a deadline that has passed, in any clock.
var longAgo = time.Unix(1, 0)

// toNano turns a deadline into Unix nanoseconds, which reach from 1678 to 2262. A deadline outside
// of that becomes the nearest one inside.
func toNano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() <= 0:
		return 2 // has passed, and the lowest bit is not set
	case t.Unix() >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// time returns the user's deadline. The caller holds ds.mu.
func (ds *deadlines) time(s side) time.Time {
	if ds.user[s]&^overridden == 0 {
		return time.Time{}
	}
	return time.Unix(0, ds.user[s]&^overridden)
}

func (ds *deadlines) isOverridden(s side) bool { return ds.user[s]&overridden != 0 }

// override keeps the user's deadline from the transport until restore. The caller
// holds ds.mu.
func (ds *deadlines) override(s side) { ds.user[s] |= overridden }

// restore gives the transport the user's deadline again. The caller holds ds.mu.
func (ds *deadlines) restore(s side, apply func(time.Time) error) {
	if ds.isOverridden(s) {
		ds.user[s] &^= overridden
		apply(ds.time(s))
	}
}

func (ds *deadlines) setRead(nc net.Conn, t time.Time) error {
	return ds.set(readSide, nc.SetReadDeadline, t)
}

func (ds *deadlines) setWrite(nc net.Conn, t time.Time) error {
	return ds.set(writeSide, nc.SetWriteDeadline, t)
}

func (ds *deadlines) set(s side, apply func(time.Time) error, t time.Time) error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	before := ds.user[s]
	ds.user[s] = toNano(t)&^overridden | before&overridden
	if ds.isOverridden(s) {
		return nil // restore will apply it
	}
	err := apply(t)
	if err != nil {
		ds.user[s] = before
	}
	return err
}

// userWrite returns the user's deadline for writes.
func (ds *deadlines) userWrite() time.Time {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.time(writeSide)
}

// writeHasPassed reports whether the user's deadline for writes has passed, unless
// another one counts at this moment.
func (ds *deadlines) writeHasPassed() bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	t := ds.time(writeSide)
	return !ds.isOverridden(writeSide) && !t.IsZero() && !time.Now().Before(t)
}

// overrideWrite makes t the transport's deadline for writes until restoreWrite,
// whatever the user's is. A transport without deadlines is closed at t.
func (c *Conn) overrideWrite(t time.Time) (restoreWrite func()) {
	ds := &c.deadlines
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.override(writeSide)
	if c.nc.SetWriteDeadline(t) == nil || t.IsZero() {
		return func() {
			ds.mu.Lock()
			defer ds.mu.Unlock()
			ds.restore(writeSide, c.nc.SetWriteDeadline)
		}
	}
	timer := time.AfterFunc(time.Until(t), func() { c.closeNow() })
	return func() {
		timer.Stop()
		ds.mu.Lock()
		defer ds.mu.Unlock()
		ds.user[writeSide] &^= overridden
	}
}

// boundHandshake bounds the time of the opening handshake, until done is called. A
// transport without deadlines is closed when the time is over.
func (c *Conn) boundHandshake(timeout time.Duration) (done func()) {
	if c.nc.SetDeadline(time.Now().Add(timeout)) == nil {
		return func() {}
	}
	timer := time.AfterFunc(timeout, func() { c.closeNow() })
	return func() { timer.Stop() }
}

// overrideRead makes t the transport's deadline for reads for good, whatever the
// user's is. No other goroutine will read.
func (c *Conn) overrideRead(t time.Time) {
	c.deadlines.mu.Lock()
	defer c.deadlines.mu.Unlock()
	c.deadlines.override(readSide)
	c.nc.SetReadDeadline(t)
}

// liftWrite makes the transport's deadline for writes none until unliftWrite,
// whatever the user's is. If the user's is none too, the transport need not be told.
func (c *Conn) liftWrite() {
	ds := &c.deadlines
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.override(writeSide)
	if !ds.time(writeSide).IsZero() {
		c.nc.SetWriteDeadline(time.Time{})
	}
}

func (c *Conn) unliftWrite() {
	ds := &c.deadlines
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.user[writeSide] &^= overridden
	if t := ds.time(writeSide); !t.IsZero() {
		c.nc.SetWriteDeadline(t)
	}
}

// interruptWhenDone interrupts a read or write when ctx ends. The function that it
// returns puts everything back. It maps the error of the read or write to ctx's, if
// that interrupted it.
func (c *Conn) interruptWhenDone(ctx context.Context, s side) (restore func(error) error) {
	ds, apply := &c.deadlines, c.nc.SetReadDeadline
	if s == writeSide {
		apply = c.nc.SetWriteDeadline
	}
	interrupted, over, closed := false, false, false // guarded by ds.mu
	stop := context.AfterFunc(ctx, func() {
		ds.mu.Lock()
		if !over {
			interrupted = true
			ds.override(s)
			closed = apply(longAgo) != nil
		}
		toClose := closed
		ds.mu.Unlock()
		if toClose {
			c.closeNow()
		}
	})
	return func(err error) error {
		stop()
		ds.mu.Lock()
		defer ds.mu.Unlock()
		over = true
		if interrupted {
			ds.restore(s, apply)
		}
		switch {
		case err == nil || !interrupted:
			return err
		case closed:
			return closedByContext(ctx.Err())
		case isTimeout(err):
			return ctx.Err()
		}
		return err
	}
}

// isTimeout reports whether err is a passed deadline, after which the
// transport can be used further. (The kernel's ETIMEDOUT is another matter: it
// gives a connection up.)
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// closedByContext returns the error of a read or write for which ctx closed a transport without
// deadlines.
func closedByContext(err error) error {
	return fmt.Errorf("websocket: %w (the transport has no deadlines, so it was closed)", err)
}
