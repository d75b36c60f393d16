package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// A hub is a node's view of the rooms: it has those that have a member here. A room's first member
// subscribes the node to the room at the broker, and the last one ends that. All subscriptions end
// in one channel, which one goroutine reads.
type hub struct {
	broker *broker
	epoch  string
	topics pubsub.Topics // a topic for each room, of the same name
	live   chan *nats.Msg
	look   chan struct{} // asks for an audit now
	ctx    context.Context

	counts struct{ delivered, repaired, resets atomic.Int64 }

	mu      sync.Mutex // guards what follows; taken after a room's
	rooms   map[string]*room
	opened  chan struct{}                       // closed and replaced when a room was added
	joiners map[string]map[*websocket.Conn]bool // members of a topic that still read the history
}

// liveLength is how many messages may wait for the hub. If more come, NATS drops them, and the hub
// reads them from the stream.
const liveLength = 64 << 10

func newHub(ctx context.Context, b *broker, epoch string) *hub {
	h := &hub{
		broker:  b,
		epoch:   epoch,
		live:    make(chan *nats.Msg, liveLength),
		look:    make(chan struct{}, 1),
		ctx:     ctx,
		rooms:   make(map[string]*room),
		opened:  make(chan struct{}),
		joiners: make(map[string]map[*websocket.Conn]bool),
	}
	h.topics.Opened = h.open
	h.topics.Closed = h.close
	h.watchBroker()
	go h.pump()
	go h.auditAll()
	return h
}

// open is called when a room gets its first member here.
func (h *hub) open(name string) {
	h.mu.Lock()
	if h.rooms[name] != nil { // see close
		h.mu.Unlock()
		return
	}
	r := newRoom(h, name)
	h.rooms[name] = r
	close(h.opened)
	h.opened = make(chan struct{})
	h.mu.Unlock()

	sub, err := h.broker.nc.ChanSubscribe("room."+name, h.live)
	if err != nil {
		slog.Error("subscribing", "room", name, "error", err) // only if the connection is at its end
		return
	}
	r.subscribed(sub)
	// The broker knows of the subscription before the history is read. What other nodes do not know
	// yet, an audit finds.
	h.broker.nc.FlushTimeout(time.Second)
	r.need(0)
	time.AfterFunc(auditSoon, func() { h.audit([]string{name}) })
}

// close is called when the last member here has left. If the next one has come meanwhile, the room
// stays, and the call of open that follows finds it.
func (h *hub) close(name string) {
	h.mu.Lock()
	r := h.rooms[name]
	if r == nil || h.topics.Len(name) > 0 {
		h.mu.Unlock()
		return
	}
	delete(h.rooms, name)
	h.mu.Unlock()
	r.end()
}

// room returns an open room whose history has been read. The caller is a member.
func (h *hub) room(ctx context.Context, name string) (*room, error) {
	for {
		h.mu.Lock()
		r, opened := h.rooms[name], h.opened
		h.mu.Unlock()
		wait := opened
		if r != nil {
			wait = r.ready
		}
		select {
		case <-wait:
			if r != nil {
				return r, nil
			}
		case <-ctx.Done():
			return nil, errors.New("the history cannot be read just now")
		}
	}
}

// pump takes what is said, in all rooms.
func (h *hub) pump() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case m := <-h.live:
			name := strings.TrimPrefix(m.Subject, "room.")
			h.mu.Lock()
			r := h.rooms[name]
			h.mu.Unlock()
			seq, err := numberIn(m, jetstream.SequenceHeader)
			prev, err2 := numberIn(m, jetstream.LastSequenceHeader)
			if r != nil && err == nil && err2 == nil && seq > 0 {
				r.said(stored{seq, m.Data}, prev)
			}
		}
	}
}

// addJoiner keeps c from getting what is said in a room, until removeJoiner: c is a member that
// still gets the history.
func (h *hub) addJoiner(name string, c *websocket.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.joiners[name] == nil {
		h.joiners[name] = make(map[*websocket.Conn]bool)
	}
	h.joiners[name][c] = true
}

func (h *hub) removeJoiner(name string, c *websocket.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.joiners[name], c); len(h.joiners[name]) == 0 {
		delete(h.joiners, name)
	}
}

func (h *hub) joinersOf(name string) (list []*websocket.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.joiners[name] {
		list = append(list, c)
	}
	return list
}
