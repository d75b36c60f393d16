package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain runs all tests, and then checks that they left nothing behind. As a process of its own,
// with arguments in the environment, it is the program.
func TestMain(m *testing.M) {
	if args := os.Getenv("DEVICE_TEST_ARGS"); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
		return
	}
	goroutines := runtime.NumGoroutine()
	code := m.Run()
	for deadline := time.Now().Add(10 * time.Second); code == 0 && runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", buf[:runtime.Stack(buf, true)])
			code = 1
		}
	}
	os.Exit(code)
}

// A process is the program, run as a user runs it.
type process struct {
	*exec.Cmd
	lines chan string // that it printed to standard output
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{exec.Command(os.Args[0]), make(chan string, 100)}
	p.Env = append(os.Environ(), "DEVICE_TEST_ARGS="+strings.Join(args, " "))
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errors strings.Builder
	p.Stderr = &errors
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-read
		p.Wait()
		if t.Failed() {
			t.Logf("%q printed:\n%s", args, errors.String())
		}
	})
	return p
}

// after returns the program's output behind prefix.
func (p *process) after(t *testing.T, prefix string) string {
	t.Helper()
	for line := range p.lines {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return rest
		}
	}
	t.Fatalf("the program ended without %q", prefix)
	return ""
}

// The server and a device are killed, again and again, without a warning. Every report that the
// device ever made is counted once, or the device still has it.
func TestKilledProcesses(t *testing.T) {
	dir := makeTestCerts(t, "kitchen")
	startServer := func(devices string) (*process, string) {
		p := startProcess(t, "server", "-dir", dir, "-addr", "localhost:0", "-devices", devices)
		url := p.after(t, "devices connect to ")
		return p, url
	}
	server, url := startServer("localhost:0")
	place := strings.TrimSuffix(strings.TrimPrefix(url, "wss://"), "/")
	startDevice := func() *process {
		return startProcess(t, "device", "-dir", dir, "-url", url, "-every", "3ms", "-backoff", "100ms", "kitchen")
	}
	device := startDevice()
	journal := filepath.Join(dir, "reports.jsonl")
	for round := range 8 {
		awaitReports(t, journal, 20) // more: something arrives again
		if round%2 == 0 {
			server.Process.Kill()
			server.Wait()
			server, _ = startServer(place)
		} else {
			device.Process.Kill()
			device.Wait()
			device = startDevice()
		}
	}
	awaitReports(t, journal, 20)
	device.Process.Kill()
	device.Wait()
	server.Process.Kill()
	server.Wait()
	checkKept(t, dir, "kitchen")
}

// checkKept requires that each of a device's reports is counted once by the
// server, or waits with the device.
func checkKept(t *testing.T, dir, name string) {
	t.Helper()
	n := uint64(len(counted(t, dir, name)))
	box := openTestOutbox(t, filepath.Join(dir, name+".outbox.jsonl"))
	if kept := box.after(n); box.done > n || uint64(len(kept)) != box.last()-n {
		t.Errorf("the server counted up to %d; the device was told of %d, and has %v", n, box.done, numbers(kept))
	}
	t.Logf("%d reports counted, %d more made", n, box.last()-n)
}

// awaitReports waits until a journal has n more lines.
func awaitReports(t *testing.T, file string, n int) {
	t.Helper()
	lines := func() int {
		data, _ := os.ReadFile(file)
		return strings.Count(string(data), "\n")
	}
	before := lines()
	for deadline := time.Now().Add(time.Minute); lines() < before+n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d new reports in a minute, not %d", lines()-before, n)
		}
	}
}
