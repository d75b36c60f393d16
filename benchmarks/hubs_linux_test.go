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
			row, err := measureHub(b, hubCase{n: 20, stuck: stuck, size: 200, rounds: 5})
			if err != nil || !strings.HasPrefix(row, "| "+b.name+" |") || !strings.HasSuffix(row, " 0 |") {
				t.Errorf("with %d stuck members: %s, %v", stuck, row, err)
			}
		}
	}
}

// A hub that hangs is given up, and its row says so.
func TestHubThatHangsIsGivenUp(t *testing.T) {
	shortHubTimes(t, time.Second)
	start := time.Now()
	_, err := measureHub(badHubs[0], hubCase{n: 3, size: 10, rounds: 5})
	if err == nil || !strings.Contains(err.Error(), "did not get on for 1s: it was in round 1 of 5") {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A message that does not come is counted once for each member, and waited for once.
func TestHubThatLosesMessages(t *testing.T) {
	shortHubTimes(t, 20*time.Second)
	row, err := measureHub(badHubs[1], hubCase{n: 3, size: 10, rounds: 5})
	if err != nil || !strings.HasSuffix(row, " 3 |") {
		t.Errorf("%s, %v", row, err)
	}
}
