//go:build unix

package websocket

import (
	"encoding/binary"
	"runtime"
	"syscall"
)

// Waiting inside RawConn.Read. Without this file, and with pullMessages in place of
// handleOnSocket, everything works as well, for 5 % more CPU time.
//
// A loop of ReadMessage reads once for a message, and a second time to be told
// EAGAIN, before it may wait: RawConn.Read forgets at its start whether the socket
// was readable. Inside one call that is remembered. So HandleMessages makes one call
// for as long as the connection lasts. The callback reads, handles messages, answers
// them, and returns false to wait. One call of the callback is a step. With the help of
// receive, a step is one read and one write for a small message, while a loop of
// net.Conn's Read and Write makes three system calls. (An echo takes as much CPU time as
// in that loop all the same, within 5 %: a read that also says whether more is there
// costs more.)
//
// The cost is stack. f and the write run inside RawConn.Read, so the stack grows to
// 4 KiB or more and stays that size. After an idle period the next wait therefore
// moves to a new goroutine with a 2 KiB stack: an idle connection costs 3.9 KB instead
// of 6.0 KB. Between messages that follow each other this would cost more than they
// do.
//
// Inside one call of RawConn.Read nobody looks at deadlines, or notices that the
// transport was closed. A peer may never stop sending, so a step ends after
// maxStepReads.

// maxStepReads bounds how long a deadline has to wait for a step: four reads
// bring 128 KiB at most, unless they go straight into a large message. The next
// call of RawConn.Read begins with a read, so it costs no system call.
const maxStepReads = 4

// Whether a step may wait.
//
// The poller tells of an event once. A message and a reset behind it may be one
// event, if both come before the callback is entered, and that entry uses it up. A
// later event wakes the goroutine again. So a step must not wait before it knows, by
// something that it did after its entry, that the connection was alive. Each of these
// shows that:
//
//   - A read that returns EAGAIN. After a reset it would return that, or the end.
//   - A write that was begun after the entry and took bytes. After a reset the
//     kernel refuses every write, and reports the reset by it.
//   - A read that brings bytes after an earlier one left the socket empty. After a
//     reset nothing comes.
//
// A read that leaves the socket empty shows nothing by itself: TCP_INQ says 0
// with a reset and without. (After the regular end of the peer's half it says 1.) So a
// step that answered its messages waits without another system call, and one that
// wrote nothing reads once more. An answer that is pending, or left to another
// goroutine, counts when it has been written.

// A handler is HandleMessages at work.
type handler struct {
	c            *Conn
	f            func(c *Conn, messageType int, data []byte)
	err          error
	mayRespawn   bool // err may be errNewGoroutine
	begun        bool // a message was handled, in this step or before
	asked        bool // tellEmpty was called, now or before
	reportsEmpty bool // tellEmpty's answer
}

// handleStep is the state of a step.
type handleStep struct {
	underWay     bool // reads must not wait
	fd           int
	reportsEmpty bool     // the socket says whether it is empty
	reads        int      // made in this step
	empty        bool     // the last read left nothing, though perhaps a reset
	readAgain    bool     // the read after one that left nothing was made
	writes       uint8    // flags.writes at the start
	writesShow   uint8    // the number of further writes that show that the connection is alive
	ancillary    [32]byte // for the socket's own data, with TCP_INQ in it
}

// handleOnSocket is HandleMessages, for a holder of readLock.
func (c *Conn) handleOnSocket(f func(c *Conn, messageType int, data []byte), mayRespawn bool) error {
	if c.raw == nil {
		return c.pullMessages(f)
	}
	h := handler{c: c, f: f, mayRespawn: mayRespawn}
	h.reportsEmpty = c.flags.has(flagReportsEmpty)
	h.asked = h.reportsEmpty
	for {
		if err := c.raw.Read(h.readable); err != nil {
			if !isTimeout(err) || !c.liftInterrupt() {
				return c.readFailed(c.socketError(err))
			}
			if mayRespawn {
				return errNewGoroutine
			}
			continue
		}
		if h.err != errWouldBlock {
			return h.err
		}
		h.err = nil // the step ended after maxStepReads: begin the next one
	}
}

// readable handles the messages that are there. It returns false to wait for more.
func (h *handler) readable(fd uintptr) bool {
	c := h.c
	if h.begun && !h.asked {
		// Not before there were messages: a read that does not ask needs less
		// stack, and a connection on which nothing happens keeps its 2 KiB.
		h.asked, h.reportsEmpty = true, tellEmpty(int(fd))
	}
	h.beginStep(int(fd))
	c.flags.set(flagBusy) // once for all messages of the step
	defer c.leaveStep()
	handled := false
	for h.err == nil {
		err := c.fillNow()
		if err == nil {
			err = c.handleMessage(h.f)
			handled, h.begun = true, true
		}
		if err != nil {
			h.err = c.readFailed(err)
		}
	}
	return h.isOver(handled)
}

// beginStep prepares for the reads of a step.
func (h *handler) beginStep(fd int) {
	c := h.c
	s := &c.acquire().step
	*s = handleStep{underWay: true, fd: fd, reportsEmpty: h.reportsEmpty, writesShow: 1}
	// A write that was begun before the step shows nothing. Writes are made one after the other, so
	// at most the first write that is counted from here was begun before.
	if c.out.lock.isHeld() { // asked before the count: a writer that locks later begins later
		s.writesShow = 2
	}
	s.writes = c.flags.writes()
}

// seenAlive reports whether the step knows, after a read that left the socket
// empty, that no reset was there when it began.
func (s *handleStep) seenAlive(c *Conn) bool {
	return s.readAgain || c.flags.writes()-s.writes >= s.writesShow
}

// isOver reports, at the end of a step, whether RawConn.Read is to return.
func (h *handler) isOver(handled bool) bool {
	switch c := h.c; {
	case h.err != errWouldBlock, c.in.step.reads == maxStepReads:
		return true
	case handled && h.mayRespawn && c.mayPark():
		h.err = errNewGoroutine
		return true
	}
	h.err = nil
	return false
}

// leaveStep gives back the buffer, and the state if nothing is in progress, also if f
// panicked.
func (c *Conn) leaveStep() {
	c.flags.clear(flagBusy)
	if c.in != noInput {
		c.in.step.underWay = false
		c.releaseBuffer()
	}
}

// fillNow is await in a step, in fewer stack frames: the step that a new goroutine
// begins with almost uses up its stack of 2 KiB.
func (c *Conn) fillNow() error {
	if c.readErr != nil || c.hasInput() {
		return c.readErr
	}
	if c.flushNeeded {
		c.flush()
	}
	n, err := c.readNow(nil)
	if err == nil {
		c.in.unread = c.in.unread[:len(c.in.unread)+n]
	}
	return err
}

// readNow is readTransport in a step: it does not wait, but returns errWouldBlock.
func (c *Conn) readNow(direct []byte) (int, error) {
	in, s := c.in, &c.in.step
	if s.reads == maxStepReads || s.empty && s.seenAlive(c) {
		return 0, errWouldBlock
	}
	s.reads++
	s.readAgain = s.empty
	dst := direct
	if dst == nil {
		dst = in.attach()
	}
	n, empty, err := s.receive(dst)
	if err == syscall.EAGAIN {
		return 0, errWouldBlock
	}
	s.empty = empty
	in.result = readResult{max(n, 0), err}
	if err != nil || n == 0 {
		return 0, c.socketError(nil)
	}
	if c.idleTicks.Load() != 0 {
		c.noteActivity()
	}
	return n, nil
}

// On Linux a socket can tell with each read how many more bytes there are (TCP_INQ, since Linux
// 4.18). If the peer has closed its half, that is at least 1. It saves the read that would say that
// there is nothing. A short read does not say so: the end may have arrived with the last bytes, and
// would then never be noticed. TCP_INQ does not tell of a reset: see above.

const tcpINQ = 36 // TCP_INQ and TCP_CM_INQ

// tellEmpty asks a socket to tell whether it is empty, and reports whether it will.
func tellEmpty(fd int) bool {
	return runtime.GOOS == "linux" && syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpINQ, 1) == nil
}

// receive reads once. It reports whether the socket is empty now, as far as that is known.
func (s *handleStep) receive(p []byte) (n int, empty bool, err error) {
	if !s.reportsEmpty {
		n, err = readSocket(s.fd, p)
		return n, false, err
	}
	var more int
	for {
		n, more, _, _, err = syscall.Recvmsg(s.fd, p, s.ancillary[:], 0)
		if err != syscall.EINTR {
			break
		}
	}
	header := syscall.CmsgLen(0)
	empty = err == nil && more >= header+4 && binary.NativeEndian.Uint32(s.ancillary[header:]) == 0
	return n, empty, err
}
