package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

// startHub runs a hub in this process, so that a test can take messages away from it.
func startHub(t *testing.T, audit time.Duration) (*hub, *drive.Node) {
	t.Helper()
	b, err := startBroker(brokerConfig{name: "test", presenceTTL: time.Second, audit: audit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	epoch, kv, err := b.prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(ctx, b, epoch)
	l := &lobby{hub: h, presence: newPresence(h, kv, time.Second), rate: 1e6}
	ws := &websocket.Server{OnOpen: l.opened, OnMessage: l.received, OnClose: l.closed}
	t.Cleanup(func() { ws.Close() })
	web := httptest.NewServer(ws)
	t.Cleanup(web.Close)
	return h, &drive.Node{Addr: strings.TrimPrefix(web.URL, "http://")}
}

// lose stores messages that the hub does not hear of.
func (h *hub) lose(t *testing.T, room string, n int) {
	t.Helper()
	time.Sleep(2 * auditSoon) // the audit after the opening is over
	h.mu.Lock()
	r := h.rooms[room]
	delete(h.rooms, room)
	h.mu.Unlock()
	for i := range n {
		if _, err := h.broker.publish(h.ctx, room, fmt.Sprint("lost", i), encode(said{Text: fmt.Sprint("lost ", i)})); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(auditSoon) // the pump has thrown them away
	h.mu.Lock()
	h.rooms[room] = r
	h.mu.Unlock()
}

// A live message whose number before is not the last one reveals what is missing before it.
func TestHoleIsFilled(t *testing.T) {
	h, n := startHub(t, time.Hour)
	v := visit(t, n, "Ann")
	v.enter(request{Room: "tea"})
	v.say("tea", "1", "one")
	h.lose(t, "tea", 3)
	v.ask(request{Type: "say", Room: "tea", ID: "2", Text: "two"})
	v.hears("lost 0", "lost 1", "lost 2", "two")
}

// If nothing is said any more, an audit finds what is missing.
func TestAuditFindsWhatIsMissing(t *testing.T) {
	h, n := startHub(t, 100*time.Millisecond)
	v := visit(t, n, "Ann")
	v.enter(request{Room: "tea"})
	h.lose(t, "tea", 3)
	v.hears("lost 0", "lost 1", "lost 2")
}

// If more is missing than the history has, the members are told.
func TestTooLargeAHoleIsSaid(t *testing.T) {
	h, n := startHub(t, 100*time.Millisecond)
	v := visit(t, n, "Ann")
	v.enter(request{Room: "tea"})
	v.say("tea", "1", "one")
	h.lose(t, "tea", historyLength)
	v.get("reset")
	if e := v.get("events").Events[0]; e.Text != "lost 0" {
		t.Errorf("after the reset comes %+v", e)
	}
}

// hears requires that these texts come, and no others.
func (v *visitor) hears(want ...string) {
	v.t.Helper()
	var got []string
	last := uint64(0)
	for len(got) < len(want) {
		var a answer
		if err := v.ReadJSON(&a); err != nil {
			v.t.Fatalf("%v after %q", err, got)
		}
		for _, e := range a.Events {
			if last > 0 && e.Prev != last {
				v.t.Errorf("%+v comes after %d", e, last)
			}
			last = e.Seq
			got = append(got, e.Text)
		}
	}
	if !slices.Equal(got, want) {
		v.t.Errorf("heard %q, want %q", got, want)
	}
}

// Clients that lose their connection all the time, in rooms that open and close with them, have
// everything once.
func TestJoinedToTheLiveStream(t *testing.T) {
	n := startNode(t, "-rate", "1000000")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var clients []*drive.Client
	var running, talking sync.WaitGroup
	for i := range 24 {
		c := &drive.Client{Name: fmt.Sprint("c", i), Room: fmt.Sprint("room", i%8), Nodes: []string{n.Addr}}
		clients = append(clients, c)
		running.Go(func() { c.Run(ctx) })
	}
	await := func(ok func(c *drive.Client) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); slices.ContainsFunc(clients, func(c *drive.Client) bool { return !ok(c) }); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the clients do not get on")
			}
			for _, c := range clients {
				c.Repeat()
			}
		}
	}
	await((*drive.Client).Live)
	for _, c := range clients {
		talking.Go(func() {
			for i := range 100 {
				c.Say(fmt.Sprint(c.Name, " ", i))
				if time.Sleep(rand.N(40 * time.Millisecond)); rand.N(10) == 0 {
					c.Cut()
				}
			}
		})
	}
	talking.Wait()
	await(func(c *drive.Client) bool { return c.Waiting() == 0 && len(c.Report().Seqs) >= 300 })
	for _, c := range clients {
		if r := c.Report(); len(r.Seqs) != 300 || len(r.Faults) > 0 {
			t.Errorf("%s has %d messages, over %d connections, with %q", c.Name, len(r.Seqs), r.Connections, r.Faults)
		}
	}
	stop()
	running.Wait()
}
