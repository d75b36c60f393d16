package websocket

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Message types, for ReadMessage, WriteMessage and the methods like them. They are
// the opcodes of RFC 6455 section 11.8.
const (
	TextMessage   = 1  // text in UTF-8
	BinaryMessage = 2  // bytes
	CloseMessage  = 8  // a close frame, with a payload made by FormatCloseMessage
	PingMessage   = 9  // a ping, with up to 125 bytes
	PongMessage   = 10 // a pong, with up to 125 bytes
)

// A Conn is one end of a WebSocket connection, the client's or the server's.
//
// Any number of goroutines may call any methods at the same time. A message is
// written whole before the next one. Several readers get one message each. Two
// orders matter: the writer that NextWriter returns must be closed before the next
// message can be written, and the reader that NextReader returns ends when the next
// message is asked for.
//
// Control frames are handled by the method that reads. So pings and close frames are
// answered only while some goroutine reads. A program that only writes still needs a
// goroutine that reads, if only for the error at the end.
//
// The Conn that a Server's handler gets is closed when the handler returns. The one
// that an Upgrader or a Dialer returns must be closed by the caller.
type Conn struct {
	// The transport, constant.
	nc          net.Conn
	raw         syscall.RawConn       // nc's, nil if nc is no socket that can be waited for (conn_wait_unix.go)
	tryReadFunc func(fd uintptr) bool // c.tryRead, nil before the first wait. The holder of readLock owns it

	// Reading: owned by the holder of readLock.
	readLock    lock
	client      bool       // this side is the client, which masks. Constant
	coalesce    bool       // answers may be deferred (conn_coalesce.go)
	flushNeeded bool       // answers may have been deferred since the last flush
	in          *readState // noInput while nothing is in progress (conn_buffer.go)
	readErr     error      // the final error of reading, nil before

	// Writing: owned by the holder of out.lock.
	out writeHalf

	// For both halves. The type of each says which goroutines may change it. No field holds the
	// RFC's state of a connection (CONNECTING, OPEN, CLOSING, CLOSED): conn_close.go has a table
	// that says which fields show it.
	deadlines deadlines
	settings  atomic.Pointer[settings] // replaced, never changed
	deflate   *connDeflate             // nil unless permessage-deflate was agreed on. Constant
	extras    atomic.Pointer[extras]   // nil until one of them is needed (conn_context.go)
	flags     flags
	idleTicks atomic.Int32 // keepalive's ticks since the last sign of life (keepalive.go)

	// In a Server's list of connections, which owns it.
	member member
}

// flags holds booleans that any goroutine may read or set. One atomic word keeps Conn
// small: a server has many connections, and most of them are idle.
type flags struct{ word atomic.Uint32 }

const (
	flagClosed        uint32 = 1 << iota // Close was called: no further message is delivered
	flagCut                              // the transport was closed, or is just being closed
	flagTransportDead                    // reading has found the transport's end
	flagSentClose                        // a close frame was sent, so nothing more can be queued
	flagGaveUp                           // keepalive gave the peer up
	flagTooSlow                          // messages for the peer were queued for too long
	flagCloseTraced                      // Trace.Closed was called, or must not be yet
	flagDiscarding                       // Shutdown reads: the application's handlers are not called any more
	flagDriven                           // HandleMessages runs
	flagBusy                             // the reader runs a handler or writes, so keepalive's ticks do not count
	flagWasIdle                          // no data arrived for at least one keepalive tick (conn_park.go)
	flagMore                             // a complete frame is there to be read: writes may be deferred
	flagFlushDue                         // a timer will send the pending answers
	flagWriteWaits                       // a write was under way at the last keepalive tick, without progress since
	flagParked                           // no goroutine reads (conn_park.go)
	flagWatched                          // the poller has been told of the socket before (park_linux.go)
	flagReportsEmpty                     // the socket says whether it is empty (conn_handle_unix.go)
	flagPark                             // the first of parksPerTick bits (conn_park.go: parkBudget)
)

// flagWrite is the lowest of eight bits that count, modulo 256, the writes that the
// transport took while HandleMessages runs. Its reader asks whether there was one
// since it looked last, so it does not matter if the count begins anew.
const flagWrite uint32 = 1 << 24

// writes returns the count of flagWrite.
func (f *flags) writes() uint8 { return uint8(f.word.Load() / flagWrite) }

// has reports whether any bit of flag is set.
func (f *flags) has(flag uint32) bool { return f.word.Load()&flag != 0 }

// clear clears the flag.
func (f *flags) clear(flag uint32) { f.word.And(^flag) }

// set sets the flag, and reports whether it was set before.
func (f *flags) set(flag uint32) (before bool) { return f.word.Or(flag)&flag != 0 }

// took notes that the transport has taken n bytes. Its caller holds out.lock.
func (c *Conn) took(n int) {
	if c.flags.word.Load()&(flagDriven|flagWriteWaits) != 0 && n > 0 {
		c.noteWrite()
	}
}

// noteWrite tells the reader of HandleMessages and keepalive of a write.
func (c *Conn) noteWrite() {
	if c.flags.has(flagDriven) {
		c.flags.word.Add(flagWrite)
	}
	if c.flags.has(flagWriteWaits) {
		c.flags.clear(flagWriteWaits)
		c.noteActivity()
	}
}

// member is a connection's place in the list of its Server, which owns it.
type member struct {
	index         int32
	handshakeDone bool
}

// newConn makes a connection of a transport, at the end of the opening handshake or before it.
func newConn(nc net.Conn, client bool) *Conn {
	c := &Conn{nc: nc, client: client, in: noInput}
	c.settings.Store(&standardSettings)
	c.initWait()
	return c
}

// Subprotocol returns the subprotocol that the opening handshake agreed on, or
// "" if there is none (RFC 6455 section 1.9).
func (c *Conn) Subprotocol() string { return c.settings.Load().subprotocol }

// LocalAddr returns the transport's local address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the transport's remote address. Behind a proxy it is the proxy's.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// NetConn returns the transport, such as a *net.TCPConn or *tls.Conn, for
// looking at it and for setting socket options. Reading or writing it would
// break the stream of frames.
func (c *Conn) NetConn() net.Conn { return c.nc }

// UnderlyingConn returns the transport.
//
// Deprecated: use [Conn.NetConn], which returns the same. UnderlyingConn is here for programs that
// were written for gorilla/websocket.
func (c *Conn) UnderlyingConn() net.Conn { return c.nc }

// SetReadDeadline sets when reads give up, including one that is waiting. The
// zero time means never. A read that gives up loses nothing: after a new
// deadline the next one goes on, even in the middle of a frame. With a Server's
// OnMessage there is no next one: the connection is closed with code 1001
// (CloseGoingAway) and the reason "no message before the read deadline".
//
// If the transport has no deadlines, SetReadDeadline returns its error.
func (c *Conn) SetReadDeadline(t time.Time) error {
	err := c.deadlines.setRead(c.nc, t)
	c.wake()
	return err
}

// SetWriteDeadline sets when writes give up, including one that is waiting for
// the transport. The zero time means never. A write that gives up before its first
// byte was sent can be repeated. If a part of its frame was sent, the connection
// cannot write again: all writes return that error. Over TLS a write that gives up
// while it waits is the last one.
//
// The deadline counts for calls of WriteMessage and the methods like it. Messages
// that were accepted before, by Enqueue or because answers go out together, are sent
// all the same. If the transport has no deadlines, SetWriteDeadline returns its error.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.deadlines.setWrite(c.nc, t) }
