// Package pubsub sends messages to everybody who wants them: rooms, feeds, hubs.
//
// A connection subscribes to topics, and what is published on a topic goes to its members:
//
//	var topics pubsub.Topics // ready for use
//
//	srv := &websocket.Server{
//		OnOpen: func(c *websocket.Conn, r *http.Request) { topics.Subscribe(c, r.URL.Path) },
//		OnMessage: func(c *websocket.Conn, messageType int, data []byte) {
//			pm, _ := websocket.NewPreparedMessage(messageType, data)
//			for topic := range topics.Of(c) {
//				topics.Publish(topic, pm)
//			}
//		},
//	}
//
// A connection that ends leaves its topics by itself. A peer that reads slowly holds up neither the
// publisher nor the other members: its messages wait in its own queue (see Enqueue of
// websocket.Conn), within the QueueLimit and the QueueTimeout of its connection. A member of many
// topics has one queue and one limit.
//
// docs/broadcast.md tells how to choose limits and policies.
package pubsub

import (
	"context"
	"hash/maphash"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/plainsocket/websocket"
)

// Topics knows which connections are members of which topics. The zero value is ready for use. The
// fields have to be set before the first call. Any number of goroutines may call the methods at the
// same time, also from within OnOpen, OnMessage and OnClose of a Server and from within the
// functions in the fields. Topics must not be copied.
//
// A topic exists while it has members. Its name may be any string.
//
// A message goes to those who are members at the moment of Publish. Who subscribes later does not
// get it, and who leaves later gets it nevertheless, unless the connection ends. So a member gets
// all messages that were published after its Subscribe had returned and before its Unsubscribe was
// called, none that was published before or after that, and perhaps some of those that were
// published meanwhile. It gets them in the order in which they were published, those of
// all its topics taken together: this order is the same for all members.
//
// The messages are handed to the connections by at most GOMAXPROCS goroutines, which end when there
// is nothing more to send. A member costs some 300 bytes beside its connection, and 42 for each
// further topic.
type Topics struct {
	// Slow is asked about a member that has no room for a message in its queue, as
	// Conn.EnqueuePrepared returned ErrQueueFull. Nil means CloseSlow for all. It is called by a
	// goroutine that sends to others too, which it holds up while it runs, and must not panic.
	Slow func(c *websocket.Conn, topic string, pm *websocket.PreparedMessage) Verdict

	// Opened is called when a topic got its first member, and Closed when the last one has left.
	// They are the place to subscribe to a broker. For one topic they come in turn, Opened first,
	// and never overlap. A topic that is closed and opened again while one of them runs may not be
	// told of.
	//
	// They are called without a lock, by the goroutine of the call that made the change, or by
	// the one that is just calling them for the same topic. So Opened has returned before Subscribe
	// returns, unless another goroutine was in the middle of such a call. They may take their time:
	// messages for other members are sent meanwhile.
	Opened, Closed func(topic string)

	// Backlog is how many bytes of published messages may wait for those goroutines that hand them
	// to the connections. 0 means 64 MiB, and less than 0 no limit. Each message counts for its
	// payload and 256 bytes. The limit is reached only by programs that publish more than the
	// machine can send for seconds, as no peer can hold these goroutines up.
	//
	// Then Publish is held until there is room, for a second at most. After that its message
	// is dropped, for all members. Stats counts it for each of them, and their Traces are told. So a
	// program cannot run out of memory in this way, nor can it come to a standstill.
	Backlog int

	mu      sync.Mutex // guards all below, but for what the shards' goroutines own
	seq     uint64     // of the last message that was published
	topics  map[string]*topic
	members map[*websocket.Conn]*member
	shards  []*shard
	seed    maphash.Seed  // decides which connection belongs to which shard
	doomed  []doomed      // slow members that were closed, the first to be cut off first
	cutting bool          // there is a timer or a goroutine for them
	room    chan struct{} // closed when the backlog has shrunk; nil if nobody waits for that

	backlog  atomic.Int64 // bytes of messages that were published and not yet handed to all members
	counters counters
}

// A topic has its members in parts, one for each shard that has some of them.
type topic struct {
	name  string
	parts []part
	count int // members

	told    bool // Opened was called, and Closed was not since
	telling bool // a goroutine is calling Opened or Closed, or is about to
}

// A part lists the members of a topic in one shard, in the order in which they came. It is read
// without a lock by those who took the slice while they had Topics.mu. So it only grows at the end,
// and a member that left stays until so many have left that the others get a new slice.
type part struct {
	shard       *shard
	memberships []*membership
	gone        int // how many in memberships have left
}

// A membership is a member's in one topic. It is not used again after its end.
type membership struct {
	c *websocket.Conn

	// left is the number of the first message that is not for this member any more, 0 while there
	// is no such.
	left atomic.Uint64
}

// gets reports whether the message with the number seq, published after the membership began, is
// for this member.
func (m *membership) gets(seq uint64) bool {
	left := m.left.Load()
	return left == 0 || seq < left
}

// A member is a connection that has a topic. All its messages pass through the same shard: so they
// keep their order.
type member struct {
	shard  *shard
	topics []subscription
	stop   func() bool // takes back that the end of the connection is told
}

type subscription struct {
	topic      *topic
	membership *membership
}

// find returns the index of the subscription to a topic, or -1.
func (m *member) find(name string) int {
	for i := range m.topics {
		if m.topics[i].topic.name == name {
			return i
		}
	}
	return -1
}

// Subscribe makes c a member of a topic. It reports false if c was a member, or has ended.
func (t *Topics) Subscribe(c *websocket.Conn, topic string) bool {
	ended := c.Context()
	t.mu.Lock()
	if ended.Err() != nil {
		t.mu.Unlock()
		return false
	}
	m := t.member(c, ended)
	if m.find(topic) >= 0 {
		t.mu.Unlock()
		return false
	}
	tp := t.open(topic)
	tp.join(c, m)
	tell := t.changed(tp)
	t.mu.Unlock()
	if tell {
		t.tell(tp)
	}
	return true
}

// Unsubscribe ends c's membership of a topic. It reports false if c was no member. Messages that
// were published before may still arrive.
func (t *Topics) Unsubscribe(c *websocket.Conn, topic string) bool {
	t.mu.Lock()
	m := t.members[c]
	i := -1
	if m != nil {
		i = m.find(topic)
	}
	if i < 0 {
		t.mu.Unlock()
		return false
	}
	s := m.topics[i]
	last := len(m.topics) - 1
	m.topics[i], m.topics[last] = m.topics[last], subscription{}
	m.topics = m.topics[:last]
	if last == 0 {
		t.forget(c, m)
	}
	t.leave(s, m)
	tell := t.changed(s.topic)
	t.mu.Unlock()
	if tell {
		t.tell(s.topic)
	}
	return true
}

// leaveAll ends all memberships of c. It returns the topics for which tell has to be called.
func (t *Topics) leaveAll(c *websocket.Conn) (tell []*topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[c]
	if m == nil {
		return nil
	}
	t.forget(c, m)
	for _, s := range m.topics {
		t.leave(s, m)
		if t.changed(s.topic) {
			tell = append(tell, s.topic)
		}
	}
	return tell
}

// ended is called when a connection with memberships has ended.
func (t *Topics) ended(c *websocket.Conn) {
	for _, tp := range t.leaveAll(c) {
		t.tell(tp)
	}
}

// member returns c's member, which it makes if there is none. ended is c's context. The caller has
// t.mu.
func (t *Topics) member(c *websocket.Conn, ended context.Context) *member {
	if m := t.members[c]; m != nil {
		return m
	}
	if t.members == nil {
		t.members = make(map[*websocket.Conn]*member)
		t.topics = make(map[string]*topic)
		t.seed = maphash.MakeSeed()
		for range runtime.GOMAXPROCS(0) {
			t.shards = append(t.shards, new(shard))
		}
	}
	// The same connection gets the same shard again, where messages from before may wait for it.
	m := &member{shard: t.shards[maphash.Comparable(t.seed, c)%uint64(len(t.shards))]}
	m.stop = afterFunc(ended, func() { t.ended(c) })
	t.members[c] = m
	return m
}

// afterFunc is context.AfterFunc. That would use the method of a Conn's context too, but needs 200
// bytes more for it.
func afterFunc(ctx context.Context, f func()) (stop func() bool) {
	if own, ok := ctx.(interface{ AfterFunc(func()) func() bool }); ok {
		return own.AfterFunc(f)
	}
	return context.AfterFunc(ctx, f)
}

// forget removes a member. The caller has t.mu.
func (t *Topics) forget(c *websocket.Conn, m *member) {
	m.stop()
	delete(t.members, c)
}

// open returns the topic of that name, which it makes if there is none. The caller has t.mu.
func (t *Topics) open(name string) *topic {
	tp := t.topics[name]
	if tp == nil {
		tp = &topic{name: name}
		t.topics[name] = tp
	}
	return tp
}

// join adds a membership.
func (tp *topic) join(c *websocket.Conn, m *member) {
	ms := &membership{c: c}
	m.topics = append(m.topics, subscription{tp, ms})
	p := tp.part(m.shard)
	if p == nil {
		tp.parts = append(tp.parts, part{shard: m.shard})
		p = &tp.parts[len(tp.parts)-1]
	}
	p.memberships = append(p.memberships, ms)
	tp.count++
}

func (tp *topic) part(s *shard) *part {
	for i := range tp.parts {
		if tp.parts[i].shard == s {
			return &tp.parts[i]
		}
	}
	return nil
}

// leave ends a membership. The caller has t.mu.
func (t *Topics) leave(s subscription, m *member) {
	s.membership.left.Store(t.seq + 1)
	s.topic.count--
	p := s.topic.part(m.shard)
	if p.gone++; p.gone*8 >= len(p.memberships) {
		p.sweep()
	}
	if len(p.memberships) == 0 {
		last := len(s.topic.parts) - 1
		*p, s.topic.parts[last] = s.topic.parts[last], part{}
		s.topic.parts = s.topic.parts[:last]
	}
}

// sweep makes a new slice without those who have left. So for each of them some eight others are
// copied.
func (p *part) sweep() {
	var stay []*membership
	if n := len(p.memberships) - p.gone; n > 0 {
		stay = make([]*membership, 0, n+n/8+1)
	}
	for _, m := range p.memberships {
		if m.left.Load() == 0 {
			stay = append(stay, m)
		}
	}
	p.memberships, p.gone = stay, 0
}

// changed is called after a topic's members have changed. It reports whether the caller has to call
// tell. The caller has t.mu.
func (t *Topics) changed(tp *topic) (tell bool) {
	if t.Opened == nil && t.Closed == nil {
		tp.told = tp.count > 0
	}
	if tp.telling {
		return false
	}
	tp.telling = tp.told != (tp.count > 0)
	if tp.count == 0 && !tp.told && !tp.telling {
		delete(t.topics, tp.name)
	}
	return tp.telling
}

// tell calls Opened and Closed until they have told how things are. The goroutine that set telling
// calls it.
func (t *Topics) tell(tp *topic) {
	for more := true; more; {
		more = t.tellOnce(tp)
	}
}

func (t *Topics) tellOnce(tp *topic) (more bool) {
	t.mu.Lock()
	tp.told = !tp.told
	f := t.Closed
	if tp.told {
		f = t.Opened
	}
	t.mu.Unlock()
	returned := false
	defer func() {
		t.mu.Lock()
		tp.telling = false
		more = t.changed(tp)
		t.mu.Unlock()
		if more && !returned { // f panicked, and this goroutine will not come back
			go t.tell(tp)
		}
	}()
	if f != nil {
		f(tp.name)
	}
	returned = true
	return false
}

// Len returns how many members a topic has.
func (t *Topics) Len(topic string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tp := t.topics[topic]; tp != nil {
		return tp.count
	}
	return 0
}

// Members returns those who are members of a topic when the iteration begins. Who has left
// before its turn comes is left out. The order is none.
func (t *Topics) Members(topic string) iter.Seq[*websocket.Conn] {
	return func(yield func(*websocket.Conn) bool) {
		for _, p := range t.partsOf(topic) {
			for _, m := range p.memberships {
				if m.left.Load() == 0 && !yield(m.c) {
					return
				}
			}
		}
	}
}

// partsOf returns a copy of a topic's parts.
func (t *Topics) partsOf(topic string) []part {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tp := t.topics[topic]; tp != nil {
		return append([]part(nil), tp.parts...)
	}
	return nil
}

// Of returns the topics of which c is a member when the iteration begins. The order is none.
func (t *Topics) Of(c *websocket.Conn) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range t.namesOf(c) {
			if !yield(name) {
				return
			}
		}
	}
}

func (t *Topics) namesOf(c *websocket.Conn) (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.members[c]; m != nil {
		for _, s := range m.topics {
			names = append(names, s.topic.name)
		}
	}
	return names
}
