package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

const (
	historyLength = 50 // lines that a newcomer gets to see

	burst = 5                      // lines that a member may say at once
	pace  = 500 * time.Millisecond // and after that, one in this time

	typingPause = time.Second // between two times that others are told that somebody types
)

// An event is what the server sends.
type event struct {
	Kind    string    `json:"kind"` // welcome, said, typing, joined, left, error
	Seq     int       `json:"seq,omitempty"`
	ID      int64     `json:"id,omitempty"` // said, error: the request's
	Name    string    `json:"name,omitempty"`
	Text    string    `json:"text,omitempty"`
	Time    time.Time `json:"time,omitzero"`
	Room    string    `json:"room,omitempty"`    // welcome: which life of the room numbers the lines
	Members []string  `json:"members,omitempty"` // welcome
	History []event   `json:"history,omitempty"` // welcome
}

// A chat has rooms, each with a topic of the same name. Who publishes waits for nobody: what a slow
// member has not read yet lies in the queue of its connection. One whose queue is full is closed
// with 1013 by topics.
type chat struct {
	pace   time.Duration
	topics pubsub.Topics

	mu    sync.Mutex // guards what follows
	rooms map[string]*room
}

// A room knows who is there and what was said last. It is forgotten when the last one has left.
type room struct {
	name    string
	opened  string // when: it tells the lives of a room apart
	members map[*member]bool
	history []event
	seq     int
}

func newChat(pace time.Duration) *chat {
	return &chat{pace: pace, rooms: make(map[string]*room)}
}

var isRoomName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`).MatchString

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

// join makes m a member, which gets the history first, and tells the others.
//
// Nothing is published while the lock is held here. So m gets every line once: in the
// history if it was said before Subscribe, as a message if it is said later.
func (ch *chat) join(m *member, name string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	r := ch.rooms[m.roomName]
	if r == nil {
		r = &room{name: m.roomName, opened: time.Now().Format(time.RFC3339Nano), members: make(map[*member]bool)}
	}
	name = r.freeName(name)
	if !ch.topics.Subscribe(m.c, r.name) {
		return // it is gone already
	}
	m.room, m.name = r, name
	r.members[m] = true
	ch.rooms[r.name] = r
	welcome := event{Kind: "welcome", Name: name, Room: r.opened, History: slices.Clone(r.history)}
	for other := range r.members {
		welcome.Members = append(welcome.Members, other.name)
	}
	slices.Sort(welcome.Members)
	m.tell(welcome)
	ch.publish(r, event{Kind: "joined", Name: name, Time: time.Now()}, m.c)
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

// leave tells the others that m has left. (Its topic m leaves by itself.)
func (ch *chat) leave(m *member) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	r := m.room
	if r == nil {
		return // it never had a name
	}
	delete(r.members, m)
	if len(r.members) == 0 {
		delete(ch.rooms, r.name)
		return
	}
	ch.publish(r, event{Kind: "left", Name: m.name, Time: time.Now()})
}

// say has everybody hear a line, m too: so all see the same order.
func (ch *chat) say(m *member, text string, id int64) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	r := m.room
	r.seq++
	e := event{Kind: "said", Seq: r.seq, ID: id, Name: m.name, Text: text, Time: time.Now()}
	if r.history = append(r.history, e); len(r.history) > historyLength {
		r.history = slices.Clone(r.history[1:])
	}
	ch.publish(r, e)
}

// typing tells that m types. That is worth little a moment later: if it still waits for a slow
// member, the next one takes its place.
func (ch *chat) typing(m *member) {
	if time.Since(m.typed) < typingPause {
		return
	}
	m.typed = time.Now()
	ch.topics.PublishLatest(m.room.name, m, prepare(event{Kind: "typing", Name: m.name}))
}

// publish encodes e once, for everybody in the room. The caller has ch.mu: so the order of the
// messages is that of what happened.
func (ch *chat) publish(r *room, e event, except ...*websocket.Conn) {
	ch.topics.Publish(r.name, prepare(e), except...)
}

func prepare(e event) *websocket.PreparedMessage {
	pm, _ := websocket.NewPreparedMessage(websocket.TextMessage, encode(e))
	return pm
}

func encode(e event) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // an event can be encoded
	}
	return b
}
