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
// sync.Mutex cannot. While nobody waits, taking and releasing it is one
// compare-and-swap each; a channel of capacity one would do the same job at
// three times the price, on every message.
//
// Waiters get it in the order in which they came. Their queue is not in the
// lock: most locks never have one, and every connection has two locks.
type lock struct{ state atomic.Int32 }

const (
	lockFree      = 0
	lockHeld      = 1
	lockContended = 2 // held, and has a queue
)

// lockQueues has the queue of each contended lock.
var lockQueues sync.Map // *lock to *lockQueue

type lockQueue struct {
	mu      sync.Mutex
	gone    bool            // no longer in lockQueues
	waiters []chan struct{} // one each; closed when its owner has been given the lock
}

func (l *lock) tryLock() bool { return l.state.CompareAndSwap(lockFree, lockHeld) }

// isHeld reports whether somebody has the lock just now.
func (l *lock) isHeld() bool { return l.state.Load() != lockFree }

// lock waits for the lock until ctx ends or the deadline passes, and returns
// why it stopped waiting. A zero deadline is none.
func (l *lock) lock(ctx context.Context, deadline time.Time) error {
	if l.tryLock() {
		return nil
	}
	return l.lockSlow(ctx, deadline)
}

func (l *lock) unlock() {
	if !l.state.CompareAndSwap(lockHeld, lockFree) {
		l.handOver()
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

func (l *lock) lockSlow(ctx context.Context, deadline time.Time) error {
	q := l.lockQueue()
	// From here on the holder's unlock takes the slow way and waits for q.mu,
	// unless it came first: then the lock is ours.
	if l.state.Swap(lockContended) == lockFree {
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

// leave takes a waiter out of the queue. It reports false where it is too late
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

// handOver gives the lock to the first waiter without setting it free between,
// so that nobody can overtake.
func (l *lock) handOver() {
	q := l.lockQueue()
	defer q.mu.Unlock()
	if len(q.waiters) == 0 {
		l.state.Store(lockFree) // first: who makes the next queue has to find it so
		q.gone = true
		lockQueues.Delete(l)
		return
	}
	close(q.waiters[0])
	q.waiters = slices.Delete(q.waiters, 0, 1)
}

// waitFor waits until done is closed, ctx ends, or the deadline passes, and
// returns which error that is. A zero deadline is none.
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
