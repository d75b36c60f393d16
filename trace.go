package websocket

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/http"
	"sync"
)

// A Trace is told of a connection's events: for logs, for metrics, for looking at a
// connection byte by byte. Upgrader, Server and Dialer have a field for one.
//
// Any of the functions may be nil, and a nil Trace costs nothing. The goroutine that
// opens, reads, writes or ends a connection calls them, and waits for them to return.
// So they must be quick. They are called for many connections at once, must not panic,
// and must not use the Conn's methods that read, write or close. A slice that they get
// is valid until they return, and must not be changed.
type Trace struct {
	// Handshake is called at the end of each opening handshake (RFC 6455
	// section 4). response is the header of the response that agreed, as it was
	// sent. If the handshake failed, err says why, and c and response are nil. So is
	// r if no request could be read.
	Handshake func(c *Conn, r *http.Request, response []byte, err error)

	// Frame is called for the header of each frame that was received, and for each
	// frame that is about to be sent. A received frame that breaks a rule is told
	// of too, unless it is the length that is malformed.
	Frame func(c *Conn, f Frame)

	// Payload is called with a frame's payload, unmasked, and compressed if the
	// message is. It is called once for a frame that is sent. For a frame that is
	// received it is called with each piece that comes. It belongs to the latest Frame in
	// the same direction.
	Payload func(c *Conn, sent bool, p []byte)

	// Dropped is called when messages are dropped that Enqueue, EnqueuePrepared or
	// EnqueueLatest had accepted, with their number and their bytes of payload: once for
	// all messages that were still queued when the connection ended, and for those that
	// MakeRoom and DropQueued drop. ReportDropped calls it too, for messages that the
	// program or package pubsub dropped, perhaps after Closed.
	Dropped func(c *Conn, messages, bytes int)

	// Closed is called when a connection has ended, once for each of which Handshake has told
	// without an error. err is the error that reads return: a *CloseError if the peer closed or
	// answered this side's close frame, net.ErrClosed if this side closed the transport.
	Closed func(c *Conn, err error)
}

// A Frame is a frame's header, as a Trace sees it (RFC 6455 section 5.2).
type Frame struct {
	Sent       bool    // by this side
	Fin        bool    // the last frame of its message
	Compressed bool    // RSV1: the first frame of a compressed message (RFC 7692 section 6)
	Opcode     int     // 0 for a continuation frame, or a message type
	Masked     bool    // as all frames from clients are
	MaskingKey [4]byte // in the order of the wire
	Length     int64   // bytes of payload
	Header     []byte  // the header's own 2 to 14 bytes
}

// trace returns the functions of c's Trace, all nil if there is none.
func (c *Conn) trace() Trace {
	if t := c.settings.Load().trace; t != nil {
		return *t
	}
	return Trace{}
}

// isTraced reports whether there is a Trace for frames.
func (s *settings) isTraced() bool {
	return s.trace != nil && (s.trace.Frame != nil || s.trace.Payload != nil)
}

// tracedHeaders has room for the headers that Trace.Frame is given. A frame costs no allocation.
var tracedHeaders = sync.Pool{New: func() any { return new([maxHeaderLen]byte) }}

// traceFrame tells of a frame. payload is unmasked, and nil if it will come in pieces.
func (c *Conn) traceFrame(h frameHeader, sent bool, payload []byte) {
	t := c.trace()
	if t.Frame != nil {
		header := tracedHeaders.Get().(*[maxHeaderLen]byte)
		f := Frame{
			Sent: sent, Fin: h.fin, Compressed: h.rsv == rsv1, Opcode: int(h.opcode), Masked: h.masked, Length: h.length,
			Header: appendHeader(header[:0], h),
		}
		binary.LittleEndian.PutUint32(f.MaskingKey[:], h.key)
		t.Frame(c, f)
		tracedHeaders.Put(header)
	}
	if t.Payload != nil && len(payload) > 0 {
		t.Payload(c, sent, payload)
	}
}

// traceFrameBytes tells of the whole frame that frames begins with, which is about
// to be sent, and returns its length.
func (c *Conn) traceFrameBytes(frames []byte) int {
	h, n, _ := consumeHeader(frames)
	end := n + int(h.length)
	if !c.settings.Load().isTraced() {
		return end
	}
	payload := frames[n:end]
	if h.masked { // in place and back again, as nobody else has the frame
		mask(payload, h.key)
		defer mask(payload, h.key)
	}
	c.traceFrame(h, true, payload)
	return end
}

// traceDropped tells of queued messages that will not be sent.
func (c *Conn) traceDropped(messages, bytes int) {
	if t := c.trace(); t.Dropped != nil && messages > 0 {
		t.Dropped(c, messages, bytes)
	}
}

// tracePiece tells of a piece of payload that was received.
func (c *Conn) tracePiece(p []byte) {
	if t := c.trace(); t.Payload != nil && len(p) > 0 {
		t.Payload(c, false, p)
	}
}

// traceClosed tells once why the connection has ended. Before traceOpened has told of the beginning
// it does nothing.
func (c *Conn) traceClosed(err error) {
	if t := c.trace(); t.Closed != nil && !c.flags.set(flagCloseTraced) {
		t.Closed(c, err)
	}
}

// traceOpened tells that c has opened. If c has ended in the same moment, traceOpened tells of that
// too: Closed comes behind Handshake.
func (c *Conn) traceOpened(r *http.Request, response []byte) {
	t := c.settings.Load().trace
	if t == nil {
		return
	}
	defer func() { // also if Handshake panics
		c.flags.clear(flagCloseTraced)
		if err := c.hasEnded(); err != nil {
			c.traceClosed(err)
		}
	}()
	t.traceHandshake(c, r, response, nil)
}

// traceHandshake tells of an opening handshake, if t is not nil.
func (t *Trace) traceHandshake(c *Conn, r *http.Request, response []byte, err error) {
	if t != nil && t.Handshake != nil {
		t.Handshake(c, r, response, err)
	}
}

// LogTrace returns a Trace that logs: opening handshakes and ends at the level
// Info, failed handshakes as warnings, frames, without their payload, at Debug.
func LogTrace(logger *slog.Logger) *Trace {
	remote := func(c *Conn) slog.Attr { return slog.Any("remote", c.RemoteAddr()) }
	return &Trace{
		Handshake: func(c *Conn, r *http.Request, _ []byte, err error) {
			switch {
			case err != nil && r == nil:
				logger.Warn("websocket: opening handshake failed", "error", err)
			case err != nil:
				logger.Warn("websocket: opening handshake failed", "host", r.Host, "path", r.URL.Path, "error", err)
			default:
				logger.Info("websocket: opened", remote(c), "host", r.Host, "path", r.URL.Path, "subprotocol", c.Subprotocol())
			}
		},
		Frame: func(c *Conn, f Frame) {
			if logger.Enabled(context.Background(), slog.LevelDebug) {
				logger.Debug("websocket: frame", remote(c), "sent", f.Sent, "opcode", opcode(f.Opcode).String(), "fin", f.Fin,
					"compressed", f.Compressed, "length", f.Length)
			}
		},
		Closed: func(c *Conn, err error) { logger.Info("websocket: closed", remote(c), "cause", err) },
	}
}
