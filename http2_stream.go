package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"
)

// A stream of HTTP/2 as a connection's transport (RFC 8441 section 5: "the stream […] is treated
// like the TCP connection").
//
// Inside net/http a stream is an http.ResponseWriter and the body of a request, and these have
// three traps. The writer must not be used any more when the handler has returned: by then it may
// belong to another request. A deadline for writing resets the stream, and one for reading ends it:
// neither can be used for a single call. And a write waits for the peer's flow control, or for a TCP
// connection that is stuck, for as long as net/http lets it.
//
// So two goroutines of the stream's own are the only ones that meet net/http, and a Conn meets a
// buffer only. All waits for a buffer can be ended by a deadline or by Close, and lose nothing:
//
//	body ──► fetch ──► in ──► Read
//	Write ──► out ──► serve ──► writer
//
// With a Server, serve runs in the very goroutine of the handler. So the writer cannot be used after
// the handler's return. With an Upgrader that goroutine is the program's: then Conn.Close waits for
// serve to end.
type http2Stream struct {
	outer  http.ResponseWriter // the handler's, which may wrap w
	w      http2Writer
	body   io.Reader
	local  net.Addr
	remote net.Addr

	// Of an Upgrader's, constant once serve runs; zero for a Server's.
	ctx     context.Context // the request's, which ends just before the handler's return, or with the stream
	ended   chan struct{}   // closed when serve has ended
	handler uint64          // the handler's goroutine

	mu      sync.Mutex // guards all below
	in, out http2Half
	closed  bool
	waiting int         // calls of Write that wait
	cut     bool        // a Write gave up after a part of its bytes
	done    bool        // serve has ended: w must not be used
	limit   *time.Timer // resets the stream if the last bytes do not get through; nil before Close
}

// http2Writer is the innermost http.ResponseWriter, net/http's own.
type http2Writer interface {
	io.Writer
	FlushError() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// http2Half is the bytes that go in one direction.
type http2Half struct {
	changed sync.Cond         // of anything below; its L is the stream's mu
	buf     *[bufferSize]byte // the pool's, nil while no bytes wait
	bytes   []byte            // those that wait, in buf
	err     error             // why no more will come, or go
	expired bool              // the deadline has passed
	timer   *time.Timer       // of the deadline, nil if there is none
}

// errStreamReset is part of the error of reads and writes whose stream the peer, or net/http, has
// ended.
var errStreamReset = errors.New("the HTTP/2 stream was reset")

// drainTime is how long a Server's stream may take, after Close, to send the last bytes. Nobody but
// net/http waits for it. An Upgrader's has lingerTimeout, because its Close waits.
const drainTime = 5 * time.Second

func newHTTP2Stream(outer http.ResponseWriter, w http2Writer, r *http.Request) *http2Stream {
	s := &http2Stream{outer: outer, w: w, body: r.Body, remote: http2Addr(r.RemoteAddr)}
	s.local, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	s.in.changed.L, s.out.changed.L = &s.mu, &s.mu
	// Those of the http.Server were meant for a request and its response.
	w.SetReadDeadline(time.Time{})
	w.SetWriteDeadline(time.Time{})
	return s
}

// http2Addr returns the address that net/http has as text.
func http2Addr(text string) net.Addr {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return net.TCPAddrFromAddrPort(a)
	}
	return &net.UnixAddr{Name: text, Net: "unix"}
}

func (s *http2Stream) LocalAddr() net.Addr  { return s.local }
func (s *http2Stream) RemoteAddr() net.Addr { return s.remote }

// Read returns bytes that fetch has fetched.
func (s *http2Stream) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for in := &s.in; ; in.changed.Wait() {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case in.expired:
			return 0, os.ErrDeadlineExceeded
		case len(in.bytes) > 0:
			n = copy(p, in.bytes)
			if in.bytes = in.bytes[n:]; len(in.bytes) == 0 {
				in.release()
				in.changed.Broadcast()
			}
			return n, nil
		case in.err != nil:
			return 0, in.err
		}
	}
}

// Write waits until all of p has found room in the buffer, and not for the peer to take it, as a
// socket's does.
func (s *http2Stream) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.cut = s.cut || 0 < n && n < len(p) }()
	for n < len(p) {
		switch out := &s.out; {
		case s.closed:
			return n, net.ErrClosed
		case out.err != nil:
			return n, out.err
		case out.expired:
			return n, os.ErrDeadlineExceeded
		case len(out.bytes) < bufferSize:
			n += out.append(p[n:])
			out.changed.Broadcast()
		default:
			s.waiting++
			out.changed.Wait()
			s.waiting--
		}
	}
	return n, nil
}

// tryWrite writes as much of p as there is room for. The user's deadline does not count.
func (s *http2Stream) tryWrite(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch out := &s.out; {
	case s.closed:
		return 0, net.ErrClosed
	case out.err != nil:
		return 0, out.err
	case len(out.bytes) < bufferSize:
		n = out.append(p)
		out.changed.Broadcast()
	}
	return n, nil
}

// append takes as much of p as there is room for.
func (h *http2Half) append(p []byte) int {
	if h.buf == nil {
		h.buf = getBuffer()
		h.bytes = h.buf[:0]
	}
	p = p[:min(len(p), cap(h.bytes)-len(h.bytes))]
	h.bytes = append(h.bytes, p...)
	return len(p)
}

// release gives the buffer back.
func (h *http2Half) release() {
	if h.buf != nil {
		putBuffer(h.buf)
		h.buf, h.bytes = nil, nil
	}
}

// start is serve for an Upgrader, in a goroutine of its own. The response's header is sent before it
// returns. So a handler that then returns without closing the connection does not meet a writer that
// is in use, unless it is being written to at that moment.
func (s *http2Stream) start(ctx context.Context) {
	s.ctx, s.ended, s.handler = ctx, make(chan struct{}), goroutineID()
	err := s.w.FlushError()
	go s.serve(err)
}

// handlerReturned reports whether w must not be used any more, because an Upgrader's handler has
// returned, or is about to, without having closed the connection.
func (s *http2Stream) handlerReturned() bool { return s.ctx != nil && s.ctx.Err() != nil }

// fetch reads the body until it ends, which it does at the handler's return at the latest.
func (s *http2Stream) fetch() {
	for more := true; more; {
		// The body of net/http waits in a Read of no bytes until there are some. So a stream that
		// is idle holds no buffer. If some middleware's body returns at once, it holds one.
		_, err := s.body.Read(nil)
		var buf *[bufferSize]byte
		n := 0
		if err == nil {
			buf = getBuffer()
			n, err = s.body.Read(buf[:])
		}
		more = s.deliver(buf, n, err)
	}
}

// deliver hands n bytes in buf, and the end if err is not nil, to Read, and waits until Read has
// taken them all. It reports false if no more are wanted.
func (s *http2Stream) deliver(buf *[bufferSize]byte, n int, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &s.in
	switch {
	case n == 0 && buf != nil:
		putBuffer(buf)
	case n > 0:
		in.buf, in.bytes = buf, buf[:n]
	}
	if s.closed {
		in.release()
		return false
	}
	if in.err = bodyError(err); in.err != nil && in.err != io.EOF {
		s.endWriting(in.err)
	}
	in.changed.Broadcast()
	for in.err == nil && len(in.bytes) > 0 && !s.closed {
		in.changed.Wait()
	}
	return in.err == nil && !s.closed
}

// bodyError returns the error of Read for one of the body. io.EOF is the peer's END_STREAM. Every
// other error means that the stream is gone: reset, or with its TCP connection.
func bodyError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("%w: %w", errStreamReset, err)
}

// serve sends the bytes that Write has left, until the stream ends. err is that of sending the
// response's header.
func (s *http2Stream) serve(err error) {
	defer s.end()
	if s.ctx != nil {
		stop := context.AfterFunc(s.ctx, s.breakOff)
		defer stop()
	}
	go s.fetch()
	for err == nil {
		buf, p := s.take()
		if buf == nil {
			return
		}
		err = s.send(p)
		putBuffer(buf)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endWriting(fmt.Errorf("%w: %w", errStreamReset, err))
}

// send gives p to net/http, and waits until that has sent it.
func (s *http2Stream) send(p []byte) (err error) {
	defer func() {
		// net/http panics if an Upgrader's handler has returned without closing the connection. That is
		// wrong, but must not end the program.
		if s.ended != nil && recover() != nil {
			err = errHandlerReturned
		}
	}()
	if _, err = s.w.Write(p); err != nil {
		return err
	}
	return s.w.FlushError()
}

var errHandlerReturned = errors.New("the handler has returned")

// take waits for bytes to send, and takes them with their buffer. It returns none at the end.
func (s *http2Stream) take() (buf *[bufferSize]byte, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for out := &s.out; ; out.changed.Wait() {
		switch {
		case out.err != nil || s.handlerReturned():
			return nil, nil
		case len(out.bytes) > 0:
			buf, p = out.buf, out.bytes
			out.buf, out.bytes = nil, nil
			out.changed.Broadcast()
			return buf, p
		case s.closed:
			return nil, nil
		}
	}
}

// breakOff ends writing when the request's context has ended.
func (s *http2Stream) breakOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endWriting(errStreamReset)
}

// endWriting makes err the error of writes, unless they have one. The caller holds mu.
func (s *http2Stream) endWriting(err error) {
	if s.out.err == nil {
		s.out.err = err
	}
	s.out.release()
	s.out.changed.Broadcast()
}

// end is the end of serve: after it, nobody uses w.
func (s *http2Stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	if s.limit != nil {
		s.limit.Stop()
	}
	s.endWriting(errStreamReset)
	if s.ended != nil {
		close(s.ended)
	}
}

// Close ends the stream, and does not wait. Bytes that Write has accepted are sent, if the peer
// takes them within drainTime. If a call of Write waits, or gave up, a frame is cut in two, and nothing
// is gained by sending a part of it: the stream is reset at once.
func (s *http2Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.in.stop()
	s.out.stop()
	s.in.release()
	switch {
	case s.waiting > 0 || s.cut:
		s.reset()
	case !s.done && s.ended == nil:
		s.limit = time.AfterFunc(drainTime, s.giveUp)
	case !s.done:
		s.limit = time.AfterFunc(lingerTimeout, s.giveUp)
	}
	s.in.changed.Broadcast()
	s.out.changed.Broadcast()
	return nil
}

// giveUp resets a stream that was closed and has not sent its last bytes.
func (s *http2Stream) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset()
}

// reset resets the stream (RFC 9113 section 6.4), which ends a write that waits for the peer's flow
// control. The caller holds mu.
func (s *http2Stream) reset() {
	if !s.done && !s.handlerReturned() {
		s.w.SetWriteDeadline(longAgo)
	}
	s.endWriting(net.ErrClosed)
}

// awaitEnd waits, after Close, until serve has ended, so that the handler may return. That is at once,
// unless the last bytes have to wait for the peer: then the reset ends the wait.
//
// If the TCP connection as a whole is stuck, even the reset has to wait. Then the handler's goroutine
// waits for as long as net/http does, which http.HTTP2Config.WriteByteTimeout bounds: it would have to
// do so at the handler's return anyway, and before that w must not be given to another request. Other
// goroutines go on.
func (s *http2Stream) awaitEnd() {
	if s.ended == nil {
		return
	}
	t := time.NewTimer(2 * lingerTimeout)
	defer t.Stop()
	select {
	case <-s.ended:
		return
	case <-t.C:
	}
	if goroutineID() == s.handler {
		<-s.ended
	}
}

// goroutineID returns the number of the goroutine that calls it, in the way in which net/http's HTTP/2
// tells its own goroutines apart.
func goroutineID() (id uint64) {
	const prefix = "goroutine "
	var buf [64]byte
	for _, digit := range buf[len(prefix):runtime.Stack(buf[:], false)] {
		if digit < '0' || digit > '9' {
			break
		}
		id = 10*id + uint64(digit-'0')
	}
	return id
}

func (s *http2Stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *http2Stream) SetReadDeadline(t time.Time) error  { return s.setDeadline(&s.in, t) }
func (s *http2Stream) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.out, t) }

func (s *http2Stream) setDeadline(h *http2Half, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	h.stop()
	if t.IsZero() {
		return nil
	}
	if left := time.Until(t); left > 0 {
		var timer *time.Timer // guarded by mu, as the function may run before it is set
		timer = time.AfterFunc(left, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if h.timer == timer { // and not a later one
				h.expire()
			}
		})
		h.timer = timer
		return nil
	}
	h.expire()
	return nil
}

// expire says that the deadline has passed. The caller holds mu.
func (h *http2Half) expire() {
	h.expired = true
	h.changed.Broadcast()
}

// stop takes the deadline away. The caller holds mu.
func (h *http2Half) stop() {
	h.expired = false
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}
