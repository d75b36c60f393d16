//go:build unix

package websocket

import "syscall"

// Waiting inside RawConn.Read.
//
// A loop of ReadMessage reads once for a message, and a second time to be told
// EAGAIN, before it may wait: RawConn.Read forgets at its start whether the
// socket was readable. Inside one call of it that is remembered. So
// HandleMessages makes one such call for as long as the connection lasts: the
// callback reads, handles messages, answers them, and returns false to wait.
// With what receive knows, that is one read and one write for a small message,
// where a loop of net.Conn's Read and Write makes three system calls. (An echo
// takes as much CPU time as theirs all the same, within 5 %: the read that says
// more costs more, and there is WebSocket to be done.)
//
// The price is the depth: f, and the write, are called from within, and the
// stack of the goroutine grows to 4 KiB or more, for good. So a message that
// comes after a silence may be followed by another silence, and the next wait is
// left to a fresh goroutine, with 2 KiB: an idle connection costs 3.9 KB instead
// of 6.0, whatever f does. Between messages that follow each other this would
// cost more than they do.

// Inside one call of RawConn.Read nothing else is looked at either: deadlines,
// and whether the transport was closed. A peer that never stops sending must not
// keep a step from ending. It ends after maxStepReads.

// maxStepReads bounds how long a deadline has to wait for a step: four reads
// bring 128 KiB at most, unless they go straight into a large message. The next
// call of RawConn.Read begins with a read, so it costs no system call.
const maxStepReads = 4

// A driver is HandleMessages at work.
type driver struct {
	c            *Conn
	f            func(c *Conn, messageType int, data []byte)
	err          error
	canMove      bool // to a fresh goroutine
	begun        bool // a message was handled, in this step or before
	asked        bool // tellDrained was called; this is what it said:
	tellsDrained bool
}

// readDriven is HandleMessages, for a holder of readLock.
func (c *Conn) readDriven(f func(c *Conn, messageType int, data []byte), canMove bool) error {
	if c.raw == nil {
		return c.pullMessages(f)
	}
	d := driver{c: c, f: f, canMove: canMove}
	for {
		if err := c.raw.Read(d.step); err != nil {
			return c.readFailed(c.socketError(err))
		}
		if d.err != errAgain {
			return d.err
		}
		d.err = nil // a step that was long enough
	}
}

// step handles the messages that are there. It returns false to wait for more.
func (d *driver) step(fd uintptr) bool {
	c := d.c
	if d.begun && !d.asked {
		// Not before there were messages: a read that does not ask needs less
		// stack, and a connection on which nothing happens keeps its 2 KiB.
		d.asked, d.tellsDrained = true, tellDrained(int(fd))
	}
	if c.in == nil {
		c.in = c.newReadHalf()
	}
	c.in.driven, c.in.reads, c.in.drained, c.in.fd, c.in.tellsDrained = true, 0, false, int(fd), d.tellsDrained
	c.flags.set(flagBusy) // once for all messages of the step
	defer c.leaveStep()
	handled := false
	for d.err == nil {
		err := c.fillNow()
		switch {
		case err == errAgain:
			d.err = err
		case c.flags.has(flagClosed): // by f, perhaps; what lies here is for nobody
			d.err = c.readFailed(errReadClosed)
		default:
			d.err = c.deliver(d.f, err)
			handled, d.begun = true, true
		}
	}
	return d.isOver(handled)
}

// isOver reports, at the end of a step, whether RawConn.Read is to return.
func (d *driver) isOver(handled bool) bool {
	switch c := d.c; {
	case d.err != errAgain, c.in.reads == maxStepReads:
		return true
	case handled && d.canMove && c.flags.has(flagCold):
		c.flags.clear(flagCold)
		d.err = errMove
		return true
	}
	d.err = nil
	return false
}

// leaveStep gives back what a connection that waits does not need, also where f
// panicked.
func (c *Conn) leaveStep() {
	c.flags.clear(flagBusy)
	if c.in != nil {
		c.in.driven = false
		c.in = c.in.park()
	}
}

// fillNow is await in a step, in fewer frames: the step that a fresh goroutine
// begins with almost uses up its stack of 2 KiB.
func (c *Conn) fillNow() error {
	if c.hasInput() {
		return nil
	}
	c.flushIfNeeded()
	n, err := c.readNow(nil)
	if err == nil {
		c.in.unread = c.in.unread[:len(c.in.unread)+n]
	}
	return err
}

// readNow is readTransport in a step: it does not wait, but returns errAgain.
func (c *Conn) readNow(direct []byte) (int, error) {
	in := c.in
	if in.drained || in.reads == maxStepReads {
		return 0, errAgain
	}
	in.reads++
	dst := direct
	if dst == nil {
		in.attach()
		dst = in.free()
	}
	n, drained, err := receive(in.fd, dst, in)
	if err == syscall.EAGAIN {
		return 0, errAgain
	}
	in.drained = drained
	in.got, in.gotErr = max(n, 0), err
	if err != nil || n == 0 {
		return 0, c.socketError(nil)
	}
	c.heard()
	return n, nil
}
