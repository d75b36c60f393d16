package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/plainsocket/websocket"
)

// Who is in which room, on all nodes. Each membership is a key of its own in a bucket of JetStream,
// room.member, with a time to live. The member's node renews it. So if a node is killed its members
// disappear by themselves. Each node watches the bucket, with one consumer, and tells its own
// members.

// A presence is a node's part in that.
type presence struct {
	hub *hub
	kv  jetstream.KeyValue
	ttl time.Duration

	serial atomic.Int64 // makes connections of this node different from each other

	mu    sync.Mutex // guards what follows
	mine  map[string]*stay
	here  map[string]map[string]stay // room, member: as the bucket has it
	dirty map[string]bool            // rooms whose members were not told yet
}

// A stay is a member's time in a room, over one connection.
type stay struct {
	Name string `json:"name"`
	Conn string `json:"conn"` // the connection, named by its node and a number

	c        *websocket.Conn
	revision uint64 // of the key, when this node wrote it
}

const (
	presencePrefix = "$KV." + presenceKeys + "."
	namesShown     = 100
	tellEvery      = 200 * time.Millisecond
)

func newPresence(h *hub, kv jetstream.KeyValue, ttl time.Duration) *presence {
	p := &presence{hub: h, kv: kv, ttl: ttl, mine: make(map[string]*stay), dirty: make(map[string]bool),
		here: make(map[string]map[string]stay)}
	go p.watchAll()
	go p.every(ttl/3, p.renewAll)
	go p.every(tellEvery, p.tellAll)
	return p
}

func (p *presence) every(d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f()
		case <-p.hub.ctx.Done():
			return
		}
	}
}

// enter says that m is in a room. If the same client has an older connection, this one takes its
// key.
func (p *presence) enter(room string, m *member) {
	key := room + "." + m.id
	s := &stay{Name: m.name, Conn: fmt.Sprintf("%s/%d", p.hub.broker.config.name, p.serial.Add(1)), c: m.c}
	p.mu.Lock()
	p.mine[key] = s
	p.mu.Unlock()
	p.renew(key, *s)
}

// leave takes that back, if the key is still this connection's.
func (p *presence) leave(room string, m *member) {
	key := room + "." + m.id
	p.mu.Lock()
	s := p.mine[key]
	if s == nil || s.c != m.c {
		p.mu.Unlock()
		return
	}
	delete(p.mine, key)
	revision := s.revision
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.hub.ctx, time.Second)
	defer cancel()
	p.kv.Delete(ctx, key, jetstream.LastRevision(revision)) // or the key expires
}

// renew writes a key, with its time to live.
func (p *presence) renew(key string, s stay) {
	ctx, cancel := context.WithTimeout(p.hub.ctx, time.Second)
	defer cancel()
	options := []jetstream.PublishOpt{jetstream.WithMsgTTL(p.ttl)}
	if s.revision > 0 {
		options = append(options, jetstream.WithExpectLastSequencePerSubject(s.revision))
	}
	ack, err := p.hub.broker.js.Publish(ctx, presencePrefix+key, encode(s), options...)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.mine[key]
	if now == nil || now.Conn != s.Conn {
		return
	}
	if err == nil {
		now.revision = ack.Sequence
		return
	}
	// Either nobody knows, or the key was written by a newer connection of the client, or it has
	// expired.
	room, member, _ := strings.Cut(key, ".")
	if other, ok := p.here[room][member]; ok && s.revision > 0 && other.Conn != s.Conn {
		delete(p.mine, key)
		return
	}
	now.revision = 0
}

func (p *presence) renewAll() {
	p.mu.Lock()
	list := make(map[string]stay, len(p.mine))
	for key, s := range p.mine {
		list[key] = *s
	}
	p.mu.Unlock()
	for key, s := range list {
		if p.hub.ctx.Err() == nil {
			p.renew(key, s)
		}
	}
}

// watchAll watches the bucket. If that ends, or nothing comes although this node renews keys, it
// begins anew.
func (p *presence) watchAll() {
	for p.hub.ctx.Err() == nil {
		if err := p.watch(); err != nil {
			slog.Debug("presence", "error", err)
		}
		sleep(p.hub.ctx, time.Second)
	}
}

func (p *presence) watch() error {
	ctx, cancel := context.WithCancel(p.hub.ctx)
	defer cancel()
	w, err := p.kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer w.Stop()
	fresh := make(map[string]bool) // what the bucket has; nil when that is known
	silent := time.NewTimer(p.ttl)
	defer silent.Stop()
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return nil
			case e == nil: // that was all
				p.forgetOthers(fresh)
				fresh = nil
			default:
				p.update(e)
				if fresh != nil {
					fresh[e.Key()] = true
				}
			}
			silent.Reset(p.ttl)
		case <-silent.C:
			if p.hasMine() {
				return nil
			}
			silent.Reset(p.ttl)
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *presence) hasMine() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mine) > 0
}

// forgetOthers forgets the keys that are not in the bucket.
func (p *presence) forgetOthers(fresh map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room, members := range p.here {
		for member := range members {
			if !fresh[room+"."+member] {
				delete(members, member)
				p.dirty[room] = true
			}
		}
	}
}

// update takes a change of the bucket.
func (p *presence) update(e jetstream.KeyValueEntry) {
	room, member, ok := strings.Cut(e.Key(), ".")
	if !ok {
		return
	}
	var s stay
	gone := e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &s) != nil
	p.mu.Lock()
	defer p.mu.Unlock()
	before, was := p.here[room][member]
	switch {
	case gone:
		delete(p.here[room], member)
		if len(p.here[room]) == 0 {
			delete(p.here, room)
		}
	case p.here[room] == nil:
		p.here[room] = map[string]stay{member: s}
	default:
		p.here[room][member] = s
	}
	if was == gone || before.Name != s.Name && !gone {
		p.dirty[room] = true
	}
}

// who returns the message that says who is in a room.
func (p *presence) who(room string) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := answer{Type: "here", Room: room, Count: len(p.here[room])}
	for _, s := range p.here[room] {
		a.Members = append(a.Members, s.Name)
	}
	slices.Sort(a.Members)
	a.Members = a.Members[:min(len(a.Members), namesShown)]
	return a
}

// tellAll tells the members of the rooms that have changed. A member that is slow gets the last
// state only.
func (p *presence) tellAll() {
	p.mu.Lock()
	rooms := p.dirty
	p.dirty = make(map[string]bool)
	p.mu.Unlock()
	for room := range rooms {
		if p.hub.topics.Len(room) == 0 {
			continue
		}
		if pm, err := websocket.NewPreparedMessage(websocket.TextMessage, encode(p.who(room))); err == nil {
			p.hub.topics.PublishLatest(room, "here", pm)
		}
	}
}
