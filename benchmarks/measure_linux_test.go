package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// The servers' processes are this test's program, too.
func TestMain(m *testing.M) {
	servers = append(servers, liars...)
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		fmt.Fprintln(os.Stderr, serveChild(os.Args[2:]))
		os.Exit(1)
	}
	broadcasters = append(broadcasters, badHubs...)
	if len(os.Args) > 1 && os.Args[1] == "serve-hub" {
		fmt.Fprintln(os.Stderr, serveHub(os.Args[2:]))
		os.Exit(1)
	}
	broadcasters = broadcasters[:len(broadcasters)-len(badHubs)]
	servers = servers[:len(servers)-len(liars)]
	os.Exit(m.Run())
}

var tiny = &bench{length: 20 * time.Millisecond}

// Every server echoes, or else there is an error. The first message on each connection is compared,
// and the bytes of all others are counted.
func TestEcho(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			for _, size := range []int{0, 125, 70000} {
				if s.smallOnly && size != 125 {
					continue
				}
				v, err := tiny.echo(s, 3, size, 2)
				if err != nil || v[0] <= 0 {
					t.Errorf("%d bytes: %v, %v", size, v, err)
				}
			}
		})
	}
}

func TestDeflate(t *testing.T) {
	for _, s := range servers {
		for _, takeover := range []bool{false, true} {
			if !s.deflate || takeover && !s.takeover {
				continue
			}
			t.Run(fmt.Sprint(s.name, takeover), func(t *testing.T) {
				v, err := tiny.deflate(s, takeover)
				if err != nil || v[0] <= 0 || v[1] <= 0 || v[1] > 700 {
					t.Errorf("%v, %v", v, err)
				}
			})
		}
	}
}

func TestBroadcast(t *testing.T) {
	for _, s := range servers {
		if !whole(s) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if v, err := tiny.broadcast(s, 70); err != nil || v[0] <= 0 {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
}

func TestIdle(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			v, err := tiny.idle(s, job{TLS: !s.noTLS}, 70)
			if err != nil || v[2] <= 0 {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
}

func TestScale(t *testing.T) {
	for _, s := range servers {
		if !holdsMany(s) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			v, err := tiny.scale(s, 300)
			if err != nil || len(v) != len(scaleColumns) || v[0] <= 0 || v[1] <= 0 || v[2] <= 0 || v[3] <= 0 {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
}

func TestHandshakes(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			if v, err := tiny.handshakes(s); err != nil || v[0] <= 0 {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
}

// Latencies are sorted, and none is missing.
func TestOpenLoop(t *testing.T) {
	ss, err := start(servers[0], job{}, 5, plain(125, 32))
	if err != nil {
		t.Fatal(err)
	}
	defer ss.stop()
	if err := ss.drive(); err != nil {
		t.Fatal(err)
	}
	latencies, err := ss.load.openLoop(2000, 50*time.Millisecond)
	if err != nil || len(latencies) != 100 || latencies[0] <= 0 {
		t.Fatalf("%d latencies, %v; want 100", len(latencies), err)
	}
	for i, l := range latencies[1:] {
		if l < latencies[i] {
			t.Fatalf("latency %d is %d, that before %d", i+1, l, latencies[i])
		}
	}
}

// liars are servers that do not echo.
var liars = []*server{
	{name: "wrong content", serve: lie(func(i int, frame []byte) []byte { frame[len(frame)-1]++; return frame })},
	{name: "later too short", serve: lie(func(i int, frame []byte) []byte {
		if i < 2 {
			return frame
		}
		return appendServerFrame(nil, finBinary, frame[3:])
	})},
	{name: "later a close frame", serve: lie(func(i int, frame []byte) []byte {
		if i < 2 {
			return frame
		}
		return appendServerFrame(nil, 0x88, nil)
	})},
	{name: "text", serve: lie(func(i int, frame []byte) []byte { frame[0] = finText; return frame })},
}

// lie answers the i-th message of a connection with the right answer changed by change. All
// messages have 5 bytes.
func lie(change func(i int, frame []byte) []byte) func(net.Listener, *job) error {
	return func(ln net.Listener, _ *job) error {
		return accept(ln, func(nc net.Conn) {
			defer nc.Close()
			if !rawUpgrade(nc) {
				return
			}
			right := appendServerFrame(nil, finBinary, plainScript(5, 1).first)
			b := make([]byte, 11)
			for i := 0; ; i++ {
				if _, err := readFull(nc, b); err != nil {
					return
				}
				nc.Write(change(i, append([]byte(nil), right...)))
			}
		})
	}
}

func readFull(nc net.Conn, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = nc.Read(b[n:])
		n += k
	}
	return n, err
}

func TestLiarsAreFound(t *testing.T) {
	for i, want := range []string{"the answer is wrong", "bytes came back", "a close frame", "the answer is wrong"} {
		if v, err := tiny.echo(liars[i], 2, 5, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, error %v; want %q", liars[i].name, v, err, want)
		}
	}
}

func TestPlan(t *testing.T) {
	for _, full := range []bool{false, true} {
		titles := make(map[string]bool)
		for _, m := range plan(full) {
			if titles[m.title] {
				t.Errorf("%q is there twice", m.title)
			}
			titles[m.title] = true
			taking := 0
			for _, s := range servers {
				if m.takes(s) {
					taking++
				}
			}
			if taking < 2 {
				t.Errorf("%q: %d servers", m.title, taking)
			}
		}
	}
	chosen, unknown := selectKinds(plan(false), kinds, "idle,sleep")
	if len(chosen) != 4 || len(unknown) != 1 {
		t.Errorf("%d measurements chosen, %v unknown; want 4, [sleep]", len(chosen), unknown)
	}
}

// A report of one tiny round has all that it should.
func TestReport(t *testing.T) {
	selected, _ := selectServers(servers, "raw,plainsocket-pull,gobwas")
	chosen, _ := selectKinds(plan(false), kinds, "echo")
	chosen = chosen[1:2]
	r := newReport("RESULTS.md", selected, 1, tiny.length)
	if err := runRounds(chosen, selected, 1, tiny.length); err != nil {
		t.Fatal(err)
	}
	r.tables = append(r.tables, &chosen[0].table)
	r.finish()
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(dir + "/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### Echo: 64 connections, 125 B, 1 in flight", "| **plainsocket-pull** |", "| gobwas |", "| raw |"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("the report has no %q:\n%s", want, md)
		}
	}
	svg, err := os.ReadFile(dir + "/plot.svg")
	if err != nil || !strings.Contains(string(svg), "Echo of 125 B, 64 connections") {
		t.Errorf("the plot: %v\n%s", err, svg)
	}
}

// A measurement that failed is an error in the end, and in its table.
func TestFailureIsReported(t *testing.T) {
	chosen, _ := selectKinds(plan(false), kinds, "echo")
	m := chosen[0]
	err := runRounds([]*measurement{m}, liars[:1], 2, tiny.length)
	if err == nil || err.Error() != "measurements that failed: 2" {
		t.Errorf("error %v", err)
	}
	if md := m.markdown(); !strings.Contains(md, "wrong content failed: ") {
		t.Errorf("the table does not say so:\n%s", md)
	}
}
