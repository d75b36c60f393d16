package websocket

import (
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// The poller of a Server's parked connections: an epoll set beside the runtime's own.
//
// A socket is in both sets. In this one it is armed for a single event
// (EPOLLONESHOT), each time its connection is parked. Arming looks at the socket's
// state, and bytes that came before it are reported at once. So nothing can be missed
// between the last read and the park.
//
// An epoll set is a file that is readable if it has events. So the runtime's poller
// waits for it as for any file, and no thread is held.
//
// An event names a place in the Server's list of members, not a connection. By the time
// an event is handled, another connection may have its place. It is taken up, finds
// nothing to read, and is parked again.

// A poller waits for sockets.
type poller struct {
	file *os.File // the epoll set
	raw  syscall.RawConn

	mu     sync.RWMutex // guards fd against being closed in use
	fd     int
	closed bool

	events [parkBatch]syscall.EpollEvent // owned by run, as are the places
	places [parkBatch]int32
}

// newPoller makes a poller. Its goroutine calls ready with the places of sockets that
// have become readable, until close.
func newPoller(ready func(places []int32)) (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	syscall.SetNonblock(fd, true) // for os.NewFile: to be waited for by the runtime
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // an error if the runtime cannot wait for it
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	go p.run(ready)
	return p, nil
}

// run takes events until close. It stays in one Read, whose function is called each time
// that the runtime has seen the set become readable, and first of all.
func (p *poller) run(ready func(places []int32)) {
	p.raw.Read(func(fd uintptr) bool {
		p.take(int(fd), ready)
		return false // wait for further ones
	})
}

// take calls ready with the events that are there. Only a full batch can have left some
// behind. An event that comes later makes the set readable anew, and run does not miss
// it, as the runtime notes it even before run waits.
func (p *poller) take(fd int, ready func(places []int32)) {
	for n := len(p.events); n == len(p.events); {
		if n = p.wait(fd); n == 0 {
			return
		}
		for i, e := range p.events[:n] {
			p.places[i] = e.Fd
		}
		ready(p.places[:n])
		if n == len(p.events) {
			runtime.Gosched() // to those that ready has started
		}
	}
}

// wait returns how many events are there, without waiting for one.
func (p *poller) wait(fd int) int {
	for {
		n, err := syscall.EpollWait(fd, p.events[:], 0)
		if err != syscall.EINTR {
			return max(n, 0)
		}
	}
}

// close ends the poller's goroutine. Sockets that are still watched are forgotten.
func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.file.Close()
}

// watch implements watcher.
func (p *poller) watch(c *Conn) error {
	place := c.member.index
	var armErr error
	err := c.raw.Control(func(fd uintptr) {
		if !c.flags.has(flagWatched) && tellEmpty(int(fd)) {
			c.flags.set(flagReportsEmpty)
		}
		armErr = p.arm(int(fd), place, c.flags.set(flagWatched))
	})
	if err != nil {
		return err
	}
	return armErr
}

// arm has the next event of a socket reported. If it was watched before, it most likely
// is in the set.
func (p *poller) arm(fd int, place int32, watched bool) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return net.ErrClosed
	}
	e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: place}
	if watched {
		if err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &e); err != syscall.ENOENT {
			return err
		}
	}
	err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &e)
	if err == syscall.EEXIST {
		err = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &e)
	}
	return err
}
