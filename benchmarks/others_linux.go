package main

// Servers in other languages, measured by the same load if others/build.sh has built them. They
// answer no commands, and the system tells their CPU time and memory.

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var others = []*server{
	{name: "fastwebsockets", version: "0.10.0", how: "Rust: upgraded by hyper 1, `read_frame` and `write_frame`, tokio with one thread",
		command: []string{"others/rust/target/release/echo"}, needs: "others/rust/target/release/echo", holdsMany: true, smallOnly: true},
	{name: "ws", version: "8.18.3", how: "Node.js: its own server, without native parts",
		command: []string{"node", "others/node/echo.js"}, needs: "others/node/node_modules/ws", holdsMany: true},
}

// otherKinds are the measurements that need no command to the server.
var otherKinds = []string{"echo", "scale", "wake", "latency"}

// measureOthers is the command others: servers in other languages beside this library.
func measureOthers(args []string) error {
	selected, _ := selectServers(servers, "raw,plainsocket-pull,plainsocket-onmessage,gobwas")
	for _, s := range others {
		if _, err := os.Stat(s.needs); err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out, as others/build.sh has not made %s\n", s.name, s.needs)
			continue
		}
		selected = append(selected, s)
	}
	return measure(args, "OTHERS.md", selected, otherKinds)
}

// externalReading is a reading of another process. It says nothing of allocations.
func externalReading(pid int) (reading, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(processClock(pid), &t); err != nil {
		return reading{}, fmt.Errorf("the CPU time of process %d: %w", pid, err)
	}
	return reading{CPU: time.Duration(t.Nano()), Resident: residentMemory(fmt.Sprint(pid))}, nil
}

// processClock is the clock of another process's CPU time, as clock_getcpuclockid(3) has it.
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }
