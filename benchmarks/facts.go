package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"
)

// A fact is an experiment. Its result goes into the table.
type fact struct {
	question string
	find     func(p peer, mux *http.ServeMux, addr string) string // addr is where mux is served
}

var facts = []fact{
	{"a read that a deadline ended in the middle of a frame is repeated", findTimeout},
	{"50 goroutines write on one connection", findStorm},
	{"text that is not UTF-8", send(frame(1, []byte("ab\xff\xfe")))},
	{"… the wrong byte has come, the rest of the frame has not", send(append(header(0x81, 1000), "ab\xff"...))},
	{"a length that is not in its shortest form", send([]byte{0x82, 0x80 | 126, 0, 1, 0, 0, 0, 0, 'x'})},
	{"a frame without a mask", send([]byte{0x82, 1, 'x'})},
	{"a close frame with code 1005", send(frame(8, []byte{0x03, 0xed}))},
	{"200,000 empty fragments", findFragments},
	{"a message of 64 MiB, no limit set", findLarge},
	{"a page from another origin", findOrigin},
	{"a message glued to the request", findGlued},
	{"`Connection: close, Upgrade`", findCloseUpgrade},
	{"a message comes while a write waits for the peer to read", whileStuck(frame(2, []byte("x")))},
	{"… a ping and a message", whileStuck(append(frame(9, nil), frame(2, []byte("x"))...))},
	{"an upload that takes longer than keepalive waits for a pong", findUpload},
	{"one of three members of a broadcast does not read: the others", findSlowMember},
	{"allocations for an echo of 125 bytes", findAllocations},
	{"heap and stack of an idle connection, more than a raw TCP echo's", findIdle},
}

func printFacts(w io.Writer) {
	fmt.Fprintf(w, "|")
	for _, p := range peers {
		fmt.Fprintf(w, " | %s", strings.TrimSpace(p.name+" "+version(p.module)))
	}
	fmt.Fprintf(w, " |\n|---%s|\n", strings.Repeat("|---", len(peers)))
	for _, f := range facts {
		fmt.Fprintf(w, "| %s", f.question)
		for _, p := range peers {
			fmt.Fprintf(w, " | %s", ask(f, p))
		}
		fmt.Fprintln(w, " |")
	}
}

// ask runs an experiment against a server of its own.
func ask(f fact, p peer) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", p.echo)
	mux.HandleFunc("/storm", p.storm)
	if p.timeout != nil {
		mux.HandleFunc("/timeout", p.timeout)
	}
	hs := httptest.NewServer(mux)
	defer hs.Close()
	return f.find(p, mux, hs.Listener.Addr().String())
}

// send returns the experiment that sends bytes and describes the server's answer.
func send(b []byte) func(peer, *http.ServeMux, string) string {
	return func(_ peer, _ *http.ServeMux, addr string) string {
		c, _, err := dial(addr, "/echo", nil)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.Write(b)
		return c.outcome()
	}
}

func findTimeout(p peer, _ *http.ServeMux, addr string) string {
	if p.timeout == nil {
		return "no such API"
	}
	c, _, err := dial(addr, "/timeout", nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	b := frame(2, []byte("half and half"))
	c.Write(b[:9])
	time.Sleep(3 * patience)
	c.Write(b[9:])
	if op, payload, err := c.read(); err == nil && op == 0x82 && string(payload) == "half and half" {
		return "goes on"
	}
	return "connection lost"
}

// findStorm tries often: a library that writes a frame in two calls is lucky
// most of the time.
func findStorm(_ peer, _ *http.ServeMux, addr string) string {
	for range 20 {
		if outcome := oneStorm(addr); outcome != allWhole {
			return outcome
		}
	}
	return allWhole
}

const allWhole = "all whole"

func oneStorm(addr string) string {
	c, _, err := dial(addr, "/storm", nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	want := bytes.Repeat([]byte("whole "), 2000)
	c.Write(frame(2, want))
	for range stormWriters * stormMessages {
		if op, payload, err := c.read(); err != nil || op != 0x82 || !bytes.Equal(payload, want) {
			return "panic, or frames mixed"
		}
	}
	return allWhole
}

func findFragments(_ peer, _ *http.ServeMux, addr string) string {
	c, _, err := dial(addr, "/echo", nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	go func() {
		c.Write(header(0x02, 0))
		chunk := bytes.Repeat(header(0x00, 0), 1000)
		for range 200 {
			c.Write(chunk)
		}
	}()
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if o := c.outcome(); o != "nothing" {
		return o
	}
	return "accepted"
}

func findLarge(_ peer, _ *http.ServeMux, addr string) string {
	c, _, err := dial(addr, "/echo", nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	go c.Write(frame(2, make([]byte, 64<<20)))
	return c.outcome()
}

func findOrigin(_ peer, _ *http.ServeMux, addr string) string {
	c, status, err := dial(addr, "/echo", nil, "Origin: https://evil.example")
	if err != nil {
		return err.Error()
	}
	c.Close()
	if status == http.StatusSwitchingProtocols {
		return "accepted"
	}
	return fmt.Sprint(status)
}

func findGlued(_ peer, _ *http.ServeMux, addr string) string {
	c, _, err := dial(addr, "/echo", frame(2, []byte("glued")))
	if err != nil {
		return "refused"
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Second))
	if _, payload, _ := c.read(); string(payload) == "glued" {
		return "delivered"
	}
	return "lost"
}

// findAllocations counts the allocations of the process. The client's part of the loop allocates
// nothing.
func findAllocations(_ peer, _ *http.ServeMux, addr string) string {
	c, _, err := dial(addr, "/echo", nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	b := frame(2, make([]byte, 125))
	echo := make([]byte, 127)
	const n = 5000
	var before, after runtime.MemStats
	for i := range n + 100 {
		if i == 100 {
			runtime.ReadMemStats(&before)
		}
		c.Write(b)
		if _, err := io.ReadFull(c.br, echo); err != nil {
			return err.Error()
		}
	}
	runtime.ReadMemStats(&after)
	return fmt.Sprintf("%.0f", float64(after.Mallocs-before.Mallocs)/n)
}

// findIdle compares with a raw TCP echo. The first measurement of a process also pays for memory
// that the runtime then keeps, so it does not count.
func findIdle(p peer, _ *http.ServeMux, _ string) string {
	idleBytes(rawEcho)
	more := idleBytes(p.echo) - idleBytes(rawEcho)
	return fmt.Sprintf("%.1f KB", float64(max(more, 0))/1000) // a raw echo has a buffer of its own
}

// rawEcho is a goroutine that reads into a buffer of a message's size.
func rawEcho(w http.ResponseWriter, r *http.Request) {
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	go func() {
		defer nc.Close()
		b := make([]byte, 131)
		for {
			if _, err := io.ReadFull(nc, b); err != nil {
				return
			}
			nc.Write(b[:127])
		}
	}()
}

// idleBytes returns the process's heap and stack for a connection, both ends, after one message.
func idleBytes(h http.HandlerFunc) int {
	const n = 2000
	hs := httptest.NewServer(h)
	defer hs.Close()
	used := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse)
	}
	before := used()
	clients := make([]*client, 0, n)
	echo, b := make([]byte, 127), frame(2, make([]byte, 125))
	for range n {
		c, _, err := dial(hs.Listener.Addr().String(), "/", nil)
		if err != nil {
			return 0
		}
		c.Write(b)
		io.ReadFull(c.br, echo)
		clients = append(clients, c)
	}
	after := used()
	for _, c := range clients {
		c.Close()
	}
	time.Sleep(200 * time.Millisecond)
	return (after - before) / n
}
