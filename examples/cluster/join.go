package main

import (
	"context"
	"errors"
	"time"

	"github.com/plainsocket/websocket"
)

// The hand-over: a client that comes back says the last number that it has, and gets everything
// behind it once: first what the stream has, then what the room remembers, then what is said now.
// The last two meet under the room's lock, so nothing falls between them.

// A cursor is how far a client has got.
type cursor struct {
	after    uint64
	newcomer bool // it has nothing, and wants what the room remembers
}

const (
	joinTimeout = 15 * time.Second // for all of it
	behindTimes = 40               // looks for a message that the client has and this node has not
	behindPause = 100 * time.Millisecond
	pageTimeout = 10 * time.Second // for the client to take a page
)

var errGone = errors.New("history is gone")

// join makes c a member of a room, and sends it what is behind the cursor.
func (h *hub) join(c *websocket.Conn, name string, at cursor) error {
	ctx, cancel := context.WithTimeout(c.Context(), joinTimeout)
	defer cancel()
	h.addJoiner(name, c) // first: from Subscribe on, what is said would reach c
	defer h.removeJoiner(name, c)
	if !h.topics.Subscribe(c, name) {
		return errors.New("the connection has ended")
	}
	r, err := h.room(ctx, name)
	for behind := 0; err == nil; {
		var done, ahead bool
		if done, ahead, at = r.handOver(c, at); done {
			return nil
		}
		if ahead { // the client heard more from another node
			if behind++; behind > behindTimes {
				at, err = h.startAgain(c, name), nil
				continue
			}
			err = sleep(ctx, behindPause)
			continue
		}
		var next cursor
		if next, err = h.sendPage(ctx, c, name, at); err == errGone {
			next, err = h.startAgain(c, name), nil
		}
		if next == at && err == nil { // a copy that is behind
			if behind++; behind > behindTimes {
				next = h.startAgain(c, name)
			}
			err = sleep(ctx, behindPause)
		}
		at = next
	}
	h.topics.Unsubscribe(c, name)
	return err
}

// handOver sends what the room remembers behind the cursor, and lets c have what is said from now
// on. ahead reports that the client has more than the room.
func (r *room) handOver(c *websocket.Conn, at cursor) (done, ahead bool, _ cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.newcomer {
		at.after = r.base
	}
	if at.after > r.last {
		r.needLocked(0) // and no more: who knows whether the number is true
		return false, true, at
	}
	events, ok := r.since(at.after)
	if !ok {
		return false, false, at
	}
	if len(events) > 0 {
		c.Enqueue(websocket.TextMessage, encode(answer{Type: "events", Room: r.name, Events: events}))
	}
	c.Enqueue(websocket.TextMessage, encode(answer{Type: "live", Room: r.name, Seq: r.last, Epoch: r.hub.epoch}))
	r.hub.removeJoiner(r.name, c)
	return true, false, at
}

// sendPage sends a page of the stream, and waits for c to take it.
func (h *hub) sendPage(ctx context.Context, c *websocket.Conn, name string, at cursor) (cursor, error) {
	page, more, err := h.broker.read(ctx, name, at.after)
	if err != nil {
		return at, sleep(ctx, behindPause)
	}
	rest, gone := after(at.after, page, more)
	if gone {
		return at, errGone
	}
	if len(rest) == 0 {
		return at, nil
	}
	events := make([]event, 0, len(rest))
	for _, m := range rest {
		events = append(events, newEvent(m, at.after))
		at.after = m.seq
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return at, c.WriteMessageContext(ctx, websocket.TextMessage, encode(answer{Type: "events", Room: name, Events: events}))
}

// startAgain tells c that it cannot have what it asked for, and makes it a newcomer.
func (h *hub) startAgain(c *websocket.Conn, name string) cursor {
	h.counts.resets.Add(1)
	c.Enqueue(websocket.TextMessage, encode(answer{Type: "reset", Room: name, Epoch: h.epoch}))
	return cursor{newcomer: true}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
