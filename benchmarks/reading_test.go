package main

import (
	"slices"
	"testing"
	"time"
)

func TestCostPer(t *testing.T) {
	before := reading{CPU: time.Second, Mallocs: 100, Bytes: 1000}
	after := reading{CPU: time.Second + 50*time.Microsecond, Mallocs: 120, Bytes: 2000}
	if got, want := costPer(10, before, after, 1270), (cost{cpu: 5000, allocations: 2, allocated: 100, wireBytes: 127}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Memory that a collection gave back counts for the second column only. A figure that shrank is
// negative, and not a very large number.
func TestIdleSample(t *testing.T) {
	before := reading{Resident: 10000, Heap: 1000, Stack: 500}
	after := reading{Resident: 60000, Heap: 50000, Stack: 20500}
	collected := reading{Resident: 50000, Heap: 11000, Stack: 400}
	want := sample{4000, 5000, 1000, -10}
	if got := idleSample(before, after, collected, 10); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
