package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/plainsocket/websocket/internal/parktest"
)

// serveParked has srv serve a loopback port until t ends, and returns its address.
func serveParked(t *testing.T, srv *Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

// parkAlways has connections parked after every message until t ends.
func parkAlways(t *testing.T) {
	parktest.Always.Store(true)
	t.Cleanup(func() { parktest.Always.Store(false) })
}

// awaitParked waits until c is parked.
func awaitParked(t *testing.T, c *Conn) {
	t.Helper()
	for range 5000 {
		if c.flags.has(flagParked) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the connection is not parked")
}

// parkedEcho is a connection of an echo server with an eventLog, and its parked end.
func parkedEcho(t *testing.T, configure func(*Server)) (srv *Server, server, client *Conn, log *eventLog) {
	t.Helper()
	log = newEventLog()
	srv = &Server{OnOpen: log.open, OnClose: log.close, OnMessage: handleEcho}
	if configure != nil {
		configure(srv)
	}
	client, _, err := DefaultDialer.Dial("ws://"+serveParked(t, srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server = <-log.opened
	awaitParked(t, server)
	return srv, server, client, log
}

// parkedEchoes checks that the connection answers.
func parkedEchoes(t *testing.T, client *Conn) {
	t.Helper()
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	client.WriteMessage(TextMessage, []byte("are you there?"))
	if _, p, err := client.ReadMessage(); err != nil || string(p) != "are you there?" {
		t.Fatalf("echo: %q, %v", p, err)
	}
}

// A parked connection is like any other: each thing that can happen to one.
func TestParked(t *testing.T) {
	fast := func(s *Server) { s.PingInterval, s.PongTimeout = 8*time.Millisecond, -1 }
	for _, tt := range []struct {
		name      string
		configure func(*Server)
		run       func(t *testing.T, srv *Server, server, client *Conn, log *eventLog)
		want      func(err error) bool // of OnClose; nil if the connection lives
	}{
		{"message", nil, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			for range 3 {
				parkedEchoes(t, client)
				awaitParked(t, server)
			}
		}, nil},
		{"busy", nil, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			for range 100 {
				parkedEchoes(t, client)
			}
			time.Sleep(20 * time.Millisecond)
			if server.flags.has(flagParked) {
				t.Error("it is parked after every message")
			}
		}, nil},
		{"busy, then idle", fast, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			for range 100 {
				parkedEchoes(t, client)
			}
			awaitParked(t, server)
			parkedEchoes(t, client)
		}, nil},
		{"the peer closes", nil, func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) {
			client.Shutdown(context.Background(), 4001, "")
		}, isClose(4001)},
		{"the peer closes its half", nil, func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) {
			client.nc.(*net.TCPConn).CloseWrite()
		}, isClose(CloseAbnormalClosure)},
		{"reset", nil, func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) {
			client.nc.(*net.TCPConn).SetLinger(0)
			client.nc.Close()
		}, isErr(syscall.ECONNRESET)},
		{"Close", nil, func(_ *testing.T, _ *Server, server, _ *Conn, _ *eventLog) { server.Close() }, isErr(net.ErrClosed)},
		{"Shutdown", nil, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			go client.ReadMessage()
			if err := server.Shutdown(t.Context(), 4002, ""); err != nil {
				t.Error(err)
			}
		}, isClose(4002)},
		{"Shutdown, and no answer", func(s *Server) { s.CloseTimeout = 20 * time.Millisecond },
			func(t *testing.T, _ *Server, server, _ *Conn, _ *eventLog) {
				if err := server.Shutdown(t.Context(), 4002, ""); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}, isErr(net.ErrClosed)},
		{"Server.Shutdown", nil, func(t *testing.T, srv *Server, _, client *Conn, _ *eventLog) {
			go client.ReadMessage()
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}, isClose(CloseGoingAway)},
		{"Server.Close", nil, func(_ *testing.T, srv *Server, _, _ *Conn, _ *eventLog) { srv.Close() }, isErr(net.ErrClosed)},
		{"NetConn().Close", fast, func(_ *testing.T, _ *Server, server, _ *Conn, _ *eventLog) { server.NetConn().Close() }, isErr(net.ErrClosed)},
		{"SetReadDeadline", nil, func(_ *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			client.ReadMessage()
		}, isClose(CloseGoingAway)},
		{"SetReadDeadline, passed", nil, func(_ *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			server.SetReadDeadline(time.Unix(1, 0))
			client.ReadMessage()
		}, isClose(CloseGoingAway)},
		{"SetReadDeadline, lifted", nil, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			server.SetReadDeadline(time.Now().Add(time.Hour))
			parkedEchoes(t, client)
			time.Sleep(10 * time.Millisecond)
			if server.flags.has(flagParked) {
				t.Error("parked with a deadline")
			}
			server.SetReadDeadline(time.Time{})
			parkedEchoes(t, client)
			awaitParked(t, server)
			parkedEchoes(t, client)
		}, nil},
		{"a pong that does not come", func(s *Server) { s.PingInterval = 8 * time.Millisecond },
			func(*testing.T, *Server, *Conn, *Conn, *eventLog) {}, isErr(ErrPongTimeout)},
		{"pongs that come", func(s *Server) { s.PingInterval, s.PongTimeout = 40*time.Millisecond, 400*time.Millisecond },
			func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
				client.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
				if _, _, err := client.ReadMessage(); !isTimeout(err) {
					t.Fatal(err)
				}
				parkedEchoes(t, client)
			}, nil},
		{"SetReadLimit", nil, func(_ *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			server.SetReadLimit(3)
			client.WriteMessage(TextMessage, []byte("four"))
			client.ReadMessage()
		}, isErr(ErrReadLimit)},
		{"writes by others", nil, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			server.WriteMessage(TextMessage, []byte("1"))
			server.Enqueue(TextMessage, []byte("2"))
			for _, want := range []string{"1", "2"} {
				if _, p, err := client.ReadMessage(); string(p) != want {
					t.Errorf("got %q, %v, want %q", p, err, want)
				}
			}
			if !server.flags.has(flagParked) {
				t.Error("a write has taken it up")
			}
			parkedEchoes(t, client)
		}, nil},
		{"a slow peer", func(s *Server) { s.QueueLimit = -1 }, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			const n, size = 20, 1 << 20 // more than a socket takes
			for i := range n {
				if err := server.Enqueue(BinaryMessage, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Fatal(err)
				}
			}
			if m, _, _ := server.Queued(); m == 0 || !server.flags.has(flagParked) {
				t.Errorf("%d messages are queued; parked %v", m, server.flags.has(flagParked))
			}
			for i := range n {
				if _, p, err := client.ReadMessage(); len(p) != size || p[0] != byte(i) {
					t.Fatalf("message %d: %d bytes, %v", i, len(p), err)
				}
			}
			parkedEchoes(t, client)
		}, nil},
		{"a peer that is too slow", func(s *Server) { s.QueueLimit, s.QueueTimeout = -1, 50*time.Millisecond },
			func(_ *testing.T, _ *Server, server, _ *Conn, _ *eventLog) {
				for range 20 {
					server.Enqueue(BinaryMessage, make([]byte, 1<<20))
				}
			}, isErr(ErrQueueTimeout)},
		{"panic", func(s *Server) { s.OnMessage = func(*Conn, int, []byte) { panic(http.ErrAbortHandler) } },
			func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) {
				client.WriteMessage(TextMessage, nil)
				client.ReadMessage()
			}, isClose(CloseInternalServerErr)},
		{"Goexit", func(s *Server) { s.OnMessage = func(*Conn, int, []byte) { runtime.Goexit() } },
			func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) {
				client.WriteMessage(TextMessage, nil)
				client.ReadMessage()
			}, isClose(CloseInternalServerErr)},
		{"Close in OnMessage", func(s *Server) { s.OnMessage = func(c *Conn, _ int, _ []byte) { c.Close() } },
			func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) { client.WriteMessage(TextMessage, nil) }, isErr(net.ErrClosed)},
		{"a violation", nil, func(_ *testing.T, _ *Server, _, client *Conn, _ *eventLog) {
			client.nc.Write([]byte{0xf0, 0x80, 0, 0, 0, 0})
			client.ReadMessage()
			client.Close()
		}, isProtocolError},
		{"a ping", nil, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			pong := make(chan string, 1)
			client.SetPongHandler(func(s string) error { pong <- s; return nil })
			client.WriteControl(PingMessage, []byte("x"), time.Time{})
			awaitParked(t, server)
			parkedEchoes(t, client)
			if got := <-pong; got != "x" {
				t.Errorf("pong %q", got)
			}
		}, nil},
		{"part of a frame, then silence", fast, func(t *testing.T, srv *Server, server, client *Conn, _ *eventLog) {
			message := frame(opText, true, strings.Repeat("x", 1000), testKey)
			for _, cut := range []int{1, 5, 8, 100, 999} {
				awaitParked(t, server)
				client.nc.Write(message[:cut])
				time.Sleep(time.Millisecond)
				awaitParked(t, server) // at the latest, when its goroutine was called back
				if server.takeUp() {
					if server.in.buf != nil || server.in.partial != nil && cap(server.in.partial) > 2000 {
						t.Error("it holds a buffer")
					}
					go srv.resume(server)
				}
				client.nc.Write(message[cut:])
				if _, p, err := client.ReadMessage(); len(p) != 1000 {
					t.Fatalf("cut at %d: %q, %v", cut, p, err)
				}
			}
		}, nil},
		{"compression", func(s *Server) { s.Compression = new(Compression) }, func(t *testing.T, _ *Server, server, client *Conn, _ *eventLog) {
			client.Close()
			d := Dialer{Compression: new(Compression)}
			c, _, err := d.Dial("ws://"+server.LocalAddr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for range 20 {
				parkedEchoes(t, c)
			}
		}, isClose(CloseAbnormalClosure)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, server, client, log := parkedEcho(t, tt.configure)
			tt.run(t, srv, server, client, log)
			if tt.want == nil {
				parkedEchoes(t, client)
				client.Close()
				log.wait(t)
			} else if err := log.wait(t); !tt.want(err) {
				t.Errorf("OnClose: %v", err)
			}
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if srv.members.poller.Load() != nil {
				t.Error("the poller is left behind")
			}
		})
	}
}

// Which connections are parked, and which keep a goroutine.
func TestParkedWhere(t *testing.T) {
	dialUnix := func(t *testing.T, s *Server) *Conn {
		path := filepath.Join(t.TempDir(), "socket")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(l)
		d := Dialer{NetDial: func(string, string) (net.Conn, error) { return net.Dial("unix", path) }}
		c, _, err := d.Dial("ws://unix/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, tt := range map[string]struct {
		style string
		dial  func(t *testing.T, s *Server) *Conn
		want  bool
	}{
		"tcp":            {"OnMessage", eventNetworks["tcp"], true},
		"net/http":       {"OnMessage", eventNetworks["net/http"], true},
		"unix":           {"OnMessage", dialUnix, true},
		"tls":            {"OnMessage", eventNetworks["tls"], false},
		"pipe":           {"OnMessage", eventNetworks["pipe"], false},
		"HandleMessages": {"HandleMessages", eventNetworks["tcp"], false},
		"Handler":        {"Handler", eventNetworks["tcp"], false},
	} {
		t.Run(name, func(t *testing.T) {
			parkAlways(t)
			log := newEventLog()
			s := &Server{OnOpen: log.open, OnClose: log.close}
			s.PingInterval = 20 * time.Millisecond // a tick is a quarter of that
			s.PongTimeout = -1
			eventStyles[tt.style](s, handleEcho)
			c := tt.dial(t, s)
			defer c.Close()
			server := <-log.opened
			for range 10 {
				parkedEchoes(t, c)
			}
			if tt.want {
				awaitParked(t, server)
			}
			time.Sleep(30 * time.Millisecond) // some ticks
			for range 10 {
				parkedEchoes(t, c)
			}
			if got := server.flags.has(flagWatched); got != tt.want {
				t.Errorf("parked: %v, want %v", got, tt.want)
			}
			if err := server.Context().Err(); err != nil {
				t.Errorf("it has ended: %v", context.Cause(server.Context()))
			}
			c.Close()
			log.wait(t)
			s.Close()
		})
	}
}

// Frames that come with the request are handled at once, by net/http's path too.
func TestParkedGlued(t *testing.T) {
	for _, path := range []string{"Serve", "ServeHTTP"} {
		t.Run(path, func(t *testing.T) {
			srv := &Server{OnMessage: handleEcho}
			addr := ""
			if path == "Serve" {
				addr = serveParked(t, srv)
			} else {
				hs := httptest.NewServer(srv)
				defer hs.Close()
				defer srv.Close()
				addr = hs.Listener.Addr().String()
			}
			message := frame(opText, true, "hello", testKey)
			for cut := range len(message) + 1 {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(nc, goodRequest+string(message[:cut]))
				time.Sleep(time.Millisecond)
				nc.Write(message[cut:])
				nc.SetReadDeadline(time.Now().Add(10 * time.Second))
				want := goodResponse + "\x81\x05hello"
				got := make([]byte, len(want))
				if _, err := io.ReadFull(nc, got); err != nil || string(got) != want {
					t.Errorf("cut at %d: %q, %v", cut, got, err)
				}
				nc.Close()
			}
		})
	}
}

// A parked connection has neither goroutine nor buffer, also in the middle of a frame,
// and also with a value.
func TestParkedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred connections")
	}
	const n = 400
	idleCost(t, n, serveRaw)
	rawHeap, rawStack := idleCost(t, n, serveRaw)
	for name, tt := range map[string]struct {
		srv        *Server
		heapMargin int
	}{
		// Beyond what package net has: a Conn, and its place.
		"plain":             {&Server{OnMessage: handleDeep}, 320},
		"Value and OnClose": {&Server{OnMessage: handleDeep, OnClose: func(*Conn, error) {}, OnOpen: func(c *Conn, _ *http.Request) { c.SetValue(c) }}, 420},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				goroutines := runtime.NumGoroutine()
				most := 0
				heap, stack := idleCost(t, n, func(l net.Listener) {
					go func() {
						time.Sleep(50 * time.Millisecond)
						most = runtime.NumGoroutine()
					}()
					tt.srv.Serve(l)
				})
				t.Logf("heap %d, stack %d, raw TCP %d, %d; %d goroutines more", heap, stack, rawHeap, rawStack, most-goroutines)
				if heap <= rawHeap+tt.heapMargin && stack <= 400 {
					return
				}
			}
			t.Error("a parked connection costs too much")
		})
	}
}

func waitUntil(done func() bool) bool {
	for range 2000 {
		if done() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// Without a descriptor for the poller connections keep their goroutines, and are parked
// when there is one.
func TestParkedWithoutDescriptors(t *testing.T) {
	log := newEventLog()
	srv := &Server{OnOpen: log.open, OnMessage: handleEcho}
	srv.PingInterval, srv.PongTimeout = 20*time.Millisecond, -1
	addr := serveParked(t, srv)
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	time.Sleep(20 * time.Millisecond) // the other end is accepted
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Skip(err)
	}
	restored := false
	restore := func() {
		if !restored {
			restored = true
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				t.Error(err)
			}
		}
	}
	defer restore()
	io.WriteString(client, goodRequest)
	io.ReadFull(client, make([]byte, len(goodResponse)))
	server := <-log.opened
	c := newConn(client, true)
	for range 10 {
		parkedEchoes(t, c)
		time.Sleep(2 * time.Millisecond)
	}
	if server.flags.has(flagParked) || srv.members.poller.Load() != nil {
		t.Error("parked without a descriptor")
	}
	restore()
	parkedEchoes(t, c)
	awaitParked(t, server)
	parkedEchoes(t, c)
}

// No message is lost around the moment in which a connection is parked or taken up, and
// their order is kept. PARK_STRESS is how many messages are tried.
func TestParkedWakeups(t *testing.T) {
	messages := 20_000
	if testing.Short() || raceEnabled() {
		messages = 4000
	}
	if n, err := strconv.Atoi(os.Getenv("PARK_STRESS")); err == nil {
		messages = n
	}
	for _, budget := range []string{"always", "as ever"} {
		for _, network := range []string{"Serve", "ServeHTTP"} {
			t.Run(budget+", "+network, func(t *testing.T) {
				if budget == "always" {
					parkAlways(t)
				}
				srv := &Server{OnMessage: handleEcho}
				srv.PingInterval, srv.PongTimeout = 8*time.Millisecond, -1 // a tick is 2 ms
				addr := ""
				if network == "Serve" {
					addr = serveParked(t, srv)
				} else {
					hs := httptest.NewServer(srv)
					defer hs.Close()
					defer srv.Close()
					addr = hs.Listener.Addr().String()
				}
				var wg sync.WaitGroup
				var lost atomic.Int32
				pauses := []time.Duration{0, 60 * time.Microsecond, 2 * time.Millisecond, 12 * time.Millisecond}
				start := time.Now()
				var all atomic.Int64
				for _, pause := range pauses {
					for range 8 {
						wg.Go(func() {
							for lost.Load() == 0 && all.Load() < int64(messages) {
								n, err := wakeups(addr, pause, 200)
								if err != nil {
									lost.Add(1)
									t.Errorf("pauses to %v, after %d: %v", pause, n, err)
								}
								all.Add(int64(n))
							}
						})
					}
				}
				wg.Wait()
				t.Logf("%d messages in %v", all.Load(), time.Since(start).Round(time.Millisecond))
			})
		}
	}
}

// wakeups sends bursts of one to three messages on one connection, with pauses, and
// waits for the answers.
func wakeups(addr string, pause time.Duration, bursts int) (n int, err error) {
	c, _, err := DefaultDialer.Dial("ws://"+addr, nil)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var out, in uint64
	for range bursts {
		burst := 1 + rand.IntN(3)
		for range burst {
			out++
			c.WriteMessage(BinaryMessage, binary.BigEndian.AppendUint64(nil, out))
		}
		for range burst {
			in++
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, p, err := c.ReadMessage()
			if err != nil {
				return n, err
			}
			if got := binary.BigEndian.Uint64(p); got != in {
				return n, fmt.Errorf("got message %d, want %d", got, in)
			}
			n++
		}
		if pause > 0 {
			time.Sleep(rand.N(pause))
		}
	}
	return n, nil
}

// Connections that are closed at random moments, in every way there is, end once each,
// and no other connection is hit, though descriptors and places are used again.
// PARK_STRESS is how many are tried.
func TestParkedCloseRaces(t *testing.T) {
	connections := 1500
	if testing.Short() || raceEnabled() {
		connections = 300
	}
	if n, err := strconv.Atoi(os.Getenv("PARK_STRESS")); err == nil {
		connections = n / 50
	}
	parkAlways(t)
	var opened, closed, told, tried atomic.Int64
	ends := []func(c *Conn){
		func(c *Conn) { c.Close() },
		func(c *Conn) { c.SetReadDeadline(time.Now().Add(rand.N(time.Millisecond))) },
		func(c *Conn) { c.Shutdown(context.Background(), CloseNormalClosure, "") },
		func(c *Conn) { c.NetConn().Close() },
		func(c *Conn) { c.SetReadDeadline(time.Unix(1, 0)) },
		func(c *Conn) { c.SetReadDeadline(time.Now().Add(time.Hour)); c.SetReadDeadline(time.Time{}); c.Close() },
		func(*Conn) {}, // the peer goes
	}
	srv := &Server{
		OnOpen: func(c *Conn, r *http.Request) {
			opened.Add(1)
			if r.URL.Path == "/stay" {
				return
			}
			go func() {
				time.Sleep(rand.N(3 * time.Millisecond))
				ends[rand.IntN(len(ends))](c)
			}()
		},
		OnMessage: handleEcho,
		OnClose: func(c *Conn, err error) {
			closed.Add(1)
			if err == nil || c.flags.has(flagParked) {
				t.Errorf("OnClose: %v, parked %v", err, c.flags.has(flagParked))
			}
		},
	}
	srv.PingInterval, srv.PongTimeout = 8*time.Millisecond, -1
	srv.Trace = &Trace{Closed: func(*Conn, error) { told.Add(1) }}
	addr := serveParked(t, srv)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() { // who must not be hit
			c, _, err := DefaultDialer.Dial("ws://"+addr+"/stay", nil)
			if err != nil {
				t.Error(err)
				return
			}
			tried.Add(1)
			defer c.Close()
			for !isDone(stop) {
				c.SetReadDeadline(time.Now().Add(20 * time.Second))
				c.WriteMessage(TextMessage, []byte("x"))
				if _, _, err := c.ReadMessage(); err != nil {
					t.Errorf("a connection that nobody closed: %v", err)
					return
				}
				time.Sleep(rand.N(time.Millisecond))
			}
		})
	}
	var victims sync.WaitGroup
	for range 16 {
		victims.Go(func() {
			for range connections / 16 {
				c, _, err := DefaultDialer.Dial("ws://"+addr+"/go", nil)
				if err != nil {
					continue // the end may come with the answer
				}
				tried.Add(1)
				for range rand.IntN(20) {
					c.SetReadDeadline(time.Now().Add(20 * time.Second))
					if c.WriteMessage(TextMessage, []byte("x")) != nil {
						break
					}
					if _, _, err := c.ReadMessage(); err != nil {
						if isTimeout(err) {
							t.Errorf("a connection hangs: %v", err)
						}
						break
					}
				}
				c.Close()
			}
		})
	}
	victims.Wait()
	close(stop)
	wg.Wait()
	if !waitUntil(func() bool { return closed.Load() == opened.Load() && told.Load() == opened.Load() }) || opened.Load() < tried.Load() {
		t.Errorf("%d opened, %d closed, %d told of, %d tried", opened.Load(), closed.Load(), told.Load(), tried.Load())
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// The matrix of halves, with a connection that is parked after every message.
func TestHalvesParked(t *testing.T) {
	parkAlways(t)
	kinds := []halfKind{{"tcp", false, "OnMessage"}}
	t.Run("reading", func(t *testing.T) { runHalves(t, kinds, halfReadingRows()) })
	t.Run("writing", func(t *testing.T) { runHalves(t, kinds, halfWritingRows()) })
}
