package websocket

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A rawPeer is the other end of a Conn under test. It is a bare transport, which reads only when
// it is told to.
type rawPeer struct {
	nc     net.Conn // TLS, if the test is about that
	socket net.Conn // the transport below it
	r      *bufio.Reader
	masks  bool // it is the client

	sending chan []byte // written by a goroutine, for the Conn may read nothing
	sent    chan struct{}

	// The state of the message that next is reading.
	open bool
	kind opcode
	text []byte
	size int64
}

func newRawPeer(nc, socket net.Conn, masks bool) *rawPeer {
	p := &rawPeer{nc: nc, socket: socket, r: bufio.NewReader(nc), masks: masks,
		sending: make(chan []byte, 1000), sent: make(chan struct{})}
	go func() {
		defer close(p.sent)
		for b := range p.sending {
			if b == nil {
				p.endSending()
			} else if _, err := nc.Write(b); err != nil {
				for range p.sending {
				}
				return
			}
		}
	}()
	return p
}

// frame is a frame as this peer has to send it.
func (p *rawPeer) frame(op opcode, fin bool, payload string) []byte {
	if p.masks {
		return frame(op, fin, payload, testKey)
	}
	return frame(op, fin, payload, 0)
}

// send gives all slices to the writing goroutine, as one write. It does not wait.
func (p *rawPeer) send(frames ...[]byte) { p.sending <- slices.Concat(frames...) }

// sendText sends small messages, in one write.
func (p *rawPeer) sendText(texts ...string) {
	var b []byte
	for _, text := range texts {
		b = append(b, p.frame(opText, true, text)...)
	}
	p.send(b)
}

func (p *rawPeer) sendClose(code int) {
	p.send(p.frame(opClose, true, string(FormatCloseMessage(code, ""))))
}

// finish ends the transport behind the pending frames.
func (p *rawPeer) finish() { p.sending <- nil }

func (p *rawPeer) endSending() {
	if half, ok := p.socket.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() // Close would send a RST if there is something to be read
	} else {
		p.socket.Close()
	}
}

// close ends the transport at once, and the goroutine that writes.
func (p *rawPeer) close() {
	p.socket.Close()
	close(p.sending)
	<-p.sent
}

// next reads up to the end of the next message or control frame, and returns it in words: "text
// hello", "binary of 70000 bytes", "pong x", "close 1000". At the transport's end that is "the
// end".
func (p *rawPeer) next(within time.Duration) string {
	p.nc.SetReadDeadline(time.Now().Add(within))
	for {
		h, err := p.header()
		if err != nil {
			return rawEnd(err)
		}
		payload, err := p.payload(h)
		if err != nil {
			return rawEnd(err)
		}
		switch {
		case h.opcode == opClose:
			if len(payload) < 2 {
				return "close"
			}
			return fmt.Sprintf("close %d", int(payload[0])<<8|int(payload[1]))
		case h.opcode.isControl():
			return strings.TrimSpace(h.opcode.String() + " " + string(payload))
		case p.open != (h.opcode == opContinuation):
			return "a frame that does not continue: " + h.opcode.String()
		}
		if !p.open {
			p.open, p.kind, p.text, p.size = true, h.opcode, nil, 0
		}
		p.text, p.size = append(p.text, payload...), p.size+h.length
		if h.fin {
			p.open = false
			return rawMessage(p.kind, p.text, p.size)
		}
	}
}

// rawMessage is a message in next's words.
func rawMessage(kind opcode, text []byte, size int64) string {
	if size > rawShown {
		return fmt.Sprintf("%v of %d bytes", kind, size)
	}
	return strings.TrimSpace(kind.String() + " " + string(text))
}

// rawShown is the longest payload that next returns byte for byte.
const rawShown = 200

func rawEnd(err error) string {
	if isTimeout(err) {
		return "nothing in time"
	}
	return "the end"
}

// header reads a frame's header.
func (p *rawPeer) header() (frameHeader, error) {
	var b []byte
	for {
		c, err := p.r.ReadByte()
		if err != nil {
			return frameHeader{}, err
		}
		b = append(b, c)
		if h, n, err := consumeHeader(b); err != nil || n > 0 {
			return h, err
		}
	}
}

// payload reads a frame's payload, and returns it if it is short.
func (p *rawPeer) payload(h frameHeader) ([]byte, error) {
	if h.length > rawShown {
		_, err := io.CopyN(io.Discard, p.r, h.length)
		return nil, err
	}
	b := make([]byte, h.length)
	_, err := io.ReadFull(p.r, b)
	if h.masked {
		mask(b, h.key)
	}
	return b, err
}

// rawOptions say how a connection under test is opened.
type rawOptions struct {
	transport    string // "tcp", "tls" or "pipe"
	client       bool   // the Conn is a client's
	coalesce     bool
	compress     *Compression
	ping, pong   time.Duration
	closeTimeout time.Duration
	trace        *Trace
	onMessage    func(c *Conn, messageType int, data []byte)
	wrap         func(net.Conn) net.Conn // makes the Conn's transport
	upgrader     func(*Upgrader)         // sets further options
	dialer       func(*Dialer)
}

// A rawConn is a connection under test, opened by a Server or a Dialer, and its peer.
type rawConn struct {
	c      *Conn
	peer   *rawPeer
	server *Server // nil for a client's

	listener net.Listener
	once     sync.Once
	done     chan struct{} // closed when the Server's handler may return
}

// rawBuffer is the size of both sockets' buffers: a write of rawStuck bytes must not fit.
const (
	rawBuffer = 128 << 10
	rawStuck  = 4 << 20
)

var rawStuckMessage = make([]byte, rawStuck)

// rawOpen opens a connection.
func rawOpen(o rawOptions) (*rawConn, error) {
	if o.wrap == nil {
		o.wrap = func(nc net.Conn) net.Conn { return nc }
	}
	if o.client {
		return rawDial(o)
	}
	return rawServe(o)
}

// rawMustOpen is rawOpen for a test with one connection, which it closes.
func rawMustOpen(t *testing.T, o rawOptions) *rawConn {
	t.Helper()
	rc, err := rawOpen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rc.close(); err != nil {
			t.Error(err)
		}
	})
	return rc
}

// release lets the Server's handler return.
func (rc *rawConn) release() { rc.once.Do(func() { close(rc.done) }) }

// close ends everything.
func (rc *rawConn) close() error {
	rc.peer.close()
	rc.release()
	closed := make(chan struct{})
	go func() {
		if rc.server != nil {
			rc.server.Close()
		} else {
			rc.c.Close()
		}
		rc.listener.Close()
		close(closed)
	}()
	if _, ok := within(closed, 5*time.Second); !ok {
		return errors.New("Close hangs after the peer is gone")
	}
	return nil
}

// rawListener wraps the connections that it accepts, and may give them small buffers.
type rawListener struct {
	net.Listener
	shrink func(net.Conn) net.Conn
	wrap   func(net.Conn) net.Conn
}

func (l *rawListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(l.shrink(nc)), nil
}

// rawAsIs takes the place of rawShrink for a connection whose buffers are full in both directions
// at times. With small buffers the kernel would drop segments, and send them again later and later.
func rawAsIs(nc net.Conn) net.Conn { return nc }

func rawShrink(nc net.Conn) net.Conn {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetReadBuffer(rawBuffer)
		tcp.SetWriteBuffer(rawBuffer)
	}
	return nc
}

// rawNetwork returns a listener, and a function that connects to it.
func rawNetwork(transport string, shrink func(net.Conn) net.Conn) (l net.Listener, dial func() (net.Conn, error), err error) {
	if transport == "pipe" {
		l := newListener()
		return l, func() (net.Conn, error) {
			s, c := net.Pipe()
			select {
			case l.conns <- s:
				return c, nil
			case <-l.closed:
				return nil, net.ErrClosed
			}
		}, nil
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, nil, err
	}
	return l, func() (net.Conn, error) {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		return shrink(nc), nil
	}, nil
}

// rawServe opens a connection of a Server's.
func rawServe(o rawOptions) (*rawConn, error) {
	l, dial, err := rawNetwork(o.transport, rawShrink)
	if err != nil {
		return nil, err
	}
	rc := &rawConn{listener: l, done: make(chan struct{})}
	conns := make(chan *Conn, 1)
	trace := Trace{}
	if o.trace != nil {
		trace = *o.trace
	}
	trace.Handshake = func(c *Conn, _ *http.Request, _ []byte, _ error) { conns <- c }
	rc.server = &Server{
		Upgrader: Upgrader{PingInterval: o.ping, PongTimeout: o.pong, CloseTimeout: o.closeTimeout,
			CoalesceWrites: o.coalesce, Compression: o.compress, Trace: &trace},
		OnMessage: o.onMessage,
		TLSConfig: testTLS(),
	}
	if o.onMessage == nil {
		rc.server.Handler = func(*Conn, *http.Request) { <-rc.done }
	}
	if o.upgrader != nil {
		o.upgrader(&rc.server.Upgrader)
	}
	if o.transport == "tls" {
		go rc.server.ServeTLS(&rawListener{l, rawShrink, o.wrap}, "", "")
	} else {
		go rc.server.Serve(&rawListener{l, rawShrink, o.wrap})
	}
	nc, err := dial()
	if err != nil {
		return nil, err
	}
	socket := nc
	if o.transport == "tls" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	request := goodRequest
	if o.compress != nil {
		request = strings.Replace(goodRequest, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1)
	}
	if _, err := io.WriteString(nc, request); err != nil {
		return nil, err
	}
	rc.peer = newRawPeer(nc, socket, true)
	if resp, err := http.ReadResponse(rc.peer.r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("opening handshake: %v, %v", resp, err)
	}
	rc.c = <-conns
	return rc, nil
}

// rawDial opens a connection of a Dialer's.
func rawDial(o rawOptions) (*rawConn, error) {
	l, dial, err := rawNetwork(o.transport, rawShrink)
	if err != nil {
		return nil, err
	}
	rc := &rawConn{listener: l, done: make(chan struct{})}
	d := &Dialer{PingInterval: o.ping, PongTimeout: o.pong, CloseTimeout: o.closeTimeout, CoalesceWrites: o.coalesce,
		Compression: o.compress, Trace: o.trace, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			nc, err := dial()
			if err != nil {
				return nil, err
			}
			return o.wrap(nc), nil
		}}
	if o.dialer != nil {
		o.dialer(d)
	}
	peers := make(chan *rawPeer, 1)
	go func() {
		defer close(peers)
		if p := rawAccept(l, o.transport == "tls"); p != nil {
			peers <- p
		}
	}()
	url := "ws://server.example/"
	if o.transport == "tls" {
		url = "wss://server.example/"
	}
	if rc.c, _, err = d.Dial(url, nil); err != nil {
		l.Close()
		return nil, err
	}
	rc.peer = <-peers
	return rc, nil
}

// rawAccept does the opening handshake of a server that is no more than a transport.
func rawAccept(l net.Listener, secure bool) *rawPeer {
	nc, err := l.Accept()
	if err != nil {
		return nil
	}
	socket := rawShrink(nc)
	if secure {
		nc = tls.Server(nc, testTLS())
	}
	p := newRawPeer(nc, socket, false)
	r, err := http.ReadRequest(p.r)
	if err != nil {
		p.close()
		return nil
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	extension := ""
	if r.Header.Get("Sec-WebSocket-Extensions") != "" {
		extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n%s\r\n", base64.StdEncoding.EncodeToString(sum[:]), extension)
	return p
}

// raceEnabled reports whether the race detector is on, which slows everything down.
func raceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// within waits for a channel, not longer than d.
func within[T any](ch <-chan T, d time.Duration) (v T, ok bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case v = <-ch:
		return v, true
	case <-t.C:
		return v, false
	}
}

// rawPair opens a connection with a Conn at both ends. wrapServer and wrapClient, if not nil, get
// between the Conns and their transports.
func rawPair(o rawOptions, wrapServer, wrapClient func(net.Conn) net.Conn) (server, client *Conn, end func(), err error) {
	l, dial, err := rawNetwork(o.transport, rawAsIs)
	if err != nil {
		return nil, nil, nil, err
	}
	same := func(nc net.Conn) net.Conn { return nc }
	if wrapServer == nil {
		wrapServer = same
	}
	if wrapClient == nil {
		wrapClient = same
	}
	conns, done := make(chan *Conn, 1), make(chan struct{})
	srv := &Server{
		Upgrader: Upgrader{PingInterval: o.ping, PongTimeout: o.pong, CloseTimeout: o.closeTimeout,
			CoalesceWrites: o.coalesce, Compression: o.compress, Trace: o.trace},
		Handler:   func(c *Conn, _ *http.Request) { conns <- c; <-done },
		TLSConfig: testTLS(),
	}
	if o.upgrader != nil {
		o.upgrader(&srv.Upgrader)
	}
	d := &Dialer{PingInterval: o.ping, PongTimeout: o.pong, CloseTimeout: o.closeTimeout, CoalesceWrites: o.coalesce,
		Compression: o.compress, Trace: o.trace, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			nc, err := dial()
			if err != nil {
				return nil, err
			}
			return wrapClient(nc), nil
		}}
	if o.dialer != nil {
		o.dialer(d)
	}
	url, serve := "ws://server.example/", func() { srv.Serve(&rawListener{l, rawAsIs, wrapServer}) }
	if o.transport == "tls" {
		url, serve = "wss://server.example/", func() { srv.ServeTLS(&rawListener{l, rawAsIs, wrapServer}, "", "") }
	}
	go serve()
	if client, _, err = d.Dial(url, nil); err != nil {
		srv.Close()
		return nil, nil, nil, err
	}
	end = sync.OnceFunc(func() {
		close(done)
		client.Close()
		srv.Close()
	})
	return <-conns, client, end, nil
}

// A gatedConn is a transport that takes nothing while its gate is shut, like a socket whose buffer
// in the kernel is full.
type gatedConn struct {
	net.Conn
	mu       sync.Mutex // guards all below
	shut     bool
	closed   bool
	deadline time.Time
}

func (g *gatedConn) setShut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
}

func (g *gatedConn) SetWriteDeadline(t time.Time) error {
	g.mu.Lock()
	g.deadline = t
	g.mu.Unlock()
	return g.Conn.SetWriteDeadline(t)
}

func (g *gatedConn) SetDeadline(t time.Time) error {
	g.SetReadDeadline(t)
	return g.SetWriteDeadline(t)
}

func (g *gatedConn) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	return g.Conn.Close()
}

// state reports whether a write has to wait, and the error if it cannot go on.
func (g *gatedConn) state() (wait bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return false, net.ErrClosed
	case g.shut && !g.deadline.IsZero() && !time.Now().Before(g.deadline):
		return false, os.ErrDeadlineExceeded
	}
	return g.shut, nil
}

func (g *gatedConn) Write(p []byte) (int, error) {
	for {
		wait, err := g.state()
		if err != nil {
			return 0, err
		}
		if !wait {
			return g.Conn.Write(p)
		}
		time.Sleep(time.Millisecond)
	}
}
