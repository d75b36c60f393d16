//go:build linux

// Measure compares WebSocket over HTTP/2 with WebSocket over HTTP/1.1: the memory of an idle
// connection, and the server's CPU time for a message. Both are over TLS, in turns, in the same run.
//
//	cd conformance/h2 && go run ./measure
package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/plainsocket/websocket"
	_ "github.com/plainsocket/websocket/conformance/h2/internal/early"

	"github.com/plainsocket/websocket/conformance/h2"
)

var (
	serves   = flag.Bool("serve", false, "be the server, which measures itself")
	rounds   = flag.Int("rounds", 5, "how often each figure is taken")
	idle     = flag.Int("idle", 1000, "idle connections")
	perTCP   = flag.Int("streams", 100, "streams for each TCP connection")
	duration = flag.Duration("time", time.Second, "time of each measurement of messages")
)

func main() {
	flag.Parse()
	if *serves {
		serve()
		return
	}
	fmt.Printf("%s %s/%s, %d rounds in turns, medians; over TLS, %d streams for each TCP connection\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, *rounds, *perTCP)
	fmt.Printf("| an idle connection, bytes of RSS | HTTP/1.1 | HTTP/2 | ratio |\n|---|--:|--:|--:|\n")
	for _, style := range []string{"OnMessage", "Handler"} {
		report(style, func(http2 bool) float64 { return memory(style, http2) })
	}
	fmt.Printf("\n| the server's CPU time for a message, µs | HTTP/1.1 | HTTP/2 | ratio |\n|---|--:|--:|--:|\n")
	for _, load := range []struct{ conns, size int }{{1, 125}, {100, 125}, {8, 16 << 10}, {8, 64 << 10}} {
		name := fmt.Sprintf("%d connections, %d bytes", load.conns, load.size)
		report(name, func(http2 bool) float64 { return messages(load.conns, load.size, http2) })
	}
}

// report measures in turns, and prints medians.
func report(name string, measure func(http2 bool) float64) {
	var one, two, ratios []float64
	for range *rounds {
		a, b := measure(false), measure(true)
		one, two, ratios = append(one, a), append(two, b), append(ratios, b/a)
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	a, b := median(one), median(two)
	format := "%.1f"
	if a > 1000 {
		format = "%.0f"
	}
	fmt.Printf("| %s | "+format+" | "+format+" | %.2f |\n", name, a, b, median(ratios))
}

// A child is a server in a process of its own.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func start(style string) *child {
	c := &child{cmd: exec.Command(os.Args[0], "-serve", style)}
	c.in, _ = c.cmd.StdinPipe()
	out, _ := c.cmd.StdoutPipe()
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		log.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	c.addr = c.line()
	return c
}

func (c *child) line() string {
	s, err := c.out.ReadString('\n')
	if err != nil {
		log.Fatal("the server: ", err)
	}
	return strings.TrimSpace(s)
}

func (c *child) ask(what string) float64 {
	fmt.Fprintln(c.in, what)
	v, err := strconv.ParseFloat(c.line(), 64)
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func (c *child) stop() {
	c.in.Close()
	c.cmd.Wait()
}

// connect opens n WebSockets.
func (c *child) connect(n int, http2 bool) (conns []*websocket.Conn, closeAll func()) {
	config := &tls.Config{InsecureSkipVerify: true}
	d := websocket.Dialer{TLSClientConfig: config}
	var client *h2.Client
	var clients []*h2.Client
	for i := range n {
		url := "wss://" + c.addr + "/"
		if http2 {
			if i%*perTCP == 0 {
				var err error
				if client, err = h2.Dial(c.addr, config, h2.Options{}); err != nil {
					log.Fatal(err)
				}
				clients = append(clients, client)
			}
			d.NetDialContext, url = client.DialStream, "ws://"+c.addr+"/"
		}
		conn, _, err := d.Dial(url, nil)
		if err != nil {
			log.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns, func() {
		for _, conn := range conns {
			conn.Close()
		}
		for _, client := range clients {
			client.Close()
		}
	}
}

func echo(conn *websocket.Conn, p []byte) {
	if err := conn.WriteMessage(websocket.BinaryMessage, p); err != nil {
		log.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err != nil {
		log.Fatal(err)
	}
}

// memory returns the bytes of RSS that the server has more for each idle connection.
func memory(style string, http2 bool) float64 {
	c := start(style)
	defer c.stop()
	warm, closeWarm := c.connect(10, http2)
	for _, conn := range warm {
		echo(conn, make([]byte, 125))
	}
	before := c.ask("memory")
	conns, closeAll := c.connect(*idle, http2)
	for _, conn := range conns {
		echo(conn, make([]byte, 125))
	}
	time.Sleep(300 * time.Millisecond)
	after := c.ask("memory")
	closeAll()
	closeWarm()
	return (after - before) / float64(*idle)
}

// messages returns the microseconds of CPU time that the server takes for a message.
func messages(n, size int, http2 bool) float64 {
	c := start("OnMessage")
	defer c.stop()
	conns, closeAll := c.connect(n, http2)
	defer closeAll()
	count := func(d time.Duration) (total int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		end := time.Now().Add(d)
		for _, conn := range conns {
			wg.Go(func() {
				own, p := 0, make([]byte, size)
				for time.Now().Before(end) {
					echo(conn, p)
					own++
				}
				mu.Lock()
				defer mu.Unlock()
				total += own
			})
		}
		wg.Wait()
		return total
	}
	count(*duration / 5)
	before := c.ask("cpu")
	total := count(*duration)
	return (c.ask("cpu") - before) / float64(total)
}

// serve is the server. It answers the questions on its standard input, and ends with that.
func serve() {
	ws := &websocket.Server{OnMessage: func(c *websocket.Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) }}
	if flag.Arg(0) == "Handler" {
		ws.Handler = func(c *websocket.Conn, _ *http.Request) {
			var buf []byte
			for {
				messageType, p, err := c.AppendMessage(buf[:0])
				if err != nil || c.WriteMessage(messageType, p) != nil {
					return
				}
				buf = p
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewUnstartedServer(ws)
	hs.Listener.Close()
	hs.Listener, hs.EnableHTTP2 = l, true
	hs.Config.ErrorLog = log.New(io.Discard, "", 0)
	hs.StartTLS()
	fmt.Println(l.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "memory":
			for range 3 {
				runtime.GC()
				debug.FreeOSMemory()
			}
			fmt.Println(rss())
		case "cpu":
			var u syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_SELF, &u)
			fmt.Println((u.Utime.Nano() + u.Stime.Nano()) / 1000)
		}
	}
}

func rss() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		log.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize()
}
