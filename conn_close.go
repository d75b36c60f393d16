package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Closing, RFC 6455 section 7. There are three ways to an end:
//
//	the closing handshake   close ──► ◄── close, then the server closes TCP
//	failing (7.1.7)         close ──►, then TCP is closed, whatever the peer says
//	an abrupt end           TCP is closed, or breaks
//
// No variable holds the state of a connection. The writing half knows that a close
// frame was sent (Conn.out.err is ErrCloseSent), and the reading half knows that one
// came (Conn.readErr is a *CloseError). The states of the RFC are visible like this:
//
//	CONNECTING   in Upgrade, Dial and the Server's handshake: there is no Conn yet
//	OPEN         out.err and readErr are both nil
//	CLOSING      out.err is ErrCloseSent, or readErr is a *CloseError, and the transport is open
//	CLOSED       Context has ended: flagClosed is set, or the transport has failed

// lingerTimeout bounds how long the server's end of a failed connection waits
// until the peer has read the reason.
const lingerTimeout = time.Second

// Close closes the transport at once, without a closing handshake, as
// net.Conn's Close does: reads and writes that are waiting end with an error
// that satisfies errors.Is(err, net.ErrClosed). Shutdown is the polite way.
// Further calls do nothing. Messages that were queued by Enqueue are dropped.
//
// While HandleMessages runs, another goroutine closes the transport, and Close may
// return before and without its error. The same holds, for a second at most, while
// a close frame is being sent.
//
// Over HTTP/2 the Close of an Upgrader's connection waits until the handler may return. If the peer
// does not take the bytes that were written last, that is a second or two.
func (c *Conn) Close() error {
	if s, ok := c.nc.(*http2Stream); ok {
		defer s.awaitEnd()
	}
	if !c.isSendingClose() {
		return c.closeNow()
	}
	if !c.flags.set(flagClosed) {
		go c.closeWhenSent()
	}
	return nil
}

// closeWhenSent is Close, but waits itself until a close frame is sent.
func (c *Conn) closeWhenSent() {
	if c.isSendingClose() && c.out.lock.lock(context.Background(), time.Now().Add(lingerTimeout)) == nil {
		c.unlockWrite()
	}
	c.closeNow()
}

// closeNow is Close, whatever is being sent.
func (c *Conn) closeNow() error {
	c.flags.set(flagClosed)
	if c.flags.set(flagCut) {
		return nil
	}
	c.stopKeepalive()
	c.flushLast()
	var err error
	switch {
	case c.flags.has(flagDriven):
		// Close may be called by the very function that HandleMessages calls,
		// inside RawConn.Read, which the transport's Close waits for.
		go closeTransport(c.nc)
	default:
		err = closeTransport(c.nc)
	}
	c.wake()
	c.leave() // the holder of out.lock ends the writing half, and with it the wait for an open message
	c.end(c.closedErr())
	return err
}

// closedErr returns the error of a connection after this side has closed its transport.
func (c *Conn) closedErr() error {
	if gaveUp := c.gaveUp(); gaveUp != nil {
		return gaveUp
	}
	return net.ErrClosed
}

// closeTransport closes nc. TLS says goodbye first (RFC 8446 section 6.1). A peer that
// does not read could make it wait for that, so it gets a second.
func closeTransport(nc net.Conn) error {
	if tc, ok := nc.(*tls.Conn); ok {
		defer time.AfterFunc(time.Second, func() { tc.NetConn().Close() }).Stop()
	}
	return nc.Close()
}

// echoClose answers a close frame: "When sending a Close frame in response,
// the endpoint typically echos the status code it received" (section 5.5.1).
// Nothing is sent if this side closed first.
func (c *Conn) echoClose(code int) {
	c.leaveClose(FormatCloseMessage(code, ""))
}

// fail fails the connection (section 7.1.7): the peer is told which rule it broke. An
// error becomes a close frame here and nowhere else.
func (c *Conn) fail(e *ProtocolError) {
	reason := e.Reason
	if e == ErrReadLimit {
		reason = fmt.Sprintf("message exceeds the limit of %d bytes", c.settings.Load().limit)
	}
	c.leaveClose(FormatCloseMessage(e.Code, cutReason(reason)))
}

// Shutdown does the closing handshake and closes the transport, whatever the
// peer does. It sends a close frame with code and text behind the messages that are
// queued, and reads until the peer's close frame arrives. A client then waits for the
// server to close TCP first (RFC 6455 section 7.1.1). Shutdown returns nil if the
// peer's close frame came, whichever side began. text is UTF-8, of which the first 123
// bytes are sent.
//
// Messages that arrive during Shutdown are dropped, except for one that another
// goroutine is waiting for at that moment. Its next read returns the *CloseError.
// Handlers for control frames are not called any more, and must not call Shutdown. The
// wait ends with ctx, or after CloseTimeout (by default 5 s).
//
// Each side sends one close frame only. If the peer's has come before, a goroutine that
// reads may have answered it, with its code. Then code is not sent.
//
// If the code or text cannot be sent, Shutdown returns an error and has done nothing.
func (c *Conn) Shutdown(ctx context.Context, code int, text string) error {
	payload := FormatCloseMessage(code, cutReason(text))
	if err := checkClose(payload); err != nil {
		return err
	}
	end, dead := c.readEnded()
	if _, closed := errors.AsType[*CloseError](end); (closed || dead) && !c.client {
		return c.finishClosed(end, dead, payload)
	}
	if timeout := c.settings.Load().closeTimeout; timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.closeNow() })() // interrupts whatever waits below

	err := c.closingHandshake(ctx, payload)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("websocket: the peer did not answer the close frame in time: %w", ctx.Err())
	}
	return err
}

// readEnded returns why nothing more will come, if that was read, and whether
// the transport is dead.
func (c *Conn) readEnded() (err error, dead bool) {
	if !c.readLock.tryLock() {
		return nil, false // somebody reads
	}
	defer c.unlockRead()
	return c.readErr, c.flags.has(flagTransportDead)
}

// finishClosed is Shutdown for a server after its peer has closed, which is the usual end of a
// handler. There is nothing to wait for. If the transport is dead, nothing is written: the kernel
// would send a signal for it.
func (c *Conn) finishClosed(end error, dead bool, payload []byte) error {
	defer c.Close()
	if dead {
		return end
	}
	c.WriteControl(CloseMessage, payload, time.Now().Add(controlTimeout)) // unless the answer was sent
	return nil
}

// closingHandshake sends a close frame and reads up to the peer's. It does both at the same time,
// because the peer may be writing too, and may not read before it is done.
func (c *Conn) closingHandshake(ctx context.Context, payload []byte) error {
	c.SetWriteDeadline(time.Time{}) // one that has passed must not prevent the close
	sent := make(chan error, 1)
	go func() {
		err := c.WriteControl(CloseMessage, payload, time.Time{})
		if err == ErrCloseSent {
			err = nil
		}
		if err != nil {
			c.closeNow() // without it no answer will come
		}
		sent <- err
	}()
	err := c.awaitClose(ctx)
	if sendErr := <-sent; sendErr != nil {
		return sendErr
	}
	return err
}

// awaitClose reads up to the peer's close frame, or finds that another
// goroutine did.
func (c *Conn) awaitClose(ctx context.Context) error {
	if err := c.readLock.lock(ctx, time.Time{}); err != nil {
		return err
	}
	defer c.unlockRead()
	c.overrideRead(time.Time{})
	err := c.readToEnd()
	peer, closed := errors.AsType[*CloseError](err)
	if closed && peer.Code != CloseAbnormalClosure {
		err = nil
	}
	if c.client || errors.As(err, new(*ProtocolError)) {
		// The close frame that says why goes out first.
		if c.out.lock.lock(ctx, time.Now().Add(lingerTimeout)) == nil {
			c.unlockWrite()
		}
		c.linger()
	}
	return err
}

// readToEnd reads and drops everything that still comes, and returns why nothing more
// will come.
func (c *Conn) readToEnd() error {
	c.flags.set(flagDiscarding)
	if c.in.reader != nil && c.in.reader.err == nil {
		// Not io.EOF: half a message must not pass for a whole one.
		c.in.reader.err = fmt.Errorf("websocket: read: message cut short by Shutdown: %w", net.ErrClosed)
	}
	for {
		err := c.await()
		switch {
		case err != nil:
		case c.in.open:
			err = c.skipMessage()
		default:
			err = c.nextFrame()
		}
		if err != nil {
			return c.readFailed(err)
		}
	}
}

// linger waits for the peer to close its end first. A client does so because
// the server should (section 7.1.1). A server does so after it failed the
// connection: closing a socket that still has bytes to be read makes the
// kernel send RST, which may overtake the close frame with the reason.
func (c *Conn) linger() {
	if !c.client {
		half, ok := c.nc.(interface{ CloseWrite() error })
		if !ok {
			return // no socket, no RST
		}
		half.CloseWrite()
	}
	c.overrideRead(time.Now().Add(lingerTimeout))
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		if _, err := c.readPlain(buf[:]); err != nil {
			return
		}
	}
}
