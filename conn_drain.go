package websocket

import (
	"fmt"
	"time"
)

// Emptying the outbox.
//
// The holder sends frames of other callers, and must not be held up by that. So it makes
// an attempt that does not wait. The bytes that the transport does not take go to a
// goroutine, together with the lock. That goroutine ends when the outbox is empty. A
// connection that keeps up costs no goroutine, and one that is slow costs one while
// it is slow.
//
// Frames are sent in this order:
//
//   - the pending answers, because they were reported as written before (conn_coalesce.go)
//   - the library's pong, its ping, and the pings and pongs of the application
//   - a close frame
//   - the queued messages, in the order in which they came
//
// After a close frame nothing is sent.

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
		if c.addFrame(&b, m); len(b.small) > pendingLimit {
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
		if box.sendingMessages == 0 {
			box.sendingSince = m.at
		}
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
	if c.canAttempt() {
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
	box.beginDraining()
	box.mu.Unlock()
	go c.drain(b)
}

// beginDraining begins the time in which a goroutine has out.lock.
func (box *outbox) beginDraining() {
	box.draining, box.moved = true, time.Now()
	box.watch()
}

// canAttempt reports whether the transport can be written without waiting, as sockets and
// streams of HTTP/2 can.
func (c *Conn) canAttempt() bool {
	if c.raw != nil {
		return true
	}
	_, isStream := c.nc.(*http2Stream)
	return isStream
}

// attemptWrite writes as much of p as the transport takes at once.
func (c *Conn) attemptWrite(p []byte) (n int, err error) {
	if s, ok := c.nc.(*http2Stream); ok {
		n, err = s.tryWrite(p)
		c.out.writing = false
		c.took(n)
		return n, err
	}
	return c.tryWrite(p)
}

// attempt writes b as far as the transport takes it at once, and takes that from b.
func (c *Conn) attempt(b *batch) (done bool, err error) {
	for _, p := range []*[]byte{&b.small, &b.large} {
		if len(*p) == 0 {
			continue
		}
		n, err := c.attemptWrite(*p)
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
// QueueTimeout and keepalive bound the wait instead.
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
	box.beginDraining()
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

// watch starts the timer that calls queueExpired, if there is a QueueTimeout.
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
