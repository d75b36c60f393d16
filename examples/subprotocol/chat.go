package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// A WebSocket moves messages and does not define their content. Two programs that meet over one
// need an agreement on that, and its name is a subprotocol (RFC 6455 section 1.9). Here there are
// two versions of one:
//
//	chat     a client sends a text, and receives "name: text"
//	chat.v2  both are JSON, {"text": …} and {"from": …, "text": …, "at": …}
//
// The names are compared as a whole and with their case. The protocol does not know that the second
// is a newer version of the first: to negotiate a version is to negotiate a name.

// protocols are the names that the server speaks, the preferred one first. A client's offer is in
// an order too (section 4.1). The choice between the two orders is left to the server, and the
// library goes by the server's.
var protocols = []string{"chat.v2", "chat"}

// said is one member's text, in neither version.
type said struct {
	From string    `json:"from"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// encode returns the message that brings said to a client.
func encode(protocol string, s said) ([]byte, error) {
	if protocol == "chat.v2" {
		return json.Marshal(s)
	}
	return []byte(s.From + ": " + s.Text), nil
}

// decode returns the text that a client's message has for the others.
func decode(protocol string, data []byte) (text string, err error) {
	if protocol != "chat.v2" {
		return string(data), nil
	}
	var s said
	err = json.Unmarshal(data, &s)
	return s.Text, err
}

// A room passes each member's text on to all of them, each in the version that was agreed on with
// them.
type room struct {
	// The time that a member has to accept a message. The others wait for it meanwhile, which keeps
	// a room simple, and small.
	patience time.Duration

	mu      sync.Mutex
	members []*websocket.Conn
}

// serve is the handler of the room's connections. A connection without a common subprotocol comes
// here as well (section 4.2.2), with "" in place of a name. It may be a client from before there
// were names, so the server speaks the oldest version, and leaves it to the client to go.
func (m *room) serve(c *websocket.Conn, r *http.Request) {
	name, protocol := cmp.Or(r.FormValue("name"), "somebody"), c.Subprotocol()
	log.Printf("%q offers %s, gets %s", name, list(websocket.Subprotocols(r)), list([]string{protocol}))
	m.join(c)
	defer m.leave(c)
	m.say(name, "(is here)")
	for msg, err := range c.Messages() {
		if err != nil {
			log.Printf("%q: %v", name, err)
			return
		}
		if msg.Type != websocket.TextMessage {
			c.Shutdown(context.Background(), websocket.CloseUnsupportedData, "chat is text")
			return
		}
		text, err := decode(protocol, msg.Data)
		if err != nil {
			c.Shutdown(context.Background(), websocket.CloseInvalidFramePayloadData, "that is not "+protocol)
			return
		}
		m.say(name, text)
	}
}

func (m *room) join(c *websocket.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members = append(m.members, c)
}

func (m *room) leave(c *websocket.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members = slices.DeleteFunc(m.members, func(other *websocket.Conn) bool { return other == c })
}

// say sends a text to all members, who all receive everything in the same order.
func (m *room) say(name, text string) {
	s := said{From: name, Text: text, At: time.Now().UTC().Truncate(time.Second)}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.members {
		message, err := encode(c.Subprotocol(), s)
		if err == nil {
			c.SetWriteDeadline(time.Now().Add(m.patience))
			err = c.WriteMessage(websocket.TextMessage, message)
		}
		if err != nil {
			c.Close() // its own goroutine finds out, and leaves
		}
	}
}

// mustAgree refuses clients without a common subprotocol before they have a connection. Neither the
// RFC nor the library asks for it. It is for servers that have nothing to say to such a client. The
// answer is HTTP, and names the server's subprotocols.
func mustAgree(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spoken := func(offer string) bool { return slices.Contains(protocols, offer) }
		if websocket.IsWebSocketUpgrade(r) && !slices.ContainsFunc(websocket.Subprotocols(r), spoken) {
			http.Error(w, "this server speaks "+list(protocols), http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func list(protocols []string) string {
	if s := strings.Join(protocols, ", "); s != "" {
		return s
	}
	return "none"
}
