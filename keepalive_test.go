package websocket

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestPingSchedule(t *testing.T) {
	for _, tt := range []struct {
		interval, timeout time.Duration
		want              pingSchedule
	}{
		{0, 0, pingSchedule{}},
		{-1, time.Second, pingSchedule{}},
		{40 * time.Second, 0, pingSchedule{tick: 10 * time.Second, giveUp: 9, ping: 4}},
		{40 * time.Second, 15 * time.Second, pingSchedule{tick: 10 * time.Second, giveUp: 7, ping: 4}},
		{40 * time.Second, -1, pingSchedule{tick: 10 * time.Second, ping: 4}},
		{1, 1, pingSchedule{tick: time.Millisecond, giveUp: 6, ping: 4}},
	} {
		if got := newPingSchedule(tt.interval, tt.timeout); got != tt.want {
			t.Errorf("interval %v, timeout %v: %+v, want %+v", tt.interval, tt.timeout, got, tt.want)
		}
	}
}

// keepalivePairs are a server's end with keepalive, by its own timer and by a
// Server's ticker, and the bare transport of its peer.
var keepalivePairs = map[string]func(t *testing.T) (*Conn, net.Conn){
	"timer": func(t *testing.T) (*Conn, net.Conn) {
		s, c := net.Pipe()
		server := newConn(s, false)
		server.startKeepalive(newPingSchedule(40*time.Second, 20*time.Second))
		return server, c
	},
	"Server": func(t *testing.T) (*Conn, net.Conn) {
		s, c := net.Pipe()
		server := newConn(s, false)
		var m members
		if !m.add(server, newPingSchedule(40*time.Second, 20*time.Second)) {
			t.Fatal("not added")
		}
		m.ready(server)
		t.Cleanup(func() { m.remove(server) })
		return server, c
	},
}

// A silent peer gets a ping after 30 to 40 s, and is given up 20 to 40 s later.
func TestKeepaliveGivesUp(t *testing.T) {
	for name, pair := range keepalivePairs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, peer := pair(t)
				start := time.Now()
				ping := make(chan time.Duration, 1)
				go func() {
					io.ReadFull(peer, make([]byte, 2))
					ping <- time.Since(start)
				}()
				_, _, err := server.ReadMessage()
				pinged := <-ping
				var ne net.Error
				if err != ErrPongTimeout || !errors.As(err, &ne) || !ne.Timeout() {
					t.Errorf("read: %v, want ErrPongTimeout", err)
				}
				if pinged < 30*time.Second || pinged > 40*time.Second {
					t.Errorf("pinged after %v", pinged)
				}
				if silent := time.Since(start) - pinged; silent < 20*time.Second || silent > 40*time.Second {
					t.Errorf("given up %v after the ping", silent)
				}
				if err := server.WriteMessage(TextMessage, nil); err != ErrPongTimeout {
					t.Errorf("write after it: %v, want ErrPongTimeout", err)
				}
				peer.Close()
			})
		})
	}
}

// Trace gets the same error as reads, also if the library reads.
func TestKeepaliveGivesUpTrace(t *testing.T) {
	told := make(chan error, 1)
	srv := &Server{OnMessage: handleEcho}
	srv.PingInterval = 8 * time.Millisecond
	srv.Trace = &Trace{Closed: func(_ *Conn, err error) { told <- err }}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()
	c, _, err := DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // the application does not read
	if err := <-told; err != ErrPongTimeout {
		t.Errorf("told %v, want ErrPongTimeout", err)
	}
}

// Every byte that arrives is life: one byte of a frame in time is enough.
func TestKeepaliveHearsAnything(t *testing.T) {
	for name, pair := range keepalivePairs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, peer := pair(t)
				go io.Copy(io.Discard, peer)
				go func() {
					for _, b := range frame(opText, true, "slow but there", testKey) {
						time.Sleep(50 * time.Second)
						peer.Write([]byte{b})
					}
				}()
				if _, p, err := server.ReadMessage(); err != nil || string(p) != "slow but there" {
					t.Errorf("ReadMessage: %q, %v", p, err)
				}
				server.Close()
				peer.Close()
			})
		})
	}
}

// While the application does not read, the peer cannot be heard, and is not given up.
func TestKeepaliveNeedsAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, peer := keepalivePairs["timer"](t)
		time.Sleep(time.Hour)
		go peer.Write(frame(opText, true, "x", testKey))
		if _, _, err := server.ReadMessage(); err != nil {
			t.Errorf("read after an hour of work: %v", err)
		}
		server.Close()
		peer.Close()
	})
}
