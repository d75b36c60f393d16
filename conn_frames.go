package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// Control frames, which may come between any two frames and are dealt with at once,
// and the end of reading: here an error becomes final.

// handleControl deals with a control frame. Its payload is at the front of unread (RFC 6455 section
// 5.5).
func (c *Conn) handleControl(h frameHeader) error {
	p := c.in.unread[:h.length]
	c.in.unread = c.in.unread[h.length:]
	if h.masked {
		mask(p, h.key)
	}
	if c.in.traced != nil {
		c.traceFrame(h, false, p)
	}
	c.lookAhead()
	defer c.markBusy()() // a handler may take its time, and nothing can be heard meanwhile
	var all handlers
	if !c.flags.has(flagDiscarding) {
		all = c.loadHandlers()
	}
	if h.opcode == opPong {
		c.answerPings(p)
	}
	var err error
	switch {
	case h.opcode == opClose:
		return c.handleClose(p, all.close)
	case h.opcode == opPong && all.pong != nil:
		err = all.pong(string(p))
	case h.opcode == opPing && all.ping != nil:
		err = all.ping(string(p))
	case h.opcode == opPing:
		c.leavePong(p)
	}
	if err != nil {
		return handlerError{err}
	}
	return nil
}

// handleClose answers a close frame, and ends reading.
func (c *Conn) handleClose(p []byte, handler func(int, string) error) error {
	e, err := parseClose(p)
	if err != nil {
		return err
	}
	if handler != nil {
		err = handler(e.Code, e.Text)
	}
	c.echoClose(e.Code)
	if err != nil {
		return handlerError{err}
	}
	return e
}

// A handlerError is an error of the application's handler. It ends reading,
// even if it is a deadline's.
type handlerError struct{ error }

var errReadClosed = fmt.Errorf("websocket: read: %w", net.ErrClosed)

// readFailed maps err to the error that the caller sees. It returns a timeout as it is, and reading
// can go on. Every other error is final.
func (c *Conn) readFailed(err error) error {
	if c.readErr != nil {
		return c.readErr
	}
	if c.flushNeeded {
		c.flush()
	}
	if !isFinal(err) {
		return err
	}
	dead := false
	switch e := err.(type) {
	case handlerError: // the application's handler failed: the caller gets its error
		err = e.error
	case *ProtocolError: // the peer broke a rule: the peer and the caller are told which
		c.fail(e)
	case *CloseError: // the peer closed: the caller gets its code, even if a handler closed the transport since
	default: // the transport ended: transportEnd says what the caller gets
		err, dead = c.transportEnd(err), true
	}
	if c.in.reader != nil {
		c.in.reader.err = err
	}
	c.drop()
	c.readErr = err
	if dead {
		c.flags.set(flagTransportDead)
	}
	c.end(err)
	return err
}

// isFinal reports whether reading cannot go on after err.
func isFinal(err error) bool {
	_, isHandlers := err.(handlerError)
	return isHandlers || !isTimeout(err) && err != errWouldBlock
}

// transportEnd maps an error of the transport to the one that the caller sees.
func (c *Conn) transportEnd(err error) error {
	switch {
	case c.gaveUp() != nil: // this side gave the peer up: the reason
		return c.gaveUp()
	case c.flags.has(flagClosed) && !errors.Is(err, net.ErrClosed): // this side closed: an error that says so
		return errReadClosed
	case err == io.EOF: // the peer ended TCP without a close frame: code 1006
		return &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
	case isReset(err): // the peer reset TCP: code 1006 too, because a write may have met the reset first
		return &resetError{CloseError{Code: CloseAbnormalClosure, Text: "the peer reset the connection"}, err}
	case errors.Is(err, errStreamReset):
		return &resetError{CloseError{Code: CloseAbnormalClosure, Text: "the HTTP/2 stream was reset"}, err}
	}
	return err // any other error: as it is
}

// A resetError is the end of a connection that the peer has reset. It makes its text when that is
// asked for, because some clients reset every connection.
type resetError struct {
	closed    CloseError
	transport error
}

func (e *resetError) Error() string   { return e.closed.Error() + ": " + e.transport.Error() }
func (e *resetError) Unwrap() []error { return []error{&e.closed, e.transport} }
