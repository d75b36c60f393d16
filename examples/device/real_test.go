package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startReal runs a server on real listeners, and returns the URL for devices, the URL of the page,
// and the log.
func startReal(t *testing.T, dir string) (s *server, devices, page string, log *syncBuffer) {
	t.Helper()
	config, err := serverTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := openRegistry(filepath.Join(dir, "reports.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	log = new(syncBuffer)
	s = &server{registry: g, heartbeat: time.Hour, log: slog.New(slog.NewTextHandler(log, nil))}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, listeners[0], config, listeners[1]) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
		g.close()
	})
	return s, listeners[0].Addr().String(), listeners[1].Addr().String(), log
}

// A syncBuffer is the output of loggers that tests read at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits until the buffer has text in it.
func (b *syncBuffer) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(b.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", text, b)
		}
	}
}
