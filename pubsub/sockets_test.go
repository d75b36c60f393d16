package pubsub_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// With sockets, a member that keeps up costs no goroutine, and one that is stuck costs one until it
// is closed. Those who read lose nothing.
func TestStuckMembersAmongMany(t *testing.T) {
	n, rounds := 4000, 40
	if testing.Short() || underRace {
		n = 400
	}
	const length = 8_000
	var topics pubsub.Topics
	var ended atomic.Int64
	srv := &websocket.Server{
		Upgrader: websocket.Upgrader{QueueLimit: 64 << 10, QueueTimeout: -1},
		OnOpen: func(c *websocket.Conn, _ *http.Request) {
			c.NetConn().(*net.TCPConn).SetWriteBuffer(32 << 10)
			topics.Subscribe(c, "x")
		},
		OnMessage: func(*websocket.Conn, int, []byte) {},
		OnClose:   func(*websocket.Conn, error) { ended.Add(1) },
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	defer srv.Close()

	var reading sync.WaitGroup
	var received atomic.Int64 // messages, by those who read
	stuck := n / 50
	dialer := &websocket.Dialer{NetDialContext: smallReceiveBuffer}
	for i := range n {
		c, _, err := dialer.Dial("ws://"+ln.Addr().String(), nil)
		if err != nil {
			t.Skipf("after %d connections: %v", i, err) // descriptors
		}
		defer c.Close()
		if i < stuck {
			continue
		}
		reading.Go(func() {
			for next := 0; ; next++ {
				_, p, err := c.ReadMessage()
				if err != nil {
					return
				}
				if got := numbers([]string{string(p)}); got[0] != next || len(p) != length {
					t.Errorf("message %d came when %d was due", got[0], next)
				}
				received.Add(1)
			}
		})
	}
	until(t, "all are members", func() bool { return topics.Len("x") == n })

	before := runtime.NumGoroutine()
	most := 0
	var held time.Duration
	for i := range rounds {
		pm := prepare(long(fmt.Sprint(i, " "), length))
		start := time.Now()
		topics.Publish("x", pm)
		held = max(held, time.Since(start))
		until(t, "a message has reached all who read", func() bool { return received.Load() == int64((i+1)*(n-stuck)) })
		most = max(most, runtime.NumGoroutine()-before)
	}
	until(t, "the stuck ones are cut off", func() bool {
		most = max(most, runtime.NumGoroutine()-before)
		return ended.Load() == int64(stuck)
	})
	t.Logf("%d goroutines more, publisher held for %v at most, %+v", most, held, topics.Stats())
	if most > stuck+runtime.GOMAXPROCS(0)+16 {
		t.Errorf("%d goroutines more, with %d stuck members", most, stuck)
	}
	if held > time.Second {
		t.Errorf("a publisher was held for %v", held)
	}
	if s := topics.Stats(); int(s.Closed) != stuck || int(s.Dropped) < stuck {
		t.Errorf("%+v; want %d closed", s, stuck)
	}
	srv.Close()
	reading.Wait()
	until(t, "all have left", func() bool { return topics.Stats().Members == 0 })
}

// smallReceiveBuffer dials with a buffer that is soon full.
func smallReceiveBuffer(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err == nil {
		err = c.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	return c, err
}
