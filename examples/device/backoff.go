package main

import (
	"math/rand/v2"
	"time"
)

// A backoff computes the wait before the next attempt to connect (RFC 6455 section 7.2.3). A server
// that comes back finds all its devices waiting for it. If all came at once, it might go down
// again. So each waits for a random part of a time that doubles with each attempt that failed.
type backoff struct {
	first, most time.Duration // bounds of the time that doubles
	failed      int           // attempts since the last one that succeeded
}

// The RFC finds 0 to 5 seconds reasonable for the first attempt.
const (
	defaultFirst = 5 * time.Second
	defaultMost  = time.Minute
)

// bound is the longest wait before the next attempt.
func (b *backoff) bound() time.Duration {
	d := b.first
	for range b.failed {
		d = min(2*d, b.most)
	}
	return d
}

func (b *backoff) next() time.Duration {
	d := rand.N(b.bound())
	b.failed++
	return d
}

func (b *backoff) succeeded() { b.failed = 0 }
