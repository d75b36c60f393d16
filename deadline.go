package websocket

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// deadlines remembers what the user set, so that a deadline of the library's
// own (a context's end, a control frame's) can be lifted again.
type deadlines struct {
	mu         sync.Mutex // guards all below, and the order of calls to the transport
	user       [2]int64   // what the user set, in Unix nanoseconds; 0 for none
	overridden [2]bool    // the transport has another one just now
}

// A side is what a deadline is for.
type side int

const (
	readSide side = iota
	writeSide
)

// longAgo is a deadline that has passed, in any clock.
var longAgo = time.Unix(1, 0)

// toNano turns a deadline into Unix nanoseconds, which reach from 1678 to 2262.
// What is outside is as good as the bounds.
func toNano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() <= 0:
		return 1
	case t.Unix() >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func (ds *deadlines) time(s side) time.Time {
	if ds.user[s] == 0 {
		return time.Time{}
	}
	return time.Unix(0, ds.user[s])
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
	ds.user[s] = toNano(t)
	if ds.overridden[s] {
		return nil // restore will apply it
	}
	return apply(t)
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
	return !ds.overridden[writeSide] && ds.user[writeSide] != 0 && !time.Now().Before(ds.time(writeSide))
}

// lift makes the transport's deadline none until unlift, whatever the user's is.
// If the user's is none too, the transport need not be told.
func (ds *deadlines) lift(s side, apply func(time.Time) error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.overridden[s] = true
	if ds.user[s] != 0 {
		apply(time.Time{})
	}
}

func (ds *deadlines) unlift(s side, apply func(time.Time) error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.overridden[s] = false; ds.user[s] != 0 {
		apply(ds.time(s))
	}
}

// override sets the transport's deadline to t until restore, whatever the
// user's is.
func (ds *deadlines) override(s side, apply func(time.Time) error, t time.Time) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.overridden[s] = true
	apply(t)
}

func (ds *deadlines) restore(s side, apply func(time.Time) error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.overridden[s] {
		ds.overridden[s] = false
		apply(ds.time(s))
	}
}

// untilDone interrupts a read or write when ctx ends. The function that it
// returns puts everything back, and reports whether ctx interrupted.
func (ds *deadlines) untilDone(ctx context.Context, s side, apply func(time.Time) error) (restore func() bool) {
	interrupted, over := false, false // guarded by ds.mu
	stop := context.AfterFunc(ctx, func() {
		ds.mu.Lock()
		defer ds.mu.Unlock()
		if !over {
			interrupted, ds.overridden[s] = true, true
			apply(longAgo)
		}
	})
	return func() bool {
		stop()
		ds.mu.Lock()
		defer ds.mu.Unlock()
		over = true
		if interrupted {
			ds.overridden[s] = false
			apply(ds.time(s))
		}
		return interrupted
	}
}

// isTimeout reports whether err is a passed deadline, after which the
// transport can be used further. (The kernel's ETIMEDOUT is another matter: it
// gives a connection up.)
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
