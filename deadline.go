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
	mu          sync.Mutex // guards all below, and the order of calls to the transport
	read, write deadline
}

type deadline struct {
	user       int64 // what the user set, in Unix nanoseconds; 0 for none
	overridden bool  // the transport has another one just now
}

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

func (d deadline) time() time.Time {
	if d.user == 0 {
		return time.Time{}
	}
	return time.Unix(0, d.user)
}

func (ds *deadlines) setRead(nc net.Conn, t time.Time) error {
	return ds.set(&ds.read, nc.SetReadDeadline, t)
}

func (ds *deadlines) setWrite(nc net.Conn, t time.Time) error {
	return ds.set(&ds.write, nc.SetWriteDeadline, t)
}

func (ds *deadlines) set(d *deadline, apply func(time.Time) error, t time.Time) error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d.user = toNano(t)
	if d.overridden {
		return nil // restore will apply it
	}
	return apply(t)
}

// userWrite returns the user's deadline for writes.
func (ds *deadlines) userWrite() time.Time {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.write.time()
}

// override sets the transport's deadline to t until restore, unless the user's
// is earlier.
func (ds *deadlines) override(d *deadline, apply func(time.Time) error, t time.Time) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d.overridden = true
	if user := d.time(); !user.IsZero() && user.Before(t) {
		t = user
	}
	apply(t)
}

func (ds *deadlines) restore(d *deadline, apply func(time.Time) error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if d.overridden {
		d.overridden = false
		apply(d.time())
	}
}

// untilDone interrupts a read or write when ctx ends. The function that it
// returns puts everything back, and reports whether ctx interrupted.
func (ds *deadlines) untilDone(ctx context.Context, apply func(time.Time) error, d *deadline) (restore func() bool) {
	interrupted, over := false, false // guarded by ds.mu
	stop := context.AfterFunc(ctx, func() {
		ds.mu.Lock()
		defer ds.mu.Unlock()
		if !over {
			interrupted, d.overridden = true, true
			apply(longAgo)
		}
	})
	return func() bool {
		stop()
		ds.mu.Lock()
		defer ds.mu.Unlock()
		over = true
		if interrupted {
			d.overridden = false
			apply(d.time())
		}
		return interrupted
	}
}

// isTimeout reports whether err is a passed deadline, after which the
// transport can be used further. (The kernel's ETIMEDOUT is another matter: it
// gives a connection up.)
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
