package websocket

import (
	"errors"
	"slices"
	"sync"
)

// The second driver of the reading half: the library calls the program, once
// for each message, instead of the other way round.

// errAgain is what a read returns that must not wait, where it would have to.
// HandleMessages waits in a place of its own; see conn_drive_unix.go.
var errAgain = errors.New("websocket: nothing to read just now")

// errMove is what drive returns that is to be called again, on a fresh goroutine.
var errMove = errors.New("websocket: the stack has grown for a connection that may be silent")

// HandleMessages calls f for each message, until there are no more, and
// returns why: the errors are ReadMessage's. It is the cheapest way to answer
// messages. The peer's next messages are often there when f returns, and then
// the answers to all of them are sent together: what f writes is held while a
// further complete frame is there to be read.
//
// data is valid until f returns, and f may change it. f must not read from c,
// which includes Shutdown, and must not wait for somebody who does; it closes
// the connection with WriteControl and a CloseMessage, after which messages may
// still come until the peer has answered, or with Close, after which none does.
// An f that will take its time calls Flush before.
//
// After a deadline has passed, HandleMessages can be called again.
func (c *Conn) HandleMessages(f func(c *Conn, messageType int, data []byte)) error {
	c.lockRead()
	return c.drive(f, false)
}

// drive is HandleMessages for a holder of readLock, which it releases. Where
// canMove is said it may return errMove: then it has released nothing, and is to
// be called again.
func (c *Conn) drive(f func(c *Conn, messageType int, data []byte), canMove bool) (err error) {
	coalesce := c.coalesce
	defer func() {
		if err == errMove {
			return
		}
		c.flushIfNeeded() // f panicked
		c.coalesce = coalesce
		c.flags.clear(flagDriven)
		c.readLock.unlock()
	}()
	if c.readErr() != nil {
		return c.readErr()
	}
	c.coalesce = true
	c.flags.set(flagDriven)
	return c.readDriven(f, canMove)
}

// pullMessages is HandleMessages on a transport that can only be read.
func (c *Conn) pullMessages(f func(c *Conn, messageType int, data []byte)) error {
	handle := func(c *Conn, messageType int, data []byte) {
		defer c.busy()()
		f(c, messageType, data)
	}
	for {
		err := c.await()
		if c.flags.has(flagClosed) { // what lies here is for nobody
			return c.readFailed(errReadClosed)
		}
		if err := c.deliver(handle, err); err != nil {
			return err
		}
	}
}

// messageBuffers hold messages while they are handled.
var messageBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledMessage is the largest buffer that is kept for the next message. A
// new one of a megabyte costs more than reading the megabyte does.
const maxPooledMessage = 4 << 20

// deliver reads one message, unless await failed, and has f handle it.
func (c *Conn) deliver(f func(c *Conn, messageType int, data []byte), err error) error {
	if err == nil {
		if messageType, data, ok, err := c.takeWhole(); ok {
			if err == nil {
				f(c, messageType, data)
				c.release()
			}
			return err
		}
	}
	var buf *[]byte
	if err == nil && !c.in.open {
		buf = messageBuffers.Get().(*[]byte)
		c.in.partial = (*buf)[:0] // for appendMessage to go on with
	}
	messageType, data, err := c.appendMessage(nil, err)
	if err != nil {
		c.giveBack(buf)
		return err
	}
	f(c, messageType, data)
	if cap(data) <= maxPooledMessage {
		if buf == nil {
			buf = new([]byte)
		}
		*buf = data
		messageBuffers.Put(buf)
	}
	return nil
}

// giveBack returns the buffer of a message that has to wait for its rest, or
// failed: unless what has come of the message fills a part of it that is worth
// holding. Memory follows what arrived.
func (c *Conn) giveBack(buf *[]byte) {
	const worthHolding = 16 // of so many octets, one at least is filled
	in := c.in
	if in != nil && len(in.partial) == 0 {
		in.partial = nil
	}
	if buf == nil {
		return
	}
	if in != nil && in.partial != nil {
		if cap(in.partial) <= worthHolding*len(in.partial) {
			return
		}
		in.partial = slices.Clone(in.partial)
	}
	messageBuffers.Put(buf)
}
