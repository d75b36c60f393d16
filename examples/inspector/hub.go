package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// A hub passes the events of recorders on to observers.
type hub struct {
	mu        sync.Mutex
	events    int // so far
	conns     int // so far
	open      map[int]*observed
	observers map[*observer]bool
	ending    bool
	handlers  sync.WaitGroup // of open
}

// An observed connection is one that is open.
type observed struct {
	conn   *websocket.Conn // to the client
	tab    string          // the name that the page gave its connection, or "" for another client's
	opened []*event        // its handshakes, for observers that come later
}

func newHub() *hub {
	return &hub{open: make(map[int]*observed), observers: make(map[*observer]bool)}
}

// number returns the next connection's number.
func (h *hub) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns++
	h.open[h.conns] = new(observed)
	return h.conns
}

// add makes a connection known, unless the program is about to end.
func (h *hub) add(number int, c *websocket.Conn, tab string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ending {
		return false
	}
	h.open[number].conn, h.open[number].tab = c, tab
	h.handlers.Add(1)
	return true
}

// remove forgets a connection, whether it was added or refused.
func (h *hub) remove(number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[number].conn != nil {
		h.handlers.Done()
	}
	delete(h.open, number)
}

// find returns the connection of a page.
func (h *hub) find(tab string) *websocket.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.open {
		if o.conn != nil && o.tab == tab {
			return o.conn
		}
	}
	return nil
}

// shutdown closes all observed connections with 1001. It waits for their ends, and until the
// observers have heard of them.
func (h *hub) shutdown(ctx context.Context) {
	h.mu.Lock()
	h.ending = true
	for _, o := range h.open {
		if o.conn != nil {
			go o.conn.Shutdown(ctx, websocket.CloseGoingAway, "the inspector ends")
		}
	}
	h.mu.Unlock()
	h.handlers.Wait()

	h.mu.Lock()
	told := slices.Collect(maps.Keys(h.observers))
	clear(h.observers)
	h.mu.Unlock()
	for _, o := range told {
		close(o.ending)
	}
	for _, o := range told {
		select {
		case <-o.done:
		case <-ctx.Done():
		}
	}
}

// publish tells all observers of e. It never waits for one of them, because its caller holds up the
// connection that is observed.
func (h *hub) publish(e *event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events++
	e.Number = h.events
	if o := h.open[e.Conn]; o != nil && e.Kind == "handshake" {
		o.opened = append(o.opened, e)
	}
	for o := range h.observers {
		o.push(e)
	}
}

// join makes o an observer, and tells it which connections are open.
func (h *hub) join(o *observer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n := 1; n <= h.conns; n++ {
		if known := h.open[n]; known != nil {
			for _, e := range known.opened {
				o.push(e)
			}
		}
	}
	h.observers[o] = true
}

func (h *hub) leave(o *observer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.observers, o)
}

// serve tells an observer of everything, and carries out its commands.
func (h *hub) serve(c *websocket.Conn, target string) {
	o := newObserver()
	o.push(&event{Kind: "hello", Target: target, Time: time.Now()})
	h.join(o)
	defer h.leave(o)
	gone := make(chan struct{})
	defer close(gone)
	go o.write(c, gone)
	for {
		var cmd command
		_, data, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err = cmd.parse(data); err == nil {
			err = h.do(cmd)
		}
		if err != nil {
			o.push(&event{Kind: "error", Text: err.Error(), Time: time.Now()})
		}
	}
}

var errNotConnected = errors.New("not connected")

// do makes the server's end of a page's connection send things that the page cannot.
func (h *hub) do(cmd command) error {
	c := h.find(cmd.Tab)
	if c == nil {
		return errNotConnected
	}
	switch cmd.Do {
	case "ping":
		return c.WriteControl(websocket.PingMessage, []byte(cmd.Text), time.Now().Add(time.Second))
	case "long":
		go writeLong(c)
		return nil
	case "close":
		// WriteControl is used, and not Shutdown, because the relay reads on, sees the answer and
		// ends.
		err := c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(cmd.Code, cmd.Text), time.Now().Add(time.Second))
		if err == nil {
			// The deadline is for the answer. Setting it fails if the answer was faster.
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
		}
		return err
	}
	return fmt.Errorf("no command is called %q", cmd.Do)
}
