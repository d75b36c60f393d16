package websocket

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// A stream of bytes over a connection, for protocols that need a net.Conn: SSH, TLS, a
// multiplexer, any protocol on a network that lets only the web through.
//
// Reading is easy, because a read of a Conn that times out loses nothing. Writing is not: a
// frame that a deadline cuts short is the connection's end, and a program that uses
// net.Conn may let deadlines pass as it likes. So Write fills a buffer, and a goroutine waits
// for the peer. It sends the buffer as one message, and ends when the next buffer is empty:
//
//	Write ─► buf ─► send ─► WriteMessage
//
// A deadline then ends the wait for room in the buffer, never a frame. Small writes that
// come while the peer is slow share a message.

// Stream returns a net.Conn that carries bytes over c: a Write sends them in binary
// messages, and Read returns the bytes of the messages that arrive, in order. The bounds of
// messages mean nothing. The peer may be another Stream, or anything else that takes binary
// messages for a stream of bytes.
//
// Read returns io.EOF after the peer has closed with code 1000, or without a code, and not in
// the middle of a message. Any other end is an error, because bytes may be missing. It is a
// *CloseError for every other code, such as 1001, which a server sends when it shuts down. A
// text message does not belong to the stream: the peer gets close code 1003, and Read returns a
// *ProtocolError. A message that is larger than the ReadLimit is an error as ever, so a peer
// that sends larger ones needs another limit.
//
// Write copies the bytes and may return before they are sent, as a socket's does: 32 KiB may
// wait while as many are being sent. An error of sending comes with a later Write, or with
// Close. A Write of no bytes sends nothing. A deadline that passes loses nothing in either
// direction: the bytes that Write has reported as written will be sent, and the next Read
// goes on after the last byte that was read.
//
// Close sends the bytes that wait, then does the closing handshake with code 1000, and closes
// the transport. All that takes CloseTimeout at most, and bytes that arrive meanwhile are
// dropped. It returns an error if bytes were lost or the peer did not answer. Reads and writes
// that wait end at once with net.ErrClosed. WebSocket has no way to close one direction
// only.
//
// Any number of goroutines may call the methods of the net.Conn. Addresses are those of the
// transport. While it is in use, c must not be read, be written, or get deadlines in other
// ways. Ping, Close, and methods that only return a property of c may be used. Control frames
// are dealt with while a Read waits, as always, so keepalive notices only then that a peer is
// gone.
//
// The Stream belongs to c: it ends with c, and c is closed by its Close. A Server's handler
// that returns ends both.
func (c *Conn) Stream() net.Conn {
	return &stream{c: c, wake: make(chan struct{}, 1)}
}

type stream struct {
	c *Conn

	reading lock      // held by the Read that reads
	message io.Reader // the message that is being read, nil for none. The holder of reading owns it

	writing lock          // held by the Write that fills buf, so that no two mix
	wake    chan struct{} // tells the holder of writing, or Close after that, to look again

	mu            sync.Mutex // guards all below
	readDeadline  time.Time
	writeDeadline time.Time
	buf           *[bufferSize]byte // the bytes that wait for the goroutine, nil for none
	n             int               // their number
	sending       bool              // the goroutine runs
	err           error             // the final error of sending, nil before
	closed        bool              // Close was called
}

// errTextInStream refuses "a type of data it cannot accept" (RFC 6455 section 7.4.1).
var errTextInStream = &ProtocolError{Code: CloseUnsupportedData, Reason: "a text message in a stream of bytes"}

func (s *stream) LocalAddr() net.Addr  { return s.c.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.c.RemoteAddr() }

func (s *stream) Read(p []byte) (n int, err error) {
	s.reading.lock(context.Background(), time.Time{})
	defer s.reading.unlock()
	if err := s.readable(); err != nil || len(p) == 0 {
		return 0, err
	}
	for n == 0 && err == nil {
		if err = s.nextMessage(); err == nil {
			n, err = s.message.Read(p)
		}
		if err == io.EOF { // the message's, as the transport's is a *CloseError
			s.message, err = nil, nil
		}
	}
	return n, s.readEnd(err)
}

// readable returns an error if Read must not begin. A deadline that has passed counts even if
// bytes are there to be read.
func (s *stream) readable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case hasPassed(s.readDeadline):
		return &timeoutError{step: "stream: read"}
	}
	return nil
}

// nextMessage waits for a message if none is being read.
func (s *stream) nextMessage() error {
	if s.message != nil {
		return nil
	}
	messageType, r, err := s.c.NextReader()
	if err != nil {
		return err
	}
	if messageType != BinaryMessage {
		s.c.lockRead()
		defer s.c.unlockRead()
		return s.c.readFailed(errTextInStream)
	}
	s.message = r
	return nil
}

// readEnd returns the error that Read's caller sees. A close frame in the middle of a
// message is no end of the bytes: some of them are missing. Its caller holds s.reading.
func (s *stream) readEnd(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.message == nil && IsCloseError(err, CloseNormalClosure, CloseNoStatusReceived):
		return io.EOF
	}
	return err
}

func (s *stream) Write(p []byte) (n int, err error) {
	s.writing.lock(context.Background(), time.Time{})
	defer s.writing.unlock()
	for {
		m, err := s.put(p[n:])
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
		s.mu.Lock()
		deadline := s.writeDeadline
		s.mu.Unlock()
		waitFor(s.wake, context.Background(), deadline)
	}
}

// put takes as much of p as there is room for, and sees to it that it is sent.
func (s *stream) put(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return 0, net.ErrClosed
	case s.err != nil:
		return 0, s.err
	case hasPassed(s.writeDeadline):
		return 0, &timeoutError{step: "stream: write"}
	case len(p) == 0:
		return 0, nil
	}
	if s.buf == nil {
		s.buf, s.n = getBuffer(), 0
	}
	n = copy(s.buf[s.n:], p)
	s.n += n
	if !s.sending {
		s.sending = true
		go s.send()
	}
	return n, nil
}

// send sends until nothing waits.
func (s *stream) send() {
	for {
		buf, n := s.take()
		if buf == nil {
			return
		}
		err := s.c.WriteMessage(BinaryMessage, buf[:n])
		if err == nil && s.c.flags.has(flagMore) {
			err = s.c.Flush() // CoalesceWrites may have deferred it
		}
		putBuffer(buf)
		if err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
		}
	}
}

// take returns the bytes that wait, if they can be sent. If there are none, send ends.
func (s *stream) take() (buf *[bufferSize]byte, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	buf, s.buf = s.buf, nil
	if buf != nil && s.err != nil {
		putBuffer(buf)
		buf = nil
	}
	s.sending = buf != nil
	s.tell()
	return buf, s.n
}

// tell has the holder of writing look again. One look is enough for all that happened before.
func (s *stream) tell() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) Close() error {
	if !s.stop() {
		return nil
	}
	ctx := context.Background()
	if timeout := s.c.settings.Load().closeTimeout; timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	lost := s.finish(ctx)
	if err := s.c.Shutdown(ctx, CloseNormalClosure, ""); err != nil {
		return err
	}
	return lost
}

// stop ends reads and writes. It reports false if that was done before.
func (s *stream) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.c.SetReadDeadline(longAgo)
	s.tell()
	return true
}

// finish waits until everything is sent. It returns an error if that cannot be.
//
// It waits for the Read and the Write that are under way. Those that come later find the
// stream closed, and must not wait for finish.
func (s *stream) finish(ctx context.Context) error {
	for _, l := range []*lock{&s.reading, &s.writing} {
		if err := l.lock(ctx, time.Time{}); err != nil {
			return err
		}
		l.unlock()
	}
	if s.isSending() {
		defer s.discard()()
	}
	for s.isSending() {
		if err := waitFor(s.wake, ctx, time.Time{}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *stream) isSending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sending
}

// discard reads messages and drops them, until stop is called. If both sides only wrote, each
// of them would wait for the other.
func (s *stream) discard() (stop func()) {
	s.c.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, _, err := s.c.NextReader(); err != nil {
				return
			}
		}
	}()
	return func() {
		s.c.SetReadDeadline(longAgo)
		<-done
	}
}

func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetWriteDeadline(t); err != nil {
		return err
	}
	return s.SetReadDeadline(t)
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.readDeadline = t
	return s.c.SetReadDeadline(t)
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.writeDeadline = t
	s.tell()
	return nil
}

// hasPassed reports whether a deadline has passed. The zero time is none.
func hasPassed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }
