//go:build unix

package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Waiting without a buffer.
//
// Most connections are idle most of the time, and a server has many. A goroutine
// that waits in Read holds the buffer that it reads into. RawConn.Read waits without
// one: it calls tryRead, and if that returns false it lets the goroutine sleep, and calls
// tryRead again when the socket has become readable. tryRead takes a buffer from the
// pool for as long as the attempt lasts. So an idle connection costs a Conn, a file
// descriptor, and a stack of 2 KiB.
//
// c.in is the state of reading. conn_buffer.go explains it, and has the functions that
// are used here: acquire and attach take the state and its buffer from their pools, and
// releaseBuffer gives both back.
//
// The stack stays at 2 KiB only if all stack frames from the goroutine's start to
// syscall.Read fit. Callers of RawConn.Read keep few local variables.

// initWait finds out whether c's transport can be waited for like this. The comments call
// such a transport a socket. Only types of package net are: one that wraps them, such as
// *tls.Conn, holds bytes that the socket below no longer shows.
func (c *Conn) initWait() {
	var err error
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		c.raw, err = nc.SyscallConn()
	case *net.UnixConn:
		c.raw, err = nc.SyscallConn()
	}
	if err != nil {
		c.raw = nil
	}
}

// tryRead reads once, without waiting, and reports whether there was a result,
// which it leaves in c.in.result.
//
// tryRead must attempt the read even if it then returns false. RawConn.Read resets
// the poller's readiness before it calls tryRead, so data that arrived earlier would
// not wake the goroutine.
func (c *Conn) tryRead(fd uintptr) bool {
	in := c.acquire()
	dst := in.direct
	if dst == nil {
		dst = in.attach()
	}
	n, err := readSocket(int(fd), dst)
	if err == syscall.EAGAIN {
		c.releaseBuffer()
		return false
	}
	in.result = readResult{max(n, 0), err}
	return true
}

// readTransport waits for bytes and reads them into direct. If direct is nil, they come
// behind c.in.unread, which the caller then makes longer (see fill). It returns at least
// one byte or an error.
func (c *Conn) readTransport(direct []byte) (int, error) {
	if c.flushNeeded {
		c.flush()
	}
	if c.raw == nil {
		return c.readPlain(direct)
	}
	if c.in.step.underWay { // HandleMessages waits elsewhere
		return c.readNow(direct)
	}
	if direct != nil {
		c.in.direct = direct
	}
	if c.tryReadFunc == nil {
		c.tryReadFunc = c.tryRead
	}
	err := c.raw.Read(c.tryReadFunc)
	if direct != nil {
		c.in.direct = nil
	}
	if err != nil || c.in.result.err != nil || c.in.result.n == 0 {
		return 0, c.socketError(err)
	}
	if c.idleTicks.Load() != 0 {
		c.noteActivity()
	}
	return c.in.result.n, nil
}

// readSocket is the system call read, repeated if a signal interrupted it.
func readSocket(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// socketError returns the error that net.Conn's Read would return: for err, which is
// RawConn.Read's, or else for c.in.result.
func (c *Conn) socketError(err error) error {
	if op, ok := err.(*net.OpError); ok {
		op.Op = "read" // "raw-read" would puzzle people
		return op
	}
	if err != nil {
		return err
	}
	if c.in.result.err == nil {
		return io.EOF
	}
	return c.opError("read", os.NewSyscallError("read", c.in.result.err))
}

// opError gives an error of the socket the form that it has from net.Conn.
func (c *Conn) opError(op string, err error) error {
	e := &net.OpError{Op: op, Source: c.nc.LocalAddr(), Addr: c.nc.RemoteAddr(), Err: err}
	if e.Source != nil { // a socket that was made from a descriptor may have no address
		e.Net = e.Source.Network()
	}
	return e
}

// isReset reports whether err says that the peer has reset the connection.
func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
