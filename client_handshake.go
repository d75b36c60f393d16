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

// A client's opening handshake over the network: name look-up, TCP, perhaps a
// proxy, perhaps TLS, the request, the response. A context may end each of
// these steps; it does so by closing the transport.

// clientTrace is ctx's httptrace.ClientTrace, or one without hooks. (The net
// package calls the hooks for DNS and TCP by itself.)
func clientTrace(ctx context.Context) *httptrace.ClientTrace {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil {
		return trace
	}
	return new(httptrace.ClientTrace)
}

// closeWhenDone closes nc when ctx ends. The function that it returns calls
// that off, and reports false if it comes too late.
func closeWhenDone(ctx context.Context, nc net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { closeAtOnce(nc) })
}

// step runs a step of the opening handshake on nc, for as long as ctx lasts. It
// closes nc unless the step returns nil in time. Steps call code of the
// application's, which may panic or end the goroutine: that closes nc as well.
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

// closeAtOnce closes nc without TLS's goodbye, for which a peer may make it
// wait; TLS may run inside of TLS, to a proxy.
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

// connect makes the transport for a request, TLS included.
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
		nc, err = d.dialThrough(ctx, proxy, addr)
	case secure && d.NetDialTLSContext != nil:
		nc, err = d.NetDialTLSContext(ctx, "tcp", addr)
		secure = false // it is, already
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

// hostPort is where to find u's host.
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
		return dialWithout(ctx, d.NetDial, addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// dialWithout calls a function that knows no context, for as long as ctx lasts.
// If the function panics or ends its goroutine, that happens to the caller's
// goroutine, as if it had called the function itself.
func dialWithout(ctx context.Context, dial func(network, addr string) (net.Conn, error), addr string) (net.Conn, error) {
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

// startTLS does the TLS handshake with host on nc, which it closes if it fails.
func (d *Dialer) startTLS(ctx context.Context, nc net.Conn, config *tls.Config, host string) (net.Conn, error) {
	if config = config.Clone(); config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	// What follows is HTTP/1.1, in which alone there is an Upgrade. A Config
	// that is shared with an http.Transport will name "h2" as well.
	config.NextProtos = []string{"http/1.1"}
	trace, tc := clientTrace(ctx), tls.Client(nc, config)
	err := step(ctx, nc, func() error {
		if trace.TLSHandshakeStart != nil {
			trace.TLSHandshakeStart()
		}
		// Given ctx, HandshakeContext would close nc with a goodbye, if that is TLS itself.
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

// openingHandshake sends the request and takes the response. It closes nc if
// there is no connection in the end.
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
		if agreed { // and came too late
			resp = nil
		}
		c.flags.set(flagCloseTraced) // there was no connection that could end
		c.drop()
		c.Close()
		return nil, resp, err
	}
	c.release()
	traced := false
	defer func() {
		if !traced { // Trace panicked, or ended the goroutine
			c.Close()
		}
	}()
	d.Trace.traceHandshake(c, r, header, nil)
	traced = true
	c.startKeepalive(newPingSchedule(d.PingInterval, d.PongTimeout))
	return c, resp, nil
}

// exchange sends the request, and checks the response against it. header is
// the response's, as it came.
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
	c.configure(settings{limit: d.ReadLimit, maxFragments: clampInt32(d.MaxFragments), closeTimeout: d.CloseTimeout, subprotocol: subprotocol,
		queueLimit: d.QueueLimit, queueTimeout: d.QueueTimeout,
		frameSize: d.WriteBufferSize, trace: d.Trace})
	c.coalesce = d.CoalesceWrites
	keepBody(c, resp)
	return resp, header, err
}

// takeDeflate makes c ready for the compression that the server agreed to.
func (d *Dialer) takeDeflate(c *Conn, answers []string, offers []deflateOffer) error {
	params, agreed, err := checkDeflateAnswer(answers, offers)
	if !agreed {
		return err
	}
	want := compression(d.EnableCompression, d.Compression)
	c.deflate = newConnDeflate(params.within(want), want.threshold())
	return nil
}

// readResponse reads the response's header. What came behind that of a 101
// stays in c.in.unread: the server's first frames. Responses before the
// response (RFC 9110 section 15.2) are left out.
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
			if bytes.HasPrefix(c.in.unread, []byte{0x15, 0x03}) { // an alert's record
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

// readRefusal reads a response with another status from its start, for what
// net/http knows of bodies: lengths, chunks, and responses that have none. Its
// body comes from c.in.unread and, after that, from the transport.
func readRefusal(c *Conn, r *http.Request, connection []string) (*http.Response, error) {
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(c.in.unread), c.nc)), r)
	if err == nil && connection != nil {
		resp.Header["Connection"] = connection // which net/http deletes if it says close
	}
	return resp, err
}

// keptBody is how much of a refusal's body the caller gets to see.
const keptBody = 1 << 10

// keepBody replaces the response's body, which comes from the transport, by
// the start of it, if it comes soon.
func keepBody(c *Conn, resp *http.Response) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = http.NoBody
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lingerTimeout))
	start, _ := io.ReadAll(io.LimitReader(resp.Body, keptBody))
	resp.Body = io.NopCloser(bytes.NewReader(start))
}
