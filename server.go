package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// ErrServerClosed is returned by Serve and its kin after Shutdown or Close, or
// when the listener was closed.
var ErrServerClosed = errors.New("websocket: Server closed")

const noHandler = "the Server has neither a Handler nor OnMessage"

// A Server runs a handler for each of its WebSocket connections. It accepts
// them itself (ListenAndServe, Serve), or in an http.Server's mux, as an
// http.Handler, or in both ways at once.
//
//	srv := &websocket.Server{Addr: ":8080", Handler: echo}
//	log.Fatal(srv.ListenAndServe())
//
// Beside the connections themselves, which it knows and can shut down, a
// Server saves memory: the handler runs in a goroutine of its own, not in
// net/http's with its buffers. An idle connection costs about 4 KB
// then, or 1.2 KB with OnMessage on Linux.
//
// All fields have to be set before the first connection, and none need be but
// Handler or OnMessage.
type Server struct {
	// Upgrader has the settings of the opening handshake and of connections.
	// Its PingInterval of 0 means 30 s here. (Connections made by its method
	// Upgrade are the caller's, and none of the Server's.)
	Upgrader

	// Handler is called for each connection, in a goroutine of its own. When
	// it returns, the Server does the closing handshake with code 1000; when
	// it panics, with code 1011, and no other connection suffers. The handler
	// may also close the connection itself.
	//
	// The request is the one that opened the connection. Its context has
	// net/http's values, but does not end.
	Handler func(c *Conn, r *http.Request)

	// OnMessage, if Handler is nil, is called for each message of each
	// connection, as by Conn.HandleMessages, whose rules it has to keep: data is
	// valid until it returns, and it must not read. It is the cheapest style,
	// for servers that answer messages: in CPU time, and in memory, as an idle
	// connection has no goroutine. (That is so on Linux, for TCP and Unix sockets
	// without TLS, unless a read deadline is set. Elsewhere it has one with a small
	// stack.) So OnMessage may run on another goroutine for each message. It is
	// called for one message of a connection at a time, in order, and delays no
	// other connection if it takes its time.
	OnMessage func(c *Conn, messageType int, data []byte)

	// OnOpen, if not nil, is called once for each connection, before Handler or
	// the first OnMessage, with the request that opened it. The Server does not
	// keep the request: whatever is needed of it later goes into c.SetValue. OnOpen
	// may read and write, and may take its time. If it closes the connection by
	// Close or Shutdown, or panics, which the peer is told by code 1011, neither
	// Handler nor OnMessage is called.
	OnOpen func(c *Conn, r *http.Request)

	// OnClose, if not nil, is called once for each connection that OnOpen was or
	// would have been called for, whatever ended it, a panic included. It comes
	// last, when Handler or OnMessage have returned and the transport is closed.
	// err is the error that reads return, and context.Cause of c.Context(): a *CloseError if
	// the peer closed or answered this side's close frame. Server.Shutdown waits for
	// OnClose.
	OnClose func(c *Conn, err error)

	// Addr is where ListenAndServe listens, "host:port". "" means ":80", for
	// ListenAndServeTLS ":443".
	Addr string

	// TLSConfig is for ListenAndServeTLS and ServeTLS.
	TLSConfig *tls.Config

	// MaxHeaderBytes bounds the request of an opening handshake in bytes, if the
	// Server accepts connections itself. 0 means 16 KiB. The largest value is
	// 32 KiB, which less than 0 means, too.
	MaxHeaderBytes int

	// ShutdownSpread is the time over which Shutdown spreads its close frames, at
	// random, so that the clients do not all come back in the same instant. A
	// connection serves on until its turn comes. 0 means that all are told at once.
	//
	// If the context of Shutdown has a deadline, the last is told so early that
	// CloseTimeout is left, or half of the time if that is less.
	ShutdownSpread time.Duration

	// ShutdownCode is the code of Shutdown's close frames: 0 means 1001, going away.
	// CloseServiceRestart, 1012, asks clients to come back after a short random delay.
	ShutdownCode int

	// Logger is told of panics in handlers, of handshakes that were refused,
	// and of failures to accept. Nil means no log.
	Logger *slog.Logger

	members   members
	mu        sync.Mutex // guards the fields below
	listeners map[*trackedListener]struct{}
	initial   *settings     // made by initialSettings
	closing   chan struct{} // closed by Shutdown and Close, made by closed
}

const (
	defaultMaxHeaderBytes = 16 << 10
	defaultPingInterval   = 30 * time.Second
)

// ListenAndServe listens on Addr and calls Serve.
func (s *Server) ListenAndServe() error {
	l, err := s.listen(":80")
	if err != nil {
		return err
	}
	return s.Serve(l)
}

// ListenAndServeTLS listens on Addr and calls ServeTLS.
func (s *Server) ListenAndServeTLS(certFile, keyFile string) error {
	l, err := s.listen(":443")
	if err != nil {
		return err
	}
	return s.ServeTLS(l, certFile, keyFile)
}

func (s *Server) listen(defaultAddr string) (net.Listener, error) {
	addr := s.Addr
	if addr == "" {
		addr = defaultAddr
	}
	return net.Listen("tcp", addr)
}

// ServeTLS is Serve over TLS, with TLSConfig and, if that has none, the
// certificate in the given PEM files.
func (s *Server) ServeTLS(l net.Listener, certFile, keyFile string) error {
	config := s.TLSConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	// The opening handshake is HTTP/1.1's.
	config.NextProtos = []string{"http/1.1"}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			l.Close()
			return fmt.Errorf("websocket: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return s.Serve(tls.NewListener(l, config))
}

// ServeHTTP upgrades a request to a connection and returns, while the handler runs
// on. Requests that ask for no upgrade, or wrongly, are refused as by Upgrader.
//
// Over HTTP/2 it returns when the connection has ended, and an http.Server's Shutdown waits for
// that. Register the Server's by RegisterOnShutdown.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, r, err := s.upgradeMember(w, r)
	if err != nil {
		s.log(slog.LevelWarn, "websocket: opening handshake failed", "remote", r.RemoteAddr, "error", err)
		if err == ErrServerClosed && r.ProtoMajor > 1 { // there is no TCP connection of its own to be closed
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return
	}
	// net/http ends the request's context with this call.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if stream, ok := c.nc.(*http2Stream); ok {
		s.serveStream(c, r, stream)
	} else {
		s.start(c, r)
	}
}

// upgradeMember returns the connection, and the request for its handler.
func (s *Server) upgradeMember(w http.ResponseWriter, r *http.Request) (*Conn, *http.Request, error) {
	switch {
	case s.Handler == nil && s.OnMessage == nil:
		return nil, r, s.refuse(w, r, refuse(http.StatusInternalServerError, noHandler))
	case s.members.isClosed():
		return nil, r, s.refuse(w, r, refuse(http.StatusServiceUnavailable, "the server is shutting down"))
	}
	c, a, err := s.take(w, r, nil)
	if err != nil {
		return nil, r, err
	}
	return c, a.r, s.answerMember(c, a)
}

// answerMember makes c a member before its client knows that it has a
// connection: then Shutdown misses none that is in use.
func (s *Server) answerMember(c *Conn, a admission) error {
	if !s.join(c) {
		c.unreserve()
		c.Close()
		return ErrServerClosed
	}
	s.members.ready(c)
	answered := false
	defer func() {
		if !answered {
			s.members.remove(c)
		}
	}()
	err := s.answer(c, a)
	answered = err == nil
	return err
}

// join makes c a member. It reports false when the server is closed.
func (s *Server) join(c *Conn) bool {
	c.flags.set(flagWasIdle | parkBudget) // nothing has been heard yet
	if c.raw != nil && s.parks() {
		c.settings.Store(s.initialSettings())
	}
	interval := orDefault(s.PingInterval, defaultPingInterval)
	if s.parks() {
		return s.members.add(c, newTickSchedule(interval, s.PongTimeout, parkTick))
	}
	return s.members.add(c, newPingSchedule(interval, s.PongTimeout))
}

// start begins with c's messages, and returns. OnOpen is called here: this
// goroutine's stack has grown already, and ends.
func (s *Server) start(c *Conn, r *http.Request) {
	switch {
	case !s.open(c, r):
	case s.Handler != nil:
		go s.run(c, r)
	case !s.parkNew(c):
		go s.drive(c, false)
	}
}

// run calls the handler, and closes after it. Its stack frame stays for as long as the
// connection lives. So it is kept small, and so is drive's.
func (s *Server) run(c *Conn, r *http.Request) {
	code := CloseInternalServerErr
	defer func() { s.finish(c, code, recover()) }()
	s.Handler(c, r)
	code = CloseNormalClosure
}

// drive is run for OnMessage. The connection may go on in another goroutine, which
// takes readLock over, or be parked, with readLock held.
func (s *Server) drive(c *Conn, moved bool) {
	const elsewhere = 0
	code := CloseInternalServerErr
	defer func() {
		if code != elsewhere {
			s.finish(c, code, recover())
		}
	}()
	if !moved {
		c.lockRead()
	}
	switch err := c.handle(s.OnMessage, true); {
	case err == errNewGoroutine:
		code = elsewhere // c may be another's from here on
		if !c.parkConn() {
			go s.drive(c, true)
		}
	default:
		code = c.codeAfter(err)
	}
}

// codeAfter returns the close code with which a connection of OnMessage's ends, after
// reading has ended with err.
func (c *Conn) codeAfter(err error) int {
	end, dead := c.readEnded()
	_, isClose := errors.AsType[*CloseError](end)
	_, isBroken := errors.AsType[*ProtocolError](end)
	switch {
	case end == nil && isTimeout(err):
		return CloseGoingAway
	case end == nil || dead || isClose || isBroken:
		return CloseNormalClosure
	}
	return CloseInternalServerErr // a handler for control frames failed
}

// finish ends a connection whose handler returned or panicked. If the peer has gone
// away it needs no more stack than the handler did: a stack that grows for its last
// call costs 4 µs.
func (s *Server) finish(c *Conn, code int, panicked any) {
	defer s.members.remove(c) // even if Logger or Trace end the goroutine
	defer s.tellClose(c)
	if panicked != nil && panicked != http.ErrAbortHandler {
		s.logPanic(c, panicked)
	}
	text := ""
	if code == CloseGoingAway {
		text = "no message before the read deadline"
	}
	if _, dead := c.readEnded(); dead {
		c.Close()
	} else {
		c.Shutdown(context.Background(), code, text)
	}
}

func (s *Server) logPanic(c *Conn, panicked any) {
	s.log(slog.LevelError, "websocket: handler panicked", "remote", c.RemoteAddr(),
		"panic", panicked, "stack", string(debug.Stack()))
}

// Shutdown closes the listeners, sends every connection a close frame with
// ShutdownCode, over the time of ShutdownSpread, and waits for their handlers to
// return. A peer that does not answer within CloseTimeout is cut off. When ctx
// ends first, all that are left are cut off, and ctx's error is returned.
//
// A ShutdownCode that cannot be sent is an error at once, and nothing is done.
//
// An http.Server in front knows nothing of the connections that were upgraded,
// and its Shutdown does not wait for them: call both.
func (s *Server) Shutdown(ctx context.Context) error {
	bye, err := s.newFarewell(ctx)
	if err != nil {
		return err
	}
	s.closeListeners()
	var unanswered <-chan time.Time
	if bye.patience > 0 {
		t := time.NewTimer(bye.spread + bye.patience)
		defer t.Stop()
		unanswered = t.C
	}
	empty := s.members.close()
	defer close(bye.over)
	go s.members.dismiss(bye)
	for {
		select {
		case <-empty:
			return nil
		case <-unanswered:
			s.members.cutOff()
		case <-ctx.Done():
			s.members.cutOff()
			return ctx.Err()
		}
	}
}

// Close closes the listeners and all connections at once, without a closing
// handshake. It does not wait for the handlers.
func (s *Server) Close() error {
	s.closeListeners()
	s.members.close()
	s.members.cutOff()
	return nil
}

func (s *Server) log(level slog.Level, msg string, args ...any) {
	if s.Logger != nil {
		defer func() { recover() }() // a Logger that panics: nothing else can be told
		s.Logger.Log(context.Background(), level, msg, args...)
	}
}

// open calls OnOpen. It reports false if the connection is to go no further: then it
// has been finished.
func (s *Server) open(c *Conn, r *http.Request) (ok bool) {
	if s.OnOpen == nil {
		return true
	}
	code := CloseInternalServerErr
	defer func() {
		if !ok {
			s.finish(c, code, recover())
		}
	}()
	s.OnOpen(c, r)
	code = CloseNormalClosure
	return !c.flags.has(flagClosed)
}

// tellClose calls OnClose, after everything else.
func (s *Server) tellClose(c *Conn) {
	if s.OnClose == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			s.log(slog.LevelError, "websocket: OnClose panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	s.OnClose(c, c.end(c.closedErr()))
}
