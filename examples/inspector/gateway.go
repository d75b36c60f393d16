package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/plainsocket/websocket"
)

// A gateway serves the observed connections. Each has an Upgrader of its own, whose Trace has a
// recorder of its own.
type gateway struct {
	hub    *hub
	target string // "" for echo
}

// ServeHTTP is for /ws, or /ws?compress=1 with permessage-deflate. A browser always offers that, so
// the path decides.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := g.hub.number()
	defer g.hub.remove(n)
	var compress *websocket.Compression
	if r.URL.Query().Get("compress") == "1" {
		compress = &websocket.Compression{}
	}
	up := websocket.Upgrader{
		Trace:        (&recorder{hub: g.hub, conn: n, side: clientSide}).trace(),
		Compression:  compress,
		Subprotocols: websocket.Subprotocols(r), // an echo speaks them all
	}
	var target *websocket.Conn
	var unreachable error
	if g.target != "" && welcome(r) {
		// The target is asked before the client is answered, because the target
		// chooses the subprotocol.
		target, unreachable = g.dial(r, n, compress)
	}
	if target != nil {
		defer target.Close()
		up.Subprotocols = nil
		if chosen := target.Subprotocol(); chosen != "" {
			up.Subprotocols = []string{chosen}
		}
	}
	client, known := g.accept(&up, w, r, n)
	switch {
	case client == nil: // the client has been told
	case !known:
		client.Shutdown(context.Background(), websocket.CloseGoingAway, "the inspector ends")
	case unreachable != nil:
		// A refusal with status 502 would say nothing to a page, because browsers hide both the
		// status and the text. They do show a close frame.
		client.Shutdown(context.Background(), websocket.CloseBadGateway, cutReason(unreachable.Error()))
	case target != nil:
		relay(client, target)
	default:
		echo(client)
	}
}

// accept upgrades a request, and makes the connection known to the hub. It does
// so before observers are told of the handshake, for then they may ask for the
// connection at once.
func (g *gateway) accept(up *websocket.Upgrader, w http.ResponseWriter, r *http.Request, n int) (client *websocket.Conn, known bool) {
	publish := up.Trace.Handshake
	up.Trace.Handshake = func(c *websocket.Conn, r *http.Request, response []byte, err error) {
		known = c != nil && g.hub.add(n, c, r.URL.Query().Get("tab"))
		publish(c, r, response, err)
	}
	client, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil, false
	}
	return client, known
}

// welcome reports whether the Upgrader will agree, as far as it matters here. A page of another
// origin must not make the inspector dial.
func welcome(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return websocket.IsWebSocketUpgrade(r) && (origin == "" || err == nil && strings.EqualFold(u.Host, r.Host))
}

// dial connects to the target with the client's offers.
func (g *gateway) dial(r *http.Request, number int, compress *websocket.Compression) (*websocket.Conn, error) {
	d := websocket.Dialer{
		Trace:        (&recorder{hub: g.hub, conn: number, side: targetSide}).trace(),
		Compression:  compress,
		Subprotocols: websocket.Subprotocols(r),
		Proxy:        http.ProxyFromEnvironment,
	}
	c, resp, err := d.DialContext(r.Context(), g.target, nil)
	if resp != nil && errors.Is(err, websocket.ErrBadHandshake) {
		return nil, errors.New("the target answered " + resp.Status)
	}
	return c, err
}

// echo sends every message back.
func echo(c *websocket.Conn) {
	for {
		messageType, data, err := c.ReadMessage()
		if err == nil {
			err = c.WriteMessage(messageType, data)
		}
		if err != nil {
			// This does nothing if the peer closed.
			c.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
			return
		}
	}
}

// relay passes messages on, both ways, until one side closes. Then the other
// side is closed with the same code and reason.
func relay(client, target *websocket.Conn) {
	defer client.Close() // if both ended at once, neither has a close frame
	var both sync.WaitGroup
	both.Go(func() {
		if err := pass(target, client); err != nil {
			code, reason := closing(err, websocket.CloseGoingAway, "the client is gone")
			target.Shutdown(context.Background(), code, reason)
		}
	})
	both.Go(func() {
		if err := pass(client, target); err != nil {
			code, reason := closing(err, websocket.CloseBadGateway, "the target: "+err.Error())
			client.Shutdown(context.Background(), code, reason)
		}
	})
	both.Wait()
}

// pass passes messages from src on to dst, and returns the reason why src has no more. It does not
// keep the division of a message into frames, because that means nothing (RFC 6455 section 5.4).
func pass(dst, src *websocket.Conn) error {
	for {
		messageType, data, err := src.ReadMessage()
		if err != nil {
			return err
		}
		if dst.WriteMessage(messageType, data) != nil {
			return nil // the reader of dst learns the reason, and closes src
		}
	}
}

// closing returns the code and reason with which to close the other side after err. They are the
// ones of a close frame, or else the given ones.
func closing(err error, code int, reason string) (int, string) {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok && e.Code != websocket.CloseAbnormalClosure {
		return e.Code, e.Text
	}
	return code, cutReason(reason)
}
