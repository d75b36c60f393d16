package main

// This file asks the operating system for CPU time, memory, pinning, and the number of system calls
// of a process.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is the CPU time of this process so far, user and system, in the
// scheduler's nanoseconds.
func processCPU() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// residentMemory returns the part of a process's memory that is in RAM and its own. The program's
// code does not count, because more of it is loaded as more of it runs.
func residentMemory(process string) uint64 { return procBytes("/proc/"+process+"/status", "RssAnon:") }

// kernelMemory returns the bytes of the kernel's own objects, such as sockets. They are the whole
// machine's.
func kernelMemory() uint64 { return procBytes("/proc/meminfo", "Slab:") }

// procBytes returns a field of a file of the kernel's that has it in KiB, or 0.
func procBytes(file, field string) uint64 {
	text, _ := os.ReadFile(file)
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(field)); ok {
			var kib uint64
			fmt.Sscan(string(value), &kib)
			return kib << 10
		}
	}
	return 0
}

// pins returns a CPU for the server and one for the load generator. With a
// single one there is nothing to choose.
func pins() (server, load int, ok bool) {
	cpus := ownCPUs()
	if len(cpus) < 2 {
		return 0, 0, false
	}
	return cpus[0], cpus[1], true
}

// ownCPUs returns the CPUs on which this process may run. It finds them out once, because pinLoad
// leaves one of them.
var ownCPUs = sync.OnceValue(func() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
})

func oneCPU(cpu int) *unix.CPUSet {
	set := new(unix.CPUSet)
	set.Set(cpu)
	return set
}

// pinLoad keeps this process, the load generator, on its CPU.
func pinLoad() error {
	_, cpu, ok := pins()
	if !ok {
		return nil
	}
	return pinSelf(cpu)
}

// startServer starts a command on the server's CPU.
func startServer(cmd *exec.Cmd) error {
	cpu, _, ok := pins()
	if !ok {
		return cmd.Start()
	}
	return startOn(cpu, cmd)
}

// pinSelf keeps this process on a CPU: all its threads, from which later ones
// inherit.
func pinSelf(cpu int) error {
	threads, err := threadsOf(os.Getpid())
	if err != nil {
		return err
	}
	for _, tid := range threads {
		if err := unix.SchedSetaffinity(tid, oneCPU(cpu)); err != nil {
			return err
		}
	}
	return nil
}

// startOn starts a command on a CPU. Its runtime then finds one CPU only, from its first
// instruction on, because a process inherits the pinning of the thread that starts it.
func startOn(cpu int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, oneCPU(cpu)); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}

func threadsOf(pid int) (threads []int, err error) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		tid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			return nil, err
		}
		threads = append(threads, tid)
	}
	return threads, nil
}

// descriptors returns the number of files that this process may have open. (Go's runtime has raised
// the soft limit to the hard one.)
func descriptors() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<30))
}

// A syscallCounter counts the system calls of another process, as perf stat
// does: by a tracepoint, one event for each thread.
type syscallCounter []int

var errNoTracepoint = errors.New("the tracepoint of system calls cannot be read: not root, or no tracefs")

// tracepoint is raw_syscalls:sys_enter's number.
func tracepoint() (uint64, error) {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		b, err := os.ReadFile(dir + "/events/raw_syscalls/sys_enter/id")
		if err == nil {
			return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		}
	}
	return 0, errNoTracepoint
}

func countSyscalls(pid int) (syscallCounter, error) {
	id, err := tracepoint()
	if err != nil {
		return nil, err
	}
	threads, err := threadsOf(pid)
	if err != nil {
		return nil, err
	}
	// The counter is inherited, so threads that start later are counted too.
	attr := &unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Bits: unix.PerfBitInherit}
	attr.Size = unix.PERF_ATTR_SIZE_VER5
	var c syscallCounter
	for _, tid := range threads {
		fd, err := unix.PerfEventOpen(attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			c.close()
			return nil, fmt.Errorf("counting system calls: %w", err)
		}
		c = append(c, fd)
	}
	return c, nil
}

// close ends the counting and returns the count.
func (c syscallCounter) close() (count uint64) {
	for _, fd := range c {
		var b [8]byte
		if n, _ := unix.Read(fd, b[:]); n == len(b) {
			count += binary.NativeEndian.Uint64(b[:])
		}
		unix.Close(fd)
	}
	return count
}
