package websocket

import (
	"context"
	"time"
)

// Coalescing: answers that go out together. A peer that sends 32 small messages
// without waiting for answers has them arrive in one read; 32 writes would then
// cost some fifteen times what one write of all the answers does.
//
// The rule needs no timer. While the reading half still has a complete frame
// before it, another answer is likely to come at once, so what is written is
// held. It is sent, in one write, with the first answer after the last complete
// frame, or when reading is about to wait, when 16 KiB are held, with a close
// frame, or by Flush. A write while nothing more is there goes out at once.

// holdLimit is how much may be held. A frame that is copied fits behind it.
const holdLimit = bufferSize - copyLimit - maxHeaderLen

// takeHeld returns a buffer for the next frame and how much is held in it. The
// buffer is the caller's: to send and put back, or to hold.
func (out *writeHalf) takeHeld() (buf *[bufferSize]byte, held int) {
	if out.held == nil {
		return getBuffer(), 0
	}
	buf, held = out.held, int(out.heldLen)
	out.held, out.heldLen = nil, 0
	return buf, held
}

// hold keeps the n octets in buf for later, if they may wait.
func (c *Conn) hold(buf *[bufferSize]byte, n int) bool {
	if !c.flags.has(flagMore) || n > holdLimit {
		return false
	}
	c.out.held, c.out.heldLen = buf, int32(n)
	return true
}

// writeHeldFailed deals with a write of buf, of which n octets were sent.
// Before the first octet nothing is lost: what was held before is held again.
func (c *Conn) writeHeldFailed(err error, n int, buf *[bufferSize]byte, held int) error {
	if err = c.writeFailed(err, n > 0); c.out.err == nil && held > 0 {
		c.out.held, c.out.heldLen = buf, int32(held)
	} else {
		putBuffer(buf)
	}
	return err
}

// flushHeld sends what is held. Its caller holds out.lock.
func (c *Conn) flushHeld() error {
	if c.out.held == nil {
		return nil
	}
	buf, held := c.out.takeHeld()
	if n, err := c.nc.Write(buf[:held]); err != nil {
		return c.writeHeldFailed(err, n, buf, held)
	}
	c.took()
	putBuffer(buf)
	return nil
}

// writeBehind writes a whole frame behind what is held. Its caller holds out.lock.
func (c *Conn) writeBehind(frame []byte) error {
	if len(frame) > bufferSize-holdLimit {
		if err := c.flushHeld(); err != nil {
			return err
		}
		n, err := c.nc.Write(frame)
		if err != nil {
			return c.writeFailed(err, n > 0)
		}
		c.took()
		return nil
	}
	buf, held := c.out.takeHeld()
	end := held + copy(buf[held:], frame)
	if c.hold(buf, end) {
		return nil
	}
	if n, err := c.nc.Write(buf[:end]); err != nil {
		return c.writeHeldFailed(err, n, buf, held)
	}
	c.took()
	putBuffer(buf)
	return nil
}

// Flush sends what is held where CoalesceWrites or HandleMessages holds
// messages back, for a program that will not read further for a while.
func (c *Conn) Flush() error {
	if err := c.lockWrite(context.Background()); err != nil {
		return err
	}
	defer c.out.lock.unlock()
	if c.out.err != nil {
		return c.out.err
	}
	return c.flushHeld()
}

// lookAhead tells the writing half whether a further complete frame is there.
// It is called for every message, just before it is delivered, and for every
// control frame.
func (c *Conn) lookAhead() {
	if !c.coalesce {
		return
	}
	h, n, err := consumeHeader(c.in.unread)
	more := err == nil && n > 0 && h.length <= int64(len(c.in.unread)-n)
	if more != c.flags.has(flagMore) { // mostly not: asking is cheaper than saying
		if more {
			c.flags.set(flagMore)
		} else {
			c.flags.clear(flagMore)
		}
	}
	c.offered = c.offered || more
}

// flushOffered sends what is held because lookAhead saw more. The reading half
// does so before it waits, and at its end. The order counts: who finds no more
// there, under out.lock, does not hold.
func (c *Conn) flushOffered() {
	c.flags.clear(flagMore)
	c.offered = false
	defer c.busy()()
	c.out.lock.lock(context.Background(), time.Time{})
	defer c.out.lock.unlock()
	if c.out.held == nil {
		return
	}
	if err := c.flushHeld(); err != nil && c.out.err == nil {
		// A deadline. Who wrote has been told that all is well, so it is now or never.
		c.out.end(err)
	}
}

// flushLast gives what is held to the transport just before that is closed, if
// it takes it at once.
func (c *Conn) flushLast() {
	const patience = 10 * time.Millisecond
	if c.out.lock.tryLock() {
		if c.out.held != nil {
			c.nc.SetWriteDeadline(time.Now().Add(patience))
			c.flushHeld()
		}
		c.out.lock.unlock()
	}
}
