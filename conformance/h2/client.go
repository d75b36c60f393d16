// Package h2 tests WebSocket over HTTP/2 (RFC 8441) from outside, by a client that decides on every
// frame of HTTP/2 itself. It is a module of its own because of golang.org/x/net/http2's Framer.
package h2

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Client is one end of an HTTP/2 connection, over which any number of streams go.
type Client struct {
	nc    net.Conn
	fr    *http2.Framer
	large bool // the window of the connection never ends

	sending sync.Mutex // guards enc and block, and the framer's writes
	enc     *hpack.Encoder
	block   bytes.Buffer

	mu       sync.Mutex // guards all below
	changed  sync.Cond  // of any of it
	streams  map[uint32]*Stream
	nextID   uint32
	window   int64 // how much may be sent
	initial  int64 // the window of a new stream
	settings map[http2.SettingID]uint32
	due      uint32 // what came and was not granted again
	err      error  // why the connection has ended
}

// A Stream is a client's end of a stream. It is a net.Conn without deadlines.
type Stream struct {
	c  *Client
	ID uint32

	// Guarded by c.mu.
	fields []hpack.HeaderField // of the response, nil before
	in     []byte
	err    error          // io.EOF after END_STREAM
	reset  *http2.ErrCode // by the server
	window int64
	due    uint32 // as the Client's
	frames []int  // the lengths of the DATA frames that came
	closed bool
}

// Options are a Client's choices.
type Options struct {
	// Window is how much the server may send on a stream, in bytes: 0 means as much as it likes.
	Window uint32
}

// Dial opens a connection, over TLS with ALPN if config is not nil, else with prior knowledge.
func Dial(addr string, config *tls.Config, o Options) (*Client, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"h2"}
		tc := tls.Client(nc, config)
		if err := tc.Handshake(); err != nil {
			nc.Close()
			return nil, err
		}
		if p := tc.ConnectionState().NegotiatedProtocol; p != "h2" {
			nc.Close()
			return nil, fmt.Errorf("the server chose %q by ALPN, not h2", p)
		}
		nc = tc
	}
	return NewClient(nc, o)
}

// NewClient begins to speak HTTP/2 on nc. It returns when the server's SETTINGS have come.
func NewClient(nc net.Conn, o Options) (*Client, error) {
	c := &Client{nc: nc, fr: http2.NewFramer(nc, nc), streams: make(map[uint32]*Stream), nextID: 1,
		window: 65535, initial: 65535, settings: make(map[http2.SettingID]uint32)}
	c.changed.L = &c.mu
	c.fr.SetMaxReadFrameSize(1 << 20)
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.enc = hpack.NewEncoder(&c.block)
	window := o.Window
	if window == 0 {
		window, c.large = 1<<31-1, true
	}
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := c.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return nil, err
	}
	if err := c.fr.WriteWindowUpdate(0, 1<<31-1-65535); err != nil {
		return nil, err
	}
	go c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.settings) == 0 && c.err == nil {
		c.changed.Wait()
	}
	return c, c.err
}

// Close ends the TCP connection.
func (c *Client) Close() error { return c.nc.Close() }

// Setting returns a setting of the server's.
func (c *Client) Setting(id http2.SettingID) (value uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok = c.settings[id]
	return value, ok
}

// read takes the server's frames until the connection ends.
func (c *Client) read() {
	for {
		f, err := c.fr.ReadFrame()
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			c.mu.Lock()
			c.err = err
			for _, s := range c.streams {
				s.end(err)
			}
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
	}
}

func (c *Client) take(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		c.mu.Lock()
		f.ForeachSetting(func(s http2.Setting) error {
			if s.ID == http2.SettingInitialWindowSize {
				c.initial = int64(s.Val)
			}
			c.settings[s.ID] = s.Val
			return nil
		})
		c.changed.Broadcast()
		c.mu.Unlock()
		return c.send(c.fr.WriteSettingsAck)
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		return c.send(func() error { return c.fr.WritePing(true, f.Data) })
	case *http2.DataFrame:
		return c.takeData(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Broadcast()
	s := c.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
		} else if s != nil {
			s.window += int64(f.Increment)
		}
	case *http2.MetaHeadersFrame:
		if s != nil {
			s.fields = f.Fields
			if f.StreamEnded() {
				s.end(io.EOF)
			}
		}
	case *http2.RSTStreamFrame:
		if s != nil {
			s.reset = &f.ErrCode
			s.end(fmt.Errorf("the server reset the stream: %v", f.ErrCode))
		}
	}
	return nil
}

func (c *Client) takeData(f *http2.DataFrame) error {
	c.mu.Lock()
	s := c.streams[f.StreamID]
	if s != nil {
		s.in = append(s.in, f.Data()...)
		s.frames = append(s.frames, len(f.Data()))
		if f.StreamEnded() {
			s.end(io.EOF)
		}
	}
	c.changed.Broadcast()
	var ownDue, allDue uint32
	if s != nil && c.large {
		s.due += uint32(len(f.Data()))
		c.due += uint32(len(f.Data()))
		if s.due >= windowPiece {
			ownDue, s.due = s.due, 0
		}
		if c.due >= windowPiece {
			allDue, c.due = c.due, 0
		}
	}
	c.mu.Unlock()
	return errors.Join(c.grant(f.StreamID, ownDue), c.grant(0, allDue))
}

// windowPiece is how much has to come before it is granted again, as in a browser: a WINDOW_UPDATE for
// each frame would be the larger part of the work.
const windowPiece = 1 << 20

func (c *Client) grant(id, n uint32) error {
	if n == 0 {
		return nil
	}
	return c.send(func() error { return c.fr.WriteWindowUpdate(id, n) })
}

// send writes frames that no others come between.
func (c *Client) send(write func() error) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return write()
}

// end makes err the end of what comes, if it has none. The caller holds c.mu.
func (s *Stream) end(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Open opens a stream by a request with these fields, in their order, and does not wait for the
// response.
func (c *Client) Open(fields []hpack.HeaderField, endStream bool) (*Stream, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.mu.Lock()
	s := &Stream{c: c, ID: c.nextID, window: c.initial}
	c.nextID += 2
	c.streams[s.ID] = s
	c.mu.Unlock()
	c.block.Reset()
	for _, f := range fields {
		c.enc.WriteField(f)
	}
	return s, c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.ID, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: endStream})
}

// Connect is the request of an extended CONNECT. Further fields are given as pairs.
func Connect(authority, path string, pairs ...string) []hpack.HeaderField {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: "websocket"}, {Name: ":scheme", Value: "https"},
		{Name: ":path", Value: path}, {Name: ":authority", Value: authority},
	}
	has := false
	for pair := range slices.Chunk(pairs, 2) {
		fields = append(fields, hpack.HeaderField{Name: pair[0], Value: pair[1]})
		has = has || pair[0] == "sec-websocket-version"
	}
	if !has {
		fields = append(fields, hpack.HeaderField{Name: "sec-websocket-version", Value: "13"})
	}
	return fields
}

// Response waits for the response, and returns its status and a function that returns its fields.
func (s *Stream) Response() (status int, field func(name string) string, err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for s.fields == nil && s.err == nil {
		s.c.changed.Wait()
	}
	if s.fields == nil {
		return 0, nil, s.err
	}
	field = func(name string) string {
		for _, f := range s.fields {
			if f.Name == name {
				return f.Value
			}
		}
		return ""
	}
	status, err = strconv.Atoi(field(":status"))
	return status, field, err
}

// Read returns what has come, and waits for it.
func (s *Stream) Read(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for len(s.in) == 0 && s.err == nil && !s.closed {
		s.c.changed.Wait()
	}
	switch {
	case s.closed:
		return 0, net.ErrClosed
	case len(s.in) == 0:
		return 0, s.err
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

// Write sends p in DATA frames of 16 KiB at most.
func (s *Stream) Write(p []byte) (int, error) { return s.WriteFrames(p, 16<<10) }

// WriteFrames sends p in DATA frames of at most size bytes, as the windows let it.
func (s *Stream) WriteFrames(p []byte, size int) (n int, err error) {
	for n < len(p) {
		piece, err := s.reserve(min(size, len(p)-n))
		if err == nil {
			err = s.c.send(func() error { return s.c.fr.WriteData(s.ID, false, p[n:n+piece]) })
		}
		if err != nil {
			return n, err
		}
		n += piece
	}
	return n, nil
}

// reserve waits for a part of both windows.
func (s *Stream) reserve(n int) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for {
		got := min(int64(n), s.window, s.c.window)
		switch {
		case s.c.err != nil:
			return 0, s.c.err
		case s.reset != nil:
			return 0, s.err
		case s.closed:
			return 0, net.ErrClosed
		case got > 0:
			s.window -= got
			s.c.window -= got
			return int(got), nil
		}
		s.c.changed.Wait()
	}
}

// CloseWrite ends the direction to the server.
func (s *Stream) CloseWrite() error {
	return s.c.send(func() error { return s.c.fr.WriteData(s.ID, true, nil) })
}

// Reset resets the stream.
func (s *Stream) Reset(code http2.ErrCode) error {
	return s.c.send(func() error { return s.c.fr.WriteRSTStream(s.ID, code) })
}

// Abort resets the stream. What has come can still be read.
func (s *Stream) Abort() {
	s.Reset(http2.ErrCodeCancel)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.end(net.ErrClosed)
	s.c.changed.Broadcast()
}

// Grant lets the server send n more bytes.
func (s *Stream) Grant(n uint32) error {
	return s.c.send(func() error { return s.c.fr.WriteWindowUpdate(s.ID, n) })
}

// Ended waits until the server ends the stream, and returns whether it was by RST_STREAM, and with
// which code.
func (s *Stream) Ended() (code http2.ErrCode, reset bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for s.err == nil {
		s.c.changed.Wait()
	}
	if s.reset != nil {
		return *s.reset, true
	}
	return 0, false
}

// Frames returns the lengths of the DATA frames that have come.
func (s *Stream) Frames() []int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return slices.Clone(s.frames)
}

// Close forgets the stream, and resets it if the server has not ended it.
func (s *Stream) Close() error {
	s.c.mu.Lock()
	already := s.closed
	s.closed = true
	delete(s.c.streams, s.ID)
	s.c.changed.Broadcast()
	s.c.mu.Unlock()
	if already {
		return nil
	}
	return s.Reset(http2.ErrCodeCancel)
}
