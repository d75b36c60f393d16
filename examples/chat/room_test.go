package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// A member who reads nothing does not hold up the others. It is closed with
// 1013 once its queue, and the network's buffers, are full.
func TestSlowReader(t *testing.T) {
	addr, _ := start(t)
	slow, _ := enter(t, addr, "Slow")
	slow.NetConn().(*net.TCPConn).SetReadBuffer(256 << 10) // or the system takes megabytes on its behalf
	ann, _ := enter(t, addr, "Ann")
	random := make([]byte, longestText/2)
	for i := 0; ; i++ {
		if i == 100_000 {
			t.Fatal("the member who reads nothing is still there")
		}
		rand.Read(random) // compresses badly
		ann.say(fmt.Sprintf("%x", random))
		var e event
		if err := ann.ReadJSON(&e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "left" && e.Name == "Slow" {
			break
		}
	}
	// If it reads at last, it finds out why, behind what was sent before; or,
	// where that takes it too long, only that the connection is gone.
	slow.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		if _, _, err := slow.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseTryAgainLater, websocket.CloseAbnormalClosure) {
				t.Errorf("the slow member: %v, want 1013", err)
			}
			break
		}
	}
}

// One who talks without end fills nobody's queue: nobody is put out.
func TestFlood(t *testing.T) {
	addr, stop := startAt(t, time.Hour) // so nothing but the burst
	ann, _ := enter(t, addr, "Ann")
	flooder, _ := enter(t, addr, "Flooder")
	ann.hear("joined")
	const lines = 5000
	go func() {
		for i := range lines {
			flooder.WriteJSON(request{Text: "buy!", ID: int64(i + 1)})
		}
	}()
	for id := range burst {
		if e := ann.hear("said"); e.ID != int64(id+1) {
			t.Errorf("said: %+v", e)
		}
	}
	// What became of each line is told with its ID.
	told := make(map[int64]string)
	for range lines {
		var e event
		if err := flooder.ReadJSON(&e); err != nil {
			t.Fatal(err)
		}
		told[e.ID] = e.Kind
		if e.Kind == "error" && !strings.Contains(e.Text, "Not so fast") {
			t.Errorf("the flooder is told %+v", e)
		}
	}
	for id := range int64(lines) {
		if want := map[bool]string{true: "said", false: "error"}[id < burst]; told[id+1] != want {
			t.Fatalf("line %d: %q, want %q", id, told[id+1], want)
		}
	}
	ann.say("still here")
	if e := ann.hear("said"); e.Name != "Ann" || e.Seq != burst+1 {
		t.Errorf("behind the flood: %+v", e)
	}
	if err := stopAll(stop, ann, flooder); err != nil {
		t.Error(err)
	}
}

// Many who talk at once, and within the limit, all hear the same in the same order.
func TestManyTalk(t *testing.T) {
	addr, stop := startAt(t, time.Hour)
	const n = 12
	var people []*person
	for i := range n {
		p, _ := enter(t, addr, fmt.Sprint("p", i))
		people = append(people, p)
	}
	var heard [n]strings.Builder
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() {
			for j := range burst {
				p.WriteJSON(request{Text: fmt.Sprint(i, ":", j)})
			}
		})
		wg.Go(func() {
			for lines := 0; lines < n*burst; {
				var e event
				if err := p.ReadJSON(&e); err != nil {
					t.Errorf("%s, after %d lines: %v", p.name, lines, err)
					return
				}
				if e.Kind == "said" {
					lines++
					fmt.Fprintln(&heard[i], e.Seq, e.Text)
				}
			}
		})
	}
	wg.Wait()
	for i := range heard {
		if heard[i].String() != heard[0].String() {
			t.Errorf("p%d heard\n%s\nbut p0\n%s", i, &heard[i], &heard[0])
		}
	}
	if err := stopAll(stop, people...); err != nil {
		t.Error(err)
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(member)
		talk := func() (lines int) {
			for m.mayTalk(time.Second) {
				lines++
			}
			return lines
		}
		for _, tt := range []struct {
			quiet time.Duration
			lines int
		}{{0, burst}, {time.Second - 1, 0}, {1, 1}, {3 * time.Second, 3}, {time.Hour, burst}} {
			time.Sleep(tt.quiet)
			if n := talk(); n != tt.lines {
				t.Errorf("%d lines after %v, want %d", n, tt.quiet, tt.lines)
			}
		}
	})
}

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"  Ann ":             "Ann",
		"Ann\nBob":           "AnnBob",
		"\u202eAnn\u2066":    "Ann", // would turn round what is behind it
		"\u200b":             "",    // cannot be seen
		"\u200d \u0301":      "",
		"Zoë \u0660":         "Zoë \u0660",
		"👩\u200d🚀":           "👩\u200d🚀",
		"Ann\x00\u2028\x7f!": "Ann!",
	} {
		if got, err := cleanName(name); got != want && err == nil || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}
