//go:build linux

// Command measure measures the example on this machine, with three nodes in three processes:
//
//	go run ./measure
//
// It takes some two minutes. The clients are in this process, and share the machine with the nodes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

var (
	samples  = flag.Int("samples", 2000, "messages for the time from publishing to delivery")
	duration = flag.Duration("time", 6*time.Second, "measure each number of members for this `time`")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	fmt.Printf("%s, %d CPUs, load before: %s\n\n", runtime.Version(), runtime.NumCPU(), load())
	if err := measureBroker(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cluster-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := drive.Build(dir, ".")
	if err != nil {
		return err
	}
	cluster, err := drive.NewCluster(program, dir, 3, "-rate", "1000000")
	if err != nil {
		return err
	}
	defer cluster.Kill()
	start := time.Now()
	if err := cluster.Start(ctx); err != nil {
		return err
	}
	fmt.Printf("three nodes were ready after            %8.1f s\n", time.Since(start).Seconds())
	fmt.Printf("memory of a node without clients, RSS   %8.1f MB\n\n", rss(cluster[0].PID()))

	leader, err := cluster.Leader(ctx)
	if err != nil {
		return err
	}
	measureLatency(ctx, cluster, leader)
	for _, shape := range []struct{ rooms, members int }{{60, 1}, {12, 10}, {1, 1000}} {
		measureFanOut(ctx, cluster, shape.rooms, shape.members)
	}
	fmt.Printf("memory of a node after that, RSS        %8.1f MB\n\n", rss(cluster[0].PID()))
	if err := measureDeath(ctx, cluster, (leader+1)%3, "a follower"); err != nil {
		return err
	}
	if leader, err = cluster.Leader(ctx); err != nil {
		return err
	}
	return measureDeath(ctx, cluster, leader, "the leader")
}

// A group is clients that run.
type group struct {
	clients []*drive.Client
	stop    context.CancelFunc
	running sync.WaitGroup
}

// start runs clients until they are live. Each begins with the node of its place in the list.
func start(ctx context.Context, cluster drive.Cluster, clients ...*drive.Client) *group {
	g := &group{clients: clients}
	ctx, g.stop = context.WithCancel(ctx)
	addrs := cluster.Addrs()
	for i, c := range clients {
		if c.Nodes == nil {
			first := i % len(addrs)
			c.Nodes = append(append([]string(nil), addrs[first:]...), addrs[:first]...)
		}
		g.running.Go(func() { c.Run(ctx) })
		if i%100 == 99 {
			time.Sleep(100 * time.Millisecond)
		}
	}
	for _, c := range clients {
		for ctx.Err() == nil && !c.Live() {
			time.Sleep(time.Millisecond)
		}
	}
	return g
}

func (g *group) end() {
	g.stop()
	g.running.Wait()
}

// measureLatency has a client of one node say something, and another hear it on another node. The
// clock is the same.
func measureLatency(ctx context.Context, cluster drive.Cluster, leader int) {
	from, to := cluster[(leader+1)%3].Addr, cluster[(leader+2)%3].Addr
	heard := make(chan time.Time, 1)
	speaker := &drive.Client{Name: "speaker", Room: "latency", Nodes: []string{from}}
	hearer := &drive.Client{Name: "hearer", Room: "latency", Nodes: []string{to}, Heard: func(drive.Event) { heard <- time.Now() }}
	g := start(ctx, cluster, speaker, hearer)
	defer g.end()
	var took []time.Duration
	for i := range *samples {
		said := time.Now()
		speaker.Say(fmt.Sprint("message ", i))
		select {
		case at := <-heard:
			took = append(took, at.Sub(said))
		case <-ctx.Done():
			return
		}
		time.Sleep(time.Millisecond)
	}
	slices.Sort(took)
	at := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	fmt.Printf("publish to delivery, client to client, the leader on a third node:\n")
	fmt.Printf("  p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, most %.2f ms (%d messages)\n\n", at(.5), at(.9), at(.99), at(1), len(took))
}

// measureFanOut has a member in each room talk without a pause.
func measureFanOut(ctx context.Context, cluster drive.Cluster, rooms, members int) {
	var heard atomic.Int64
	var clients []*drive.Client
	for room := range rooms {
		for range members * len(cluster) {
			clients = append(clients, &drive.Client{Name: "member", Room: fmt.Sprintf("m%d-%d", members, room),
				Heard: func(drive.Event) { heard.Add(1) }})
		}
	}
	g := start(ctx, cluster, clients...)
	defer g.end()
	talk, quiet := context.WithCancel(ctx)
	var talking sync.WaitGroup
	for room := range rooms {
		speaker := clients[room*members*len(cluster)+room%len(cluster)]
		talking.Go(func() {
			for i := 0; talk.Err() == nil; i++ {
				speaker.Say(fmt.Sprint("message ", i))
				for talk.Err() == nil && speaker.Waiting() > 0 {
					time.Sleep(200 * time.Microsecond)
				}
			}
		})
	}
	time.Sleep(time.Second)
	before, cpuBefore, began := heard.Load(), cpu(cluster), time.Now()
	time.Sleep(*duration)
	took, count, used := time.Since(began), heard.Load()-before, cpu(cluster)-cpuBefore
	quiet()
	talking.Wait()
	fmt.Printf("%4d members per room and node, %2d rooms: %7.0f deliveries/s, %6.1f us CPU each (all nodes), %5.0f publishes/s\n",
		members, rooms, float64(count)/took.Seconds(), float64(used.Microseconds())/float64(max(count, 1)),
		float64(count)/took.Seconds()/float64(members*len(cluster)))
}

// measureDeath kills a node under clients of all nodes.
func measureDeath(ctx context.Context, cluster drive.Cluster, victim int, what string) error {
	var last atomic.Int64 // when something was heard on another node
	var clients []*drive.Client
	for range 30 * len(cluster) {
		clients = append(clients, &drive.Client{Name: "member", Room: "death"})
	}
	speaker, hearer := (victim+1)%3, (victim+2)%3
	longest := time.Duration(0)
	clients[hearer].Heard = func(drive.Event) {
		now := time.Now().UnixNano()
		if before := last.Swap(now); before > 0 {
			longest = max(longest, time.Duration(now-before))
		}
	}
	g := start(ctx, cluster, clients...)
	defer g.end()
	talk, quiet := context.WithCancel(ctx)
	var talking sync.WaitGroup
	talking.Go(func() {
		for i := 0; talk.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if c := clients[speaker]; c.Waiting() == 0 {
				c.Say(fmt.Sprint("message ", i))
				i++
			} else {
				c.Repeat()
			}
		}
	})
	time.Sleep(time.Second)
	cluster[victim].Kill()
	killed := time.Now()
	var back []time.Duration
	lost := make(map[int]bool)
	for i := victim; i < len(clients); i += len(cluster) {
		lost[i] = true
	}
	for len(lost) > 0 && ctx.Err() == nil {
		for i := range lost {
			if clients[i].Live() && clients[i].Connections() > 1 {
				back = append(back, time.Since(killed))
				delete(lost, i)
			}
		}
		time.Sleep(time.Millisecond)
	}
	for ctx.Err() == nil && last.Load() < killed.Add(time.Second).UnixNano() {
		time.Sleep(10 * time.Millisecond)
	}
	quiet()
	talking.Wait()
	slices.Sort(back)
	if len(back) == 0 {
		return ctx.Err()
	}
	fmt.Printf("kill -9 of %s:\n  its clients are live on another node after %.2f s (median), %.2f s (last)\n", what,
		back[len(back)/2].Seconds(), back[len(back)-1].Seconds())
	fmt.Printf("  the others: the longest silence in a room with 20 to 50 messages a second was %.2f s\n", longest.Seconds())
	if err := cluster[victim].Start(); err != nil {
		return err
	}
	return cluster[victim].WaitReady(ctx)
}
