package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall/js"
	"time"
	"unicode/utf8"
)

// A browser's WebSocket as a transport. A script sees no frames: the browser does the opening
// handshake, masks, answers pings, and takes and gives whole messages. A Conn reads and writes
// frames. So this transport plays the server to it. It takes the Conn's frames apart and gives
// their messages to the browser, and it makes a frame of each message that the browser gives:
//
//	Conn ── frames ──► Write ── messages ──► WebSocket.send, WebSocket.close
//	Conn ◄── frames ── Read ◄── held ◄────── the events message and close
//
// Everything that a Conn can do then works over it, except for pings. The price is a copy of each
// message, and masks that are of no use here.
//
// JavaScript has one thread, and Go runs on it too. Nothing else happens before the function
// returns that an event calls. So these functions note the event and wait for nothing.
//
// A server cannot be made to wait: the browser reads on, and has an event for each message. This
// transport bounds the messages that it holds, and fails the connection beyond that.

// maxBuffered is the number of bytes that may wait in the browser before a Write waits.
const maxBuffered = 256 << 10

// bufferedPoll is the time between two looks at that number. There is no event for it.
const bufferedPoll = 5 * time.Millisecond

var uint8Array = js.Global().Get("Uint8Array")

// A browserConn is the transport of a Conn in a browser. Its Conn calls Read and Write from one
// goroutine each at a time.
type browserConn struct {
	ws     js.Value      // constant
	url    *url.URL      // constant
	limit  int64         // for held, 0 or less for none. Constant
	opened chan struct{} // closed by the event open

	// Owned by Read.
	reading []byte // the rest of the frame that Read is at

	// Owned by Write.
	frames  []byte // the bytes of a frame of the Conn's that has not come whole
	kind    opcode // of the message under way
	message []byte // its fragments so far

	mu       sync.Mutex // guards all below. It is not held while JavaScript is called
	handlers []browserHandler
	held     [][]byte      // frames for Read
	heldCost int64         // see cost
	arrived  chan struct{} // capacity 1: Read is to look again
	ended    chan struct{} // closed when nothing more can be sent and nothing more will come
	readErr  error         // of Read after held, once ended is closed
	writeErr error         // of Write, once ended is closed. If it is nil, Write drops the bytes
	detail   string        // of the event error, in words. Browsers have none
	deadline [2]browserDeadline
}

// A browserHandler is a function that an event calls.
type browserHandler struct {
	event string
	f     js.Func
}

// newBrowserConn has the browser begin to connect. The event open comes later, or close.
func newBrowserConn(u *url.URL, subprotocols []string, limit int64) (*browserConn, error) {
	constructor := js.Global().Get("WebSocket")
	if constructor.IsUndefined() {
		return nil, errors.New("websocket: this JavaScript has no WebSocket: use Node 22 or later, or set NetDialContext")
	}
	c := &browserConn{url: u, limit: limit, opened: make(chan struct{}), arrived: make(chan struct{}, 1), ended: make(chan struct{})}
	offers := js.Global().Get("Array").New()
	for _, protocol := range subprotocols {
		offers.Call("push", protocol)
	}
	if err := catch(func() { c.ws = constructor.New(c.wsURL(), offers) }); err != nil {
		return nil, fmt.Errorf("websocket: the browser does not connect to %s: %w", c.wsURL(), err)
	}
	c.ws.Set("binaryType", "arraybuffer")
	c.handle("open", func(js.Value) { close(c.opened) })
	c.handle("message", c.onMessage)
	c.handle("error", c.onError)
	c.handle("close", c.onClose)
	return c, nil
}

// wsURL returns the URL with the scheme that older browsers ask for.
func (c *browserConn) wsURL() string {
	u := *c.url
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	return u.String()
}

// handle has f called for an event, until finish.
func (c *browserConn) handle(event string, f func(event js.Value)) {
	h := browserHandler{"on" + event, js.FuncOf(func(_ js.Value, args []js.Value) any {
		f(args[0])
		return nil
	})}
	c.handlers = append(c.handlers, h)
	c.ws.Set(h.event, h.f)
}

// catch calls f, and returns the exception if JavaScript throws one.
func catch(f func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case js.Error:
			err = v
		default:
			panic(v)
		}
	}()
	f()
	return nil
}

// awaitOpen waits until the connection is open.
func (c *browserConn) awaitOpen(ctx context.Context) error {
	select {
	case <-c.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ended:
	}
	select {
	case <-c.opened: // and it has ended since, which a read will tell
		return nil
	default:
		return c.openFailed()
	}
}

// openFailed returns the error for a connection that was never open. Scripts are not told more, so
// that they cannot explore the user's network.
func (c *browserConn) openFailed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	detail := ""
	if c.detail != "" {
		detail = " (" + c.detail + ")"
	}
	return fmt.Errorf("websocket: opening handshake: the browser could not connect to %s%s, and does not tell a script why: "+
		"nothing listens there, or the server refused the request (its path, its Origin, its subprotocols), "+
		"or its certificate is not trusted, or the page may not connect there (a page of https to ws://, a Content-Security-Policy): "+
		"the browser's console says more", c.wsURL(), detail)
}

// onMessage holds a message for Read, as a frame. It is copied at once: a JavaScript value that Go
// holds is freed only when Go's collector runs, and the copy makes it run in time.
func (c *browserConn) onMessage(event js.Value) {
	data := event.Get("data")
	h := frameHeader{frameBits: frameBits{fin: true}}
	if data.Type() == js.TypeString {
		text := data.String()
		h.opcode, h.length = opText, int64(len(text))
		c.hold(append(appendHeader(make([]byte, 0, maxHeaderLen+len(text)), h), text...))
		return
	}
	array := uint8Array.New(data)
	n := array.Length()
	h.opcode, h.length = opBinary, int64(n)
	frame := appendHeader(make([]byte, 0, maxHeaderLen+n), h)
	js.CopyBytesToGo(frame[len(frame):len(frame)+n], array)
	c.hold(frame[:len(frame)+n])
}

// errNotRead is the end of a connection whose program reads too slowly.
var errNotRead = errors.New("websocket: the messages that wait to be read have passed ReadLimit, and a browser cannot make the server wait: " +
	"read faster, let the server wait for answers, or set a higher ReadLimit")

func (c *browserConn) hold(frame []byte) {
	c.mu.Lock()
	size := int64(cost(len(frame)))
	full := c.limit > 0 && len(c.held) > 0 && size > c.limit-c.heldCost
	if !full && !c.hasEnded() {
		c.held = append(c.held, frame)
		c.heldCost += size
	}
	c.mu.Unlock()
	if full {
		c.fail(ClosePolicyViolation, "messages were not read in time", errNotRead)
	}
	c.wake()
}

// wake has Read look again.
func (c *browserConn) wake() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// onError notes the text that Node has with this event. The event close follows, except in Node 20
// if the connection was never open.
func (c *browserConn) onError(event js.Value) {
	if message := event.Get("message"); message.Type() == js.TypeString {
		c.mu.Lock()
		c.detail = message.String()
		c.mu.Unlock()
	}
	select {
	case <-c.opened:
	default:
		c.finish(nil, io.EOF, errBrowserEnded)
	}
}

// errBrowserEnded is the error of writes to a connection that has ended without a close frame.
var errBrowserEnded = fmt.Errorf("websocket: the browser's connection has ended: %w", io.ErrUnexpectedEOF)

// onClose gives Read the peer's close frame. The Conn's answer then goes nowhere, because the
// browser has answered. Code 1006 has no close frame.
func (c *browserConn) onClose(event js.Value) {
	if !event.Get("wasClean").Bool() {
		c.finish(nil, io.EOF, errBrowserEnded)
		return
	}
	payload := FormatCloseMessage(event.Get("code").Int(), event.Get("reason").String())
	h := frameHeader{frameBits: frameBits{fin: true}, opcode: opClose, length: int64(len(payload))}
	c.finish(append(appendHeader(nil, h), payload...), io.EOF, nil)
}

func (c *browserConn) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// finish notes the end, unless there was one before. Read returns the frames that are held, then
// last, if there is one, and then readErr.
func (c *browserConn) finish(last []byte, readErr, writeErr error) {
	c.mu.Lock()
	if c.hasEnded() {
		c.mu.Unlock()
		return
	}
	if last != nil {
		c.held = append(c.held, last)
	}
	c.readErr, c.writeErr = readErr, writeErr
	close(c.ended)
	handlers := c.handlers
	c.handlers = nil
	c.mu.Unlock()
	for _, h := range handlers {
		c.ws.Set(h.event, js.Null())
		h.f.Release()
	}
}

// fail ends a connection that cannot go on, and tells the server why.
func (c *browserConn) fail(code int, reason string, err error) {
	c.finish(nil, err, err)
	c.closeSocket(code, reason)
}

// Close ends the connection. A browser cannot cut it: if no close frame was sent, the server gets
// one that stands for code 1006.
func (c *browserConn) Close() error {
	c.finish(nil, net.ErrClosed, net.ErrClosed)
	c.SetDeadline(time.Time{}) // no timer stays
	c.mu.Lock()
	c.held = nil
	c.mu.Unlock()
	c.closeSocket(CloseAbnormalClosure, "")
	return nil
}

// closeSocket has the browser send a close frame behind the messages that wait there, unless it has
// sent one.
func (c *browserConn) closeSocket(code int, reason string) {
	catch(func() { // it throws for a bad code or reason only, and these are checked
		if code == CloseNoStatusReceived {
			c.ws.Call("close")
		} else {
			c.ws.Call("close", browserCloseCode(code), reason)
		}
	})
}

// browserCloseCode returns the close code that a browser sends for code. Scripts may send 1000 and
// 3000-4999 only, so 3000 is added to the others: 1009 (message too big) arrives as 4009. Code 1001
// (going away) arrives as 1000, because it is as clean an end.
func browserCloseCode(code int) int {
	switch {
	case code == CloseGoingAway:
		return CloseNormalClosure
	case code == CloseNormalClosure || code >= 3000:
		return code
	}
	return code + 3000
}

// Read waits for a message of the browser's, and returns bytes of its frame.
func (c *browserConn) Read(p []byte) (n int, err error) {
	for {
		deadline := c.deadlineOf(readSide)
		if deadline.Err() == context.DeadlineExceeded {
			return 0, os.ErrDeadlineExceeded
		}
		if err := c.nextHeld(); err != nil {
			return 0, err
		}
		if len(c.reading) > 0 {
			n = copy(p, c.reading)
			if c.reading = c.reading[n:]; len(c.reading) == 0 {
				c.reading = nil
			}
			return n, nil
		}
		select {
		case <-c.arrived:
		case <-c.ended:
		case <-deadline.Done(): // it has passed, or was changed
		}
	}
}

// nextHeld takes the next frame for Read, if there is one.
func (c *browserConn) nextHeld() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.reading) > 0:
	case len(c.held) > 0:
		c.reading, c.held[0] = c.held[0], nil
		if c.held = c.held[1:]; len(c.held) == 0 {
			c.held = nil
		}
		c.heldCost -= int64(cost(len(c.reading)))
	case c.hasEnded():
		return c.readErr
	}
	return nil
}

// Write takes frames of the Conn's, or a part of one. It waits while much waits in the browser, and
// then takes all of p. So a Write whose deadline passes has taken nothing.
func (c *browserConn) Write(p []byte) (n int, err error) {
	if err := c.awaitRoom(); err != nil {
		return 0, err
	}
	if c.hasEnded() {
		if c.writeErr != nil {
			return 0, c.writeErr
		}
		return len(p), nil // as a socket does until it finds that the peer is gone
	}
	c.frames = append(c.frames, p...)
	for {
		h, header, err := consumeHeader(c.frames)
		if err != nil {
			return 0, err
		}
		if header == 0 {
			return len(p), nil
		}
		end := header + int(h.length)
		if missing := end - len(c.frames); missing > 0 {
			c.frames = slices.Grow(c.frames, missing) // the Conn has these bytes
			return len(p), nil
		}
		payload := c.frames[header:end]
		mask(payload, h.key)
		if c.frames = c.frames[end:]; len(c.frames) == 0 {
			c.frames = nil
		}
		if err := c.takeFrame(h, payload); err != nil {
			return 0, err
		}
	}
}

// awaitRoom waits until the browser has sent most of the bytes that it was given.
func (c *browserConn) awaitRoom() error {
	for {
		deadline := c.deadlineOf(writeSide)
		switch {
		case deadline.Err() == context.DeadlineExceeded:
			return os.ErrDeadlineExceeded
		case c.hasEnded() || c.ws.Get("bufferedAmount").Int() <= maxBuffered:
			return nil
		}
		select {
		case <-time.After(bufferedPoll):
		case <-c.ended:
		case <-deadline.Done():
		}
	}
}

// takeFrame puts the frames of a message together, and gives it to the browser.
func (c *browserConn) takeFrame(h frameHeader, payload []byte) error {
	switch {
	case h.opcode == opClose:
		e, err := parseClose(payload)
		if err == nil {
			c.closeSocket(e.Code, e.Text)
		}
		return err
	case h.opcode.isControl(): // checkControl refuses those that the program sends
		return nil
	case h.opcode != opContinuation:
		c.kind = h.opcode
	}
	if c.message != nil || !h.fin {
		c.message = append(c.message, payload...)
		payload = c.message
	}
	if !h.fin {
		return nil
	}
	c.message = nil
	return c.send(payload)
}

// errTextNotUTF8 is the error for text that JavaScript has no string for.
var errTextNotUTF8 = errors.New("websocket: text that is not valid UTF-8, which a browser cannot send: send it as a BinaryMessage")

// send gives a whole message to the browser, which copies it.
func (c *browserConn) send(message []byte) error {
	var data any
	if c.kind == opText {
		if !utf8.Valid(message) {
			c.fail(CloseInvalidFramePayloadData, "text that is not valid UTF-8", errTextNotUTF8)
			return errTextNotUTF8
		}
		data = string(message)
	} else {
		array := uint8Array.New(len(message))
		js.CopyBytesToJS(array, message)
		data = array
	}
	err := catch(func() { c.ws.Call("send", data) })
	if err != nil {
		c.fail(CloseInternalServerErr, "", fmt.Errorf("websocket: the browser does not send: %w", err))
	}
	return err
}

// checkControl returns an error for the control messages that a browser sends by itself only.
func (c *browserConn) checkControl(messageType int) error {
	switch messageType {
	case PingMessage:
		return browserError("cannot send pings: let the server ping, or send a message that it answers")
	case PongMessage:
		return browserError("answers pings by itself, and cannot send other pongs")
	}
	return nil
}

// A browserDeadline is a deadline as a context, which ends when the deadline passes or is changed.
type browserDeadline struct {
	ctx    context.Context
	cancel func()
}

// deadlineOf returns the deadline of reads or of writes.
func (c *browserConn) deadlineOf(s side) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline[s].ctx == nil {
		c.setDeadline(s, time.Time{})
	}
	return c.deadline[s].ctx
}

// setDeadline changes a deadline. Its caller holds c.mu.
func (c *browserConn) setDeadline(s side, t time.Time) {
	d := &c.deadline[s]
	if d.cancel != nil {
		d.cancel()
	}
	if t.IsZero() {
		d.ctx, d.cancel = context.WithCancel(context.Background())
	} else {
		d.ctx, d.cancel = context.WithDeadline(context.Background(), t)
	}
}

func (c *browserConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setDeadline(readSide, t)
	return nil
}

func (c *browserConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setDeadline(writeSide, t)
	return nil
}

func (c *browserConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// A browserAddr is the address of the server, as the URL has it. Scripts do not learn others.
type browserAddr string

func (a browserAddr) Network() string { return "browser" }
func (a browserAddr) String() string  { return string(a) }

func (c *browserConn) LocalAddr() net.Addr  { return browserAddr("browser") }
func (c *browserConn) RemoteAddr() net.Addr { return browserAddr(hostPort(c.url)) }
