package main

// Idle connections that wake up: one by one, and all at once.

import "time"

const lonePace = 500 // messages a second, each to another connection

var (
	loneColumns  = []string{"p50, µs", "p99, µs", "CPU, ns"}
	stormColumns = []string{"CPU, ns", "ms until the last answer", "RSS of one afterwards"}
)

// lone measures messages that come one at a time, each to another one of n
// connections.
func (b *bench) lone(s *server, n int) (sample, error) {
	ss, err := start(s, job{Quiet: true}, n, plain(125, 1))
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if err := ss.drive(); err != nil {
		return nil, err
	}
	var latencies []int64
	longer := &bench{length: 10 * b.length}
	c, err := longer.underLoad(ss, func(d time.Duration) (err error) {
		latencies, err = ss.load.openLoop(lonePace, d)
		return err
	})
	return sample{percentile(latencies, .5) / 1000, percentile(latencies, .99) / 1000, c.cpu}, err
}

// storm measures a message from each of n connections at the same time.
func (b *bench) storm(s *server, n int) (sample, error) {
	ss, err := start(s, job{Quiet: true}, 1, plain(125, 1))
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	before, err := ss.read("collect")
	if err != nil {
		return nil, err
	}
	if err := ss.open(n-1, plain(125, 1)); err != nil {
		return nil, err
	}
	if err := ss.drive(); err != nil {
		return nil, err
	}
	var took time.Duration
	c, err := b.underLoad(ss, func(time.Duration) error {
		begin := time.Now()
		defer func() { took = time.Since(begin) }()
		return ss.load.closedLoop(1, 0)
	})
	if err != nil {
		return nil, err
	}
	after, err := ss.read("collect")
	rss := (float64(after.Resident) - float64(before.Resident)) / float64(n-1)
	return sample{c.cpu, float64(took.Microseconds()) / 1000, rss}, err
}
