//go:build !unix

package websocket

import "errors"

func (c *Conn) initWait() {}

func (c *Conn) readTransport(direct []byte) (int, error) {
	if c.flushNeeded {
		c.flush()
	}
	return c.readPlain(direct)
}

// handleOnSocket is HandleMessages. On these systems every transport is read like one that is no
// socket.
func (c *Conn) handleOnSocket(f func(c *Conn, messageType int, data []byte), _ bool) error {
	return c.pullMessages(f)
}

// A handleStep is never under way here.
type handleStep struct{ underWay bool }

// isReset is for systems on which a reset has one error.
func isReset(error) bool { return false }

// tryWrite is for sockets that can be written without waiting, which are none here.
func (c *Conn) tryWrite([]byte) (n int, err error) { return 0, errors.ErrUnsupported }
