//go:build !unix

package websocket

func (c *Conn) initWait() {}

func (c *Conn) readTransport(direct []byte) (int, error) {
	c.flushIfNeeded()
	return c.readPlain(direct)
}

// readDriven is HandleMessages, where the transport can only be read.
func (c *Conn) readDriven(f func(c *Conn, messageType int, data []byte), _ bool) error {
	return c.pullMessages(f)
}
