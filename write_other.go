//go:build !unix

package websocket

import "errors"

// tryWrite is for sockets that can be written without waiting, which are none here.
func (c *Conn) tryWrite([]byte) (n int, err error) { return 0, errors.ErrUnsupported }
