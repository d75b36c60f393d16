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
		Handler:   s.serve,
		TLSConfig: config,
		Logger:    s.log, // refused certificates, above all
	}
}

// serve is the handler for a device's connection.
func (s *server) serve(c *websocket.Conn, r *http.Request) {
	// TLS has checked the certificate, and that the device has its key. The name is in the subject
	// by this program's convention. A server's host names would be among the alternative names.
	name := r.TLS.PeerCertificates[0].Subject.CommonName
	err := s.receive(c, name)
	bye := s.goodbye(err)
	s.log.Info("gone", "device", name, "why", err)
	c.Shutdown(context.Background(), bye.code, bye.why)
}

// receive lets a device register, and attends to it until one side has enough.
func (s *server) receive(c *websocket.Conn, name string) error {
	m, err := s.hear(c)
	if err != nil {
		return err
	}
	if m.Type != "register" || m.Outbox == "" {
		return goodbye{closeUnknown, "a device begins with register, and its outbox"}
	}
	old, upTo := s.registry.arrive(name, c, m.Outbox, m.About)
	if old != nil {
		// It may be long dead, which only the device has noticed yet.
		go old.Shutdown(context.Background(), closeReplaced, "another connection came with the same certificate")
	}
	s.log.Info("here", "device", name, "address", c.RemoteAddr(), "reports up to", upTo)
	err = c.WriteJSON(message{Type: "welcome", Name: name, UpTo: upTo, Heartbeat: s.heartbeat.Milliseconds()})
	if err == nil {
		err = s.attend(c, name, m.Outbox)
	}
	s.registry.depart(name, c, s.goodbye(err).why)
	return err
}

func (s *server) attend(c *websocket.Conn, name, outbox string) error {
	for {
		m, err := s.hear(c)
		if err == nil {
			s.registry.hear(name)
			err = s.answer(c, name, outbox, m)
		}
		if err != nil {
			return err
		}
	}
}

func (s *server) answer(c *websocket.Conn, name, outbox string, m message) error {
	switch {
	case m.Type == "heartbeat":
		return nil
	case m.Type == "time":
		return c.WriteJSON(message{Type: "time", Asked: m.Asked, Time: time.Now().UTC()})
	case m.Type == "report" && m.Report != nil:
		upTo, err := s.registry.count(name, outbox, *m.Report)
		if err != nil { // not acknowledged, so it will come again
			s.log.Error("a report was not counted", "device", name, "error", err)
			return goodbye{websocket.CloseInternalServerErr, "the report cannot be kept"}
		}
		return c.WriteJSON(message{Type: "acknowledge", UpTo: upTo})
	}
	return goodbye{closeUnknown, "no device says that"}
}

// hear reads the next message, for as long as a device may be silent. It may take as long to accept
// the answer. A device that never reads must not hold up the server without end.
func (s *server) hear(c *websocket.Conn) (message, error) {
	limit := time.Now().Add(silence(s.heartbeat))
	c.SetReadDeadline(limit)
	c.SetWriteDeadline(limit)
	return parse(c.ReadMessage())
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
