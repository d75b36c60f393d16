package websocket

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLockExcludes(t *testing.T) {
	var l lock
	var wg sync.WaitGroup
	counter := 0 // guarded by l, under the eyes of -race
	for i := range 50 {
		wg.Go(func() {
			for range 200 {
				ctx, cancel := context.Background(), func() {}
				if i%3 == 0 { // some give up, and some of them just when it is their turn
					ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
				}
				if l.lock(ctx, time.Time{}) == nil {
					counter++
					l.unlock()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if l.isHeld() || counter < 50*200/2 {
		t.Errorf("held %v after the last unlock, counted %d", l.isHeld(), counter)
	}
	if _, queued := lockQueues.Load(&l); queued {
		t.Error("a free lock has a queue")
	}
	if !l.tryLock() || l.tryLock() {
		t.Error("a free lock cannot be taken exactly once")
	}
}

func TestLockWaitsInOrderAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lock
		l.tryLock()
		var order []int
		for i := range 5 {
			go func() {
				if l.lock(t.Context(), time.Time{}) == nil {
					order = append(order, i)
					l.unlock()
				}
			}()
			synctest.Wait()
		}
		start := time.Now()
		if err := l.lock(t.Context(), start.Add(time.Minute)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("waiting with a deadline: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.lock(ctx, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting with a context: %v", err)
		}
		l.unlock()
		synctest.Wait()
		if len(order) != 5 || order[0] != 0 || order[4] != 4 {
			t.Errorf("waiters got the lock in the order %v", order)
		}
	})
}

func BenchmarkLock(b *testing.B) {
	var l lock
	for b.Loop() {
		l.lock(noContext, time.Time{})
		l.unlock()
	}
}
