package websockettest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A conn is one end of a connection in memory. It behaves like a TCP socket on the same machine. A
// write succeeds while there is room. Bytes written before a Close can still be read. A deadline
// interrupts a read or a write that waits.
type conn struct {
	in, out       *stream
	local, remote net.Addr
	once          sync.Once
	closed        func() // called after the first Close, or nil
}

// newConnPair returns the ends of a connection between two addresses.
func newConnPair(a, b net.Addr) (*conn, *conn) {
	ab, ba := newStream(), newStream()
	return &conn{in: ba, out: ab, local: a, remote: b}, &conn{in: ab, out: ba, local: b, remote: a}
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.explain("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.explain("write", err)
}

// explain gives an error the form that it has from a socket.
func (c *conn) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

func (c *conn) Close() error {
	c.out.end(net.ErrClosed)
	c.in.abandon(net.ErrClosed)
	c.once.Do(func() {
		if c.closed != nil {
			c.closed()
		}
	})
	return nil
}

// cut breaks the connection between its ends: either finds that the other is gone.
func (c *conn) cut() {
	for _, s := range []*stream{c.in, c.out} {
		s.end(io.ErrClosedPipe)
	}
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetReadDeadline(t time.Time) error {
	return c.explain("set", c.in.setDeadline(&c.in.reader, t))
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.explain("set", c.out.setDeadline(&c.out.writer, t))
}

func (c *conn) SetDeadline(t time.Time) error {
	err := c.SetReadDeadline(t)
	if writeErr := c.SetWriteDeadline(t); err == nil {
		err = writeErr
	}
	return err
}

// streamSize is the number of bytes that a stream holds before its writer has to wait. A pair of
// TCP sockets on one machine holds about as many.
const streamSize = 2 << 20

// A stream is one direction of a connection.
type stream struct {
	mu      sync.Mutex // guards all below
	changed sync.Cond  // signalled when a waiting read or write has to look again
	data    []byte     // written, not read yet
	reader  side
	writer  side
}

// side is one of the two that use a stream.
type side struct {
	err    error // the final error of reads, or of writes
	late   bool  // the deadline has passed
	expiry *time.Timer
}

func newStream() *stream {
	s := new(stream)
	s.changed.L = &s.mu
	return s
}

// read waits for bytes, and takes as many as fit into p.
func (s *stream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.reader.err != nil:
			return 0, s.reader.err
		case s.reader.late:
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0 || len(p) == 0:
			n = copy(p, s.data)
			if s.data = s.data[n:]; len(s.data) == 0 {
				s.data = nil // idle streams hold no memory
			}
			s.changed.Broadcast()
			return n, nil
		case s.writer.err != nil:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

// write waits until all of p has found room.
func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writer.err != nil:
			return n, s.writer.err
		case s.reader.err != nil:
			return n, io.ErrClosedPipe
		case s.writer.late:
			return n, os.ErrDeadlineExceeded
		}
		if room := min(streamSize-len(s.data), len(p)-n); room > 0 {
			s.data = append(s.data, p[n:n+room]...)
			n += room
			s.changed.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		s.changed.Wait()
	}
}

// end makes err the result of all later writes.
func (s *stream) end(err error) { s.finish(&s.writer, err) }

// abandon makes err the result of all later reads.
func (s *stream) abandon(err error) {
	s.finish(&s.reader, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = nil
}

func (s *stream) finish(side *side, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if side.err == nil || err == net.ErrClosed { // a side's own Close takes the place of the peer's
		side.err = err
	}
	side.stopTimer()
	s.changed.Broadcast()
}

func (s *stream) setDeadline(side *side, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if side.err != nil {
		return side.err
	}
	side.stopTimer()
	wait := time.Until(t)
	side.late = !t.IsZero() && wait <= 0
	if wait > 0 {
		var expiry *time.Timer
		expiry = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if side.expiry == expiry { // and not one that was replaced just now
				side.late = true
				s.changed.Broadcast()
			}
		})
		side.expiry = expiry
	}
	s.changed.Broadcast()
	return nil
}

func (side *side) stopTimer() {
	if side.expiry != nil {
		side.expiry.Stop()
		side.expiry = nil
	}
}
