package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/plainsocket/websocket"
)

const (
	longestName = 20  // characters
	longestText = 500 // characters
	nameTimeout = time.Minute
)

// A request is what a browser sends: its name first, then lines, and that one is being typed.
type request struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	ID     int64  `json:"id"` // of a line: what becomes of it is told with this
	Typing bool   `json:"typing"`
}

// A member is somebody at the other end of a connection: its Value. What happens to one connection
// happens one after the other, so only what others look at needs the chat's lock.
type member struct {
	c        *websocket.Conn
	roomName string
	until    time.Time // when the burst of lines can be had again
	typed    time.Time // when others were told last that this one types

	room *room  // nil before the member has a name; guarded by chat.mu
	name string // guarded by chat.mu
}

// opened is called for each new connection.
func (ch *chat) opened(c *websocket.Conn, r *http.Request) {
	c.SetValue(&member{c: c, roomName: r.PathValue("room")})
	c.SetReadDeadline(time.Now().Add(nameTimeout))
}

// received is called for each message.
func (ch *chat) received(c *websocket.Conn, _ int, data []byte) {
	m := c.Value().(*member)
	var req request
	err := error(nil)
	if e := json.Unmarshal(data, &req); e != nil {
		err = mistake("That was not understood: " + e.Error())
	} else if m.room == nil {
		err = ch.named(m, req)
	} else {
		err = ch.talked(m, req)
	}
	if wrong, ok := errors.AsType[mistake](err); ok {
		m.tell(event{Kind: "error", Text: string(wrong), ID: req.ID})
	}
}

// named joins a member that says its name.
func (ch *chat) named(m *member, req request) error {
	name, err := cleanName(req.Name)
	if err == nil {
		m.c.SetReadDeadline(time.Time{})
		ch.join(m, name)
	}
	return err
}

// talked says what a member says.
func (ch *chat) talked(m *member, req request) error {
	if req.Typing {
		ch.typing(m)
		return nil
	}
	text, err := clean(req.Text, longestText)
	if err != nil || text == "" {
		return err
	}
	if !m.mayTalk(ch.pace) {
		return mistake(fmt.Sprintf("Not so fast: %d lines at once, then one in %v.", burst, ch.pace))
	}
	m.typed = time.Time{}
	ch.say(m, text, req.ID)
	return nil
}

// closed is called when a connection has ended.
func (ch *chat) closed(c *websocket.Conn, _ error) {
	ch.leave(c.Value().(*member))
}

// tell sends something to m alone. It may overtake what the room says.
func (m *member) tell(e event) {
	// An error is the end of the connection, which closed is told of.
	m.c.Enqueue(websocket.TextMessage, encode(e))
}

// A mistake is an error that is told to who made it, and forgiven.
type mistake string

func (m mistake) Error() string { return string(m) }

// cleanName is clean for what others know a member by: of one line, without
// marks that turn the writing round, and to be seen at all.
func cleanName(s string) (string, error) {
	const joiner = '\u200d' // holds emoji together
	s, err := clean(strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == joiner {
			return r
		}
		return -1
	}, s), longestName)
	if err == nil && !strings.ContainsFunc(s, visible) {
		err = mistake("Your name is missing.")
	}
	return s, err
}

func visible(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }

// clean removes what would not be seen, and refuses what is too long. (What
// would be markup is the page's business, which shows text as text.)
func clean(s string, longest int) (string, error) {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, s))
	if n := utf8.RuneCountInString(s); n > longest {
		return "", mistake(fmt.Sprintf("That has %d characters, and %d are the most.", n, longest))
	}
	return s, nil
}
