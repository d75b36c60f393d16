package websocket

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lock is a mutex that can be waited for with a deadline or a context, which
// sync.Mutex cannot. If nobody waits, taking and releasing it is one
// compare-and-swap each. A channel of capacity one would do the same job, but take
// three times as long for every message.
//
// Waiters get it in the order in which they came. Their queue is not in the
// lock: most locks never have one, and every connection has three locks.
//
// A goroutine that must not wait can leave something for the holder instead (see
// conn_outbox.go). One more bit says so:
//
//	leave:    free ─► held        the caller is the holder now
//	          held ─► held|left   the holder was told
//	release:  left is set ─► clear it, and the holder keeps the lock to look
//
// So nothing that was left is forgotten: left is never set on a free lock, and
// the holder clears it before it looks.
type lock struct{ state atomic.Int32 }

const (
	lockHeld      = 1 << iota
	lockContended // held, and has a queue
	lockLeft      // held, and something was left for the holder
	lockFree      = 0
)

// lockQueues holds the queue of each contended lock.
var lockQueues sync.Map // *lock to *lockQueue

type lockQueue struct {
	mu      sync.Mutex
	gone    bool            // no longer in lockQueues
	waiters []chan struct{} // one each, closed when its owner has been given the lock
}

func (l *lock) tryLock() bool { return l.state.CompareAndSwap(lockFree, lockHeld) }

// isHeld reports whether a goroutine has the lock at this moment.
func (l *lock) isHeld() bool { return l.state.Load() != lockFree }

// lock waits for the lock, and returns nil when it has it. If ctx ends or the deadline
// passes first, lock returns the error of that. A zero deadline is none.
func (l *lock) lock(ctx context.Context, deadline time.Time) error {
	if l.tryLock() {
		return nil
	}
	return l.lockSlow(ctx, deadline)
}

// unlock releases a lock for which nothing is ever left.
func (l *lock) unlock() {
	if !l.state.CompareAndSwap(lockHeld, lockFree) {
		l.release()
	}
}

// leave tells the holder that something was left for it. It reports true if
// there was none: then the caller has the lock, and has to look itself.
func (l *lock) leave() (holder bool) {
	for {
		switch s := l.state.Load(); {
		case s == lockFree:
			if l.tryLock() {
				return true
			}
		case s&lockLeft != 0 || l.state.CompareAndSwap(s, s|lockLeft):
			return false
		}
	}
}

// release gives the lock to the first waiter, or sets it free. It reports false if something was
// left for the holder meanwhile. Then the caller still has the lock, and has to look for that
// before it calls release again.
func (l *lock) release() bool {
	for {
		switch s := l.state.Load(); {
		case s&lockLeft != 0:
			l.state.And(^lockLeft)
			return false
		case s&lockContended != 0:
			if l.handOver() {
				return true
			}
		case l.state.CompareAndSwap(lockHeld, lockFree):
			return true
		}
	}
}

// lockQueue returns the lock's queue, locked. It makes one if there is none.
func (l *lock) lockQueue() *lockQueue {
	for {
		v, ok := lockQueues.Load(l)
		if !ok {
			v, _ = lockQueues.LoadOrStore(l, new(lockQueue))
		}
		q := v.(*lockQueue)
		q.mu.Lock()
		if !q.gone {
			return q
		}
		q.mu.Unlock()
	}
}

// lockSlow is lock for a lock that is most likely held.
func (l *lock) lockSlow(ctx context.Context, deadline time.Time) error {
	q := l.lockQueue()
	// From here on the holder's release takes the slow way and waits for q.mu,
	// unless it came first: then the lock is ours.
	if l.state.Or(lockHeld|lockContended)&lockHeld == 0 {
		q.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	q.waiters = append(q.waiters, mine)
	q.mu.Unlock()

	err := waitFor(mine, ctx, deadline)
	if err != nil && !q.leave(mine) {
		return nil
	}
	return err
}

// leave takes a waiter out of the queue. It reports false if it is too late
// because the waiter has been given the lock.
func (q *lockQueue) leave(waiter chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiters, waiter)
	if i < 0 {
		return false
	}
	q.waiters = slices.Delete(q.waiters, i, i+1)
	return true
}

// handOver gives the lock to the first waiter without setting it free between, so that no other
// goroutine can overtake. It does nothing, and reports false, if something was left for the holder.
//
// It asks for that while it holds q.mu. Otherwise a goroutine that first leaves a message and then
// waits for the lock could have its two messages sent in the wrong order.
func (l *lock) handOver() bool {
	q := l.lockQueue()
	defer q.mu.Unlock()
	if l.state.Load()&lockLeft != 0 {
		return false
	}
	if len(q.waiters) > 0 {
		q.wakeFirst()
		return true
	}
	// Free the lock before dropping the queue: a waiter that makes a new queue
	// must find it free.
	if !l.state.CompareAndSwap(lockHeld|lockContended, lockFree) {
		return false
	}
	q.gone = true
	lockQueues.Delete(l)
	return true
}

// firstWaiter returns the waiter that came first, or nil if there is none.
func (l *lock) firstWaiter() (waiter chan struct{}) {
	if l.state.Load()&lockContended == 0 {
		return nil
	}
	q := l.lockQueue()
	defer q.mu.Unlock()
	if len(q.waiters) > 0 {
		waiter = q.waiters[0]
	}
	return waiter
}

// passTo gives the lock to waiter, and tells it that something was left for it. It reports false if
// waiter has given up.
func (l *lock) passTo(waiter chan struct{}) bool {
	q := l.lockQueue()
	defer q.mu.Unlock()
	if len(q.waiters) == 0 || q.waiters[0] != waiter {
		return false
	}
	l.state.Or(lockLeft)
	q.wakeFirst()
	return true
}

func (q *lockQueue) wakeFirst() {
	close(q.waiters[0])
	q.waiters = slices.Delete(q.waiters, 0, 1)
}

// waitFor waits until done is closed, and returns nil. If ctx ends or the deadline passes first, it
// returns the error of that. A zero deadline is none.
func waitFor(done <-chan struct{}, ctx context.Context, deadline time.Time) error {
	var expired <-chan time.Time // nil delivers never
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-expired:
		return os.ErrDeadlineExceeded
	}
}
