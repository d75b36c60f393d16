package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Ping: asking the peer for a sign of life, and measuring how long it takes.
//
// Each ping has a payload of its own, and its pong brings that back (RFC 6455 section
// 5.5.3). A peer that has several pings before it may answer the latest only. So the
// payload holds a number, and a pong answers all pings up to that number.
//
// The latest ping may also be one that the program sent itself. Its pong is a foreign one: it
// does not say whether the pings of Ping have arrived. If they still wait for a pong, the last
// of them is sent once more. A ping of keepalive's also sends the last of them once more, so its
// pong is not a foreign one.
//
// Most connections never use it, so nothing of it is in a Conn.

// pingLength is the size of the payload of a ping of Ping's: a key, by which its pong is told
// from others, and a number.
const pingLength = 16

// pinging has the Pings of each connection that has any.
var pinging struct {
	mu sync.Mutex // guards all below
	of map[*Conn]*pings
}

// pings are the Pings of one connection. pinging.mu guards them.
type pings struct {
	last    [pingLength]byte // the payload of the last one
	number  uint64           // of the last one
	waiting []*ping          // in the order of their numbers

	// Foreign pongs since the last pong that answered a ping of these.
	resends int       // how many of them made the last ping be sent again
	resent  time.Time // when the latest of them did
}

// mayResend reports whether the last ping may be sent again after a foreign pong. Without a bound,
// a peer that answers every ping with another payload would get one ping after the other.
func (all *pings) mayResend(now time.Time) bool {
	const atOnce, then = 8, time.Second
	if all.resends >= atOnce && now.Sub(all.resent) < then {
		return false
	}
	all.resends++
	all.resent = now
	return true
}

// A ping is a call of Ping.
type ping struct {
	number uint64
	start  time.Time
	done   chan struct{} // closed when rtt and err are set
	rtt    time.Duration
	err    error
}

// Ping sends a ping, waits for its pong, and returns the time that this took: the round
// trip to the peer, behind the frame that is being sent and the bytes that the kernels
// hold.
//
// Pongs are received by whatever method reads, so another goroutine has to read. A
// function that HandleMessages or OnMessage calls must not wait for Ping, as nothing is
// read before it returns.
//
// Ping gives up when ctx ends, with an error that wraps ctx's, and the connection is none
// the worse for it. It waits neither for a write that is stuck nor for a message that is
// open. When the connection ends, or nothing more can be sent, Ping returns the error that
// says why, which is the one of reads or writes.
//
// A browser cannot ping, so under GOOS=js Ping returns an error, unless the Dialer had a dial
// function.
//
// Any number of goroutines may call it. It does not get in the way of keepalive, nor of pings
// that the program sends itself. The handler of SetPongHandler is called for these pongs
// as for all others.
func (c *Conn) Ping(ctx context.Context) (rtt time.Duration, err error) {
	end := c.Context()
	switch {
	case ctx.Err() != nil:
		return 0, pingFailed(ctx.Err())
	case end.Err() != nil:
		return 0, context.Cause(end)
	}
	if err := c.checkControl(PingMessage, nil); err != nil {
		return 0, err
	}
	p := c.addPing()
	defer c.removePing(p)
	c.leavePing()
	select {
	case <-p.done:
		return p.rtt, p.err
	case <-ctx.Done():
		return 0, pingFailed(ctx.Err())
	case <-end.Done():
		return 0, context.Cause(end)
	}
}

func pingFailed(err error) error { return fmt.Errorf("websocket: ping: no pong came: %w", err) }

// addPing makes the next ping of c's.
func (c *Conn) addPing() *ping {
	pinging.mu.Lock()
	defer pinging.mu.Unlock()
	all := pinging.of[c]
	if all == nil {
		all = new(pings)
		binary.BigEndian.PutUint64(all.last[:], rand.Uint64())
		if pinging.of == nil {
			pinging.of = make(map[*Conn]*pings)
		}
		pinging.of[c] = all
	}
	all.number++
	binary.BigEndian.PutUint64(all.last[pingLength/2:], all.number)
	p := &ping{number: all.number, start: time.Now(), done: make(chan struct{})}
	all.waiting = append(all.waiting, p)
	return p
}

// lastPing returns the payload of the last ping if any is waited for, and nil if none is.
func (c *Conn) lastPing() []byte {
	pinging.mu.Lock()
	defer pinging.mu.Unlock()
	if all := pinging.of[c]; all != nil {
		return bytes.Clone(all.last[:])
	}
	return nil
}

// removePing ends a call of Ping.
func (c *Conn) removePing(p *ping) {
	pinging.mu.Lock()
	defer pinging.mu.Unlock()
	all := pinging.of[c]
	if all == nil {
		return
	}
	if i := slices.Index(all.waiting, p); i >= 0 {
		all.waiting = slices.Delete(all.waiting, i, i+1)
	}
	c.dropPings(all)
}

// dropPings forgets c's pings if none is waited for. Its caller holds pinging.mu.
func (c *Conn) dropPings(all *pings) {
	if len(all.waiting) == 0 {
		delete(pinging.of, c)
	}
}

// answerPings ends the Pings that a pong answers. It is called for all pongs, and does
// not keep payload.
func (c *Conn) answerPings(payload []byte) {
	pinging.mu.Lock()
	all := pinging.of[c]
	if all == nil {
		pinging.mu.Unlock()
		return
	}
	number, mine := all.numberOf(payload)
	if mine {
		all.resends = 0
		all.end(number, nil)
		c.dropPings(all)
	}
	resend := !mine && all.mayResend(time.Now())
	pinging.mu.Unlock()
	if resend {
		c.leavePing()
	}
}

// numberOf returns the number of the ping with that payload, if it is one of these.
func (all *pings) numberOf(payload []byte) (number uint64, ok bool) {
	const half = pingLength / 2
	if len(payload) != pingLength || !bytes.Equal(payload[:half], all.last[:half]) {
		return 0, false
	}
	return binary.BigEndian.Uint64(payload[half:]), true
}

// end ends the pings up to a number, with an error if there is one.
func (all *pings) end(upTo uint64, err error) {
	for len(all.waiting) > 0 && all.waiting[0].number <= upTo {
		p := all.waiting[0]
		all.waiting = all.waiting[1:]
		p.rtt, p.err = time.Since(p.start), err
		if err != nil {
			p.rtt = 0
		}
		close(p.done)
	}
}

// failPings ends all Pings with the error of the writing half, which could not send the
// last one.
func (c *Conn) failPings(err error) {
	pinging.mu.Lock()
	defer pinging.mu.Unlock()
	if all := pinging.of[c]; all != nil {
		all.end(all.number, err)
		c.dropPings(all)
	}
}
