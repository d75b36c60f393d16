package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

const (
	historyLength = 50  // lines that a newcomer gets to see
	queueLength   = 256 // messages that may wait for a member that reads slowly

	burst = 5                      // lines that a member may say at once
	pace  = 500 * time.Millisecond // and after that, one in this time
)

// An event is what the server sends.
type event struct {
	Kind    string    `json:"kind"` // welcome, said, joined, left, error
	Seq     int       `json:"seq,omitempty"`
	Name    string    `json:"name,omitempty"`
	Text    string    `json:"text,omitempty"`
	Time    time.Time `json:"time,omitzero"`
	Room    string    `json:"room,omitempty"`    // welcome: which run of the server numbers the lines
	Members []string  `json:"members,omitempty"` // welcome
	History []event   `json:"history,omitempty"` // welcome
}

// A room knows who is there and what was said last.
type room struct {
	started string
	pace    time.Duration

	mu      sync.Mutex // guards what follows
	members map[*member]bool
	history []event
	seq     int
}

// A member has a queue, from which a goroutine of its own writes. Whoever says
// something only puts it into the queues, and so waits for nobody.
type member struct {
	c     *websocket.Conn
	name  string
	queue chan *websocket.PreparedMessage
	until time.Time // when the burst can be had again; the reading goroutine's
}

func newRoom(pace time.Duration) *room {
	return &room{started: time.Now().Format(time.RFC3339Nano), pace: pace, members: make(map[*member]bool)}
}

// mayTalk reports whether m has kept to the pace. Without that, one who says
// lines faster than they can be written to everybody fills all the queues, and
// the room loses its members for what they did not do.
func (m *member) mayTalk(pace time.Duration) bool {
	now := time.Now()
	if m.until.Before(now) {
		m.until = now
	}
	if m.until.Sub(now) > (burst-1)*pace {
		return false
	}
	m.until = m.until.Add(pace)
	return true
}

// join makes a member, which gets the history first, and tells the others.
func (r *room) join(c *websocket.Conn, name string) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &member{c: c, name: r.freeName(name), queue: make(chan *websocket.PreparedMessage, queueLength)}
	welcome := event{Kind: "welcome", Name: m.name, Room: r.started, History: slices.Clone(r.history)}
	r.broadcast(event{Kind: "joined", Name: m.name, Time: time.Now()})
	r.members[m] = true
	for other := range r.members {
		welcome.Members = append(welcome.Members, other.name)
	}
	slices.Sort(welcome.Members)
	m.queue <- prepare(welcome)
	return m
}

// freeName is name, or name with a number where somebody has that already:
// somebody else, or the same one on a connection whose end was not noticed yet.
func (r *room) freeName(name string) string {
	taken := func(s string) bool {
		for m := range r.members {
			if m.name == s {
				return true
			}
		}
		return false
	}
	free := name
	for i := 2; taken(free); i++ {
		free = fmt.Sprintf("%s (%d)", name, i)
	}
	return free
}

// leave may be called twice.
func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.members[m] {
		return
	}
	r.remove(m)
	r.broadcast(event{Kind: "left", Name: m.name, Time: time.Now()})
}

// remove takes m out. Its writing goroutine ends when the queue is empty.
func (r *room) remove(m *member) {
	delete(r.members, m)
	close(m.queue)
}

// say has everybody hear a line, m too: so all see the same order.
func (r *room) say(m *member, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.members[m] {
		return // put out, and still talking
	}
	r.seq++
	e := event{Kind: "said", Seq: r.seq, Name: m.name, Text: text, Time: time.Now()}
	if r.history = append(r.history, e); len(r.history) > historyLength {
		r.history = slices.Clone(r.history[1:])
	}
	r.broadcast(e)
}

// broadcast encodes e once and queues it for everybody. A member whose queue is
// full has stopped reading; the room goes on without it. 1013, try again later:
// it did nothing wrong (that would be 1008), and may come back.
func (r *room) broadcast(e event) {
	pm := prepare(e)
	var slow []*member
	for m := range r.members {
		select {
		case m.queue <- pm:
		default:
			slow = append(slow, m)
		}
	}
	for _, m := range slow {
		r.remove(m)
		go m.c.Shutdown(context.Background(), websocket.CloseTryAgainLater, "you read too slowly")
	}
	for _, m := range slow {
		r.broadcast(event{Kind: "left", Name: m.name, Time: time.Now()})
	}
}

// tell queues something for m alone.
func (r *room) tell(m *member, e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.members[m] {
		return // its queue is closed
	}
	select {
	case m.queue <- prepare(e):
	default: // it will be missed like the rest
	}
}

func prepare(e event) *websocket.PreparedMessage {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // an event can be encoded
	}
	pm, _ := websocket.NewPreparedMessage(websocket.TextMessage, b)
	return pm
}
