package websocket

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// An Upgrader turns HTTP requests that ask for it into WebSocket connections (RFC 6455 section
// 4.2). Its zero value is ready for use. Any number of goroutines may use it as long as its fields
// do not change.
//
// A handler of net/http that upgrades and then reads costs 13.6 KB for each idle connection, because
// net/http keeps its goroutine and its buffers until the handler returns. A Server costs 3.9 KB, and
// 1.2 KB with OnMessage on Linux. So instead of Upgrade in a handler, write
//
//	srv := &websocket.Server{Upgrader: upgrader}
//	srv.Handler = func(c *websocket.Conn, r *http.Request) { loop(c, r) }
//	mux.Handle("/ws", srv)
//
// Or go on in a goroutine of the program's own, and let the handler return. docs/operating.md has
// both in full, and the command that measures the figures.
type Upgrader struct {
	// HandshakeTimeout bounds the writing of the response, and a Server's whole opening handshake
	// with TLS: 0 means 10 s, less than 0 means no limit.
	HandshakeTimeout time.Duration

	// Subprotocols are the subprotocols that the server speaks, the preferred one first (RFC 6455
	// section 1.9). The first one that the client offers too is agreed on. If there is none, the
	// connection has no subprotocol. Conn.Subprotocol returns the choice.
	Subprotocols []string

	// AllowedOrigins lists the origins, besides the server's own, whose pages may connect, such as
	// "https://example.com" or, for every host below it, "https://*.example.com". They are compared
	// as browsers write them: scheme and host, the port unless it is the scheme's own, no slash at
	// the end.
	AllowedOrigins []string

	// CheckOrigin decides about origins that AllowedOrigins does not list. Nil means the rule of
	// RFC 6455 section 10.2: a page may connect to the host that it came from. The scheme does not
	// count in this rule, because a proxy in front may change it. It counts in AllowedOrigins.
	// Requests without an Origin are not from pages, and may connect. A function that always
	// returns true lets every page on the web act as its visitor.
	CheckOrigin func(r *http.Request) bool

	// Admit, if not nil, decides about each request that has kept the rules of RFC 6455 and passed
	// the check of its origin. It is called before the response, by Upgrade, by Server.ServeHTTP,
	// and for connections that a Server accepts itself.
	//
	// header is empty, or a copy of Upgrade's responseHeader. Fields that Admit adds, such as
	// cookies, go out with the response that agrees.
	//
	// The request that Admit returns takes r's place, and nil stands for r. So a value gets to a
	// Server's Handler: by r.WithContext(context.WithValue(r.Context(), key, value)). With Upgrade,
	// whose caller has the request already, *r becomes the returned one.
	//
	// An error refuses the request. A *Refusal holds the response's status, text and fields. Any
	// other error is answered with status 500 and without its text, as a failure of the server. The
	// HandshakeError that Upgrade returns, and that Trace gets, wraps either.
	//
	// If the Server accepts connections itself, HandshakeTimeout includes the time that Admit
	// takes.
	Admit func(r *http.Request, header http.Header) (*http.Request, error)

	// Error writes the response that refuses a handshake. The fields of Admit's Refusal are set
	// before. Nil means http.Error with the reason, which is a HandshakeError.
	Error func(w http.ResponseWriter, r *http.Request, status int, reason error)

	// EnableCompression agrees to permessage-deflate (RFC 7692) if the client offers it, without
	// context takeover: no message refers to an earlier one. That costs no memory between messages,
	// but small messages hardly get shorter. It is gorilla/websocket's field, with the same answer:
	//
	//	permessage-deflate; server_no_context_takeover; client_no_context_takeover
	EnableCompression bool

	// Compression, if not nil, agrees to permessage-deflate with these settings, whether
	// EnableCompression is set or not. &Compression{} has context takeover: small messages get
	// shorter too, for up to 13.8 KB a connection.
	Compression *Compression

	// ReadLimit is the largest size of a message, in bytes, until SetReadLimit changes it: 0 means
	// 32 MiB, less than 0 means no limit.
	ReadLimit int64

	// MaxFragments is the number of frames that a message may have before its last: 0 means 65,536,
	// less than 0 means no limit. It also bounds streams without a ReadLimit: frames of 32 KiB
	// reach it at 2 GiB.
	MaxFragments int

	// CloseTimeout bounds the closing handshake: 0 means 5 s, less than 0 means no limit.
	CloseTimeout time.Duration

	// PingInterval is the longest silence of the client before it is sent a ping (after three to
	// four quarters of it): 0 means no pings in an Upgrader and 30 s in a Server, less than 0 means
	// no pings. It counts only while some goroutine reads.
	PingInterval time.Duration

	// PongTimeout is the longest silence of the client after a ping. Then the connection is closed
	// and reads return ErrPongTimeout: 0 means PingInterval, less than 0 means never.
	PongTimeout time.Duration

	// QueueLimit is the number of bytes that may wait for a slow client, of the messages of
	// Enqueue, EnqueuePrepared and EnqueueLatest: 0 means 256 KiB, less than 0 means no limit. A
	// message counts as at least 64 bytes. One message may pass the limit if no other waits.
	QueueLimit int

	// QueueTimeout is the longest wait of such a message, or of a control frame that the library
	// sends by itself, unless it waits behind a write of the program's. Then the transport is
	// closed, and reads and writes return ErrQueueTimeout: 0 means 10 s, less than 0 means no
	// limit.
	QueueTimeout time.Duration

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

// Upgrade does the opening handshake with the client that sent r, and returns the connection, which
// the caller must close. responseHeader, if not nil, is sent with the response: cookies, for
// instance.
//
// If the request is refused, Upgrade has answered it, with a 4xx or 5xx status and a text that says
// why, and returns a HandshakeError. w may be wrapped by middleware, if the wrapper has the method
// Unwrap() http.ResponseWriter (see http.ResponseController).
//
// The request may be an extended CONNECT of HTTP/2 (RFC 8441), an experiment that the operator turns
// on by GODEBUG=http2xconnect=1. Such a connection ends when the handler returns, or r's context
// ends. The handler has to close it before: Close waits until net/http's writer is free.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header) (*Conn, error) {
	ctx := r.Context()
	c, a, err := u.hijack(w, r, responseHeader)
	if err != nil {
		return nil, err
	}
	if a.r != r {
		*r = *a.r
	}
	if err := u.answer(c, a); err != nil {
		return nil, err
	}
	if stream, ok := c.nc.(*http2Stream); ok {
		stream.start(ctx)
	}
	c.startKeepalive(newPingSchedule(u.PingInterval, u.PongTimeout))
	return c, nil
}

// hijack takes the connection of a good request over from net/http. It is reserved until answer.
func (u *Upgrader) hijack(w http.ResponseWriter, r *http.Request, extra http.Header) (c *Conn, a admission, err error) {
	a, refusal := u.check(r, extra)
	if refusal != nil {
		return nil, a, u.refuse(w, r, refusal)
	}
	if r.ProtoMajor > 1 {
		return u.takeStream(w, r, a)
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, a, u.refuse(w, r, cannotHijack(w, err))
	}
	c = newConn(nc, false)
	c.reserve()
	// Bytes that came right behind the request belong to the WebSocket.
	if n := rw.Reader.Buffered(); n > 0 {
		c.acquire().unread = make([]byte, n)
		rw.Reader.Read(c.in.unread)
	}
	return c, a, nil
}

// answer sends the response that agrees, within HandshakeTimeout.
func (u *Upgrader) answer(c *Conn, a admission) error {
	answered := false
	defer func() {
		c.unreserve()
		if !answered { // Trace may have panicked
			c.Close()
		}
	}()
	if timeout := cmp.Or(u.HandshakeTimeout, defaultHandshakeTimeout); timeout > 0 {
		defer c.boundHandshake(timeout)()
	}
	if err := u.respond(c, a); err != nil {
		u.Trace.traceHandshake(nil, a.r, nil, err)
		return err
	}
	answered = true
	return nil
}

// reserve keeps other goroutines from using a connection until its opening handshake is done. A
// Server that shuts down may have a close frame for it before that.
func (c *Conn) reserve() {
	c.readLock.tryLock() // never fails: no other goroutine knows of c
	c.out.lock.tryLock()
}

func (c *Conn) unreserve() {
	c.unlockRead()
	c.unlockWrite()
}

// check decides about a request by all rules of RFC 6455 section 4.2, and by the application's.
func (u *Upgrader) check(r *http.Request, extra http.Header) (a admission, refusal *HandshakeError) {
	key, refusal := checkRequest(r)
	if refusal != nil {
		return a, refusal
	}
	if u.CheckOrigin == nil {
		refusal = checkOrigin(r, u.AllowedOrigins)
	} else if origin := r.Header.Get("Origin"); !originAllowed(origin, u.AllowedOrigins) && !u.CheckOrigin(r) {
		refusal = refuse(http.StatusForbidden,
			"request origin not allowed by Upgrader.CheckOrigin: Origin %q, Host %q", origin, r.Host)
	}
	if refusal != nil {
		return a, refusal
	}
	return u.admit(r, key, extra)
}

// refuse answers a request that cannot be upgraded.
func (u *Upgrader) refuse(w http.ResponseWriter, r *http.Request, e *HandshakeError) error {
	h := w.Header()
	e.setFields(h)
	switch e.Status {
	case http.StatusUpgradeRequired:
		// "A server that sends a 426 response MUST send an Upgrade header field in the response"
		// (RFC 9110 section 15.5.22). Upgrade is a hop-by-hop field, so Connection must name it.
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h.Set("Sec-Websocket-Version", "13") // RFC 6455 section 4.4
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	case http.StatusBadRequest:
		if r.ProtoMajor > 1 { // the version may be the reason
			h.Set("Sec-Websocket-Version", "13")
		}
	}
	if u.Error != nil {
		u.Error(w, r, e.Status, *e)
	} else {
		e.write(w)
	}
	u.Trace.traceHandshake(nil, r, nil, *e)
	return *e
}

// cannotHijack returns the refusal that names the ResponseWriter that stands in the way.
func cannotHijack(w http.ResponseWriter, err error) *HandshakeError {
	inner := innermost(w)
	if errors.Is(err, http.ErrNotSupported) {
		return refuse(http.StatusInternalServerError,
			"the connection cannot be taken over: %T has neither a method Hijack nor Unwrap() http.ResponseWriter", inner)
	}
	return refuse(http.StatusInternalServerError, "the connection cannot be taken over from %T: %v", inner, err)
}

// innermost returns the ResponseWriter that all others wrap: mostly net/http's own.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// respond sends the response that agrees, and gives c the settings of u.
func (u *Upgrader) respond(c *Conn, a admission) error {
	subprotocol := u.subprotocol(a.r, a.header)
	extensions := u.agreeOnDeflate(c, a.r)
	u.configure(c, subprotocol)
	buf := getBuffer()
	defer putBuffer(buf)
	var response []byte
	var err error
	if stream, ok := c.nc.(*http2Stream); ok {
		response = stream.respond(buf[:0], subprotocol, extensions, a.header)
	} else {
		response = appendSwitching(buf[:0], a.key, subprotocol, extensions, a.header)
		_, err = c.nc.Write(response)
	}
	if err != nil {
		return fmt.Errorf("websocket: opening handshake: %w", err)
	}
	c.nc.SetDeadline(time.Time{})
	c.traceOpened(a.r, response)
	return nil
}

// configure gives c the settings of u. It is a function of its own so that respond takes less stack:
// else net/http's goroutine has to grow its own in the middle of the handshake, which takes 4 µs.
func (u *Upgrader) configure(c *Conn, subprotocol string) {
	c.configure(settings{limit: u.ReadLimit, maxFragments: clampInt32(u.MaxFragments), closeTimeout: u.CloseTimeout, subprotocol: subprotocol,
		queueLimit: u.QueueLimit, queueTimeout: u.QueueTimeout, frameSize: u.WriteBufferSize, trace: u.Trace})
	c.coalesce = u.CoalesceWrites
}

// agreeOnDeflate returns the answer to the client's offers, and makes c ready for it.
func (u *Upgrader) agreeOnDeflate(c *Conn, r *http.Request) (answer string) {
	offers, want := r.Header["Sec-Websocket-Extensions"], compression(u.EnableCompression, u.Compression)
	if len(offers) == 0 || want == nil {
		return ""
	}
	params, answer := agreeDeflate(offers, want)
	if answer != "" {
		c.deflate = newConnDeflate(params, want.threshold())
	}
	return answer
}

// subprotocol chooses among u.Subprotocols. If there are none, a handler may choose by a field in
// the extra header. Its choice counts only if the client offered it: "if the server does not agree
// to any of the client's requested subprotocols, the only acceptable value is null" (section
// 4.2.2).
func (u *Upgrader) subprotocol(r *http.Request, extra http.Header) string {
	own := u.Subprotocols
	if own == nil {
		for name, values := range extra {
			if equalFold(name, "Sec-WebSocket-Protocol") {
				own = append(own, values...)
			}
		}
	}
	return chooseSubprotocol(own, r.Header["Sec-Websocket-Protocol"])
}

// A BufferPool is the type of WriteBufferPool. It is here for programs that were written for
// gorilla/websocket.
type BufferPool interface {
	Get() any
	Put(any)
}
