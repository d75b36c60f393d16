package websocket

import (
	"errors"
	"net"
	"sync"
	"time"
)

// The outbox: sending without waiting for the peer.
//
// Only one goroutine at a time can write to the transport, and it may be stuck
// there for as long as the peer does not read. Some goroutines must not wait for
// it. The one that reads has to answer a ping or a close frame: if it waited, a
// peer that sends and does not read would stop both directions, and no deadline
// for reading would end that. Keepalive has to go on with its other connections.
// A broadcast has to reach the next member.
//
// So they leave the frame in the outbox instead, and the holder of out.lock sends it
// before it gives the lock back:
//
//	a frame ──► outbox ──► lock.leave ──► free: the caller is the holder, and sends
//	                                └───► held: the holder was told, and will send
//
// lock.go says why none is forgotten: a free lock means an empty outbox, except for
// messages that wait for the end of a message of NextWriter's.
//
// conn_drain.go is about how the holder sends it, without waiting for the peer either.

// outbox holds the frames that were left for the holder of a Conn's out.lock. A
// Conn has one only while there is something in it.
type outbox struct {
	mu sync.Mutex // guards all below. It is taken after out.lock and before pinging.mu

	c     *Conn // the owner, nil in the pool
	pong  controlFrame
	ping  controlFrame // keepalive's, or of Ping
	close controlFrame // the answer to the peer's close frame or violation, or Enqueue's

	controls []queuedMessage // pings and pongs of the application's
	queue    messageQueue

	// The messages that the holder has taken out and the transport has not taken yet.
	sendingMessages int
	sendingBytes    int
	sendingSince    time.Time // when the first of these messages was queued
	sendingClose    bool
	draining        bool      // by a goroutine
	moved           time.Time // when the transport took some of it, while draining

	timer *time.Timer // calls queueExpired, nil if there is nothing to watch
}

// A controlFrame is a control frame's payload, if there is one.
type controlFrame struct {
	present bool
	length  uint8
	payload [maxControlPayload]byte
}

func (f *controlFrame) set(payload []byte) {
	f.present, f.length = true, uint8(copy(f.payload[:], payload))
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// lockOutbox returns c's outbox, locked. If c has none, it gets one.
func (c *Conn) lockOutbox() *outbox {
	for {
		if box := c.lockOutboxIfAny(); box != nil {
			return box
		}
		box := outboxes.Get().(*outbox)
		box.mu.Lock()
		box.c = c
		if c.out.box.CompareAndSwap(nil, box) {
			return box
		}
		box.c = nil
		box.mu.Unlock()
		outboxes.Put(box)
	}
}

// lockOutboxIfAny returns c's outbox, locked, or nil if c has none.
func (c *Conn) lockOutboxIfAny() *outbox {
	for {
		box := c.out.box.Load()
		if box == nil {
			return nil
		}
		box.mu.Lock()
		if c.out.box.Load() == box {
			return box
		}
		box.mu.Unlock() // it went back to the pool meanwhile
	}
}

// unlock unlocks the outbox, and takes it from its Conn if nothing is in it, and
// nothing of it is being sent.
func (box *outbox) unlock() {
	sending := box.draining || box.sendingMessages > 0 || box.sendingClose
	if box.hasControls() || box.queue.len() > 0 || sending {
		box.mu.Unlock()
		return
	}
	if box.timer != nil {
		box.timer.Stop()
		box.timer = nil
	}
	box.c.out.box.Store(nil)
	box.c = nil
	box.queue.reset()
	box.mu.Unlock()
	outboxes.Put(box)
}

// hasControls reports whether there is a control frame that goes out before queued
// messages.
func (box *outbox) hasControls() bool {
	return box.pong.present || box.ping.present || len(box.controls) > 0 || box.close.present
}

// hasClose reports whether a close frame goes out before everything else that may be left
// now, or has gone out.
func (box *outbox) hasClose() bool {
	return box.close.present || box.sendingClose || box.c.flags.has(flagSentClose)
}

// leavePong answers a ping. Only the latest ping needs an answer (RFC 6455
// section 5.5.3).
func (c *Conn) leavePong(payload []byte) {
	box := c.lockOutbox()
	box.pong.set(payload)
	box.mu.Unlock()
	c.leave()
}

// leavePing sends a ping for keepalive or for Ping. If both want one before it is sent, they share
// it.
func (c *Conn) leavePing() {
	box := c.lockOutbox()
	box.ping.set(c.lastPing())
	box.mu.Unlock()
	c.leave()
}

// leaveClose sends a close frame as soon as the frame under way is sent. If a close
// frame was left before, it does nothing and reports false.
func (c *Conn) leaveClose(payload []byte) bool {
	box := c.lockOutbox()
	first := !box.hasClose()
	if first {
		box.close.set(payload)
	}
	box.mu.Unlock()
	c.leave()
	return first
}

// leave has the outbox sent: by the holder of out.lock, or by the caller if
// there is none. It waits for neither the holder nor the peer.
func (c *Conn) leave() {
	if c.out.lock.leave() {
		c.emptyAndUnlock()
	}
}

// unlockWrite gives out.lock back. Everything that was left for its holder is sent
// first, or is given to a goroutine together with the lock.
func (c *Conn) unlockWrite() {
	if c.out.writing || !c.out.lock.state.CompareAndSwap(lockHeld, lockFree) {
		c.unlockSlow()
	}
}

// unlockSlow is unlockWrite if something was left, if a writer waits for the lock, or if the
// transport's Write has panicked.
func (c *Conn) unlockSlow() {
	if c.out.writing {
		c.out.writing = false
		c.endWriting(errWritePanicked)
	}
	for batches := 0; !c.out.lock.release(); batches++ {
		if batches == maxBatches {
			c.startDraining(c.lockOutbox(), batch{})
			return
		}
		if !c.emptyOutbox() {
			return
		}
	}
}

// maxBatches is how many batches of other callers a holder sends. A goroutine sends the
// rest. Otherwise callers that leave frames all the time would keep it from returning.
const maxBatches = 4

// emptyAndUnlock is unlockWrite for a holder that knows of something in the
// outbox.
func (c *Conn) emptyAndUnlock() {
	if c.emptyOutbox() {
		c.unlockWrite()
	}
}

// emptyOutbox sends one buffer from the outbox, as far as the transport takes it at
// once. It reports false if the rest went to a goroutine, together with
// out.lock. Its caller holds that lock. If a Trace function panics, the lock is
// given back.
func (c *Conn) emptyOutbox() (stillHolder bool) {
	returned := false
	defer func() {
		if !returned {
			c.endAndUnlock()
		}
	}()
	stillHolder = c.emptyBatch()
	returned = true
	return stillHolder
}

// endAndUnlock gives out.lock back after a panic in the middle of something.
func (c *Conn) endAndUnlock() {
	c.out.writing = false
	if c.out.err == nil {
		c.endWriting(errWritePanicked)
	}
	for !c.out.lock.release() {
		c.dropOutbox()
	}
}

var errWritePanicked = errors.New("websocket: write: the transport or a Trace function panicked")

// emptyBatch is emptyOutbox, without its care for panics.
func (c *Conn) emptyBatch() (stillHolder bool) {
	if c.out.err == nil && c.flags.has(flagClosed) {
		c.writeFailed(net.ErrClosed, true)
	}
	if c.out.err != nil {
		c.dropOutbox()
		return true
	}
	return c.dispatch(c.gather())
}

// dropOutbox empties the outbox of a connection that can send nothing more, and
// reports the messages. Its caller holds out.lock.
func (c *Conn) dropOutbox() {
	box := c.lockOutboxIfAny()
	if box == nil {
		return
	}
	messages, bytes := box.queue.len()+box.sendingMessages, box.queue.bytes+box.sendingBytes
	messages -= box.queue.closes
	box.sendingMessages, box.sendingBytes, box.sendingClose = 0, 0, false
	box.queue.reset()
	pinging := box.ping.present
	box.dropControls()
	box.unlock()
	if pinging {
		c.failPings(c.out.err)
	}
	c.traceDropped(messages, bytes)
}

func (box *outbox) dropControls() {
	box.pong.present, box.ping.present, box.controls, box.close.present = false, false, nil, false
}

// isSendingClose reports whether a goroutine is sending a close frame, or will.
func (c *Conn) isSendingClose() bool {
	box := c.lockOutboxIfAny()
	if box == nil {
		return false
	}
	defer box.mu.Unlock()
	return box.draining && (box.close.present || box.sendingClose)
}
