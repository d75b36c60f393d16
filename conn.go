package websocket

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Message types, for ReadMessage, WriteMessage and their kin. They are the
// opcodes of RFC 6455 section 11.8.
const (
	TextMessage   = 1  // text in UTF-8
	BinaryMessage = 2  // octets
	CloseMessage  = 8  // a close frame; payloads are made by FormatCloseMessage
	PingMessage   = 9  // a ping, with up to 125 octets
	PongMessage   = 10 // a pong, with up to 125 octets
)

// A Conn is a WebSocket connection: one end of it, whichever role.
//
// Any number of goroutines may call any methods at the same time. A message is
// written whole before the next one; concurrent readers get one message each.
// Two orders matter: NextWriter's writer must be closed before anybody can
// write the next message, and NextReader's reader ends where the next message
// is asked for.
//
// Control frames are handled by whatever method reads: pings are answered, and
// a close frame is, only while some goroutine reads. A program that only
// writes still needs one that reads, if only for the error at the end.
//
// The Conn that a Server's handler gets is closed when the handler returns.
// The one that an Upgrader returns must be closed by the caller.
type Conn struct {
	// The transport, constant.
	nc          net.Conn
	raw         syscall.RawConn       // nc's, if nc is a socket that can be waited for; see conn_wait_unix.go
	tryReadFunc func(fd uintptr) bool // c.tryRead, made once it is needed; owned by the holder of readLock

	// Reading: owned by the holder of readLock.
	readLock    lock
	client      bool       // this side is the client: it masks; constant
	coalesce    bool       // answers may be deferred
	flushNeeded bool       // a complete frame was there since the last flush
	in          *readState // noInput while nothing is in progress
	readErr     error      // why nothing more will be read; final

	// Writing: owned by the holder of out.lock.
	out writeHalf

	// For both halves. Each says in its type who may change it.
	deadlines deadlines
	settings  atomic.Pointer[settings] // replaced, never changed
	deflate   *connDeflate             // nil unless permessage-deflate was agreed on; constant
	extras    atomic.Pointer[extras]   // nil until one of them is needed; see conn_context.go
	flags     flags
	idleTicks atomic.Int32 // keepalive's ticks since the last sign of life; see keepalive.go

	// In a Server's list of connections, which owns it.
	member member
}

// flags holds booleans that any goroutine may read or set. One atomic word keeps Conn
// small: a server has many connections, and most of them are idle.
type flags struct{ word atomic.Uint32 }

const (
	flagClosed        uint32 = 1 << iota // Close was called
	flagTransportDead                    // reading has found the transport's end
	flagGaveUp                           // keepalive gave the peer up
	flagTooSlow                          // messages for the peer were queued for too long
	flagCloseTraced                      // Trace.Closed was called
	flagDiscarding                       // Shutdown reads: the application's handlers are not called any more
	flagDriven                           // HandleMessages runs
	flagBusy                             // the reader runs a handler or writes; keepalive's ticks do not count
	flagWasIdle                          // no data arrived for at least one keepalive tick; see conn_handle_unix.go
	flagMore                             // a complete frame is there to be read: writes may be deferred
	flagFlushDue                         // a timer will send the pending answers
	flagWriteWaits                       // a write was under way at the last keepalive tick, without progress since
	flagParked                           // no goroutine reads; see conn_park.go
	flagWatched                          // the poller has been told of the socket before
	flagReportsEmpty                     // the socket says whether it is empty; see receive_linux.go
	flagPark                             // the first of parksPerTick bits; see parkBudget
)

// flagWrite counts, from this bit up and modulo 256, the writes that the transport
// took while HandleMessages runs. Its reader asks whether there was one since it
// looked last, so it does not matter if the count begins anew.
const flagWrite uint32 = 1 << 24

// writes returns the count of flagWrite.
func (f *flags) writes() uint8 { return uint8(f.word.Load() / flagWrite) }

// took is called by the holder of out.lock when the transport has taken n bytes.
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

func (f *flags) has(flag uint32) bool { return f.word.Load()&flag != 0 }
func (f *flags) clear(flag uint32)    { f.word.And(^flag) }

// set reports whether the flag was set before.
func (f *flags) set(flag uint32) (before bool) { return f.word.Or(flag)&flag != 0 }

// member is a connection's place in the list of its Server, which owns it.
type member struct {
	index         int32
	handshakeDone bool
}

// bufferSize is the size of all pooled buffers: one read takes several frames
// at once, one write takes a frame of up to 16 KiB or a piece of a larger one.
const bufferSize = 32 << 10

var bufferPool = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func getBuffer() *[bufferSize]byte  { return bufferPool.Get().(*[bufferSize]byte) }
func putBuffer(b *[bufferSize]byte) { bufferPool.Put(b) }

// newConn makes a connection of a transport whose opening handshake is, or is
// about to be, done.
func newConn(nc net.Conn, client bool) *Conn {
	c := &Conn{nc: nc, client: client, in: noInput}
	c.settings.Store(&standardSettings)
	c.initWait()
	return c
}

// Subprotocol returns the subprotocol that the opening handshake agreed on, or
// "" where there is none (RFC 6455 section 1.9).
func (c *Conn) Subprotocol() string { return c.settings.Load().subprotocol }

// LocalAddr returns the transport's local address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the transport's remote address: a proxy's, where there is one.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// NetConn returns the transport, such as a *net.TCPConn or *tls.Conn, for
// looking at it and for setting socket options. Reading or writing it would
// break the stream of frames.
func (c *Conn) NetConn() net.Conn { return c.nc }

// UnderlyingConn returns the transport.
//
// Deprecated: use [Conn.NetConn], which returns the same. UnderlyingConn is here for programs written
// for gorilla/websocket.
func (c *Conn) UnderlyingConn() net.Conn { return c.nc }

// SetReadDeadline sets when reads give up, including one that is waiting. The
// zero time means never. A read that gave up lost nothing: after a new
// deadline the next one goes on, even in the middle of a frame.
func (c *Conn) SetReadDeadline(t time.Time) error {
	err := c.deadlines.setRead(c.nc, t)
	c.wake()
	return err
}

// SetWriteDeadline sets when writes give up, including one that is waiting for
// the transport. The zero time means never. A write that gave up before its first octet can
// be repeated; after a frame was cut short no further one can be sent, and all
// writes return the same error. On TLS every write that gave up is the last.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.deadlines.setWrite(c.nc, t) }
