package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/plainsocket/websocket"
)

const (
	helloTimeout  = 30 * time.Second
	mostRooms     = 20  // of one connection
	mostRefused   = 200 // requests of one connection, then it is closed
	readLimit     = 8 << 10
	queueLimit    = 1 << 20
	defaultRate   = 10 // requests a second
	burstRequests = 40 // at once
)

// A member is somebody at the other end of a connection: its Value. What happens to one connection
// happens one after the other, so nothing here needs a lock.
type member struct {
	c       *websocket.Conn
	id      string // "" before hello
	name    string
	rooms   map[string]bool
	tokens  float64 // requests that it may make at once
	counted time.Time
	refused int
}

// A lobby receives the connections of a node.
type lobby struct {
	hub      *hub
	presence *presence
	doors    doors
	node     string
	nodes    []string // the addresses of all nodes, for browsers
	rate     float64  // requests a second and connection
}

func (l *lobby) opened(c *websocket.Conn, _ *http.Request) {
	c.SetValue(&member{c: c, rooms: make(map[string]bool), tokens: burstRequests, counted: time.Now()})
	c.SetReadDeadline(time.Now().Add(helloTimeout))
}

// A mistake is an error that the client is told of.
type mistake struct {
	text  string
	again bool // the same request may succeed later
}

func (m mistake) Error() string { return m.text }

// received is called for each message. It may take its time: that holds up its own connection only.
func (l *lobby) received(c *websocket.Conn, _ int, data []byte) {
	m := c.Value().(*member)
	var req request
	err := json.Unmarshal(data, &req)
	switch {
	case err != nil:
		err = errors.New("that was not understood")
	case !m.mayAsk(l.rate):
		err = mistake{"not so fast", true}
	case m.id == "":
		err = l.hello(m, req)
	default:
		err = l.handle(m, req)
	}
	if err != nil {
		wrong, _ := errors.AsType[mistake](err)
		m.tell(answer{Type: "error", Room: req.Room, ID: req.ID, Text: err.Error(), Again: wrong.again})
		if !wrong.again {
			m.refused += 9
		}
		if m.refused++; m.refused > mostRefused {
			c.Enqueue(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "too many requests that were refused"))
		}
	}
}

// mayAsk reports whether m has kept to the pace: a burst, then rate requests a second.
func (m *member) mayAsk(rate float64) bool {
	now := time.Now()
	m.tokens = min(burstRequests, m.tokens+rate*now.Sub(m.counted).Seconds())
	m.counted = now
	if m.tokens < 1 {
		return false
	}
	m.tokens--
	return true
}

func (l *lobby) hello(m *member, req request) error {
	if req.Type != "hello" {
		return errors.New("say hello first")
	}
	name, err := clean("name", req.Name, longestName)
	if err != nil {
		return err
	}
	if !isClient(req.Client) {
		return errors.New("the client's id must have 16 to 64 letters, digits, - or _")
	}
	m.name, m.id = name, memberID(req.Client)
	m.c.SetReadDeadline(time.Time{})
	m.tell(answer{Type: "hello", Node: l.node, Nodes: l.nodes, Member: m.id})
	return nil
}

func (l *lobby) handle(m *member, req request) error {
	switch req.Type {
	case "join":
		return l.join(m, req)
	case "leave":
		l.leave(m, req.Room)
		return nil
	case "say":
		return l.say(m, req)
	case "ping":
		m.tell(answer{Type: "pong", Time: req.Time})
		return nil
	}
	return errors.New("there is no such request")
}

// join lets m in, if it may. Nothing of a room is sent before that is known.
func (l *lobby) join(m *member, req request) error {
	switch err := l.doors.mayEnter(req.Room, req.Key); {
	case err != nil:
		return err
	case m.rooms[req.Room]:
		return errors.New("you are in this room")
	case len(m.rooms) >= mostRooms:
		return fmt.Errorf("%d rooms are the most", mostRooms)
	}
	at := cursor{newcomer: req.After == nil}
	if req.After != nil {
		at.after = *req.After
		if req.Epoch != l.hub.epoch {
			at = l.hub.startAgain(m.c, req.Room)
		}
	}
	if err := l.hub.join(m.c, req.Room, at); err != nil {
		return mistake{err.Error(), true}
	}
	m.rooms[req.Room] = true
	l.presence.enter(req.Room, m)
	m.tell(l.presence.who(req.Room))
	return nil
}

func (l *lobby) leave(m *member, room string) {
	if m.rooms[room] {
		delete(m.rooms, room)
		l.hub.topics.Unsubscribe(m.c, room)
		l.presence.leave(room, m)
	}
}

// say stores a message. The broker sends it to all nodes, this one too.
func (l *lobby) say(m *member, req request) error {
	if !m.rooms[req.Room] {
		return errors.New("you are not in this room")
	}
	if !isID(req.ID) {
		return errors.New("a message's id must have 1 to 40 letters, digits, - or _")
	}
	text, err := clean("text", req.Text, longestText)
	if err != nil {
		return err
	}
	data := encode(said{ID: req.ID, Member: m.id, Name: m.name, Text: text, Time: time.Now().UnixMilli()})
	seq, err := l.hub.broker.publish(context.Background(), req.Room, m.id+"."+req.ID, data)
	if err != nil {
		return mistake{"not stored yet", true}
	}
	m.tell(answer{Type: "ack", Room: req.Room, ID: req.ID, Seq: seq})
	return nil
}

// closed is called when a connection has ended. It has left its topics by itself.
func (l *lobby) closed(c *websocket.Conn, _ error) {
	m, ok := c.Value().(*member)
	if !ok {
		return
	}
	for room := range m.rooms {
		l.presence.leave(room, m)
	}
}

// tell sends to m alone. An error is the end of the connection, which closed is told of.
func (m *member) tell(a answer) {
	m.c.Enqueue(websocket.TextMessage, encode(a))
}
