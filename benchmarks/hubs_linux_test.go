package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// badHubs do not do what a hub must.
var badHubs = []broadcaster{
	{name: "hangs", serve: func(ln net.Listener, joined func()) func([]byte) {
		serveRawHub(ln, joined)
		return func([]byte) { select {} }
	}},
	{name: "forgets", serve: func(ln net.Listener, joined func()) func([]byte) {
		publish, n := serveRawHub(ln, joined), 0
		return func(payload []byte) {
			if n++; n != 2 {
				publish(payload)
			}
		}
	}},
}

func shortHubTimes(t *testing.T, patience time.Duration) {
	before := hubTimes
	t.Cleanup(func() { hubTimes = before })
	hubTimes.patience, hubTimes.idle, hubTimes.silence = patience, 0, time.Second
}

// Every hub reaches all members that read, also with one that never does.
func TestEveryHubReachesItsMembers(t *testing.T) {
	shortHubTimes(t, 20*time.Second)
	for _, b := range broadcasters {
		for _, stuck := range []int{0, 1} {
			got, err := measureHub(b, hubCase{n: 20, stuck: stuck, size: 200, messages: 5})
			if err != nil || got[hubLost] != 0 || got[hubCPU] <= 0 {
				t.Errorf("%s with %d stuck members: %v, %v", b.name, stuck, got, err)
			}
		}
	}
}

// A hub that hangs is given up, and its row says so.
func TestHubThatHangsIsGivenUp(t *testing.T) {
	shortHubTimes(t, time.Second)
	start := time.Now()
	_, err := measureHub(badHubs[0], hubCase{n: 3, size: 10, messages: 5})
	if err == nil || !strings.Contains(err.Error(), "did not get on for 1s: it was in message 1 of 5") {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A message that does not come is counted once for each member, and waited for once.
func TestHubThatLosesMessages(t *testing.T) {
	shortHubTimes(t, 20*time.Second)
	got, err := measureHub(badHubs[1], hubCase{n: 3, size: 10, messages: 5})
	if err != nil || got[hubLost] != 3 {
		t.Errorf("%v, %v", got, err)
	}
}

// Rows have medians of all rounds, and ratios to raw within each.
func TestHubRow(t *testing.T) {
	raw := []sample{{2, 1, 1, 5, 9, 0, 0}, {10, 1, 1, 5, 9, 0, 0}, {4, 1, 1, 5, 9, 0, 0}}
	own := []sample{{3, 1, 2, 7, 8, 1, 0}, {11, 2, 2, 7, 8, 1, 4}, {5, 3, 2, 7, 8, 1, 0}}
	want := "| own | 5.00 | 1.25 | 2.00 | 2.00 | 7µs | 8µs | 1 | 4 |"
	if got := hubRow("own", own, raw); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
