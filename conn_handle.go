package websocket

import "errors"

// Handling messages: the library calls the program, once for each message, instead of
// the other way round. On a socket conn_handle_unix.go does that with fewer system
// calls.

// errNewGoroutine is returned by handle if a new goroutine has to call it again.
var errNewGoroutine = errors.New("websocket: the stack has grown for a connection that may be idle")

// HandleMessages calls f for each message, until there are no more, and
// returns why: the errors are ReadMessage's. It is the cheapest way to answer
// messages. The peer's next messages are often there when f returns, and then
// the answers to all of them are sent together: a write by f is deferred while a
// further complete frame is there to be read, for at most 5 ms.
//
// data is valid until f returns, and f may change it. f must not read from c,
// which includes Shutdown, and must not wait for another goroutine that does. It closes
// the connection with WriteControl and a CloseMessage, after which messages may
// still come until the peer has answered, or with Close. After Close has returned no
// further call of f is begun, except for one that another goroutine's Close meets
// at the very moment.
//
// After a deadline has passed, HandleMessages can be called again.
func (c *Conn) HandleMessages(f func(c *Conn, messageType int, data []byte)) error {
	c.lockRead()
	return c.handle(f, false)
}

// handle implements HandleMessages. The caller holds readLock, and handle releases it.
// If mayRespawn is true, handle may instead return errNewGoroutine with the lock held.
// The caller then calls handle again from a new goroutine.
func (c *Conn) handle(f func(c *Conn, messageType int, data []byte), mayRespawn bool) (err error) {
	coalesce := c.coalesce
	defer func() {
		if err == errNewGoroutine {
			return
		}
		if c.flushNeeded { // f panicked
			c.flush()
		}
		c.coalesce = coalesce
		c.flags.clear(flagDriven)
		c.liftInterrupt()
		c.unlockRead()
	}()
	if c.readErr != nil {
		return c.readErr
	}
	c.coalesce = true
	c.flags.set(flagDriven)
	return c.handleOnSocket(f, mayRespawn)
}

// pullMessages is HandleMessages on a transport that is no socket.
func (c *Conn) pullMessages(f func(c *Conn, messageType int, data []byte)) error {
	busy := func(c *Conn, messageType int, data []byte) {
		defer c.markBusy()()
		f(c, messageType, data)
	}
	for {
		err := c.await()
		if err == nil {
			err = c.handleMessage(busy)
		}
		if err != nil {
			return c.readFailed(err)
		}
	}
}
