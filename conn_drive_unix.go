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
// which makes an echo cheaper than a loop of net.Conn's Read and Write is.

// A driver is HandleMessages at work.
type driver struct {
	c            *Conn
	f            func(c *Conn, messageType int, data []byte)
	err          error
	tellsDrained bool // see receive
}

// readDriven is HandleMessages, for a holder of readLock.
func (c *Conn) readDriven(f func(c *Conn, messageType int, data []byte)) error {
	if c.raw == nil {
		return c.pullMessages(f)
	}
	d := driver{c: c, f: f}
	c.raw.Control(func(fd uintptr) { d.tellsDrained = tellDrained(int(fd)) })
	if err := c.raw.Read(d.step); err != nil {
		return c.readFailed(c.socketError(err))
	}
	return d.err
}

// step handles the messages that are there. It returns true when it is over.
func (d *driver) step(fd uintptr) bool {
	c := d.c
	if c.in == nil {
		c.in = c.newReadHalf()
	}
	c.in.driven, c.in.drained, c.in.fd, c.in.tellsDrained = true, false, int(fd), d.tellsDrained
	c.flags.set(flagBusy) // once for all messages of the step
	defer c.leaveStep()
	for d.err == nil {
		d.err = c.deliver(d.f, c.await())
	}
	if d.err == errAgain {
		d.err = nil
		return false
	}
	return true
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

// readNow is readTransport in a step: it does not wait, but returns errAgain.
func (c *Conn) readNow(direct []byte) (int, error) {
	in := c.in
	if in.drained {
		return 0, errAgain
	}
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
