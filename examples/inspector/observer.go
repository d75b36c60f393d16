package main

import (
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

// queueLimit is the number of events that may wait for an observer. Each has some 2 KB.
const queueLimit = 512

// lastWords is the time that an observer has, when the program ends, for the events that are still
// queued.
const lastWords = 2 * time.Second

// An observer receives events. The recorders never wait for it: events that it cannot take in time
// are dropped, the oldest first, and counted.
type observer struct {
	mu      sync.Mutex
	queue   []*event
	dropped int
	wake    chan struct{} // holds one value while queue may not be empty
	ending  chan struct{} // closed when no more events will come
	done    chan struct{} // closed when no more events are sent
}

func newObserver() *observer {
	return &observer{wake: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{})}
}

func (o *observer) push(e *event) {
	o.mu.Lock()
	if len(o.queue) == queueLimit {
		o.queue = o.queue[1:]
		o.dropped++
	}
	o.queue = append(o.queue, e)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// next returns the oldest event, or nil if there is none. If events were dropped, it first returns
// their number.
func (o *observer) next() (e *event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return nil
	}
	if o.dropped > 0 {
		e = &event{Kind: "dropped", Count: o.dropped, Time: o.queue[0].Time}
		o.dropped = 0
		return e
	}
	e, o.queue = o.queue[0], o.queue[1:]
	return e
}

// write sends events until gone is closed, c is, or there will be no more.
func (o *observer) write(c *websocket.Conn, gone <-chan struct{}) {
	defer close(o.done)
	for last := false; ; {
		for e := o.next(); e != nil; e = o.next() {
			if c.WriteJSON(e) != nil {
				return // the reader of c learns the reason
			}
		}
		if last {
			return
		}
		select {
		case <-o.wake:
		case <-gone:
			return
		case <-o.ending:
			last = true
			c.SetWriteDeadline(time.Now().Add(lastWords))
		}
	}
}
