package main

// This file has the readings of a server's process, and the figures that follow from two or three
// of them.

import "time"

// A reading is a server's process at one moment.
type reading struct {
	CPU            time.Duration // so far
	Mallocs, Bytes uint64        // allocated so far
	Resident       uint64        // bytes of memory
	Heap, Stack    uint64        // bytes of it in use
	Error          string        // the error of the command before
}

// loadColumns are the columns of measurements under load, per message.
var loadColumns = []string{"CPU, ns", "system calls", "allocations", "bytes allocated"}

// A cost is the cost of a message.
type cost struct {
	cpu                    float64 // ns
	allocations, allocated float64
	wireBytes              float64 // on the wire, from the server
}

func costPer(messages int, before, after reading, received int64) cost {
	n := float64(messages)
	return cost{
		cpu:         float64(after.CPU-before.CPU) / n,
		allocations: float64(after.Mallocs-before.Mallocs) / n,
		allocated:   float64(after.Bytes-before.Bytes) / n,
		wireBytes:   float64(received) / n,
	}
}

// idleColumns are the columns of measurements of memory. The first is the memory of a process after
// it has been left alone for a while. Go collects every two minutes at least.
// The kernel's memory is that of both ends, of which the client's is a bare socket.
var idleColumns = []string{"RSS", "RSS with garbage", "heap", "stack", "kernel, both ends"}

// idleSample returns the memory of n connections: before is without them, after with them,
// collected with them after a garbage collection.
func idleSample(before, after, collected reading, n int) sample {
	per := func(before, after uint64) float64 { return (float64(after) - float64(before)) / float64(n) }
	return sample{
		per(before.Resident, collected.Resident),
		per(before.Resident, after.Resident),
		per(before.Heap, collected.Heap),
		per(before.Stack, collected.Stack),
	}
}
