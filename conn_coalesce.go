package websocket

import (
	"context"
	"time"
)

// Coalescing: answers that go out together. A peer that sends 32 small messages
// without waiting for answers has them arrive in one read. 32 writes would then
// cost some fifteen times as much as one write of all the answers.
//
// While the reading half still has a complete frame before it, another answer is
// likely to follow at once. So a write is deferred, and its frame is pending. The
// pending frames are sent in one write, at the first of these moments:
//
//   - the answer to the last complete frame is written: it goes with them
//   - reading is about to wait for the peer
//   - a close frame is written: it goes behind them
//   - they come near 16 KiB
//   - the program calls Flush
//   - 5 ms have passed, because a program may take long over its next answer

// pendingLimit is how many bytes may be pending. The largest frame that is copied still fits
// behind them.
const pendingLimit = bufferSize - copyLimit - maxHeaderLen

// pendingTime is how long answers may be pending.
const pendingTime = 5 * time.Millisecond

// takePending returns a buffer for the next frame and the pending frames in it. The
// buffer is the caller's: to send and put back, or to give to deferWrite.
func (out *writeHalf) takePending() (buf *[bufferSize]byte, pending []byte) {
	if out.pending == nil {
		buf = getBuffer()
		return buf, buf[:0]
	}
	buf, pending = out.pending, out.pending[out.pendingFrom:out.pendingTo]
	out.pending, out.pendingFrom, out.pendingTo = nil, 0, 0
	return buf, pending
}

// keepPending makes frames, which lie in buf, the pending ones.
func (out *writeHalf) keepPending(buf *[bufferSize]byte, frames []byte) {
	from := bufferSize - cap(frames)
	out.pending, out.pendingFrom, out.pendingTo = buf, uint16(from), uint16(from+len(frames))
}

// deferWrite keeps frames, which lie in buf, for later if they may wait.
func (c *Conn) deferWrite(buf *[bufferSize]byte, frames []byte) bool {
	if !c.flags.has(flagMore) || bufferSize-cap(frames)+len(frames) > pendingLimit {
		return false
	}
	if c.raw == nil && !c.deadlines.userWrite().IsZero() {
		return false // crypto/tls could not go on after a deadline in the middle of them
	}
	c.out.keepPending(buf, frames)
	if !c.flags.set(flagFlushDue) {
		time.AfterFunc(pendingTime, c.flushDue)
	}
	return true
}

// flushDue has the pending answers sent after pendingTime.
func (c *Conn) flushDue() {
	c.flags.clear(flagFlushDue)
	c.flags.clear(flagMore) // until the next message is looked at
	c.leave()
}

// sendBehind sends frames, which lie in buf and begin with the pending ones. A deadline
// loses nothing of the pending frames: if it passes before the new frame was begun, the
// rest of them is pending again.
func (c *Conn) sendBehind(buf *[bufferSize]byte, pending, frames []byte) error {
	n, err := c.send(frames)
	if err == nil {
		putBuffer(buf)
		return nil
	}
	return c.sendBehindFailed(buf, pending, n, err)
}

// sendBehindFailed ends sendBehind if the transport has taken n bytes of the frames only.
func (c *Conn) sendBehindFailed(buf *[bufferSize]byte, pending []byte, n int, err error) error {
	if err = c.writeFailed(err, n > len(pending)); c.out.err == nil && n < len(pending) {
		c.out.keepPending(buf, pending[n:])
		c.out.lock.leave() // for unlockWrite to go on with
	} else {
		putBuffer(buf)
	}
	return err
}

// sendPending sends the pending answers. Its caller holds out.lock.
func (c *Conn) sendPending() error {
	if c.out.pending == nil {
		return nil
	}
	buf, pending := c.out.takePending()
	return c.sendBehind(buf, pending, pending)
}

// writeBehind writes a whole frame behind the pending ones. Its caller holds
// out.lock.
func (c *Conn) writeBehind(frame []byte) error {
	if len(frame) > bufferSize-pendingLimit {
		if err := c.sendPending(); err != nil {
			return err
		}
		return c.sendFrame(frame)
	}
	buf, pending := c.out.takePending()
	frames := append(pending, frame...)
	if c.deferWrite(buf, frames) {
		return nil
	}
	return c.sendBehind(buf, pending, frames)
}

// Flush sends the messages that CoalesceWrites or HandleMessages has deferred, for
// a program that will not read further for a while. Messages that are written after
// that go out at once, until the next message is read.
func (c *Conn) Flush() error {
	c.flags.clear(flagMore)
	if err := c.lockWrite(context.Background()); err != nil {
		return err
	}
	defer c.unlockWrite()
	if err := c.writable(); err != nil {
		return err
	}
	return c.sendPending()
}

// flush has the pending answers sent. The reading half does so before it waits, and
// at its end, if flushNeeded is set. It does not wait for the transport.
//
// flagMore is cleared before the holder of out.lock is told: a writer that gets the
// lock later sees it cleared and writes at once.
func (c *Conn) flush() {
	c.flushNeeded = false
	c.flags.clear(flagMore)
	c.leave()
}

// flushLast gives the pending answers to the transport just before that is closed,
// if it takes them at once.
func (c *Conn) flushLast() {
	const patience = 10 * time.Millisecond
	if !c.out.lock.tryLock() {
		return
	}
	defer c.unlockWrite()
	if c.out.pending == nil {
		return
	}
	buf, pending := c.out.takePending()
	defer putBuffer(buf)
	if c.raw != nil {
		c.tryWrite(pending)
	} else if c.nc.SetWriteDeadline(time.Now().Add(patience)) == nil {
		c.send(pending)
	}
}
