//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

// measureBroker starts an embedded broker in this process, with a stream in memory.
func measureBroker() error {
	dir, err := os.MkdirTemp("", "cluster-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	before, start := rss(os.Getpid()), time.Now()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: dir})
	if err != nil {
		return err
	}
	defer s.Shutdown()
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("the embedded broker is not ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if _, err = js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.MemoryStorage}); err != nil {
		return err
	}
	fmt.Printf("an embedded broker with a stream, RSS   %8.1f MB (after %d ms)\n", rss(os.Getpid())-before, time.Since(start).Milliseconds())
	return nil
}

// rss returns a process's memory in MB.
func rss(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb / 1000
}

// cpu returns the CPU time that the nodes have used.
func cpu(cluster drive.Cluster) (sum time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on all that Go runs on
	for _, n := range cluster {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID()))
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			continue
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		sum += time.Duration(user+system) * tick
	}
	return sum
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
