package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// Live delivery is "at most once": a message may be lost between two nodes when a connection of
// theirs breaks, and what is stored while there is no leader is not published again at all. The
// next message of the room tells, by the number of the one before. If there is no next message,
// nothing tells. So each node compares the last number of its rooms with the stream's, every few
// seconds, and at once when there is a new leader, or when its own connection to the broker was
// away or has dropped something.

const (
	auditSoon  = 250 * time.Millisecond // after a room was opened
	auditRooms = 256                    // in one request
)

// watchBroker asks for an audit when something has happened.
func (h *hub) watchBroker() {
	nc := h.broker.nc
	nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."+roomsStream, func(*nats.Msg) { h.auditNow() })
	nc.SetReconnectHandler(func(*nats.Conn) { h.auditNow() })
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		slog.Debug("broker", "node", h.broker.config.name, "error", err)
		h.auditNow()
	})
}

func (h *hub) auditNow() {
	select {
	case h.look <- struct{}{}:
	default:
	}
}

// auditAll is a goroutine that audits all rooms, some at a time, spread over the time of -audit.
func (h *hub) auditAll() {
	for {
		names := h.names()
		pause := h.broker.config.audit / time.Duration(len(names)/auditRooms+1)
		for len(names) > 0 {
			n := min(len(names), auditRooms)
			h.audit(names[:n])
			if names = names[n:]; len(names) > 0 {
				h.pause(pause)
			}
		}
		if h.pause(pause) {
			return
		}
	}
}

// pause waits, unless an audit is asked for. It reports whether the hub has ended.
func (h *hub) pause(d time.Duration) (ended bool) {
	select {
	case <-h.ctx.Done():
		return true
	case <-h.look:
		return false
	case <-time.After(d):
		return false
	}
}

func (h *hub) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, 0, len(h.rooms))
	for name := range h.rooms {
		names = append(names, name)
	}
	return names
}

// audit has the rooms read what they lack.
func (h *hub) audit(names []string) {
	ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
	defer cancel()
	last, err := h.broker.lastOf(ctx, names)
	if err != nil {
		return // the next audit comes soon
	}
	for name, seq := range last {
		h.mu.Lock()
		r := h.rooms[name]
		h.mu.Unlock()
		if r != nil {
			r.audited(seq)
		}
	}
}
