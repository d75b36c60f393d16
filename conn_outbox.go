package websocket

import (
	"errors"
	"fmt"
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
// The holder sends frames of other callers, so that must not take its time. It makes
// one attempt that does not wait. The rest that the transport does not take goes to a
// goroutine, together with the lock. That goroutine ends when the outbox is empty. A
// connection that keeps up costs no goroutine, and one that is slow costs one while
// it is slow.
//
// Frames leave the outbox in this order: the pending answers, which were reported
// as written long ago (see conn_coalesce.go), one pong, control frames, a close
// frame, then the queued messages as they came. After a close frame nothing is sent.

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

// leavePong answers a ping. Only the latest ping needs an answer (RFC 6455
// section 5.5.3).
func (c *Conn) leavePong(payload []byte) {
	box := c.lockOutbox()
	box.pong.set(payload)
	box.mu.Unlock()
	c.leave()
}

// leavePing sends keepalive's ping, or Ping's. One that waits here for both does for both.
func (c *Conn) leavePing() {
	box := c.lockOutbox()
	box.ping.set(c.lastPing())
	box.mu.Unlock()
	c.leave()
}

// leaveClose sends a close frame as soon as the frame under way is sent. It reports
// false if one was left before: that one counts.
func (c *Conn) leaveClose(payload []byte) bool {
	box := c.lockOutbox()
	first := !box.close.present && !box.sendingClose
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

// unlockSlow is unlockWrite if something was left, or if the transport's Write has panicked.
func (c *Conn) unlockSlow() {
	if c.out.writing {
		c.out.writing = false
		c.endWriting(errWritePanicked)
	}
	for !c.out.lock.release() {
		if !c.empty() {
			return
		}
	}
}

// emptyAndUnlock is unlockWrite for a holder that knows of something in the
// outbox.
func (c *Conn) emptyAndUnlock() {
	if c.empty() {
		c.unlockWrite()
	}
}

// empty sends one buffer from the outbox, as far as the transport takes it at
// once. It reports false if the rest went to a goroutine, together with
// out.lock. Its caller holds that lock. If a Trace function panics, the lock is
// given back.
func (c *Conn) empty() (stillHolder bool) {
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

// emptyBatch is empty, without its care for panics.
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

// A batch holds the frames that are sent together.
type batch struct {
	buf      *[bufferSize]byte // in which small lies
	small    []byte            // frames that were put together
	large    []byte            // a frame behind them that was not copied
	deflated *[]byte           // in which large lies, if that was compressed

	closing bool // the last frame is a close frame
	more    bool // something is left in the outbox
}

// gather takes a batch out of the outbox. Its caller holds out.lock.
func (c *Conn) gather() batch {
	b := c.newBatch()
	c.takeControls(&b)
	for !b.closing && b.large == nil {
		m, more, ok := c.takeMessage() // one at least, so that b.more is known
		if !ok {
			break
		}
		b.more, b.closing = more, m.op == opClose
		if c.addFrame(&b, m); len(b.small) > holdLimit {
			break
		}
	}
	return b
}

// newBatch begins a batch with the pending answers.
func (c *Conn) newBatch() (b batch) {
	if c.out.pending != nil {
		b.buf, b.small = c.out.takePending()
	}
	return b
}

// takeControls takes the control frames out of the outbox, and puts them behind the pending
// answers.
func (c *Conn) takeControls(b *batch) {
	box := c.lockOutboxIfAny()
	if box == nil {
		return
	}
	start := len(b.small)
	if box.pong.present {
		c.addControl(b, opPong, box.pong.payload[:box.pong.length])
	}
	if box.ping.present {
		c.addControl(b, opPing, box.ping.payload[:box.ping.length])
	}
	for _, m := range box.controls {
		c.addControl(b, m.op, m.frame[maxHeaderLen:])
	}
	if box.close.present {
		c.addControl(b, opClose, box.close.payload[:box.close.length])
		b.closing, box.sendingClose = true, true
	}
	box.dropControls()
	box.mu.Unlock()
	for frames := b.small[start:]; len(frames) > 0; { // a Trace may use the outbox
		frames = frames[c.traceFrameBytes(frames):]
	}
}

func (box *outbox) dropControls() {
	box.pong.present, box.ping.present, box.controls, box.close.present = false, false, nil, false
}

func (c *Conn) addControl(b *batch, op opcode, payload []byte) {
	b.useBuffer()
	b.small = c.appendFrame(b.small, op, payload)
}

// takeMessage takes the next message from the queue, and reports whether it was
// not the last.
func (c *Conn) takeMessage() (m queuedMessage, more, ok bool) {
	box := c.lockOutboxIfAny()
	if box == nil {
		return m, false, false
	}
	defer box.mu.Unlock()
	messageOpen := c.out.writer != nil
	if m, ok = box.queue.take(messageOpen); !ok {
		return m, false, false
	}
	box.sendingClose = m.op == opClose
	if !m.op.isControl() {
		box.sendingMessages++
		box.sendingBytes += m.size()
	}
	return m, box.queue.ready(messageOpen), true
}

// addFrame puts m's frame behind the others of b: into the buffer if it fits,
// and if more is to come.
func (c *Conn) addFrame(b *batch, m queuedMessage) {
	frame, deflated := c.frameOf(m)
	c.traceFrameBytes(frame)
	if b.buf == nil && !b.more {
		b.large, b.deflated = frame, deflated
		return
	}
	if b.useBuffer(); len(frame) > cap(b.small)-len(b.small) {
		b.large, b.deflated = frame, deflated
		return
	}
	b.small = append(b.small, frame...)
	if deflated != nil {
		putDeflateBuffer(deflated)
	}
}

func (b *batch) useBuffer() {
	if b.buf == nil {
		b.buf = getBuffer()
		b.small = b.buf[:0]
	}
}

// dispatch sends b without waiting. It reports false if the rest went to a
// goroutine, together with out.lock.
func (c *Conn) dispatch(b batch) (stillHolder bool) {
	if len(b.small)+len(b.large) == 0 {
		c.batchSent(b)
		return true
	}
	if c.raw != nil {
		done, err := c.attempt(&b)
		if err != nil {
			b.recycle()
			c.writeFailed(err, true)
			return true
		}
		if done {
			if c.batchSent(b); !b.more || c.out.err != nil {
				return true
			}
			b = batch{}
		}
	}
	c.startDraining(c.lockOutbox(), b)
	return false
}

// startDraining gives b and out.lock to a goroutine, and unlocks box.
func (c *Conn) startDraining(box *outbox, b batch) {
	box.draining, box.moved = true, time.Now()
	box.watch()
	box.mu.Unlock()
	go c.drain(b)
}

// attempt writes b as far as the socket takes it at once, and takes that from b.
func (c *Conn) attempt(b *batch) (done bool, err error) {
	for _, p := range []*[]byte{&b.small, &b.large} {
		if len(*p) == 0 {
			continue
		}
		n, err := c.tryWrite(*p)
		*p = (*p)[n:]
		if err != nil || len(*p) > 0 {
			return false, err
		}
	}
	return true, nil
}

// batchSent ends b, all of which the transport has taken.
func (c *Conn) batchSent(b batch) {
	b.recycle()
	if box := c.lockOutboxIfAny(); box != nil {
		box.sendingMessages, box.sendingBytes = 0, 0
		box.unlock()
	}
	if b.closing {
		c.endWriting(ErrCloseSent)
	}
}

func (b *batch) recycle() {
	if b.buf != nil {
		putBuffer(b.buf)
	}
	if b.deflated != nil {
		putDeflateBuffer(b.deflated)
	}
}

// drain sends b and then everything that lies in the outbox. It has got out.lock
// from its caller, and gives it back.
//
// The user's deadline for writes does not count here, because no call of the user's is under way.
// QueueTimeout bounds the wait instead, and keepalive.
func (c *Conn) drain(b batch) {
	returned := false
	defer func() {
		if v := recover(); !returned { // a Trace function or the transport panicked, or ended the goroutine
			c.endWriting(fmt.Errorf("%w: %v", errWritePanicked, v))
			c.stopDraining()
			c.endAndUnlock()
			c.Close()
		}
	}()
	c.drainAll(b)
	returned = true
}

func (c *Conn) drainAll(b batch) {
	c.liftWrite()
	var turn writersTurn
	for c.out.err == nil {
		if err := c.sendBatch(b); err != nil {
			b.recycle()
			c.writeFailed(err, true)
			break
		}
		c.batchSent(b)
		if c.passOn(&turn) {
			return
		}
		if b = c.gather(); len(b.small)+len(b.large) == 0 {
			break
		}
	}
	c.stopDraining()
	c.unlockWrite()
}

// stopDraining ends the time in which a goroutine has out.lock.
func (c *Conn) stopDraining() {
	c.unliftWrite()
	if c.out.err != nil {
		c.dropOutbox()
	}
	if box := c.lockOutboxIfAny(); box != nil {
		box.draining = false
		box.unlock()
	}
}

// A writersTurn says when the first writer that waits for out.lock gets it from a goroutine that
// drains. Otherwise messages that are queued all the time could hold up a call of WriteMessage for
// ever.
type writersTurn struct {
	waiter chan struct{}
	behind uint64 // the number of the first message that may have come later
}

// passOn gives out.lock, together with the rest of the outbox, to the first writer that waits, if
// it is its turn.
func (c *Conn) passOn(turn *writersTurn) bool {
	waiter := c.out.lock.firstWaiter()
	box := c.lockOutboxIfAny()
	if waiter == nil || box == nil {
		turn.waiter = nil
		if box != nil {
			box.mu.Unlock()
		}
		return false
	}
	if waiter != turn.waiter {
		*turn = writersTurn{waiter, box.queue.end()}
	}
	urgent := box.hasControls()
	sent := box.queue.len() == 0 || box.queue.first >= turn.behind
	box.mu.Unlock()
	if urgent || !sent {
		return false
	}
	c.stopDraining()
	if c.out.lock.passTo(waiter) {
		return true
	}
	box = c.lockOutbox() // the writer has given up
	box.draining = true
	box.mu.Unlock()
	c.liftWrite()
	return false
}

// sendBatch writes b, waiting for the transport.
func (c *Conn) sendBatch(b batch) error {
	for _, p := range [][]byte{b.small, b.large} {
		for len(p) > 0 {
			n, err := c.send(p[:min(len(p), pieceSize)])
			if err != nil {
				return err
			}
			p = p[n:]
			if box := c.lockOutboxIfAny(); box != nil {
				box.moved = time.Now()
				box.mu.Unlock()
			}
		}
	}
	return nil
}

// watch has queueExpired called in time.
func (box *outbox) watch() {
	if timeout := box.c.settings.Load().queueTimeout; timeout > 0 && box.timer == nil {
		box.timer = time.AfterFunc(timeout, box.c.queueExpired)
	}
}

// queueExpired gives the peer up if something in the outbox has waited for
// QueueTimeout.
func (c *Conn) queueExpired() {
	box := c.lockOutboxIfAny()
	if box == nil {
		return // it was emptied meanwhile
	}
	since := box.queue.since()
	if box.draining && (since.IsZero() || box.moved.Before(since)) {
		since = box.moved
	}
	wait := time.Until(since.Add(c.settings.Load().queueTimeout))
	switch {
	case since.IsZero():
		box.timer = nil
	case wait > 0 && box.timer != nil:
		box.timer.Reset(wait)
	}
	box.mu.Unlock()
	if !since.IsZero() && wait <= 0 {
		c.flags.set(flagTooSlow)
		c.closeNow()
	}
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

// isSendingClose reports whether a goroutine is sending a close frame, or will.
func (c *Conn) isSendingClose() bool {
	box := c.lockOutboxIfAny()
	if box == nil {
		return false
	}
	defer box.mu.Unlock()
	return box.draining && (box.close.present || box.sendingClose)
}
