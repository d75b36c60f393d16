package main

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := backoff{first: 5 * time.Second, most: time.Minute}
	const rounds = 1000
	for i, seconds := range []time.Duration{5, 10, 20, 40, 60, 60, 60} {
		bound := seconds * time.Second
		if got := b.bound(); got != bound {
			t.Fatalf("after %d failures the bound is %v, want %v", i, got, bound)
		}
		// It is random: all over the time that it may be.
		var early, late int
		for range rounds {
			try := b
			switch d := try.next(); {
			case d < 0 || d >= bound:
				t.Fatalf("after %d failures it waits %v, which is not below %v", i, d, bound)
			case d < bound/4:
				early++
			case d >= 3*bound/4:
				late++
			}
		}
		// There is a quarter of the rounds in each, with a deviation of 14. Ten deviations do not
		// happen by chance.
		if early < rounds/4-140 || late < rounds/4-140 {
			t.Errorf("of %d waits, %d are in the first quarter and %d in the last", rounds, early, late)
		}
		b.next()
	}
	b.succeeded()
	if got := b.bound(); got != 5*time.Second {
		t.Errorf("after a success the bound is %v", got)
	}
	b.failed = 1 << 20 // a server that was away for years
	if got := b.bound(); got != time.Minute {
		t.Errorf("after a million failures the bound is %v", got)
	}
}
