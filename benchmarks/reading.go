package main

// What a server's process says of itself, and what follows from two or three
// such readings.

import "time"

// A reading is a server's process at one moment.
type reading struct {
	CPU            time.Duration // so far
	Mallocs, Bytes uint64        // allocated so far
	Resident       uint64        // octets of memory
	Heap, Stack    uint64        // octets of it in use
	Error          string        // what the command before came to
}

// loadColumns are the columns of measurements under load, per message.
var loadColumns = []string{"CPU, ns", "system calls", "allocations", "octets allocated"}

// A cost is what a message takes.
type cost struct {
	cpu                    float64 // ns
	allocations, allocated float64
	octets                 float64 // on the wire, from the server
}

func costPer(messages int, before, after reading, octets int64) cost {
	n := float64(messages)
	return cost{
		cpu:         float64(after.CPU-before.CPU) / n,
		allocations: float64(after.Mallocs-before.Mallocs) / n,
		allocated:   float64(after.Bytes-before.Bytes) / n,
		octets:      float64(octets) / n,
	}
}

// idleColumns are the columns of measurements of memory. The first is what a
// process comes to that is left alone: Go collects every two minutes at least.
var idleColumns = []string{"RSS", "RSS with garbage", "heap", "stack"}

// idleSample is the memory of n connections: before is without them, after
// with them, collected with them after a garbage collection.
func idleSample(before, after, collected reading, n int) sample {
	per := func(before, after uint64) float64 { return (float64(after) - float64(before)) / float64(n) }
	return sample{
		per(before.Resident, collected.Resident),
		per(before.Resident, after.Resident),
		per(before.Heap, collected.Heap),
		per(before.Stack, collected.Stack),
	}
}
