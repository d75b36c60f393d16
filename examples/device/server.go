package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket"
)

// A server counts the reports of devices, and shows which devices are there.
type server struct {
	registry  *registry
	heartbeat time.Duration // the longest time between two messages of a device
	log       *slog.Logger
}

// run serves devices over TLS on one listener, and the page on another, until
// ctx ends.
func (s *server) run(ctx context.Context, devices net.Listener, config *tls.Config, page net.Listener) error {
	d, p := s.deviceServer(config), newPage(s.registry)
	failed := make(chan error, 2)
	go func() { failed <- d.ServeTLS(devices, "", "") }()
	go func() { failed <- p.serve(page) }()
	var err error
	running := 2
	select {
	case err = <-failed:
		running--
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(err, d.Shutdown(shutdown), p.shutdown(shutdown))
	for range running {
		<-failed // that they were shut down
	}
	return err
}

func (s *server) deviceServer(config *tls.Config) *websocket.Server {
	return &websocket.Server{
		Upgrader: websocket.Upgrader{
			ReadLimit:    messageLimit,
			CloseTimeout: time.Second,
			// The library could watch over its peers with pings. But those are answered below the
			// application, and a heartbeat shows that the application lives.
			PingInterval: -1,
		},
		OnOpen:    s.open,
		OnMessage: s.handle,
		OnClose:   s.closed,
		TLSConfig: config,
		Logger:    s.log, // refused certificates, above all
	}
}

// A peer is what the server knows of one connection of a device. It is the
// connection's Value. OnMessage owns it, but for silent.
type peer struct {
	name       string      // from the certificate
	outbox     string      // from register
	registered bool        //
	ended      error       // why nothing more is heard of it; nil before
	watch      *time.Timer // closes the connection of a device that is silent
	silent     atomic.Bool // it was
}

// open begins with a device's connection.
func (s *server) open(c *websocket.Conn, r *http.Request) {
	// TLS has checked the certificate, and that the device has its key. That
	// the name is in the subject is this program's convention; a server's host
	// names would be among the alternative names.
	p := &peer{name: r.TLS.PeerCertificates[0].Subject.CommonName}
	p.watch = time.AfterFunc(silence(s.heartbeat), func() { s.giveUp(c, p) })
	c.SetValue(p)
}

// giveUp ends the connection of a device that was silent for too long, or that
// never reads, so that an answer waits for it.
func (s *server) giveUp(c *websocket.Conn, p *peer) {
	p.silent.Store(true)
	bye := s.goodbye(os.ErrDeadlineExceeded)
	s.registry.depart(p.name, c, bye.why) // the close frame may find nobody
	c.Shutdown(context.Background(), bye.code, bye.why)
}

// handle is called for each message. An error ends the connection: the close frame
// says why, and messages that still come are for nobody.
func (s *server) handle(c *websocket.Conn, messageType int, data []byte) {
	p := c.Value().(*peer)
	if p.ended != nil {
		return
	}
	p.watch.Reset(silence(s.heartbeat))
	m, err := parse(messageType, data, nil)
	switch {
	case err != nil:
	case !p.registered:
		err = s.register(c, p, m)
	default:
		s.registry.hear(p.name)
		err = s.answer(c, p, m)
	}
	if err != nil {
		p.ended = err
		bye := s.goodbye(err)
		c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(bye.code, bye.why), time.Now().Add(time.Second))
	}
}

// closed is called once for each connection, whatever ended it.
func (s *server) closed(c *websocket.Conn, err error) {
	p := c.Value().(*peer)
	p.watch.Stop()
	switch {
	case p.ended != nil:
		err = p.ended
	case p.silent.Load():
		err = os.ErrDeadlineExceeded
	}
	if p.registered {
		s.registry.depart(p.name, c, s.goodbye(err).why)
	}
	s.log.Info("gone", "device", p.name, "why", err)
}

func (s *server) register(c *websocket.Conn, p *peer, m message) error {
	if m.Type != "register" || m.Outbox == "" {
		return goodbye{closeUnknown, "a device begins with register, and its outbox"}
	}
	p.registered, p.outbox = true, m.Outbox
	old, upTo := s.registry.arrive(p.name, c, m.Outbox, m.About)
	if old != nil {
		// It may be long dead, which only the device has noticed yet.
		go old.Shutdown(context.Background(), closeReplaced, "another connection came with the same certificate")
	}
	s.log.Info("here", "device", p.name, "address", c.RemoteAddr(), "reports up to", upTo)
	return c.WriteJSON(message{Type: "welcome", Name: p.name, UpTo: upTo, Heartbeat: s.heartbeat.Milliseconds()})
}

func (s *server) answer(c *websocket.Conn, p *peer, m message) error {
	switch {
	case m.Type == "heartbeat":
		return nil
	case m.Type == "time":
		return c.WriteJSON(message{Type: "time", Asked: m.Asked, Time: time.Now().UTC()})
	case m.Type == "report" && m.Report != nil:
		upTo, err := s.registry.count(p.name, p.outbox, *m.Report)
		if err != nil { // not acknowledged, so it will come again
			s.log.Error("a report was not counted", "device", p.name, "error", err)
			return goodbye{websocket.CloseInternalServerErr, "the report cannot be kept"}
		}
		return c.WriteJSON(message{Type: "acknowledge", UpTo: upTo})
	}
	return goodbye{closeUnknown, "no device says that"}
}

// A goodbye is how a connection ends: the code and reason of the close frame
// that the device is sent, unless it has sent one itself.
type goodbye struct {
	code int
	why  string
}

func (g goodbye) Error() string { return g.why }

// goodbye turns an error into the close code and reason for a device. The text is this program's
// own, because errors may quote a peer, and a reason has 123 bytes at most (RFC 6455 section 5.5).
func (s *server) goodbye(err error) goodbye {
	if g, ok := errors.AsType[goodbye](err); ok {
		return g
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return goodbye{closeSilent, fmt.Sprintf("timed out: nothing was heard for %v", silence(s.heartbeat))}
	case errors.Is(err, errNotUnderstood):
		return goodbye{closeUnknown, "not understood"}
	case websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway):
		return goodbye{websocket.CloseNormalClosure, "left"}
	}
	return goodbye{websocket.CloseInternalServerErr, "lost"}
}
