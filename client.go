package websocket

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A client's settings, and Dial. client_request.go makes the request, client_handshake.go does the
// opening handshake over the network, proxy.go goes through a proxy.

// A Dialer opens connections to WebSocket servers. Its zero value is ready for use, and dials
// without a proxy. Any number of goroutines may use it as long as its fields do not change.
type Dialer struct {
	// NetDialContext makes the connection to the server, or to its proxy: over a Unix socket or
	// through a tunnel, for example. Nil means NetDial, or a net.Dialer if NetDial is nil too.
	NetDialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NetDial is NetDialContext for functions that know no context. If time runs out first, a
	// connection that NetDial returns later is closed.
	NetDial func(network, addr string) (net.Conn, error)

	// NetDialTLSContext makes connections that speak TLS already: to the server of a wss URL if no
	// proxy is in between, and to an https proxy. Nil means NetDialContext, and TLS with
	// TLSClientConfig on top of it.
	NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxy returns the URL of the proxy for a request, or nil for no proxy. The request's URL is
	// an http or https URL. The scheme of a proxy may be http, https, socks5 or socks5h, and its
	// URL may hold a user name and password. A nil Proxy means no proxy at all. DefaultDialer has
	// http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)

	// TLSClientConfig is for wss URLs. Nil means the system's certificates and the URL's host. It
	// is not changed. Its NextProtos is ignored: the client always asks for "http/1.1".
	TLSClientConfig *tls.Config

	// HandshakeTimeout bounds the time from the look-up of the name to the server's response: 0
	// means 10 s, less than 0 means no limit but the context's.
	HandshakeTimeout time.Duration

	// Subprotocols are offered to the server, the preferred one first (RFC 6455 section 1.9).
	// Conn.Subprotocol returns the server's choice.
	Subprotocols []string

	// EnableCompression offers permessage-deflate (RFC 7692) without context takeover: no message
	// refers to an earlier one. That costs no memory between messages, but small messages hardly
	// get shorter. It is gorilla/websocket's field, with the same offer:
	//
	//	permessage-deflate; server_no_context_takeover; client_no_context_takeover
	EnableCompression bool

	// Compression, if not nil, offers permessage-deflate with these settings, whether
	// EnableCompression is set or not. &Compression{} has context takeover: small messages get
	// shorter too, for up to 13.8 KB a connection.
	Compression *Compression

	// Jar adds cookies to the request, and stores the cookies of the response. Nil means neither.
	Jar http.CookieJar

	// ReadLimit is the largest size of a message, in bytes, until SetReadLimit changes it: 0 means
	// 32 MiB, less than 0 means no limit.
	ReadLimit int64

	// MaxFragments is the number of frames that a message may have before its last: 0 means 65,536,
	// less than 0 means no limit. It also bounds streams without a ReadLimit: frames of 32 KiB
	// reach it at 2 GiB.
	MaxFragments int

	// CloseTimeout bounds the closing handshake: 0 means 5 s, less than 0 means no limit.
	CloseTimeout time.Duration

	// PingInterval is the longest silence of the server before it is sent a ping (after three to
	// four quarters of it): 0 or less means no pings. It counts only while some goroutine reads.
	PingInterval time.Duration

	// PongTimeout is the longest silence of the server after a ping. Then the connection is closed
	// and reads return ErrPongTimeout: 0 means PingInterval, less than 0 means never.
	PongTimeout time.Duration

	// QueueLimit is the number of bytes that may wait for a slow server, of the messages of
	// Enqueue, EnqueuePrepared and EnqueueLatest: 0 means 256 KiB, less than 0 means no limit. A
	// message counts as at least 64 bytes. One message may pass the limit if no other waits.
	QueueLimit int

	// QueueTimeout is the longest wait of such a message, or of a control frame that the library
	// sends by itself, unless it waits behind a write of the program's. Then the transport is
	// closed, and reads and writes return ErrQueueTimeout: 0 means 10 s, less than 0 means no
	// limit.
	QueueTimeout time.Duration

	// Retry has the settings of Connect. Nil means a zero Retry. DialContext tries once in any
	// case.
	Retry *Retry

	// Trace, if not nil, has functions that are called for handshakes, frames and the end.
	Trace *Trace

	// CoalesceWrites sends answers together. A message that is written while the read buffer holds
	// another complete frame stays pending, until reading is about to wait, 16 KiB are pending, or
	// Flush is called, for 5 ms at most. Many small messages in flight then cost a tenth.
	// (HandleMessages and Server.OnMessage always do it.)
	CoalesceWrites bool

	// WriteBufferSize is the most payload, in bytes, that a frame of NextWriter's messages may
	// hold. Values up to 32 KiB change nothing. A larger one helps peers that take every frame for
	// a message.
	WriteBufferSize int

	// ReadBufferSize and WriteBufferPool have no effect. They are here for programs that were
	// written for gorilla/websocket. Connections share pooled buffers, and hold none while they
	// wait.
	ReadBufferSize  int
	WriteBufferPool BufferPool
}

// DefaultDialer is a Dialer that asks the environment for a proxy, and waits for up to 45 s. A nil
// *Dialer behaves the same.
var DefaultDialer = &Dialer{
	Proxy:            http.ProxyFromEnvironment,
	HandshakeTimeout: 45 * time.Second,
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	return d.DialContext(context.Background(), urlStr, requestHeader)
}

// DialContext opens a connection to a ws or wss URL (http and https mean the same) and does the
// opening handshake. A user name and password in the URL become basic authorization.
//
// requestHeader, if not nil, is sent with the request: Origin, Authorization, Cookie, and any other
// fields that the server needs. Its Host replaces the URL's host. Its Sec-WebSocket-Protocol offers
// subprotocols if d.Subprotocols offers none.
//
// If the server answered, but did not accept the upgrade, DialContext returns the response and an
// error that satisfies errors.Is(err, ErrBadHandshake). The error is ErrBadHandshake itself if the
// status is not 101. The response's Body then holds the first 1 KiB of the server's body, and need
// not be closed. Redirects are not followed.
//
// If ctx or HandshakeTimeout ends first, in whatever step, no connection is left behind. The
// connection that DialContext returns does not depend on ctx. The caller must close it.
//
// Under GOOS=js the browser does the handshake, unless d has a dial function. Settings and header
// fields that a browser cannot honour are errors, which satisfy errors.Is(err,
// errors.ErrUnsupported). The response then has status 101 and the subprotocol, and there is none
// if the server refused.
func (d *Dialer) DialContext(ctx context.Context, urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	if d == nil {
		d = DefaultDialer
	}
	req, offer, err := d.newRequest(urlStr, requestHeader)
	if err != nil {
		return nil, nil, err
	}
	if timeout := cmp.Or(d.HandshakeTimeout, defaultHandshakeTimeout); timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	req = req.WithContext(ctx)
	c, resp, err := d.open(ctx, req, offer)
	if err != nil {
		err = dialError(ctx, err)
		d.Trace.traceHandshake(nil, req, nil, err)
		return nil, resp, err
	}
	return c, resp, nil
}

// open makes a transport, and does the opening handshake on it.
func (d *Dialer) open(ctx context.Context, r *http.Request, offers []deflateOffer) (*Conn, *http.Response, error) {
	if d.inBrowser() {
		return d.openInBrowser(ctx, r)
	}
	nc, err := d.connect(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	return d.openingHandshake(ctx, nc, r, offers)
}

// dialError returns the error for Dial's caller. If the context ended, that is the context's error,
// not the error of the step that it interrupted.
func dialError(ctx context.Context, err error) error {
	ctxErr := ctx.Err()
	if end, ok := ctx.Deadline(); ok && ctxErr == nil && !time.Now().Before(end) {
		ctxErr = context.DeadlineExceeded // the transport may notice it before the context does
	}
	switch {
	case ctxErr == nil || errors.Is(err, ErrBadHandshake):
		return err
	case ctxErr == context.DeadlineExceeded:
		return &timeoutError{step: "opening handshake", cause: ctxErr}
	default:
		return fmt.Errorf("websocket: opening handshake: %w", ctxErr)
	}
}
