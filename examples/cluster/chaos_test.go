//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

const (
	chaosClients = 200
	chaosRooms   = 10
	sayEvery     = 5 * time.Second // of each client
)

// A crowd is clients in rooms, on all nodes, who talk all the time.
type crowd struct {
	t       *testing.T
	cluster drive.Cluster
	clients []*drive.Client
	stop    context.CancelFunc
	quiet   context.CancelFunc
	running sync.WaitGroup
	talking sync.WaitGroup
}

func startCrowd(t *testing.T, cluster drive.Cluster) *crowd {
	c := &crowd{t: t, cluster: cluster}
	ctx, stop := context.WithCancel(context.Background())
	talk, quiet := context.WithCancel(ctx)
	c.stop, c.quiet = stop, quiet
	addrs := cluster.Addrs()
	for i := range chaosClients {
		first := i % len(addrs)
		client := &drive.Client{
			Name:  fmt.Sprint("c", i),
			Room:  fmt.Sprint("room", i/len(addrs)%chaosRooms),
			Nodes: append(append([]string(nil), addrs[first:]...), addrs[:first]...),
		}
		c.clients = append(c.clients, client)
		c.running.Go(func() { client.Run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		c.running.Wait()
		c.talking.Wait()
	})
	c.wait("all clients are live", func(r drive.Report) bool { return r.Live })
	for i, client := range c.clients {
		c.talking.Go(func() { c.talk(talk, i, client) })
		c.running.Go(func() {
			for ctx.Err() == nil {
				client.Repeat()
				sleep(ctx, time.Second)
			}
		})
	}
	return c
}

func (c *crowd) talk(ctx context.Context, i int, client *drive.Client) {
	sleep(ctx, sayEvery*time.Duration(i)/chaosClients)
	for n := 0; ctx.Err() == nil; n++ {
		client.Say(fmt.Sprintf("%s says %d", client.Name, n))
		sleep(ctx, sayEvery)
	}
}

// wait waits until something is true of all clients.
func (c *crowd) wait(what string, ok func(drive.Report) bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		missing := slices.IndexFunc(c.clients, func(client *drive.Client) bool { return !ok(client.Report()) })
		if missing < 0 {
			return
		}
		if time.Now().After(deadline) {
			r := c.clients[missing].Report()
			r.Seqs, r.Stored = nil, nil
			c.logs()
			c.t.Fatalf("waited %v until %s; client %d: %+v", patience, what, missing, r)
		}
	}
}

func (c *crowd) logs() {
	for _, n := range c.cluster {
		c.t.Logf("%s printed:\n%s", n.Name, n.Output())
	}
}

// progress waits until every client has had another message stored, and is live.
func (c *crowd) progress() {
	c.t.Helper()
	var before []int
	for _, client := range c.clients {
		before = append(before, len(client.Report().Stored))
	}
	i := -1
	c.wait("each has had a message stored", func(r drive.Report) bool {
		i = (i + 1) % len(c.clients)
		if ok := r.Live && len(r.Stored) > before[i]; !ok {
			i = -1
			return false
		}
		return true
	})
}

// finish stops the talk, waits until all is stored and delivered, and checks that every client has
// every number exactly once and in order, and that what was acknowledged is there.
func (c *crowd) finish() {
	c.t.Helper()
	c.quiet()
	c.talking.Wait()
	c.wait("all is acknowledged", func(r drive.Report) bool { return r.Live && r.Pending == 0 })
	rooms := make(map[string]map[uint64]string) // what each room must have
	last := make(map[string]uint64)
	for _, client := range c.clients {
		if rooms[client.Room] == nil {
			rooms[client.Room] = make(map[uint64]string)
		}
		for text, seq := range client.Report().Stored {
			if other, ok := rooms[client.Room][seq]; ok {
				c.t.Errorf("%q and %q have the number %d", text, other, seq)
			}
			rooms[client.Room][seq] = text
			last[client.Room] = max(last[client.Room], seq)
		}
	}
	i := -1
	c.wait("all have the last number", func(r drive.Report) bool {
		i = (i + 1) % len(c.clients)
		if ok := r.Last >= last[c.clients[i].Room]; !ok {
			i = -1
			return false
		}
		return true
	})
	for _, client := range c.clients {
		c.check(client, rooms[client.Room])
	}
}

func (c *crowd) check(client *drive.Client, want map[uint64]string) {
	c.t.Helper()
	r := client.Report()
	if len(r.Faults) > 0 {
		c.t.Errorf("%s: %q", client.Name, r.Faults)
	}
	if len(r.Seqs) != len(want) {
		c.t.Errorf("%s has %d messages, and %d were acknowledged", client.Name, len(r.Seqs), len(want))
	}
	for _, seq := range r.Seqs {
		if _, ok := want[seq]; !ok {
			c.t.Errorf("%s has number %d, which nobody was acknowledged", client.Name, seq)
			return
		}
	}
}

// TestNothingIsLostOrDoubled kills, pauses and restarts nodes of a cluster under 200 clients that
// talk. In the end each client has each number of its room exactly once and in order.
func TestNothingIsLostOrDoubled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two minutes")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cluster := newCluster(t, 3)
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := cluster.Start(starting); err != nil {
		t.Fatal(err)
	}
	c := startCrowd(t, cluster)
	c.progress()

	start := time.Now()
	step := func(name string, f func() error) {
		t.Helper()
		if err := f(); err != nil {
			c.logs()
			t.Fatalf("%s: %v", name, err)
		}
		c.progress()
		t.Logf("%-40s %5.1f s", name, time.Since(start).Seconds())
		start = time.Now()
	}
	leader := func() int {
		i, err := cluster.Leader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	restart := func(n *drive.Node) error {
		if err := n.Start(); err != nil {
			return err
		}
		return n.WaitReady(ctx)
	}

	kill := func(victim int) error {
		var before []drive.Report
		for _, client := range c.clients {
			before = append(before, client.Report())
		}
		cluster[victim].Kill()
		c.progress()
		for i, client := range c.clients {
			if r := client.Report(); before[i].Addr != cluster[victim].Addr && r.Connections != before[i].Connections {
				t.Errorf("client %d was on another node, and has lost its connection", i)
			}
		}
		return restart(cluster[victim])
	}
	step("kill -9 of a follower", func() error { return kill((leader() + 1) % 3) })
	step("kill -9 of the leader", func() error { return kill(leader()) })
	step("the leader paused for 10 s", func() error {
		victim := leader()
		cluster[victim].Pause()
		sleep(ctx, 10*time.Second)
		cluster[victim].Continue()
		return nil
	})
	step("rolling restart", func() error {
		for _, n := range cluster {
			n.Stop()
			if err := restart(n); err != nil {
				return err
			}
		}
		return nil
	})
	step("kill -9 of all", func() error {
		cluster.Kill()
		return cluster.Start(ctx)
	})
	c.finish()
}
