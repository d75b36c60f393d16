package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// The load generator: many members in one process, of three kinds.

// A kind is how fast a member reads.
type kind struct {
	name  string
	pause time.Duration // between two messages
	stuck bool          // reads nothing
}

var kinds = []kind{{name: "fast"}, {name: "slow", pause: 5 * time.Millisecond}, {name: "stuck", stuck: true}}

// kindOf makes one member in ten slow, and one in fifty stuck.
func kindOf(i int) int {
	switch {
	case i%50 == 49:
		return 2
	case i%10 == 9:
		return 1
	}
	return 0
}

// A tally is what the members of one kind have seen since the last report.
type tally struct {
	mu         sync.Mutex // guards all below
	members    int
	received   int
	superseded int // prices that were never sent, as newer ones took their place
	closed     int // members that have lost their connection, since the beginning
	late       []time.Duration
}

// load opens n connections and reports once a second until ctx ends.
func load(ctx context.Context, out io.Writer, url string, n int) error {
	tallies := make([]tally, len(kinds))
	var members sync.WaitGroup
	defer members.Wait()
	for i := range n {
		c, _, err := dialer.DialContext(ctx, url, nil)
		if err != nil {
			return fmt.Errorf("after %d connections: %w", i, err)
		}
		defer c.Close()
		k := kindOf(i)
		members.Go(func() { listen(ctx, c, kinds[k], &tallies[k]) })
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			for k := range tallies {
				tallies[k].report(out, kinds[k].name)
			}
		}
	}
}

// dialer has a small buffer in the system: else megabytes would lie there for those who are slow.
var dialer = websocket.Dialer{
	NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(8 << 10)
		}
		return c, err
	},
}

// listen is one member.
func listen(ctx context.Context, c *websocket.Conn, k kind, t *tally) {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	t.add(func() { t.members++ })
	defer t.add(func() { t.members--; t.closed++ })
	if k.stuck {
		<-ctx.Done() // it does not even notice that it is cut off
		return
	}
	seqs := make(map[string]int)
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			return
		}
		var p struct {
			price
			snapshot
		}
		if json.Unmarshal(data, &p) != nil {
			return
		}
		for _, q := range p.Prices {
			seqs[q.Symbol] = q.Seq
		}
		if p.Symbol != "" {
			late := time.Since(time.UnixMilli(p.Time))
			gap := max(p.Seq-seqs[p.Symbol]-1, 0)
			seqs[p.Symbol] = p.Seq
			t.add(func() {
				t.received++
				t.superseded += gap
				t.late = append(t.late, late)
			})
		}
		time.Sleep(k.pause)
	}
}

func (t *tally) add(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// report prints what happened since the last report.
func (t *tally) report(out io.Writer, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.late)
	late := func(share float64) time.Duration {
		if len(t.late) == 0 {
			return 0
		}
		return t.late[int(share*float64(len(t.late)-1))].Round(time.Millisecond)
	}
	fmt.Fprintf(out, "%-5s  %5d members (%d closed)  %7d received/s  %7d superseded/s  late: median %v, 99%% %v, most %v\n",
		name, t.members, t.closed, t.received, t.superseded, late(.5), late(.99), late(1))
	t.received, t.superseded, t.late = 0, 0, t.late[:0]
}
