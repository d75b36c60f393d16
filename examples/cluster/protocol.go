package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The messages between a client and a node: JSON, one object a message.

// A request is what a client sends.
//
//	{"type":"hello","name":"Ann","client":"6tX…"}             first, and once
//	{"type":"join","room":"tea"}                              a newcomer: the last messages, then live
//	{"type":"join","room":"tea","after":17,"epoch":"d3k…"}    all behind number 17, then live
//	{"type":"leave","room":"tea"}
//	{"type":"say","room":"tea","id":"8","text":"hello"}       repeated with the same id until acknowledged
//	{"type":"ping","time":123}
type request struct {
	Type   string  `json:"type"`
	Name   string  `json:"name"`
	Client string  `json:"client"` // a secret of the client's that stays the same when it reconnects
	Room   string  `json:"room"`
	After  *uint64 `json:"after"`
	Epoch  string  `json:"epoch"`
	Key    string  `json:"key"` // of a room that asks for one
	ID     string  `json:"id"`
	Text   string  `json:"text"`
	Time   int64   `json:"time"`
}

// An answer is what a node sends.
//
//	hello    the node, the addresses of all nodes, and the client's public member id
//	events   messages of a room, in order, each once
//	live     that was the history: what follows is said now
//	reset    what the client has is too old, or of another epoch: messages are missing
//	ack      the message with this id is stored
//	here     who is in the room, on all nodes
//	pong     the answer to a ping
//	error    what was wrong; again says that the same request may succeed later
type answer struct {
	Type    string   `json:"type"`
	Room    string   `json:"room,omitempty"`
	Seq     uint64   `json:"seq,omitempty"`
	Epoch   string   `json:"epoch,omitempty"`
	Events  []event  `json:"events,omitempty"`
	ID      string   `json:"id,omitempty"`
	Text    string   `json:"text,omitempty"`
	Again   bool     `json:"again,omitempty"`
	Node    string   `json:"node,omitempty"`
	Nodes   []string `json:"nodes,omitempty"`
	Member  string   `json:"member,omitempty"`
	Members []string `json:"members,omitempty"` // names
	Count   int      `json:"count,omitempty"`   // members, of which Members may name only some
	Time    int64    `json:"time,omitempty"`
}

// An event is a message of a room.
type event struct {
	Seq  uint64 `json:"seq"`
	Prev uint64 `json:"prev"` // the number of the one before in this room
	said
}

// A said is a message as it is stored. JetStream numbers it.
type said struct {
	ID     string `json:"id"`
	Member string `json:"member"`
	Name   string `json:"name"`
	Text   string `json:"text"`
	Time   int64  `json:"time"` // ms since 1970, by the clock of the node that stored it
}

// newEvent decodes a message. One that somebody else put into the stream may be no message of ours:
// it keeps its number.
func newEvent(m stored, prev uint64) event {
	e := event{Seq: m.seq, Prev: prev}
	if json.Unmarshal(m.data, &e.said) != nil {
		e.said = said{Text: "(not a message)"}
	}
	return e
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our types can be encoded
	}
	return b
}

const (
	longestName = 20   // characters
	longestText = 1000 // characters
)

var (
	isRoomName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`).MatchString
	isID       = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`).MatchString
	isClient   = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`).MatchString
)

// memberID is what others know a client by. They cannot find the client's secret from it, so nobody
// can take another's place, or use up another's message ids.
func memberID(client string) string {
	sum := sha256.Sum256([]byte(client))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// clean removes control characters, and refuses what is empty or too long.
func clean(what, s string, longest int) (string, error) {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, s))
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		return "", fmt.Errorf("the %s is empty", what)
	case n > longest:
		return "", fmt.Errorf("the %s has %d characters, and %d are the most", what, n, longest)
	}
	return s, nil
}
