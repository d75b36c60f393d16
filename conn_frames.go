package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// The reading half's frames: headers are asked of inbound.go, control frames
// are dealt with at once, and errors become final here.

// nextFrame consumes headers up to that of the next data frame. Control
// frames on the way are dealt with.
func (c *Conn) nextFrame() error {
	for {
		in := c.in // not the one of before fill: between messages it may have changed
		h, n, err := consumeHeader(in.unread)
		if n > 0 {
			err = in.rules.accept(h, c.settings.Load().limit)
			if err != nil && in.traced != nil {
				c.traceFrame(h, false, nil)
			}
		}
		if err != nil {
			return err
		}
		if n == 0 || h.opcode.isControl() && len(in.unread)-n < int(h.length) {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		in.unread = in.unread[n:]
		if !h.opcode.isControl() {
			in.enter(h)
			return nil
		}
		if err := c.handleControl(h); err != nil {
			return err
		}
	}
}

// enter makes h the current data frame.
func (in *readHalf) enter(h frameHeader) {
	if h.opcode != opContinuation {
		in.open, in.messageType, in.text, in.inflated = true, h.opcode, utf8State{}, 0
	}
	in.fin, in.key, in.left = h.fin, h.key, h.length
	if in.traced != nil {
		in.traced.traceFrame(h, false, nil)
	}
}

// handleControl deals with a control frame whose payload is at the front of
// unread (RFC 6455 section 5.5).
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
	defer c.busy()() // what follows may wait, but not for the peer's octets
	var all handlers
	if !c.discarding {
		all = c.loadHandlers()
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

// readErr returns why nothing more will come, nil while it may. Its caller
// holds readLock.
func (c *Conn) readErr() error {
	if c.in == nil {
		return nil
	}
	return c.in.err
}

var errReadClosed = fmt.Errorf("websocket: read: %w", net.ErrClosed)

// readFailed turns an error of the reading half into the one that the caller
// sees, and makes it final if it is.
func (c *Conn) readFailed(err error) error {
	if already := c.readErr(); already != nil {
		return already
	}
	c.flushIfNeeded()
	broken, isBroken := errors.AsType[*ProtocolError](err)
	_, isClose := errors.AsType[*CloseError](err)
	handlers, isHandlers := err.(handlerError)
	switch {
	case isHandlers:
		err = handlers.error
	case isTimeout(err) || err == errAgain:
		return err
	case isBroken:
		c.fail(broken)
	case c.gaveUp() != nil:
		err = c.gaveUp()
	case isClose:
		// It came, though a handler may have closed the transport since.
	case c.flags.has(flagClosed) && !errors.Is(err, net.ErrClosed):
		err = errReadClosed
	case err == io.EOF:
		err = &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
	}
	if c.in != nil {
		if c.in.reader != nil {
			c.in.reader.err = err
		}
		c.in.recycle()
	}
	c.in = &readHalf{err: err, dead: !isHandlers && !isBroken && !isClose}
	c.end(err)
	return err
}
