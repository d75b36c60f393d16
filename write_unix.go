//go:build unix

package websocket

import (
	"os"
	"sync"
	"syscall"
)

// A writeAttempt is one write that does not wait. It is pooled whole: its callback
// is made once.
type writeAttempt struct {
	p    []byte
	n    int
	err  error
	call func(fd uintptr) bool
}

var writeAttempts = sync.Pool{New: func() any {
	a := new(writeAttempt)
	a.call = a.write
	return a
}}

// write always returns true: RawConn.Write would wait for the socket otherwise.
func (a *writeAttempt) write(fd uintptr) bool {
	for {
		a.n, a.err = syscall.Write(int(fd), a.p)
		if a.err != syscall.EINTR {
			return true
		}
	}
}

// tryWrite writes the bytes that the socket takes at once. Its caller holds out.lock, because
// RawConn.Write waits for another goroutine's write.
//
// RawConn.Write does not call back after the user's deadline has passed. Then the
// socket has taken nothing, and the deadline is not for this write.
func (c *Conn) tryWrite(p []byte) (n int, err error) {
	a := writeAttempts.Get().(*writeAttempt)
	a.p, a.n, a.err = p, 0, nil
	c.out.writing = true
	err = c.raw.Write(a.call)
	c.out.writing = false
	c.took(a.n)
	if n = max(a.n, 0); err == nil && a.err != nil && a.err != syscall.EAGAIN {
		err = c.opError("write", os.NewSyscallError("write", a.err))
	}
	a.p = nil
	writeAttempts.Put(a)
	if isTimeout(err) {
		err = nil
	}
	return n, err
}
