package main

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/plainsocket/websocket"
)

// A room passes on what is said in it, in the order of the numbers, without a hole. It has one
// position, last. A live message whose number before is not last reveals a hole. Then the room
// stops to take live messages, which are all in the stream, and reads from last on until it has
// caught up. The history at the beginning is read in the same way.
//
//	live ──► prev == last? ── yes ──► pass on ──► topic of the room
//	             └─ no ──► read the stream from last on ──► pass on
type room struct {
	hub   *hub
	name  string
	ready chan struct{}   // closed when the history was read
	ctx   context.Context // ends with the room
	stop  context.CancelFunc

	mu      sync.Mutex
	known   bool    // ready is closed
	last    uint64  // number of the last message that was passed on; 0 if nothing was ever said
	base    uint64  // number of the message before recent; 0 if there is none
	recent  []event // the last messages, without a hole
	filling bool    // a goroutine reads the stream
	target  uint64  // which has to be read
	doubted uint64  // the audit before found this one missing
	ended   bool    // another room has taken the place of this one, or will
}

// recentLength is how many messages a room keeps, so that clients that were away for a moment, or
// all clients of a node that is gone, need not read the stream. A newcomer sees as many.
const recentLength = 128

func newRoom(h *hub, name string) *room {
	r := &room{hub: h, name: name, ready: make(chan struct{})}
	r.ctx, r.stop = context.WithCancel(h.ctx)
	return r
}

func (r *room) subscribed(sub *nats.Subscription) {
	context.AfterFunc(r.ctx, func() { sub.Unsubscribe() })
}

// end keeps the room from passing on anything more.
func (r *room) end() {
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// said takes a live message.
func (r *room) said(m stored, prev uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case m.seq <= r.last:
	case !r.known || r.filling || prev > r.last:
		r.needLocked(m.seq)
	default:
		r.pass([]stored{m})
	}
}

// need has the stream be read, up to a number at least.
func (r *room) need(target uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.needLocked(target)
}

func (r *room) needLocked(target uint64) {
	r.target = max(r.target, target)
	if !r.filling {
		r.filling = true
		go r.fill()
	}
}

// audited compares the room with the number of its last message in the stream. What is missing may
// be under way. So only what was missing in the audit before is read.
func (r *room) audited(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	missing := seq > r.last && r.known && !r.filling
	if missing && r.doubted > r.last {
		r.hub.counts.repaired.Add(1)
		r.needLocked(seq)
	} else if missing {
		time.AfterFunc(auditSoon, func() { r.hub.audit([]string{r.name}) })
	}
	r.doubted = seq
}

// fill reads the stream from last on until nothing is missing.
func (r *room) fill() {
	wait := 20 * time.Millisecond
	for r.ctx.Err() == nil {
		before := r.position()
		page, more, err := r.hub.broker.read(r.ctx, r.name, before)
		if err != nil {
			slog.Debug("reading", "room", r.name, "error", err)
		} else if r.filled(before, page, more) {
			return
		}
		if r.position() > before {
			wait = 20 * time.Millisecond
			continue
		}
		select { // the copy that answered is behind, or none did
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-r.ctx.Done():
		}
	}
}

func (r *room) position() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// filled passes on a page that was read from before on. It reports whether that was all.
func (r *room) filled(before uint64, page []stored, more int) (done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest, gone := after(before, page, more)
	if gone && r.known {
		r.reset(rest[0].seq - 1)
	}
	r.pass(rest)
	if more > 0 || r.last < r.target {
		return false
	}
	r.filling = false
	if !r.known {
		r.known = true
		close(r.ready)
	}
	return true
}

// after returns what follows the message with the number before in a page that was read from there
// on. The room keeps its last messages, so if that one is still there, nothing behind it is missing.
// If it is not, something may be. gone reports that.
func after(before uint64, page []stored, more int) (rest []stored, gone bool) {
	switch {
	case len(page) == 0:
		return nil, false
	case before == 0: // all from the beginning, which is gone if the room is full
		return page, len(page)+more >= historyLength
	case page[0].seq == before:
		return page[1:], false
	}
	return page, true
}

// reset tells the members that something is missing before what follows. The caller has r.mu.
func (r *room) reset(base uint64) {
	r.hub.counts.resets.Add(1)
	r.recent, r.base, r.last = nil, base, base
	r.publish(encode(answer{Type: "reset", Room: r.name, Epoch: r.hub.epoch}))
}

// pass passes messages on to the members. The caller has r.mu.
func (r *room) pass(list []stored) {
	from := len(r.recent)
	for _, m := range list {
		if m.seq <= r.last {
			continue
		}
		r.recent = append(r.recent, newEvent(m, r.last))
		r.last = m.seq
	}
	if events := r.recent[from:]; len(events) > 0 {
		r.hub.counts.delivered.Add(int64(len(events)))
		r.publish(encode(answer{Type: "events", Room: r.name, Events: events}))
	}
	if n := len(r.recent) - recentLength; n > recentLength {
		r.base = r.recent[n-1].Seq
		r.recent = append([]event(nil), r.recent[n:]...)
	}
}

// publish sends to all members that have got the history. The caller has r.mu: so the order is that
// of the numbers.
func (r *room) publish(frame []byte) {
	pm, err := websocket.NewPreparedMessage(websocket.TextMessage, frame)
	if err == nil && !r.ended {
		r.hub.topics.Publish(r.name, pm, r.hub.joinersOf(r.name)...)
	}
}

// since returns the recent messages behind the one with a number, and false if that one is not among
// them. The caller has r.mu.
func (r *room) since(seq uint64) ([]event, bool) {
	if seq == r.base {
		return r.recent, true
	}
	i, found := slices.BinarySearchFunc(r.recent, seq, func(e event, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	if !found {
		return nil, false
	}
	return r.recent[i+1:], true
}
