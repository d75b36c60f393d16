package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

const patience = 60 * time.Second // the longest wait for one thing to happen

var programDir string // for the program that the tests build

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cluster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var (
	buildOnce sync.Once
	buildErr  error
	program   string
)

// newCluster prepares a cluster that is killed at the end of the test.
func newCluster(t *testing.T, size int, args ...string) drive.Cluster {
	t.Helper()
	buildOnce.Do(func() { program, buildErr = drive.Build(programDir, ".") })
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	cluster, err := drive.NewCluster(program, t.TempDir(), size, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cluster.Kill()
		for _, n := range cluster {
			if out := n.Output(); strings.Contains(out, "panic") || strings.Contains(out, "DATA RACE") {
				t.Errorf("node %s printed\n%s", n.Name, out)
			}
		}
	})
	return cluster
}
