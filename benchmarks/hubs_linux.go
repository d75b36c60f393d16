package main

// Measuring hubs: "go run . hubs". Each has a process of its own on one CPU, and this process has
// the members. A message goes to all of them, and the next one follows when it has arrived
// everywhere but at stuck members, which never read. A hub that does not get through its messages in
// time is given up, and its row says so. The hubs take turns, for several rounds.

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
	cmd      *exec.Cmd
	in       io.WriteCloser
	stderr   bytes.Buffer
	out      *bufio.Reader
	links    []link
	counters []counter   // of what came over each link
	stuck    int         // the first members never read
	alive    int         // members that read and whose connection has not ended
	message  int         // the number of the one that is under way
	alarm    *time.Timer // ends the process if the message takes too long
	due      int         // messages that those who read have to get in all
	got      int         // messages that they got
	lost     int         // messages that they did not get in time, or because their connection ended
	epoll    int
	buf      []byte
	events   []unix.EpollEvent
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

// publish has the hub send a message, and receives it. It does both at the same time. To send to
// members of which none is waiting is cheaper, and a hub that holds the publisher would gain by it.
func (r *hubRun) publish(size int) (reading hubReading, err error) {
	published := make(chan struct{})
	go func() {
		defer close(published)
		reading, err = r.command("publish %d", size)
	}()
	r.receive(func() bool {
		select {
		case <-published:
			return true
		default:
			return false
		}
	})
	<-published
	return reading, err
}

// startHub starts a hub's process.
func startHub(name string, stuck int) (r *hubRun, addr string, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	buffer := "0"
	if stuck > 0 {
		buffer = "65536" // or megabytes would lie there for each
	}
	r = &hubRun{cmd: exec.Command(exe, "serve-hub", name, buffer), stuck: stuck, epoll: -1,
		buf: make([]byte, 256<<10), events: make([]unix.EpollEvent, 512)}
	r.cmd.Stderr = &r.stderr
	r.in, _ = r.cmd.StdinPipe()
	out, _ := r.cmd.StdoutPipe()
	r.out = bufio.NewReader(out)
	if err = startServer(r.cmd); err != nil {
		return nil, "", err
	}
	addr, err = r.out.ReadString('\n')
	return r, strings.TrimSpace(addr), err
}

// join connects n members. It returns the readings without and with them.
func (r *hubRun) join(addr string, n int, hello []byte) (empty, full hubReading, err error) {
	if empty, err = r.command("collect"); err != nil {
		return empty, full, err
	}
	if err = r.connect(addr, n, hello); err != nil {
		return empty, full, err
	}
	if _, err = r.command("join %d", n); err != nil {
		return empty, full, err
	}
	if hello != nil {
		r.due = r.alive
		r.receive(func() bool { return true })
	}
	r.due, r.got, r.lost = 0, 0, 0
	time.Sleep(hubTimes.idle)
	full, err = r.command("collect")
	return empty, full, err
}

func (r *hubRun) connect(addr string, n int, hello []byte) (err error) {
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
		for _, l := range links {
			if _, err := l.Write(hello); err != nil {
				return err
			}
		}
	}
	r.counters, r.alive = make([]counter, n), n-r.stuck
	for i, l := range r.links {
		fd := int(l.(socket))
		if i < r.stuck {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
			continue
		}
		unix.SetNonblock(fd, true)
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return err
		}
	}
	return nil
}

// receive waits until all members that read have got what is due. It writes off what has not come
// when nothing comes any more after it was sent, or each further message would wait for it again.
func (r *hubRun) receive(sent func() bool) {
	for r.got < r.due && (r.read(hubTimes.silence) || !sent()) {
	}
	r.lost += r.due - r.got
	r.due = r.got
}

// read reads what has come. It reports false if nothing came for so long.
func (r *hubRun) read(patience time.Duration) bool {
	n, err := unix.EpollWait(r.epoll, r.events, int(patience/time.Millisecond))
	for _, e := range r.events[:max(n, 0)] {
		r.readLink(int(e.Fd))
	}
	return n > 0 || err == unix.EINTR
}

func (r *hubRun) readLink(i int) {
	fd := int(r.links[i].(socket))
	n, err := unix.Read(fd, r.buf)
	if n <= 0 && err != unix.EAGAIN && err != unix.EINTR {
		unix.EpollCtl(r.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		r.alive--
		return
	}
	r.got += r.counters[i].take(r.buf[:max(n, 0)])
}

func (r *hubRun) stop() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
	if log := r.stderr.String(); log != "" {
		fmt.Fprintf(os.Stderr, "the hub logged %d bytes: %.400s\n", len(log), log)
	}
	closeLinks(r.links)
	if r.epoll >= 0 {
		unix.Close(r.epoll)
	}
}

// hubTimes are shorter in tests.
var hubTimes = struct {
	patience time.Duration // for a message. All together may take four times as long
	silence  time.Duration // the longest one in which a message may still come
	idle     time.Duration // how long members do nothing before their memory is read
}{20 * time.Second, 3 * time.Second, time.Second}

// A hubCase is a table.
type hubCase struct{ n, stuck, size, messages int }

var hubCases = []hubCase{
	{1000, 0, 125, 50},
	{10_000, 0, 125, 10},
	{1 << 30, 0, 125, 6}, // as many as descriptors allow
	{4000, 0, 2004, 60},
	{4000, 80, 2004, 150},
}

// The columns of a hub's sample. CPU time is the first, for ratio.
const (
	hubCPU      = iota // µs for a delivery
	hubIdle            // KB a member, before the first message
	hubAfter           // KB a member, after the last one
	hubHeld            // µs, median
	hubHeldMost        // µs
	hubGoroutines
	hubLost
)

// measureHub starts a hub, and measures it once.
func measureHub(b broadcaster, c hubCase) (result sample, err error) {
	r, addr, err := startHub(b.name, c.stuck)
	if r == nil {
		return nil, err
	}
	defer r.stop()
	var expired atomic.Bool
	r.alarm = time.AfterFunc(hubTimes.patience, func() {
		expired.Store(true)
		r.cmd.Process.Kill() // the command that waits for it fails
	})
	defer r.alarm.Stop()
	if err == nil {
		result, err = r.measure(addr, b, c)
	}
	if err != nil && expired.Load() {
		err = fmt.Errorf("did not get on for %v: it was in message %d of %d", hubTimes.patience, r.message, c.messages)
	}
	return result, err
}

// measure sends all messages.
func (r *hubRun) measure(addr string, b broadcaster, c hubCase) (result sample, err error) {
	empty, full, err := r.join(addr, c.n, b.hello)
	if err != nil {
		return nil, err
	}
	var held []time.Duration
	most := full.Goroutines
	for end := time.Now().Add(4 * hubTimes.patience); r.message < c.messages; {
		if time.Now().After(end) {
			return nil, fmt.Errorf("was too slow: %d of %d messages in %v", r.message, c.messages, 4*hubTimes.patience)
		}
		r.alarm.Reset(hubTimes.patience)
		r.message++
		r.due += r.alive
		reading, err := r.publish(c.size)
		if err != nil {
			return nil, err
		}
		held = append(held, reading.Held)
		most = max(most, reading.Goroutines)
	}
	after, err := r.command("read")
	if err != nil {
		return nil, err
	}
	most = max(most, after.Goroutines)
	collected, err := r.command("collect")
	if err != nil {
		return nil, err
	}
	slices.Sort(held)
	each := func(resident uint64) float64 {
		return (float64(resident) - float64(empty.Resident)) / float64(c.n) / 1000
	}
	return sample{
		hubCPU:        float64((after.CPU - full.CPU).Nanoseconds()) / float64(r.got) / 1000,
		hubIdle:       each(full.Resident),
		hubAfter:      each(collected.Resident),
		hubHeld:       float64(held[len(held)/2].Microseconds()),
		hubHeldMost:   float64(held[len(held)-1].Microseconds()),
		hubGoroutines: float64(most - full.Goroutines),
		hubLost:       float64(r.lost),
	}, nil
}

// measureHubs is the command.
func measureHubs(args []string) error {
	flags := flag.NewFlagSet("hubs", flag.ExitOnError)
	only := flags.String("only", "", "only `hubs` with these names, with commas between them")
	stuckOnly := flags.Bool("stuck", false, "only the runs of 4,000 members")
	rounds := flags.Int("rounds", 3, "how often each hub is measured, in turns")
	flags.Parse(args)
	selected := slices.DeleteFunc(slices.Clone(broadcasters), func(b broadcaster) bool {
		return *only != "" && !slices.Contains(strings.Split(*only, ","), b.name)
	})
	if *rounds < 1 {
		return fmt.Errorf("-rounds is %d, want 1 or more", *rounds)
	}
	if err := pinLoad(); err != nil {
		return err
	}
	printHubs(os.Stdout, *rounds)
	for _, c := range hubCases {
		if *stuckOnly && c.n != 4000 {
			continue
		}
		c.n = min(c.n, descriptors()-500)
		printHubCase(os.Stdout, c)
		for _, row := range measureHubCase(selected, c, *rounds) {
			fmt.Println(row)
		}
	}
	fmt.Printf("\nThe load average was %s at the end.\n", loadAverage())
	return nil
}

// measureHubCase measures all hubs in turns, and returns a row for each. A hub that failed is not
// measured again.
func measureHubCase(hubs []broadcaster, c hubCase, rounds int) (rows []string) {
	samples, failed := make([][]sample, len(hubs)), make([]error, len(hubs))
	for range rounds {
		for i, b := range hubs {
			if failed[i] == nil {
				var s sample
				s, failed[i] = measureHub(b, c)
				samples[i] = append(samples[i], s)
			}
		}
	}
	raw := slices.IndexFunc(hubs, func(b broadcaster) bool { return b.name == "raw" })
	for i, b := range hubs {
		switch {
		case failed[i] != nil:
			rows = append(rows, fmt.Sprintf("| %s | %v |", b.name, failed[i]))
		case raw < 0 || failed[raw] != nil:
			rows = append(rows, hubRow(b.name, samples[i], nil))
		default:
			rows = append(rows, hubRow(b.name, samples[i], samples[raw]))
		}
	}
	return rows
}

// hubRow has the medians, but the highest figure of what is lost.
func hubRow(name string, samples, raw []sample) string {
	times := "–"
	if raw != nil {
		times = fmt.Sprintf("%.2f", ratio(samples, raw))
	}
	mid := func(i int) float64 { return median(column(samples, i)) }
	micro := func(i int) time.Duration { return time.Duration(mid(i)) * time.Microsecond }
	return fmt.Sprintf("| %s | %.2f | %s | %.2f | %.2f | %v | %v | %.0f | %.0f |", name, mid(hubCPU), times,
		mid(hubIdle), mid(hubAfter), micro(hubHeld), micro(hubHeldMost), mid(hubGoroutines), slices.Max(column(samples, hubLost)))
}

// printHubs prints what the rows are.
func printHubs(out io.Writer, rounds int) {
	fmt.Fprintf(out, "`go run . hubs` on %s, %s, %s, with the hub and its members on a CPU each. "+
		"Medians of %d rounds, in which the hubs take turns. The rows:\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), cpuModel(), rounds)
	for _, b := range broadcasters {
		fmt.Fprintf(out, "- %s: %s\n", strings.TrimSpace(b.name+" "+version(b.module)), b.how)
	}
	fmt.Fprintf(out, `
"× raw" is the median of the ratios within a round. "KB" is 1,000 bytes of resident memory of the hub's process for
each member, its connection included: "idle" before the first message, "after" after the last one. "held" is how
long the call that publishes took. "goroutines more" is the most that ran beside those of the idle hub. "lost" is the
most messages that did not reach members who read.
`)
}

func printHubCase(out io.Writer, c hubCase) {
	stuck := ""
	if c.stuck > 0 {
		stuck = fmt.Sprintf(", of which %d never read", c.stuck)
	}
	fmt.Fprintf(out, "\n%d members%s, %d messages of %d bytes:\n\n", c.n, stuck, c.messages, c.size)
	fmt.Fprintln(out, "| hub | CPU µs a delivery | × raw | KB a member, idle | KB after | held, median | held, most | goroutines more | lost |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|")
}
