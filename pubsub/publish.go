package pubsub

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket"
)

// Publishing. A loop over the members would hold its caller up for 8 to 20 µs each, which is two
// seconds for 100,000 of them. So Publish only notes the message, together with the members as they
// are at that moment, and goroutines send it: one for each shard, that is for each processor. A
// member belongs to one shard, which keeps the messages in order.
//
//	Publish ──► one item in the queue of each shard ──► its goroutine ──► Conn.EnqueuePrepared for each member
//
// The goroutine begins with the first item and ends with the last one.

// A publication is a message that was published.
type publication struct {
	topic   string
	key     any // for Conn.EnqueueLatest: a latestKey; nil if this is no state
	pm      *websocket.PreparedMessage
	except  exceptions
	seq     uint64
	pending atomic.Int32 // the shards that have not handed it to all of their members
}

// A latestKey is the key of PublishLatest. Topics do not share theirs.
type latestKey struct {
	topic string
	key   any
}

// overhead is what a message counts for in the backlog beside its payload: a publication and its
// items.
const overhead = 256

func (p *publication) cost() int64 { return int64(p.pm.Len() + overhead) }

// An item is what a shard has to do for a publication.
type item struct {
	*publication
	memberships []*membership
	members     int // of memberships, without those who had left
}

// A shard has a share of the connections, and sends to them.
// Topics.mu guards all of it. Numbers count all items that were ever here.
type shard struct {
	items   []item
	first   uint64         // the number of items[0]
	latest  map[any]uint64 // latestKey to the number of the item that waits
	running bool           // the goroutine
}

// add puts an item behind those that wait.
func (s *shard) add(i item) {
	if i.key != nil {
		if s.latest == nil {
			s.latest = make(map[any]uint64)
		}
		s.latest[i.key] = s.first + uint64(len(s.items))
	}
	s.items = append(s.items, i)
}

// replace puts an item in the place of the one that waits with the same key, if there is one. It
// returns that one.
func (s *shard) replace(i item) (old item, ok bool) {
	if i.key == nil {
		return old, false
	}
	number, ok := s.latest[i.key]
	if ok {
		p := &s.items[number-s.first]
		old, *p = *p, i
	}
	return old, ok
}

// take takes the first of the items that wait.
func (s *shard) take() (i item, ok bool) {
	if len(s.items) == 0 {
		s.items, s.latest = nil, nil // a burst's room is not kept
		return i, false
	}
	i = s.items[0]
	s.items[0] = item{}
	s.items = s.items[1:]
	s.first++
	if i.key != nil {
		delete(s.latest, i.key)
	}
	return i, true
}

// Publish sends a message to all members of a topic but those in except, in the order of all calls
// of Publish. It does not wait for it to be sent. It takes some microseconds, however many members
// there are and whatever they do (but see Backlog). A topic without members is no error.
//
// pm may be a control message: a close message, for instance, ends all the connections.
func (t *Topics) Publish(topic string, pm *websocket.PreparedMessage, except ...*websocket.Conn) {
	t.publish(&publication{topic: topic, pm: pm, except: newExceptions(except)})
}

// PublishLatest is Publish for state that supersedes the state before, such as a price or a
// position. Of the messages with the same topic and key that wait for a member, the last one takes
// the place of the first, and the others are not sent. So a member that is slow gets fewer of them,
// and what it gets is current. Other messages may be overtaken by that. A member that leaves gets
// neither, if the first still waited to be handed to it. Publishing the same key again at once
// supersedes even for members that keep up, as the message may still wait to be handed to them.
//
// The key must be comparable, and not nil: it panics otherwise. For a control message PublishLatest
// is Publish.
func (t *Topics) PublishLatest(topic string, key any, pm *websocket.PreparedMessage) {
	if key == nil {
		panic("pubsub: PublishLatest: the key is nil")
	}
	_ = map[any]bool(nil)[key] // panics for a key that is not comparable, while no lock is held
	p := &publication{topic: topic, pm: pm}
	if kind := pm.Type(); kind == websocket.TextMessage || kind == websocket.BinaryMessage {
		p.key = latestKey{topic, key}
	}
	t.publish(p)
}

func (t *Topics) publish(p *publication) {
	if members := t.accept(p); members != nil {
		t.dropFor(members, p)
	}
}

// accept hands a publication to the shards. If there is no room for it in the backlog, it returns
// those who would have got it.
func (t *Topics) accept(p *publication) (members []part) {
	t.counters.published.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	room := true
	if limit := t.backlogLimit(); limit >= 0 && t.backlog.Load() > limit && t.has(p.topic) {
		room = t.waitForRoom(limit)
	}
	switch {
	case !t.has(p.topic):
		return nil
	case !room:
		return slices.Clone(t.topics[p.topic].parts)
	}
	parts := t.topics[p.topic].parts
	t.seq++
	p.seq = t.seq
	p.pending.Store(int32(len(parts)))
	t.backlog.Add(p.cost())
	for i := range parts {
		t.hand(&parts[i], p)
	}
	return nil
}

// has reports whether a topic has members. The caller has t.mu.
func (t *Topics) has(name string) bool {
	tp := t.topics[name]
	return tp != nil && tp.count > 0
}

// hand gives a publication to a part's shard. The caller has t.mu.
func (t *Topics) hand(part *part, p *publication) {
	s := part.shard
	i := item{p, part.memberships, len(part.memberships) - part.gone}
	if old, ok := s.replace(i); ok {
		t.counters.replaced.Add(int64(old.members))
		t.done(old.publication)
		return
	}
	s.add(i)
	if !s.running {
		s.running = true
		go t.send(s, item{})
	}
}

const (
	defaultBacklog = 64 << 20
	backlogTimeout = time.Second
)

func (t *Topics) backlogLimit() int64 {
	if t.Backlog == 0 {
		return defaultBacklog
	}
	return int64(t.Backlog)
}

// waitForRoom waits until the backlog is within its limit. It reports false if that takes too long.
// It gives t.mu up meanwhile.
func (t *Topics) waitForRoom(limit int64) bool {
	timeout := time.NewTimer(backlogTimeout)
	defer timeout.Stop()
	for expired := false; t.backlog.Load() > limit; {
		if expired {
			return false
		}
		if t.room == nil {
			t.room = make(chan struct{})
		}
		room := t.room
		t.mu.Unlock()
		select {
		case <-room:
		case <-timeout.C:
			expired = true
		}
		t.mu.Lock()
	}
	return true
}

// dropFor drops a publication for these members.
func (t *Topics) dropFor(members []part, p *publication) {
	for _, part := range members {
		for _, m := range part.memberships {
			if m.left.Load() == 0 && !p.except.has(m.c) {
				t.drop(p, m.c)
			}
		}
	}
}

// drop counts and traces a message that a member does not get.
func (t *Topics) drop(p *publication, c *websocket.Conn) {
	t.counters.dropped.Add(1)
	c.ReportDropped(1, p.pm.Len())
}

// done is called when a shard has done its part of p.
func (t *Topics) done(p *publication) {
	if p.pending.Add(-1) == 0 {
		t.backlog.Add(-p.cost())
	}
}

// wake wakes those who wait for room. The caller has t.mu.
func (t *Topics) wake() {
	if t.room != nil && t.backlog.Load() <= t.backlogLimit() {
		close(t.room)
		t.room = nil
	}
}

// send is a shard's goroutine. It goes on with i if that is not empty.
func (t *Topics) send(s *shard, i item) {
	ended := false
	defer func() {
		if !ended { // by Slow
			go t.send(s, i)
		}
	}()
	for sent := 0; !ended; {
		if i.publication != nil {
			t.fanOut(&i, &sent)
			t.done(i.publication)
		}
		i, ended = t.next(s)
	}
}

// next takes the next item of a shard, and reports whether there is none.
func (t *Topics) next(s *shard) (i item, none bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wake()
	i, s.running = s.take()
	return i, !s.running
}

// burst is how many members a shard sends to before it lets other goroutines run: those that read,
// and those of connections over TLS, where each message needs one for a moment.
const burst = 64

// fanOut sends an item's message to its members, and takes them from the item: what is left is left
// to do. sent counts the members since the goroutine began.
func (t *Topics) fanOut(i *item, sent *int) {
	delivered := 0
	defer func() { t.counters.delivered.Add(int64(delivered)) }()
	for len(i.memberships) > 0 {
		m := i.memberships[0]
		i.memberships = i.memberships[1:]
		if !m.gets(i.seq) || i.except.has(m.c) {
			continue
		}
		if t.deliver(i.publication, m.c) {
			delivered++
		}
		if *sent++; *sent%burst == 0 {
			runtime.Gosched()
		}
	}
}

// exceptions are the connections that do not get a message.
type exceptions struct {
	few  []*websocket.Conn
	many map[*websocket.Conn]struct{}
}

// newExceptions copies the list, which is its caller's.
func newExceptions(except []*websocket.Conn) (e exceptions) {
	const few = 8 // searching them is as fast as looking one up
	if len(except) <= few {
		e.few = slices.Clone(except)
		return e
	}
	e.many = make(map[*websocket.Conn]struct{}, len(except))
	for _, c := range except {
		e.many[c] = struct{}{}
	}
	return e
}

func (e exceptions) has(c *websocket.Conn) bool {
	if e.many != nil {
		_, ok := e.many[c]
		return ok
	}
	return slices.Contains(e.few, c)
}
