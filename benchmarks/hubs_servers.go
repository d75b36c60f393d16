package main

// Hubs: servers that send what is published to all of their connections, each in the way that its
// library's documentation shows, or its users write.

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/olahol/melody"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// A broadcaster is a server with a way to publish.
type broadcaster struct {
	name string
	how  string

	// serve accepts connections on ln. It calls joined for each, and returns what publishes.
	serve func(ln net.Listener, joined func()) (publish func(payload []byte))
}

var broadcasters = []broadcaster{
	{"raw", "a loop of writes of one frame on net.Conns: no queue, so one stuck member holds all", serveRawHub},
	{"plainsocket", "`pubsub.Topics`, Server with Handler", servePubsub},
	{"plainsocket-events", "the same with OnMessage: members that say nothing have no goroutine", servePubsubEvents},
	{"gorilla", "a goroutine and a channel of 256 prepared messages for each member, as in its chat example", serveGorillaHub},
	{"melody", "`Melody.Broadcast`, all defaults but the message's size", serveMelody},
	{"gws", "`Broadcaster`, all defaults: it has no limit", serveGWSHub},
}

func serveRawHub(ln net.Listener, joined func()) func([]byte) {
	var mu sync.Mutex
	var members []net.Conn
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				if _, err := gobwas.Upgrade(c); err != nil {
					return
				}
				mu.Lock()
				members = append(members, c)
				mu.Unlock()
				joined()
				c.Read(make([]byte, 1))
			}()
		}
	}()
	return func(payload []byte) {
		frame := appendServerFrame(nil, finBinary, payload)
		mu.Lock()
		defer mu.Unlock()
		for _, c := range members {
			c.Write(frame)
		}
	}
}

func servePubsub(ln net.Listener, joined func()) func([]byte) {
	topics := new(pubsub.Topics)
	srv := &websocket.Server{
		Upgrader: websocket.Upgrader{QueueLimit: 64 << 10},
		Handler: func(c *websocket.Conn, _ *http.Request) {
			topics.Subscribe(c, "all")
			joined()
			for range c.Messages() {
			}
		},
	}
	go srv.Serve(ln)
	return func(payload []byte) {
		pm, _ := websocket.NewPreparedMessage(websocket.BinaryMessage, payload)
		topics.Publish("all", pm)
	}
}

func servePubsubEvents(ln net.Listener, joined func()) func([]byte) {
	topics := new(pubsub.Topics)
	srv := &websocket.Server{
		Upgrader: websocket.Upgrader{QueueLimit: 64 << 10},
		OnOpen: func(c *websocket.Conn, _ *http.Request) {
			topics.Subscribe(c, "all")
			joined()
		},
		OnMessage: func(*websocket.Conn, int, []byte) {},
	}
	go srv.Serve(ln)
	return func(payload []byte) {
		pm, _ := websocket.NewPreparedMessage(websocket.BinaryMessage, payload)
		topics.Publish("all", pm)
	}
}

func serveGorillaHub(ln net.Listener, joined func()) func([]byte) {
	var mu sync.Mutex
	members := make(map[*gorilla.Conn]chan *gorilla.PreparedMessage)
	u := &gorilla.Upgrader{}
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		queue := make(chan *gorilla.PreparedMessage, 256)
		mu.Lock()
		members[c] = queue
		mu.Unlock()
		go func() {
			for pm := range queue {
				c.SetWriteDeadline(time.Now().Add(10 * time.Second))
				if c.WritePreparedMessage(pm) != nil {
					break
				}
			}
			c.Close()
		}()
		go func() {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					return
				}
			}
		}()
		joined()
	}))
	return func(payload []byte) {
		pm, _ := gorilla.NewPreparedMessage(gorilla.BinaryMessage, payload)
		mu.Lock()
		defer mu.Unlock()
		for c, queue := range members {
			select {
			case queue <- pm:
			default:
				delete(members, c)
				close(queue)
			}
		}
	}
}

func serveMelody(ln net.Listener, joined func()) func([]byte) {
	m := melody.New()
	m.HandleConnect(func(*melody.Session) { joined() })
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.HandleRequest(w, r) }))
	return func(payload []byte) { m.BroadcastBinary(payload) }
}

type gwsHub struct {
	gws.BuiltinEventHandler
	joined  func()
	mu      sync.Mutex
	members map[*gws.Conn]bool
}

func (h *gwsHub) OnOpen(c *gws.Conn) {
	h.mu.Lock()
	h.members[c] = true
	h.mu.Unlock()
	h.joined()
}

func (h *gwsHub) OnClose(c *gws.Conn, _ error) {
	h.mu.Lock()
	delete(h.members, c)
	h.mu.Unlock()
}

func serveGWSHub(ln net.Listener, joined func()) func([]byte) {
	h := &gwsHub{joined: joined, members: make(map[*gws.Conn]bool)}
	go gws.NewServer(h, &gws.ServerOption{}).RunListener(ln)
	return func(payload []byte) {
		b := gws.NewBroadcaster(gws.OpcodeBinary, payload)
		defer b.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		for c := range h.members {
			b.Broadcast(c)
		}
	}
}

func findBroadcaster(name string) (broadcaster, error) {
	for _, b := range broadcasters {
		if b.name == name {
			return b, nil
		}
	}
	return broadcaster{}, fmt.Errorf("hubs: no such server: %q", name)
}
