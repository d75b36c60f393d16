package main

// Measuring hubs: "go run . hubs". Each has a process of its own on one CPU, and this process has
// the members. A round is one message to all; the next begins when it has arrived everywhere but at
// stuck members, which never read.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A hubReading is what a hub's process says of itself.
type hubReading struct {
	CPU        time.Duration
	Resident   uint64
	Goroutines int
	Held       time.Duration // the publisher, in the last call
}

// serveHub is the process. It says its address, and answers each command with a reading.
func serveHub(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("serve-hub: for a child of the measuring process")
	}
	b, err := findBroadcaster(args[0])
	if err != nil {
		return err
	}
	ln, err := listenWithBuffer(args[1])
	if err != nil {
		return err
	}
	var joined atomic.Int64
	publish := b.serve(ln, func() { joined.Add(1) })
	fmt.Println(ln.Addr())
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var n int
		var held time.Duration
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "join"):
			fmt.Sscanf(line, "join %d", &n)
			for joined.Load() < int64(n) {
				time.Sleep(time.Millisecond)
			}
		case strings.HasPrefix(line, "publish"):
			fmt.Sscanf(line, "publish %d", &n)
			payload := make([]byte, n)
			start := time.Now()
			publish(payload)
			held = time.Since(start)
		case line == "collect":
			runtime.GC()
			debug.FreeOSMemory()
		}
		out.Encode(hubReading{processCPU(), residentMemory("self"), runtime.NumGoroutine(), held})
	}
	return nil
}

// listenWithBuffer listens with a send buffer of so many bytes for each connection, "0" for the
// system's choice.
func listenWithBuffer(size string) (net.Listener, error) {
	n, err := strconv.Atoi(size)
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if n > 0 {
			c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, n) })
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// A hubRun is a hub's process with members.
type hubRun struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr bytes.Buffer
	out    *bufio.Reader
	links  []link
	stuck  int
	epoll  int
	buf    []byte
	events []unix.EpollEvent
}

func (r *hubRun) command(format string, args ...any) (reading hubReading, err error) {
	if _, err = fmt.Fprintf(r.in, format+"\n", args...); err != nil {
		return reading, err
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return reading, fmt.Errorf("the hub ended: %w", err)
	}
	return reading, json.Unmarshal(line, &reading)
}

// startHub starts a hub with n members, of whom the first are stuck. It returns the readings
// without and with them.
func startHub(name string, n, stuck int) (r *hubRun, empty, full hubReading, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, empty, full, err
	}
	buffer := "0"
	if stuck > 0 {
		buffer = "65536" // or megabytes would lie there for each
	}
	r = &hubRun{cmd: exec.Command(exe, "serve-hub", name, buffer), stuck: stuck, buf: make([]byte, 256<<10), events: make([]unix.EpollEvent, 512)}
	r.cmd.Stderr = &r.stderr
	r.in, _ = r.cmd.StdinPipe()
	out, _ := r.cmd.StdoutPipe()
	r.out = bufio.NewReader(out)
	if cpu, _, ok := pins(); ok {
		err = startOn(cpu, r.cmd)
	} else {
		err = r.cmd.Start()
	}
	if err != nil {
		return nil, empty, full, err
	}
	addr, err := r.out.ReadString('\n')
	if err != nil {
		return r, empty, full, err
	}
	if empty, err = r.command("collect"); err != nil {
		return r, empty, full, err
	}
	if err = r.join(strings.TrimSpace(addr), n); err != nil {
		return r, empty, full, err
	}
	if _, err = r.command("join %d", n); err != nil {
		return r, empty, full, err
	}
	time.Sleep(3 * time.Second) // connections that have no goroutine while they are idle are idle now
	full, err = r.command("collect")
	return r, empty, full, err
}

func (r *hubRun) join(addr string, n int) (err error) {
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	for len(r.links) < n {
		links, err := dialLinks(addr, min(n-len(r.links), batch), false)
		if err != nil {
			return err
		}
		r.links = append(r.links, links...)
		if _, err := upgrade(links, request(addr, false)); err != nil {
			return err
		}
	}
	for i, l := range r.links {
		fd := int(l.(socket))
		if i < r.stuck {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
			continue
		}
		unix.SetNonblock(fd, true)
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return err
		}
	}
	return nil
}

// receive reads until so many bytes have come, or none for a while. It returns how many are
// missing.
func (r *hubRun) receive(bytes int) (missing int) {
	for bytes > 0 {
		n, err := unix.EpollWait(r.epoll, r.events, 5000)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		for _, e := range r.events[:n] {
			k, err := unix.Read(int(e.Fd), r.buf)
			if k <= 0 && err != unix.EAGAIN {
				unix.EpollCtl(r.epoll, unix.EPOLL_CTL_DEL, int(e.Fd), nil)
			}
			bytes -= max(k, 0)
		}
	}
	return bytes
}

func (r *hubRun) stop() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
	if log := r.stderr.String(); log != "" {
		fmt.Fprintf(os.Stderr, "the hub logged %d bytes: %.400s\n", len(log), log)
	}
	closeLinks(r.links)
	unix.Close(r.epoll)
}

// measureHub prints one row.
func measureHub(out io.Writer, name string, n, stuck, size, rounds int) error {
	r, empty, full, err := startHub(name, n, stuck)
	if r != nil {
		defer r.stop()
	}
	if err != nil {
		return err
	}
	frame := len(appendServerFrame(nil, finBinary, make([]byte, size)))
	var held []time.Duration
	most, lost := 0, 0
	before := full
	for range rounds {
		reading, err := r.command("publish %d", size)
		if err != nil {
			return err
		}
		held = append(held, reading.Held)
		most = max(most, reading.Goroutines-full.Goroutines)
		lost += r.receive((n - stuck) * frame)
	}
	after, err := r.command("read")
	if err != nil {
		return err
	}
	most = max(most, after.Goroutines-full.Goroutines)
	collected, err := r.command("collect")
	if err != nil {
		return err
	}
	slices.Sort(held)
	deliveries := rounds * (n - stuck)
	fmt.Fprintf(out, "| %s | %.2f | %.2f | %.2f | %v | %v | %d | %d |\n", name,
		float64(full.Resident-empty.Resident)/float64(n)/1000, float64(collected.Resident-empty.Resident)/float64(n)/1000,
		float64(after.CPU-before.CPU)/float64(deliveries)/1000,
		held[len(held)/2].Round(time.Microsecond), held[len(held)-1].Round(time.Microsecond), most, max(lost/frame, 0)) // less than 0: pings
	return nil
}

// measureHubs is the command.
func measureHubs(args []string) error {
	flags := flag.NewFlagSet("hubs", flag.ExitOnError)
	only := flags.String("only", "", "one `hub` of raw, plainsocket, plainsocket-events, gorilla, melody, gws")
	stuckOnly := flags.Bool("stuck", false, "only the runs of 4,000 members")
	flags.Parse(args)
	most := descriptors() - 500
	for _, c := range []struct{ n, stuck, size, rounds int }{
		{1000, 0, 125, 100}, {10_000, 0, 125, 20}, {most, 0, 125, 10}, {4000, 0, 2004, 300}, {4000, 80, 2004, 300},
	} {
		if *stuckOnly && c.n != 4000 {
			continue
		}
		n := min(c.n, most)
		fmt.Printf("\n%d members, %d of them stuck, %d messages of %d bytes\n\n", n, c.stuck, c.rounds, c.size)
		fmt.Println("| hub | KB a member | KB after | CPU µs a delivery | publisher held, median | most | goroutines more | lost by those who read |")
		fmt.Println("|---|---|---|---|---|---|---|---|")
		for _, b := range broadcasters {
			if *only != "" && *only != b.name || b.name == "raw" && c.stuck > 0 {
				continue // a loop would wait for the first stuck member for ever
			}
			if err := measureHub(os.Stdout, b.name, n, c.stuck, c.size, c.rounds); err != nil {
				fmt.Printf("| %s | %v |\n", b.name, err)
			}
		}
	}
	return nil
}
