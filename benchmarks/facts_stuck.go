package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// Experiments with a peer that does not read, or cannot answer for a while.

// A stuckHandler serves a connection: one goroutine writes large until that fails, and what the
// library delivers meanwhile goes to arrived.
type stuckHandler func(w http.ResponseWriter, r *http.Request, arrived chan<- struct{})

var large = make([]byte, 1<<20)

// whileStuck returns the experiment that sends bytes, a message at their end, to a server whose
// write waits for the client to read.
func whileStuck(b []byte) func(peer, *http.ServeMux, string) string {
	return func(p peer, mux *http.ServeMux, addr string) string {
		arrived := make(chan struct{}, 1)
		mux.HandleFunc("/stuck", func(w http.ResponseWriter, r *http.Request) { p.stuck(w, r, arrived) })
		c, _, err := dial(addr, "/stuck", nil)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		time.Sleep(500 * time.Millisecond) // for the kernel's buffers to be full
		start := time.Now()
		c.Write(b)
		select {
		case <-arrived:
		case <-time.After(7 * time.Second):
			return "not read"
		}
		if s := time.Since(start).Seconds(); s >= 0.5 {
			return fmt.Sprintf("read after %.0f s", s)
		}
		return "read at once"
	}
}

func plainStuck(w http.ResponseWriter, r *http.Request, arrived chan<- struct{}) {
	plainUpgrade(w, r, func(c *websocket.Conn) {
		go writeAll(func() error { return c.WriteMessage(websocket.BinaryMessage, large) })
		readAll(arrived, func() error { _, _, err := c.ReadMessage(); return err })
	})
}

func gorillaStuck(w http.ResponseWriter, r *http.Request, arrived chan<- struct{}) {
	gorillaUpgrade(w, r, func(c *gorilla.Conn) {
		go writeAll(func() error { return c.WriteMessage(gorilla.BinaryMessage, large) })
		readAll(arrived, func() error { _, _, err := c.ReadMessage(); return err })
	})
}

func coderStuck(w http.ResponseWriter, r *http.Request, arrived chan<- struct{}) {
	coderAccept(w, r, func(ctx context.Context, c *coder.Conn) {
		go writeAll(func() error { return c.Write(ctx, coder.MessageBinary, large) })
		readAll(arrived, func() error { _, _, err := c.Read(ctx); return err })
	})
}

func gobwasStuck(w http.ResponseWriter, r *http.Request, arrived chan<- struct{}) {
	nc, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer nc.Close()
	go writeAll(func() error { return wsutil.WriteServerBinary(nc, large) })
	readAll(arrived, func() error { _, _, err := wsutil.ReadClientData(nc); return err })
}

func gwsStuck(w http.ResponseWriter, r *http.Request, arrived chan<- struct{}) {
	u := gws.NewUpgrader(&gwsFacts{onMessage: func(c *gws.Conn, m *gws.Message) {
		m.Close()
		arrived <- struct{}{}
	}}, nil)
	if c, err := u.Upgrade(w, r); err == nil {
		go writeAll(func() error { return c.WriteMessage(gws.OpcodeBinary, large) })
		c.ReadLoop()
	}
}

func writeAll(write func() error) {
	for write() == nil {
	}
}

func readAll(arrived chan<- struct{}, read func() error) {
	for read() == nil {
		arrived <- struct{}{}
	}
}

// Keepalive: a ping after pingAfter, and the peer is given up if it was silent for as long again.
const pingAfter = 150 * time.Millisecond

// findUpload sends one frame for longer than the server waits for a pong. The client cannot send a
// pong before the frame's end.
func findUpload(p peer, mux *http.ServeMux, addr string) string {
	if p.kept == nil {
		return "no such API"
	}
	mux.HandleFunc("/kept", p.kept)
	c, _, err := dial(addr, "/kept", nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	b := frame(2, make([]byte, 100_000))
	for i := range 10 {
		if i > 0 {
			time.Sleep(pingAfter)
		}
		c.Write(b[i*len(b)/10 : (i+1)*len(b)/10])
	}
	for {
		switch op, _, err := c.read(); {
		case err != nil:
			return "connection lost"
		case op == 0x82:
			return "arrives"
		case op == 0x88:
			return "close"
		}
	}
}

func plainKept(w http.ResponseWriter, r *http.Request) {
	u := websocket.Upgrader{PingInterval: pingAfter}
	if c, err := u.Upgrade(w, r, nil); err == nil {
		defer c.Close()
		writeAll(func() error {
			t, p, err := c.ReadMessage()
			if err != nil {
				return err
			}
			return c.WriteMessage(t, p)
		})
	}
}

// gorillaKept is as in the chat example: pings by a ticker, and a read deadline that pongs move.
func gorillaKept(w http.ResponseWriter, r *http.Request) {
	gorillaUpgrade(w, r, func(c *gorilla.Conn) {
		extend := func(string) error { return c.SetReadDeadline(time.Now().Add(2 * pingAfter)) }
		extend("")
		c.SetPongHandler(extend)
		ticker := time.NewTicker(pingAfter)
		defer ticker.Stop()
		go func() {
			for range ticker.C {
				if c.WriteControl(gorilla.PingMessage, nil, time.Now().Add(time.Second)) != nil {
					return
				}
			}
		}()
		t, p, err := c.ReadMessage()
		if err == nil {
			c.WriteMessage(t, p)
		}
	})
}

// coderKept pings with a context that ends, as its documentation of Ping advises.
func coderKept(w http.ResponseWriter, r *http.Request) {
	coderAccept(w, r, func(ctx context.Context, c *coder.Conn) {
		c.SetReadLimit(1 << 20)
		go func() {
			for range 20 {
				time.Sleep(pingAfter)
				ctx, cancel := context.WithTimeout(ctx, pingAfter)
				err := c.Ping(ctx)
				cancel()
				if err != nil {
					c.CloseNow()
					return
				}
			}
		}()
		t, p, err := c.Read(ctx)
		if err == nil {
			c.Write(ctx, t, p)
		}
	})
}

// gwsKept is as in its README: a deadline that pings of the client move.
func gwsKept(w http.ResponseWriter, r *http.Request) {
	u := gws.NewUpgrader(&gwsFacts{onMessage: func(c *gws.Conn, m *gws.Message) {
		defer m.Close()
		c.WriteMessage(m.Opcode, m.Bytes())
	}}, nil)
	if c, err := u.Upgrade(w, r); err == nil {
		c.SetDeadline(time.Now().Add(2 * pingAfter))
		c.ReadLoop()
	}
}

// findSlowMember publishes to three members, of which one does not read. The next message is
// published when both others have got the last one.
func findSlowMember(p peer, mux *http.ServeMux, addr string) string {
	const size, total = 64 << 10, 24 << 20 // more than the kernel buffers
	joined := make(chan struct{}, 3)
	join, publish := p.broadcast()
	mux.HandleFunc("/join", func(w http.ResponseWriter, r *http.Request) { join(w, r, func() { joined <- struct{}{} }) })
	var members [3]*client
	for i := range members {
		c, _, err := dial(addr, "/join", nil)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		members[i] = c
		<-joined
	}
	for range total / size {
		published := make(chan struct{})
		go func() {
			publish(make([]byte, size))
			close(published)
		}()
		for _, c := range members[1:] {
			c.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, payload, err := c.read(); err != nil || len(payload) != size {
				return "wait"
			}
		}
		select {
		case <-published:
		case <-time.After(2 * time.Second):
			return "go on, the publisher waits"
		}
	}
	return "go on"
}

// A joiner serves a member until its connection ends. It calls joined once messages reach it.
type joiner func(w http.ResponseWriter, r *http.Request, joined func())

func plainBroadcast() (joiner, func([]byte)) {
	topics := new(pubsub.Topics)
	join := func(w http.ResponseWriter, r *http.Request, joined func()) {
		plainUpgrade(w, r, func(c *websocket.Conn) {
			topics.Subscribe(c, "all")
			joined()
			for range c.Messages() {
			}
		})
	}
	return join, pubsubPublisher(topics)
}

// A memberList is a broadcast by a loop over all members.
type memberList[C any] struct {
	mu      sync.Mutex
	members []C
}

func (l *memberList[C]) add(c C) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = append(l.members, c)
}

func (l *memberList[C]) each(send func(c C)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.members {
		send(c)
	}
}

func gorillaBroadcast() (joiner, func([]byte)) {
	var l memberList[*gorilla.Conn]
	join := func(w http.ResponseWriter, r *http.Request, joined func()) {
		gorillaUpgrade(w, r, func(c *gorilla.Conn) {
			l.add(c)
			joined()
			c.ReadMessage()
		})
	}
	return join, func(p []byte) {
		pm, _ := gorilla.NewPreparedMessage(gorilla.BinaryMessage, p)
		l.each(func(c *gorilla.Conn) { c.WritePreparedMessage(pm) })
	}
}

func coderBroadcast() (joiner, func([]byte)) {
	var l memberList[*coder.Conn]
	join := func(w http.ResponseWriter, r *http.Request, joined func()) {
		coderAccept(w, r, func(ctx context.Context, c *coder.Conn) {
			l.add(c)
			joined()
			c.Read(ctx)
		})
	}
	return join, func(p []byte) {
		l.each(func(c *coder.Conn) { c.Write(context.Background(), coder.MessageBinary, p) })
	}
}

func gobwasBroadcast() (joiner, func([]byte)) {
	var l memberList[*gobwasMember]
	join := func(w http.ResponseWriter, r *http.Request, joined func()) {
		nc, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer nc.Close()
		l.add(&gobwasMember{func(frame []byte) { nc.Write(frame) }})
		joined()
		wsutil.ReadClientData(nc)
	}
	return join, func(p []byte) {
		frame := ws.MustCompileFrame(ws.NewBinaryFrame(p))
		l.each(func(m *gobwasMember) { m.write(frame) })
	}
}

type gobwasMember struct{ write func(frame []byte) }

func gwsBroadcast() (joiner, func([]byte)) {
	var l memberList[*gws.Conn]
	u := gws.NewUpgrader(&gwsFacts{onMessage: func(*gws.Conn, *gws.Message) {}}, nil)
	join := func(w http.ResponseWriter, r *http.Request, joined func()) {
		if c, err := u.Upgrade(w, r); err == nil {
			l.add(c)
			joined()
			c.ReadLoop()
		}
	}
	return join, func(p []byte) {
		b := gws.NewBroadcaster(gws.OpcodeBinary, p)
		defer b.Close()
		l.each(func(c *gws.Conn) { b.Broadcast(c) })
	}
}

// findCloseUpgrade sends the field that some proxies make of two: one of their own, and the
// client's.
func findCloseUpgrade(_ peer, _ *http.ServeMux, addr string) string {
	c, status, err := dial(addr, "/echo", frame(2, []byte("x")), "Connection: close, Upgrade")
	switch {
	case err != nil:
		return "cut off"
	case status != http.StatusSwitchingProtocols:
		c.Close()
		return fmt.Sprint(status)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Second))
	return c.outcome()
}
