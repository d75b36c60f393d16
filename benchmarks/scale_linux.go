package main

// This file measures many connections, of which only a few are active, to find the cost of the
// others.

import "time"

const (
	activeShare = 100 // one connection in so many is active
	activePace  = 10  // messages a second that an active one sends
)

// scaleColumns has two CPU columns first. One is per message, with all connections open. The other
// is the same before the silent ones were opened.
var scaleColumns = []string{"CPU, ns", "CPU without the silent ones, ns", "% of a CPU", "RSS of a silent one"}

// scale measures n connections of which some are active.
func (b *bench) scale(s *server, n int) (sample, error) {
	active := max(1, n/activeShare)
	script := plain(125, 1)
	ss, err := start(s, job{Quiet: true}, active, script)
	if err != nil {
		return nil, err
	}
	defer ss.stop()
	if err := ss.drive(); err != nil {
		return nil, err
	}
	run := func(d time.Duration) error {
		_, err := ss.load.openLoop(active*activePace, d)
		return err
	}
	// There are not many messages, and a connection's first ones cost more.
	longer := &bench{length: 16 * b.length}
	alone, err := longer.underLoad(ss, run)
	if err != nil {
		return nil, err
	}
	before, err := ss.read("collect")
	if err != nil {
		return nil, err
	}
	if err := ss.open(n-active, script); err != nil {
		return nil, err
	}
	after, err := ss.read("collect")
	if err != nil {
		return nil, err
	}
	all, err := longer.underLoad(ss, run)
	share := all.cpu * float64(active*activePace) / float64(time.Second) * 100
	return sample{all.cpu, alone.cpu, share, (float64(after.Resident) - float64(before.Resident)) / float64(n-active)}, err
}
