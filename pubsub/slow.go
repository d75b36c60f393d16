package pubsub

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket"
)

// Slow members. The messages that wait for a peer lie in its connection's queue, and the limit of
// that decides who is slow. What happens to a member whose queue is full is the program's choice.
// No choice is silent: Stats counts every message that is dropped, and the Trace of the connection
// is told of it.

// A Verdict says what becomes of a member whose queue is full.
type Verdict int

const (
	// CloseSlow closes the connection with code 1013, try again later: the peer broke no rule, and
	// may come back. The close frame goes out before the messages that wait, which are dropped. The
	// member leaves its topics at once. If the peer has not answered after 5 s, the transport is
	// closed.
	CloseSlow Verdict = iota

	// DropNewest drops this message, for this member only.
	DropNewest

	// DropOldest drops the oldest messages that wait for this member, until there is room for this
	// one.
	DropOldest
)

// closeTimeout is how long a slow member may take to answer its close frame.
const closeTimeout = 5 * time.Second

// deliver hands a message to a connection. It reports whether the connection accepted it, and drops
// it if not.
func (t *Topics) deliver(p *publication, c *websocket.Conn) bool {
	accepted, full := t.enqueue(p, c)
	verdict := CloseSlow
	if full && t.Slow != nil {
		verdict = t.Slow(c, p.topic, p.pm)
	}
	if full && verdict == DropOldest {
		t.counters.dropped.Add(int64(c.MakeRoom(p.pm.Len())))
		accepted, full = t.enqueue(p, c)
	}
	if accepted {
		return true
	}
	t.drop(p, c)
	if full && verdict == CloseSlow {
		t.closeSlow(c)
	}
	return false
}

// enqueue reports whether a connection accepted a message, and otherwise, whether its queue is
// full. If it is neither, the connection has ended or is about to.
func (t *Topics) enqueue(p *publication, c *websocket.Conn) (accepted, full bool) {
	if p.key == nil {
		err := c.EnqueuePrepared(p.pm)
		return err == nil, errors.Is(err, websocket.ErrQueueFull)
	}
	replaced, err := c.EnqueueLatest(p.key, p.pm)
	if replaced {
		t.counters.replaced.Add(1)
	}
	return err == nil, errors.Is(err, websocket.ErrQueueFull)
}

var slowClose = websocket.FormatCloseMessage(websocket.CloseTryAgainLater, "too slow: the queue is full")

// closeSlow closes a connection whose queue is full. It waits for nothing, and needs no goroutine
// for the time in which the peer may answer.
func (t *Topics) closeSlow(c *websocket.Conn) {
	t.counters.closed.Add(1)
	t.counters.dropped.Add(int64(c.DropQueued())) // the close frame drops them, too, and does not say how many
	c.Enqueue(websocket.CloseMessage, slowClose)
	t.cutOffLater(c)
	if tell := t.leaveAll(c); len(tell) > 0 {
		go func() { // Closed may take its time
			for _, tp := range tell {
				t.tell(tp)
			}
		}()
	}
}

// A doomed connection was told to close, and is cut off when its time is over.
type doomed struct {
	c   *websocket.Conn
	due time.Time
}

// cutOffLater has c cut off after closeTimeout. One timer is enough for all, as each has the same
// time.
func (t *Topics) cutOffLater(c *websocket.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doomed = append(t.doomed, doomed{c, time.Now().Add(closeTimeout)})
	if !t.cutting {
		t.cutting = true
		time.AfterFunc(closeTimeout, t.cutOff)
	}
}

// cutOff cuts off whose time is over, one after the other: members that became slow in the same
// moment would else have a goroutine each for their end.
func (t *Topics) cutOff() {
	for {
		c, wait := t.nextDoomed()
		switch {
		case wait > 0:
			time.AfterFunc(wait, t.cutOff)
			return
		case c == nil:
			return
		}
		// Close would give the close frame another second. The write that is stuck fails first.
		c.NetConn().SetWriteDeadline(time.Unix(1, 0))
		c.Close()
		runtime.Gosched()
	}
}

// nextDoomed returns the connection that has to be cut off now, or how long to wait for the next
// one. If it returns neither, there is none.
func (t *Topics) nextDoomed() (c *websocket.Conn, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.doomed) == 0 {
		t.doomed, t.cutting = nil, false
		return nil, 0
	}
	d := t.doomed[0]
	if wait = time.Until(d.due); wait > 0 {
		return nil, wait
	}
	t.doomed[0] = doomed{}
	t.doomed = t.doomed[1:]
	return d.c, 0
}

// Stats are counts since the beginning, but for the last three, which are of the moment.
type Stats struct {
	Published int64 // calls of Publish and PublishLatest
	Delivered int64 // messages that a member's connection accepted: it has sent them, or will unless they are dropped
	Replaced  int64 // of PublishLatest: messages that a later one with the same key replaced for a member
	Dropped   int64 // messages that a member did not get; see Topics.Stats
	Closed    int64 // members that were closed because they were slow

	Topics  int   // that have members
	Members int   // connections that have a topic
	Backlog int64 // bytes of messages that were not yet handed to all their members; see Topics.Backlog
}

type counters struct {
	published, delivered, replaced, dropped, closed atomic.Int64
}

// Stats returns the counts. Those of messages that are being sent to many members may be a little
// late.
//
// Dropped counts each message once for each member that did not get it: because of Backlog, because
// of a Verdict, with all that waits in a queue for which DropOldest makes room or that CloseSlow
// closes, or because the connection had ended before the message was handed to it. Trace.Dropped of
// the connection is told of the same. Only Trace.Dropped is told of what a connection has accepted
// and still holds when it ends in another way.
func (t *Topics) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{
		Published: t.counters.published.Load(),
		Delivered: t.counters.delivered.Load(),
		Replaced:  t.counters.replaced.Load(),
		Dropped:   t.counters.dropped.Load(),
		Closed:    t.counters.closed.Load(),
		Topics:    len(t.topics),
		Members:   len(t.members),
		Backlog:   t.backlog.Load(),
	}
}
