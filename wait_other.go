//go:build !unix

package websocket

func (c *Conn) initWait() {}

func (c *Conn) readTransport(direct []byte) (int, error) { return c.readPlain(direct) }
