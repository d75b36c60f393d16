package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Dialer opens connections to WebSocket servers. Its zero value is ready for
// use, and dials without a proxy. It may be used by any number of goroutines,
// as long as its fields do not change.
type Dialer struct {
	// NetDialContext makes the connection to the server, or to its proxy: a Unix
	// socket's, say, or one through a tunnel. Nil means NetDial, and where that
	// is nil too, a net.Dialer.
	NetDialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NetDial is NetDialContext for functions that know no context. When time
	// runs out first, what it returns afterwards is closed.
	NetDial func(network, addr string) (net.Conn, error)

	// NetDialTLSContext makes connections that speak TLS already: to the server
	// of a wss URL where no proxy is in between, and to an https proxy. Nil means
	// NetDialContext, and TLS with TLSClientConfig on top of it.
	NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxy returns the proxy for a request, whose URL is an http or https one;
	// nil for none. Proxies may be http, https, socks5 and socks5h, with a user
	// name and password in the URL. Nil means no proxy at all; DefaultDialer has
	// http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)

	// TLSClientConfig is for wss URLs. Nil means the system's certificates and
	// the URL's host. It is not changed; NextProtos counts as "http/1.1",
	// whatever it holds.
	TLSClientConfig *tls.Config

	// HandshakeTimeout bounds all from the look-up of the name to the server's
	// response: 0 means 10 s, less than 0 no limit but the context's.
	HandshakeTimeout time.Duration

	// Subprotocols are offered to the server, the preferred one first
	// (RFC 6455 section 1.9). Conn.Subprotocol says which one it chose.
	Subprotocols []string

	// EnableCompression offers permessage-deflate (RFC 7692) without context
	// takeover: no message refers to an earlier one, which costs no memory
	// between messages, but small messages hardly get shorter. That is what
	// gorilla/websocket does, down to the offer:
	// "permessage-deflate; server_no_context_takeover; client_no_context_takeover".
	EnableCompression bool

	// Compression, if not nil, offers permessage-deflate with these settings,
	// whatever EnableCompression says. &Compression{} has context takeover: small
	// messages get shorter too, for up to 13.8 KB a connection.
	Compression *Compression

	// Jar adds cookies to the request, and takes those of the response. Nil
	// means neither.
	Jar http.CookieJar

	// ReadLimit is where SetReadLimit starts: 0 means 32 MiB, less than 0 no limit.
	ReadLimit int64

	// MaxFragments is how many frames a message may have before its last: 0
	// means 65,536, less than 0 no limit. It bounds streams without a ReadLimit,
	// too: frames of 32 KiB reach it at 2 GiB.
	MaxFragments int

	// CloseTimeout bounds the closing handshake: 0 means 5 s, less than 0 no limit.
	CloseTimeout time.Duration

	// PingInterval is how long the server may be silent before it is sent a
	// ping (after three to four quarters of it): 0 or less means never. It
	// counts only while some goroutine reads.
	PingInterval time.Duration

	// PongTimeout is how long the server may be silent after a ping before the
	// connection is closed and reads return ErrPongTimeout. 0 means
	// PingInterval, less than 0 never.
	PongTimeout time.Duration

	// QueueLimit is how many bytes of messages that Enqueue and its kin were given
	// may wait for a slow peer, each message counting as 64 at the least: 0 means
	// 256 KiB, less than 0 no limit. One message may pass it if no other waits.
	QueueLimit int

	// QueueTimeout is how long the oldest of these messages may wait, or a control
	// frame that the library sends by itself, before the transport is closed and
	// reads and writes return ErrQueueTimeout: 0 means 10 s, less than 0 for ever.
	QueueTimeout time.Duration

	// Retry has the settings of Connect. Nil means a zero Retry. DialContext tries once,
	// whatever it holds.
	Retry *Retry

	// Trace, if not nil, is told of handshakes, frames and the end.
	Trace *Trace

	// CoalesceWrites has answers go out together: a message that is written
	// while a further complete frame is there to be read is held until reading
	// is about to wait, 16 KiB are held, or Flush is called. Many small messages
	// in flight then cost a tenth. Leave it off for handlers that stop reading
	// for a while, for they would delay their own answers. (HandleMessages and
	// Server.OnMessage always do it.)
	CoalesceWrites bool

	// WriteBufferSize is how many octets of payload the frames of NextWriter's
	// messages may hold, where that is more than 32 KiB; other values change
	// nothing. Some peers take every frame for a message.
	WriteBufferSize int

	// ReadBufferSize and WriteBufferPool are here for programs written for
	// gorilla/websocket, and have no effect: connections share pooled buffers,
	// and hold none while they wait.
	ReadBufferSize  int
	WriteBufferPool BufferPool
}

// DefaultDialer is a Dialer that asks the environment for a proxy, and waits
// for up to 45 s. A nil *Dialer is the same.
var DefaultDialer = &Dialer{
	Proxy:            http.ProxyFromEnvironment,
	HandshakeTimeout: 45 * time.Second,
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	return d.DialContext(context.Background(), urlStr, requestHeader)
}

// DialContext opens a connection to a ws or wss URL (http and https mean the
// same) and does the opening handshake. A user name and password in the URL
// become basic authorization.
//
// requestHeader, if not nil, is sent along: Origin, Authorization, Cookie, and
// what else the server wants to know. Host replaces the URL's, and
// Sec-WebSocket-Protocol offers subprotocols where d.Subprotocols does not.
//
// If the server answered, but did not agree, the response comes with an error
// that satisfies errors.Is(err, ErrBadHandshake), and is ErrBadHandshake itself
// where the status is another one than 101. Its Body then holds up to 1 KiB of
// what the server had to say, and need not be closed. Redirects are not followed.
//
// When ctx or HandshakeTimeout end first, whatever step they interrupt, nothing
// is left behind. The connection that DialContext returns does not depend on ctx.
// It must be closed by the caller.
func (d *Dialer) DialContext(ctx context.Context, urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	if d == nil {
		d = DefaultDialer
	}
	req, offer, err := d.newRequest(urlStr, requestHeader)
	if err != nil {
		return nil, nil, err
	}
	if timeout := orDefault(d.HandshakeTimeout, defaultHandshakeTimeout); timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	req = req.WithContext(ctx)
	var c *Conn
	var resp *http.Response
	nc, err := d.connect(ctx, req)
	if err == nil {
		c, resp, err = d.openingHandshake(ctx, nc, req, offer)
	}
	if err != nil {
		err = dialError(ctx, err)
		d.Trace.traceHandshake(nil, req, nil, err)
		return nil, resp, err
	}
	return c, resp, nil
}

// dialError is what Dial's caller sees of an error: the context's end rather
// than what it interrupted.
func dialError(ctx context.Context, err error) error {
	ctxErr := ctx.Err()
	if end, ok := ctx.Deadline(); ok && ctxErr == nil && !time.Now().Before(end) {
		ctxErr = context.DeadlineExceeded // which others may notice before the context does
	}
	switch {
	case ctxErr == nil || errors.Is(err, ErrBadHandshake):
		return err
	case ctxErr == context.DeadlineExceeded:
		return &timeoutError{what: "opening handshake", cause: ctxErr}
	default:
		return fmt.Errorf("websocket: opening handshake: %w", ctxErr)
	}
}
