package main

// Hubs: servers that send what is published to all of their connections, each in the way that its
// library's documentation shows, or its users write.

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge"
	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/olahol/melody"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// A broadcaster is a server with a way to publish.
type broadcaster struct {
	name   string
	module string // whose version is told, "" for this one's
	how    string

	// hello is what a member sends when it is connected: a whole frame, nil for nothing.
	hello []byte

	// serve accepts connections on ln. It calls joined for each, and returns what publishes.
	serve func(ln net.Listener, joined func()) (publish func(payload []byte))
}

var broadcasters = []broadcaster{
	{name: "raw", serve: serveRawHub,
		how: "a loop of writes of one frame on net.Conns. It has no queue, so one stuck member holds all."},
	{name: "plainsocket", serve: servePubsub,
		how: "`pubsub.Topics`, Server with Handler, QueueLimit 64 KiB."},
	{name: "plainsocket-events", serve: servePubsubEvents,
		how: "the same with OnMessage: members that say nothing have no goroutine."},
	{name: "gorilla", module: "github.com/gorilla/websocket", serve: serveGorillaHub,
		how: "a goroutine and a channel of 256 prepared messages for each member, as in its chat example."},
	{name: "melody", module: "github.com/olahol/melody", serve: serveMelody,
		how: "`Melody.Broadcast`, all defaults: a channel of 256 messages, of which the newest are dropped."},
	{name: "gws", module: "github.com/lxzan/gws", serve: serveGWSHub,
		how: "`Broadcaster`, all defaults: its queue has no limit, and nothing ends a stuck member."},
	{name: "centrifuge", module: "github.com/centrifugal/centrifuge", serve: serveCentrifuge, hello: centrifugeHello,
		how: "`Node.Publish`, its Protobuf protocol, a subscription by the server, all defaults but no pings."},
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
	return pubsubPublisher(topics)
}

// pubsubPublisher returns the function that publishes to all members.
func pubsubPublisher(topics *pubsub.Topics) func(payload []byte) {
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
	return pubsubPublisher(topics)
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

// centrifugeHello is the command to connect, which must come first: its length, its number (field
// 1) and an empty request (field 4).
var centrifugeHello = appendClientFrame(nil, finBinary, []byte{4, 0x08, 1, 0x22, 0})

func serveCentrifuge(ln net.Listener, joined func()) func([]byte) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		panic(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{},
			Subscriptions: map[string]centrifuge.SubscribeOptions{"all": {}},
		}, nil
	})
	node.OnConnect(func(*centrifuge.Client) { joined() })
	if err := node.Run(); err != nil {
		panic(err)
	}
	members := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1}, // members do not answer
	})
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = "cf_protocol=protobuf" // whose messages carry bytes as they are
		members.ServeHTTP(w, r)
	}))
	return func(payload []byte) {
		if _, err := node.Publish("all", payload); err != nil {
			panic(err)
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
