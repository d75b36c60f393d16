package main

// This file serves with this library. Its keepalive is on, as it is by default in a Server.

import (
	"net"
	"net/http"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/internal/parktest"
)

func servePlain(ln net.Listener, j *job) error { return newPlainServer(j, plainPull(j)).Serve(ln) }

func plainHandler(j *job) http.HandlerFunc { return newPlainServer(j, plainPull(j)).ServeHTTP }

// plainUpgraderHandler is written as most programs for gorilla/websocket are. The handler does not
// return before the connection ends, so net/http keeps its goroutine and buffers for that long.
func plainUpgraderHandler(j *job) http.HandlerFunc {
	u := &websocket.Upgrader{}
	if j.Deflate {
		u.Compression = &websocket.Compression{NoContextTakeover: !j.Takeover}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		plainJoin(j, c)
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	}
}

// servePlainOnMessage has a Handler for a broadcast only, to join the hub.
func servePlainOnMessage(ln net.Listener, j *job) error {
	s := newPlainServer(j, nil)
	s.OnMessage = plainAnswer
	if j.hub != nil {
		s.Handler = func(c *websocket.Conn, _ *http.Request) {
			plainJoin(j, c)
			c.HandleMessages(plainAnswer)
		}
	}
	return s.Serve(ln)
}

// servePlainGoroutines is servePlainOnMessage with a goroutine for each connection, also
// while it is idle.
func servePlainGoroutines(ln net.Listener, j *job) error {
	parktest.Never.Store(true)
	return servePlainOnMessage(ln, j)
}

// servePlainEvents has what a program with state needs.
func servePlainEvents(ln net.Listener, j *job) error {
	type state struct{ messages int }
	s := newPlainServer(j, nil)
	s.OnOpen = func(c *websocket.Conn, _ *http.Request) { c.SetValue(new(state)) }
	s.OnMessage = func(c *websocket.Conn, messageType int, data []byte) {
		c.Value().(*state).messages++
		c.WriteMessage(messageType, data)
	}
	s.OnClose = func(*websocket.Conn, error) {}
	return s.Serve(ln)
}

func plainAnswer(c *websocket.Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) }

func servePlainCoalesced(ln net.Listener, j *job) error {
	s := newPlainServer(j, plainPull(j))
	s.CoalesceWrites = true
	return s.Serve(ln)
}

func newPlainServer(j *job, handler func(*websocket.Conn, *http.Request)) *websocket.Server {
	s := &websocket.Server{Handler: handler}
	if j.Deflate {
		s.Compression = &websocket.Compression{NoContextTakeover: !j.Takeover}
	}
	return s
}

// plainPull reads every message into one buffer, and writes it back. A quiet
// connection keeps no buffer.
func plainPull(j *job) func(*websocket.Conn, *http.Request) {
	return func(c *websocket.Conn, _ *http.Request) {
		plainJoin(j, c)
		var buf []byte
		for {
			messageType, p, err := c.AppendMessage(buf[:0])
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
			if !j.Quiet {
				buf = p
			}
		}
	}
}

var plainPrepared, _ = websocket.NewPreparedMessage(websocket.BinaryMessage, broadcastPayload)

func plainJoin(j *job, c *websocket.Conn) {
	if j.hub != nil {
		j.hub.join(func() error { return c.WritePreparedMessage(plainPrepared) })
	}
}
