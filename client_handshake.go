package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"runtime"
	"time"
)

// A client's opening handshake over the network: name look-up, TCP, perhaps a proxy, perhaps TLS,
// the request, the response. A context may end each of these steps. It does so by closing the
// transport.

// clientTrace returns ctx's httptrace.ClientTrace, or one without hooks. (Package net itself calls
// the hooks for DNS and TCP.)
func clientTrace(ctx context.Context) *httptrace.ClientTrace {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil {
		return trace
	}
	return new(httptrace.ClientTrace)
}

// closeWhenDone closes nc when ctx ends. Calling stop prevents that. It reports false if ctx has
// ended before.
func closeWhenDone(ctx context.Context, nc net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { closeAtOnce(nc) })
}

// step runs a step of the opening handshake on nc, for as long as ctx lasts. It closes nc unless
// the step returns nil in time. Steps call the application's code, which may panic or end the
// goroutine. Then nc is closed too.
func step(ctx context.Context, nc net.Conn, f func() error) (err error) {
	stop, returned := closeWhenDone(ctx, nc), false
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil || !returned {
			closeAtOnce(nc)
		}
	}()
	err = f()
	returned = true
	return err
}

// closeAtOnce closes nc without TLS's close-notify alert, because a peer that does not read could
// make it wait. To a proxy, TLS may run inside of TLS.
func closeAtOnce(nc net.Conn) {
	for {
		tc, ok := nc.(*tls.Conn)
		if !ok {
			nc.Close()
			return
		}
		nc = tc.NetConn()
	}
}

// connect returns the transport for a request, with TLS if the URL asks for it.
func (d *Dialer) connect(ctx context.Context, r *http.Request) (nc net.Conn, err error) {
	secure, addr, trace := r.URL.Scheme == "https", hostPort(r.URL), clientTrace(ctx)
	if trace.GetConn != nil {
		trace.GetConn(addr)
	}
	var proxy *url.URL
	if d.Proxy != nil {
		if proxy, err = d.Proxy(r); err != nil {
			return nil, fmt.Errorf("websocket: choosing a proxy: %w", err)
		}
	}
	switch {
	case proxy != nil:
		nc, err = d.dialProxy(ctx, proxy, addr)
	case secure && d.NetDialTLSContext != nil:
		nc, err = d.NetDialTLSContext(ctx, "tcp", addr)
		secure = false // the connection speaks TLS already
	default:
		nc, err = d.dial(ctx, addr)
	}
	if err == nil && nc == nil {
		err = errors.New("websocket: the dial function returned neither a connection nor an error")
	}
	if err != nil {
		return nil, err
	}
	if secure {
		if nc, err = d.startTLS(ctx, nc, d.TLSClientConfig, r.URL.Hostname()); err != nil {
			return nil, err
		}
	}
	if trace.GotConn != nil {
		err = step(ctx, nc, func() error {
			trace.GotConn(httptrace.GotConnInfo{Conn: nc})
			return nil
		})
	}
	return nc, err
}

// hostPort returns the address to dial for u.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dial connects to addr, which may be the server's or its proxy's.
func (d *Dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	switch {
	case d.NetDialContext != nil:
		return d.NetDialContext(ctx, "tcp", addr)
	case d.NetDial != nil:
		return dialNoContext(ctx, d.NetDial, addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// dialNoContext calls a function that knows no context, and waits for it as long as ctx lasts. If
// the function panics or ends its goroutine, dialNoContext does the same to the caller's goroutine,
// as if that had called the function itself.
func dialNoContext(ctx context.Context, dial func(network, addr string) (net.Conn, error), addr string) (net.Conn, error) {
	type result struct {
		nc       net.Conn
		err      error
		returned bool
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			done <- r
		}()
		r.nc, r.err = dial("tcp", addr)
		r.returned = true
	}()
	select {
	case r := <-done:
		if r.panicked != nil {
			panic(r.panicked)
		}
		if !r.returned {
			runtime.Goexit()
		}
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil && r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// startTLS does the TLS handshake with host on nc. If that fails, startTLS closes nc.
func (d *Dialer) startTLS(ctx context.Context, nc net.Conn, config *tls.Config, host string) (net.Conn, error) {
	if config = config.Clone(); config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	// Only HTTP/1.1 has an Upgrade. A Config that is shared with an http.Transport names "h2" too.
	config.NextProtos = []string{"http/1.1"}
	trace, tc := clientTrace(ctx), tls.Client(nc, config)
	err := step(ctx, nc, func() error {
		if trace.TLSHandshakeStart != nil {
			trace.TLSHandshakeStart()
		}
		// With ctx, HandshakeContext would close nc by itself. If nc is TLS, that may wait for the
		// peer: see closeAtOnce.
		err := tc.HandshakeContext(context.WithoutCancel(ctx))
		if trace.TLSHandshakeDone != nil {
			trace.TLSHandshakeDone(tc.ConnectionState(), err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return tc, nil
}

// openingHandshake sends the request and reads the response. It closes nc if it does not return a
// connection.
func (d *Dialer) openingHandshake(ctx context.Context, nc net.Conn, r *http.Request, offers []deflateOffer) (*Conn, *http.Response, error) {
	c := newConn(nc, true)
	var resp *http.Response
	var header []byte
	agreed := false
	err := step(ctx, nc, func() (err error) {
		resp, header, err = d.exchange(c, r, offers)
		agreed = err == nil
		return err
	})
	if err != nil {
		if agreed { // the server agreed, but too late
			resp = nil
		}
		c.drop()
		c.Close()
		return nil, resp, err
	}
	c.release()
	d.begin(c, r, header)
	return c, resp, nil
}

// begin begins the life of a connection whose opening handshake is done.
func (d *Dialer) begin(c *Conn, r *http.Request, header []byte) {
	traced := false
	defer func() {
		if !traced { // Trace has panicked or ended the goroutine
			c.Close()
		}
	}()
	c.traceOpened(r, header)
	traced = true
	c.startKeepalive(newPingSchedule(d.PingInterval, d.PongTimeout))
}

// exchange sends the request and checks the response. header is the response's header as it came.
func (d *Dialer) exchange(c *Conn, r *http.Request, offers []deflateOffer) (resp *http.Response, header []byte, err error) {
	trace := clientTrace(r.Context())
	_, err = c.nc.Write(appendRequest(nil, r))
	if err == nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: opening handshake: sending the request: %w", err)
	}
	resp, header, err = readResponse(c, r, trace)
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: opening handshake: reading the response: %w", err)
	}
	if cookies := resp.Cookies(); d.Jar != nil && len(cookies) > 0 {
		d.Jar.SetCookies(r.URL, cookies)
	}
	subprotocol, err := checkResponse(resp, r)
	if err == nil {
		err = d.takeDeflate(c, resp.Header["Sec-Websocket-Extensions"], offers)
	}
	d.configure(c, subprotocol)
	keepBody(c, resp)
	return resp, header, err
}

// configure gives c the settings of d.
func (d *Dialer) configure(c *Conn, subprotocol string) {
	c.configure(settings{limit: d.ReadLimit, maxFragments: clampInt32(d.MaxFragments), closeTimeout: d.CloseTimeout, subprotocol: subprotocol,
		queueLimit: d.QueueLimit, queueTimeout: d.QueueTimeout,
		frameSize: d.WriteBufferSize, trace: d.Trace})
	c.coalesce = d.CoalesceWrites
}

// takeDeflate sets up c for the compression that the server agreed to.
func (d *Dialer) takeDeflate(c *Conn, answers []string, offers []deflateOffer) error {
	params, agreed, err := checkDeflateAnswer(answers, offers)
	if !agreed {
		return err
	}
	want := compression(d.EnableCompression, d.Compression)
	c.deflate = newConnDeflate(params.within(want), want.threshold())
	return nil
}

// readResponse reads the response's header. The server's first frames may come right behind the
// header of a 101, and they stay in c.in.unread. Interim responses (RFC 9110 section 15.2) are
// skipped.
func readResponse(c *Conn, r *http.Request, trace *httptrace.ClientTrace) (resp *http.Response, header []byte, err error) {
	budget := defaultMaxHeaderBytes
	for first := true; ; first = false {
		if err := c.fillOnce(); err != nil {
			return nil, nil, unexpectedEOF(err)
		}
		if first && trace.GotFirstResponseByte != nil {
			trace.GotFirstResponseByte()
		}
		n, err := c.readHeader(budget)
		if err != nil {
			if bytes.HasPrefix(c.in.unread, []byte{0x15, 0x03}) { // the record of a TLS alert
				err = fmt.Errorf("the server seems to speak TLS: use wss:// instead of ws:// (%w)", err)
			} else {
				err = fmt.Errorf("%w behind %.100q", err, c.in.unread)
			}
			return nil, nil, err
		}
		resp, err = parseResponse(c.in.unread[:n])
		if err != nil {
			return nil, nil, err
		}
		if resp.StatusCode/100 != 1 {
			resp, err = readRefusal(c, r, resp.Header["Connection"])
			return resp, nil, err
		}
		resp.Request = r
		header, c.in.unread = c.in.unread[:n], c.in.unread[n:]
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, bytes.Clone(header), nil
		}
		budget -= n
		if trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(resp.StatusCode, textproto.MIMEHeader(resp.Header)); err != nil {
				return nil, nil, err
			}
		}
	}
}

// readRefusal reads a response with another status, from its start. It uses net/http, which knows
// all forms of a body: lengths, chunks, and responses without one. The body comes from c.in.unread,
// and then from the transport.
func readRefusal(c *Conn, r *http.Request, connection []string) (*http.Response, error) {
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(c.in.unread), c.nc)), r)
	if err == nil && connection != nil {
		resp.Header["Connection"] = connection // net/http deletes the field if it says close
	}
	return resp, err
}

// keptBody is the most of a refusal's body that the caller gets, in bytes.
const keptBody = 1 << 10

// keepBody reads the start of the response's body from the transport, for a short time, and
// replaces the body by it.
func keepBody(c *Conn, resp *http.Response) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = http.NoBody
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lingerTimeout))
	start, _ := io.ReadAll(io.LimitReader(resp.Body, keptBody))
	resp.Body = io.NopCloser(bytes.NewReader(start))
}
