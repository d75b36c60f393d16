package websocket

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrServerClosed is returned by Serve, ServeTLS, ListenAndServe and ListenAndServeTLS after
// Shutdown or Close, or after the listener was closed.
var ErrServerClosed = errors.New("websocket: Server closed")

const noHandler = "the Server has neither a Handler nor OnMessage"

// A Server runs a handler for each of its WebSocket connections. It accepts them itself
// (ListenAndServe, Serve), or in an http.Server's mux, as an http.Handler, or in both ways at once.
//
//	srv := &websocket.Server{Addr: ":8080", Handler: echo}
//	log.Fatal(srv.ListenAndServe())
//
// A Server knows its connections and can shut them down. It also saves memory: the handler runs in
// a goroutine of its own, not in net/http's with its buffers. An idle connection then costs about
// 4 KB, or 1.2 KB with OnMessage on Linux.
//
// All fields must be set before the first connection. Only Handler or OnMessage is required.
type Server struct {
	// Upgrader has the settings of the opening handshake and of connections. Its PingInterval of 0
	// means 30 s here. (Connections made by its method Upgrade belong to the caller, not to the
	// Server.)
	Upgrader

	// Handler is called for each connection, in a goroutine of its own. When it returns, the Server
	// does the closing handshake with code 1000. If it panics, the code is 1011, and no other
	// connection suffers. The handler may also close the connection itself.
	//
	// The request is the one that opened the connection. Its context has net/http's values, but
	// does not end.
	Handler func(c *Conn, r *http.Request)

	// OnMessage, if Handler is nil, is called for each message of each connection. Like the
	// function of Conn.HandleMessages it must not read, and data is valid until it returns. It is
	// the cheapest style for servers that answer messages, in CPU time and in memory.
	//
	// On Linux, for TCP and Unix sockets without TLS, an idle connection has no goroutine, unless a
	// read deadline is set. Elsewhere it has one with a small stack. So OnMessage may run on
	// another goroutine for each message. It is called for one message of a connection at a time,
	// in order. It may take its time: that delays no other connection.
	OnMessage func(c *Conn, messageType int, data []byte)

	// OnOpen, if not nil, is called once for each connection, before Handler or the first
	// OnMessage, with the request that opened it. The Server does not keep the request. Values that
	// are needed later go into c.SetValue. OnOpen may read and write, and may take its time. If it
	// closes the connection by Close or Shutdown, neither Handler nor OnMessage is called. If it
	// panics, the connection is closed with code 1011.
	OnOpen func(c *Conn, r *http.Request)

	// OnClose, if not nil, is called once for each connection for which OnOpen was or would have
	// been called, however the connection ended, a panic included. It comes last, after Handler or
	// OnMessage has returned and the transport is closed. err is the error that reads return, and
	// context.Cause of c.Context(): a *CloseError if the peer closed or answered this side's close
	// frame. Server.Shutdown waits for OnClose.
	OnClose func(c *Conn, err error)

	// Addr is the address on which ListenAndServe and ListenAndServeTLS listen, "host:port". ""
	// means ":80" or, for ListenAndServeTLS, ":443".
	Addr string

	// TLSConfig is for ListenAndServeTLS and ServeTLS. It is not changed, and may be nil.
	TLSConfig *tls.Config

	// MaxHeaderBytes bounds the request of an opening handshake in bytes, if the Server accepts
	// connections itself: 0 means 16 KiB. The largest value is 32 KiB, and less than 0 means the
	// same.
	MaxHeaderBytes int

	// ShutdownSpread is the time over which Shutdown spreads its close frames, at random, so that
	// the clients do not all come back in the same instant. A connection works on until its turn
	// comes. 0 means that all get their close frame at once.
	//
	// If the context of Shutdown has a deadline, the last close frame is sent so early that
	// CloseTimeout is left, or half of the time if that is less.
	ShutdownSpread time.Duration

	// ShutdownCode is the code of Shutdown's close frames: 0 means 1001, going away.
	// CloseServiceRestart, 1012, asks clients to come back after a short random delay.
	ShutdownCode int

	// Logger gets panics in handlers, handshakes that were refused, and failures to accept. Nil
	// means no log.
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

// ServeTLS is Serve over TLS, with TLSConfig. If that has no certificate, the PEM files hold it.
func (s *Server) ServeTLS(l net.Listener, certFile, keyFile string) error {
	config := s.TLSConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	// Only HTTP/1.1 has an Upgrade.
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

// ServeHTTP upgrades a request to a connection and returns, while the handler runs on. Requests
// that do not ask for an upgrade, or break a rule, are refused as by Upgrader.
//
// Over HTTP/2 it returns when the connection has ended, and an http.Server's Shutdown waits for that:
// register this Server's Shutdown by RegisterOnShutdown.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, r, err := s.upgradeMember(w, r)
	if err != nil {
		s.upgradeFailed(w, r, err)
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

// upgradeFailed logs why a request has become no connection, and answers it if nothing else has. It is
// a function of its own so that ServeHTTP takes less stack (see Upgrader.configure).
func (s *Server) upgradeFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.log(slog.LevelWarn, "websocket: opening handshake failed", "remote", r.RemoteAddr, "error", err)
	if err == ErrServerClosed && r.ProtoMajor > 1 { // there is no TCP connection of its own to be closed
		w.WriteHeader(http.StatusServiceUnavailable)
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
	c, a, err := s.hijack(w, r, nil)
	if err != nil {
		return nil, r, err
	}
	return c, a.r, s.answerMember(c, a)
}

// answerMember makes c a member before its client knows that it has a connection. So Shutdown
// misses no connection that is in use.
func (s *Server) answerMember(c *Conn, a admission) error {
	if !s.join(c) {
		c.unreserve()
		c.Close()
		s.Trace.traceHandshake(nil, a.r, nil, ErrServerClosed)
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

// join makes c a member. It reports false if the server is closed.
func (s *Server) join(c *Conn) bool {
	c.flags.set(flagWasIdle | parkBudget) // nothing has been heard yet
	if c.raw != nil && s.parks() {
		c.settings.Store(s.initialSettings())
	}
	interval := cmp.Or(s.PingInterval, defaultPingInterval)
	if s.parks() {
		return s.members.add(c, newTickSchedule(interval, s.PongTimeout, maxParkTick))
	}
	return s.members.add(c, newPingSchedule(interval, s.PongTimeout))
}

func (s *Server) log(level slog.Level, msg string, args ...any) {
	if s.Logger != nil {
		defer func() { recover() }() // the Logger panicked, so that cannot be logged
		s.Logger.Log(context.Background(), level, msg, args...)
	}
}
