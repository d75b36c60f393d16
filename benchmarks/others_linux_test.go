package main

import (
	"os"
	"testing"
)

// The system tells of another process what this one knows of itself.
func TestExternalReading(t *testing.T) {
	before := newReading()
	r, err := externalReading(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after := newReading(); r.CPU < before.CPU || r.CPU > after.CPU {
		t.Errorf("CPU time %v, not between %v and %v", r.CPU, before.CPU, after.CPU)
	}
	if r.Resident == 0 {
		t.Error("no resident memory")
	}
	if _, err := externalReading(1 << 22); err == nil {
		t.Error("a process that does not exist has a reading")
	}
}
