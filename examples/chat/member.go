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

// A request is what a browser sends: its name first, then text.
type request struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// serve is the handler of each connection, and reads. The goroutine that it
// starts writes.
func (r *room) serve(c *websocket.Conn, _ *http.Request) {
	name, err := readName(c)
	if err != nil {
		return // the library says goodbye
	}
	m := r.join(c, name)
	defer r.leave(m)
	go m.write()
	for {
		req, err := readRequest(c)
		if err == nil {
			req.Text, err = clean(req.Text, longestText)
		}
		if err == nil && req.Text != "" && !m.mayTalk(r.pace) {
			err = mistake(fmt.Sprintf("Not so fast: %d lines at once, then one in %v.", burst, r.pace))
		}
		var wrong mistake
		switch {
		case errors.As(err, &wrong):
			r.tell(m, event{Kind: "error", Text: string(wrong)})
		case err != nil:
			return
		case req.Text != "":
			r.say(m, req.Text)
		}
	}
}

// write sends what comes into the queue, until leave closes it.
func (m *member) write() {
	for pm := range m.queue {
		// An error is the reader's business, which gets it too. The queue has
		// to be emptied in any case.
		m.c.WritePreparedMessage(pm)
	}
}

// readName asks until there is a name.
func readName(c *websocket.Conn) (string, error) {
	c.SetReadDeadline(time.Now().Add(nameTimeout))
	defer c.SetReadDeadline(time.Time{})
	for {
		req, err := readRequest(c)
		if err == nil {
			req.Name, err = cleanName(req.Name)
		}
		var wrong mistake
		if !errors.As(err, &wrong) {
			return req.Name, err
		}
		if err := c.WriteJSON(event{Kind: "error", Text: string(wrong)}); err != nil {
			return "", err
		}
	}
}

// A mistake is an error that is told to who made it, and forgiven.
type mistake string

func (m mistake) Error() string { return string(m) }

func readRequest(c *websocket.Conn) (req request, err error) {
	_, p, err := c.ReadMessage()
	if err != nil {
		return req, err
	}
	if err := json.Unmarshal(p, &req); err != nil {
		return req, mistake("That was not understood: " + err.Error())
	}
	return req, nil
}

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
