//go:build !linux

package websocket

import "errors"

// A poller waits for sockets. There is none on this system: each connection keeps its
// goroutine.
type poller struct{}

func newPoller(func(places []int32)) (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) watch(*Conn) error { return errors.ErrUnsupported }
func (*poller) close()            {}
