package main

// The load generator is one thread, which uses epoll to wait for any connection that has something.
// So it costs less than any server, and the server is the limit.

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A load drives the connections to one server.
type load struct {
	script *script
	conns  []loadConn
	epoll  int
	events []unix.EpollEvent
	buf    []byte

	messages, sent int // in this run
	stopped        bool
	record         func(c *loadConn, messages int) // called for the messages received
}

// A loadConn is one connection of a load.
type loadConn struct {
	socket
	counter
	next   int    // the frame of the script to be sent next
	unsent []byte // bytes that a full socket did not take
	owed   int    // frames to be sent after that

	due []int64 // when unanswered messages had to be sent, for latencies
}

// newLoad takes over links, which have to be sockets.
func newLoad(links []link, s *script) (*load, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &load{
		script: s,
		conns:  make([]loadConn, len(links)),
		epoll:  epoll,
		events: make([]unix.EpollEvent, 256),
		buf:    make([]byte, 256<<10),
	}
	l.record = l.answerAll
	for i := range l.conns {
		c := &l.conns[i]
		c.socket = links[i].(socket)
		if err := unix.SetNonblock(int(c.socket), true); err != nil {
			return nil, err
		}
		// The events are edge-triggered. One comes when bytes arrive, and one when a full socket
		// has room again. No further call is needed to ask for them.
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(i)}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(c.socket), &event); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *load) close() { unix.Close(l.epoll) }

// closedLoop keeps inFlight messages under way on each connection for a time. Then it waits for the
// last answers.
func (l *load) closedLoop(inFlight int, d time.Duration) error {
	l.start()
	for i := range l.conns {
		if err := l.send(&l.conns[i], inFlight); err != nil {
			return err
		}
	}
	end := time.Now().Add(d)
	for l.messages < l.sent || !l.stopped {
		l.stopped = l.stopped || !time.Now().Before(end)
		if err := l.wait(answerTimeout); err != nil {
			return err
		}
	}
	return nil
}

// receiveAll waits for n messages that are not answers.
func (l *load) receiveAll(n int) error {
	l.start()
	l.stopped = true // nothing is sent
	for l.messages < n {
		if err := l.wait(answerTimeout); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) start() { l.messages, l.sent, l.stopped = 0, 0, false }

// answerAll sends a new message for each answer.
func (l *load) answerAll(c *loadConn, messages int) { c.owed += messages }

// wait handles all events that come within a time.
func (l *load) wait(timeout time.Duration) error {
	n, err := unix.EpollWait(l.epoll, l.events, int(timeout.Milliseconds()))
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	if n == 0 && timeout > 0 {
		return fmt.Errorf("after %d of %d messages the server was silent for %v", l.messages, l.sent, timeout)
	}
	for _, e := range l.events[:n] {
		c := &l.conns[e.Fd]
		if err := l.receive(c); err != nil {
			return err
		}
		if err := l.flush(c); err != nil {
			return err
		}
	}
	return nil
}

// receive reads all that is there.
func (l *load) receive(c *loadConn) error {
	for {
		n, err := unix.Read(int(c.socket), l.buf)
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return fmt.Errorf("the server closed a connection after %d messages (%v)", l.messages, err)
		}
		k := c.take(l.buf[:n])
		if c.closed {
			return fmt.Errorf("the server sent a close frame")
		}
		l.messages += k
		if !l.stopped {
			l.record(c, k)
		}
		if n < len(l.buf) {
			return nil
		}
	}
}

// send sends the next k frames of the script.
func (l *load) send(c *loadConn, k int) error {
	c.owed += k
	return l.flush(c)
}

// flush writes the pending bytes, as far as the socket takes them.
func (l *load) flush(c *loadConn) error {
	for {
		if len(c.unsent) == 0 {
			if c.owed == 0 {
				return nil
			}
			k := min(c.owed, l.script.inFlight)
			c.unsent = l.script.frames(c.next, k)
			c.next = (c.next + k) % l.script.cycle
			c.owed -= k
			l.sent += k
		}
		n, err := unix.Write(int(c.socket), c.unsent)
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("writing: %w", err)
		}
		c.unsent = c.unsent[n:]
	}
}

// dataBytes returns the number of bytes that the connections have received in data frames.
func (l *load) dataBytes() (sum int64) {
	for i := range l.conns {
		sum += l.conns[i].dataBytes
	}
	return sum
}
