package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A server has a CPU of its own also after the load generator was pinned to another one.
func TestServerIsAloneOnItsCPU(t *testing.T) {
	server, load, ok := pins()
	if !ok {
		t.Skip("there is a single CPU")
	}
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		threads, _ := threadsOf(os.Getpid())
		for _, tid := range threads {
			unix.SchedSetaffinity(tid, &all)
		}
	})
	if err := pinLoad(); err != nil {
		t.Fatal(err)
	}
	c, err := startChild(servers[0], job{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	for who, want := range map[string]int{"self": load, fmt.Sprint(c.cmd.Process.Pid): server} {
		status, err := os.ReadFile("/proc/" + who + "/status")
		if want := fmt.Sprintf("\nCpus_allowed_list:\t%d\n", want); err != nil || !strings.Contains(string(status), want) {
			t.Errorf("process %s: %v, want %q in\n%s", who, err, want, status)
		}
	}
}
