package drive

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// A Client is in one room. It does what the page's script does: it goes to the next node when its
// node is gone, asks for what it has missed, and repeats what was not acknowledged.
type Client struct {
	Name  string
	Room  string
	Nodes []string // host:port, the first one to begin with
	// Heard is called for each event, by one goroutine at a time.
	Heard func(e Event)

	secret string

	mu          sync.Mutex // guards what follows
	conn        *websocket.Conn
	live        bool
	epoch       string
	last        uint64
	seqs        []uint64
	faults      []string
	connections int
	addr        string // of the connection
	serial      int
	pending     []say // the first is under way
	sent        time.Time
	stored      map[string]uint64 // text to number, of what was acknowledged
}

// An Event is a message of the room.
type Event struct {
	Seq  uint64 `json:"seq"`
	Prev uint64 `json:"prev"`
	ID   string `json:"id"`
	Name string `json:"name"`
	Text string `json:"text"`
	Time int64  `json:"time"`
}

type say struct {
	Type string `json:"type"`
	Room string `json:"room"`
	ID   string `json:"id"`
	Text string `json:"text"`
}

type join struct {
	Type  string  `json:"type"`
	Room  string  `json:"room"`
	After *uint64 `json:"after,omitempty"`
	Epoch string  `json:"epoch,omitempty"`
}

type answer struct {
	Type   string  `json:"type"`
	Seq    uint64  `json:"seq"`
	Epoch  string  `json:"epoch"`
	Events []Event `json:"events"`
	ID     string  `json:"id"`
	Text   string  `json:"text"`
	Again  bool    `json:"again"`
}

// The client notices within some seconds that a node is silent.
var dialer = websocket.Dialer{HandshakeTimeout: 5 * time.Second, PingInterval: 3 * time.Second, PongTimeout: 5 * time.Second}

// Run keeps the client connected until ctx ends.
func (c *Client) Run(ctx context.Context) {
	c.secret = rand.Text()
	wait := 200 * time.Millisecond
	for turn := 0; ctx.Err() == nil; turn++ {
		if c.session(ctx, c.Nodes[turn%len(c.Nodes)]) {
			wait = 200 * time.Millisecond
		}
		select {
		case <-time.After(mathrand.N(wait)):
			wait = min(2*wait, 2*time.Second)
		case <-ctx.Done():
		}
	}
}

// session is one connection. It reports whether that got as far as live.
func (c *Client) session(ctx context.Context, addr string) (wasLive bool) {
	conn, _, err := dialer.DialContext(ctx, "ws://"+addr+"/ws", nil)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c.mu.Lock()
	c.connections++
	c.addr = addr
	j := join{Type: "join", Room: c.Room}
	if c.epoch != "" {
		after := c.last
		j.After, j.Epoch = &after, c.epoch
	}
	c.mu.Unlock()
	conn.WriteJSON(map[string]string{"type": "hello", "name": c.Name, "client": c.secret})
	conn.WriteJSON(j)
	for {
		var a answer
		_, data, err := conn.ReadMessage()
		if err == nil {
			err = json.Unmarshal(data, &a)
		}
		if err != nil {
			c.mu.Lock()
			c.conn, wasLive = nil, c.live
			c.live = false
			c.mu.Unlock()
			return wasLive
		}
		if a.Type == "error" && a.ID == "" && a.Again {
			conn.Close() // the next node may do better
		}
		c.take(conn, a)
	}
}

func (c *Client) take(conn *websocket.Conn, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch a.Type {
	case "events":
		for _, e := range a.Events {
			c.event(e)
		}
	case "live":
		c.live, c.conn, c.epoch = true, conn, a.Epoch
		if a.Seq != c.last {
			c.fault("live at %d, but the last event was %d", a.Seq, c.last)
		}
		c.sendFirst()
	case "reset":
		c.fault("reset after %d", c.last)
	case "ack":
		if len(c.pending) > 0 && c.pending[0].ID == a.ID {
			if c.stored == nil {
				c.stored = make(map[string]uint64)
			}
			c.stored[c.pending[0].Text] = a.Seq
			c.pending = c.pending[1:]
			c.sendFirst()
		}
	case "error":
		if a.ID == "" || !a.Again {
			c.fault("error: %s", a.Text)
		}
		c.sent = time.Now().Add(mathrand.N(time.Second) - 6*time.Second) // soon again
	}
}

func (c *Client) event(e Event) {
	switch {
	case e.Seq <= c.last:
		c.fault("%d came after %d", e.Seq, c.last)
	case c.last > 0 && e.Prev != c.last:
		c.fault("%d says that %d is before it, not %d", e.Seq, e.Prev, c.last)
	}
	c.last = e.Seq
	c.seqs = append(c.seqs, e.Seq)
	if c.Heard != nil {
		c.Heard(e)
	}
}

func (c *Client) fault(format string, args ...any) {
	if len(c.faults) < 10 {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}

// Say sends a text when that is possible, in the order of the calls.
func (c *Client) Say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	c.pending = append(c.pending, say{"say", c.Room, fmt.Sprint(c.serial), text})
	if len(c.pending) == 1 {
		c.sendFirst()
	}
}

// sendFirst sends the first pending message. The caller has c.mu.
func (c *Client) sendFirst() {
	if c.live && len(c.pending) > 0 {
		b, _ := json.Marshal(c.pending[0])
		c.conn.Enqueue(websocket.TextMessage, b)
		c.sent = time.Now()
	}
}

// Repeat sends again what was not acknowledged for some time. It has to be called now and then.
func (c *Client) Repeat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 && time.Since(c.sent) > 6*time.Second {
		c.sendFirst()
	}
}

// A Report says what has happened to a client.
type Report struct {
	Live        bool
	Addr        string // of its node
	Last        uint64
	Seqs        []uint64
	Faults      []string
	Connections int
	Pending     int
	Stored      map[string]uint64
}

// Report returns a copy of the client's account.
func (c *Client) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Live: c.live, Addr: c.addr, Last: c.last, Seqs: append([]uint64(nil), c.seqs...), Faults: append([]string(nil), c.faults...),
		Connections: c.connections, Pending: len(c.pending), Stored: make(map[string]uint64)}
	for text, seq := range c.stored {
		r.Stored[text] = seq
	}
	return r
}

// Live reports whether the client has what was said, and hears what is.
func (c *Client) Live() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live
}

// Waiting returns how many messages are not acknowledged.
func (c *Client) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// Connections returns how many connections the client has had.
func (c *Client) Connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connections
}

// Cut ends the connection of the moment, without a word. The client comes back.
func (c *Client) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.NetConn().Close()
	}
}
