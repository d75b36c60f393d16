package main

// golang.org/x/net/websocket. It has no prepared messages and no compression.

import (
	"net/http"

	"golang.org/x/net/websocket"
)

func xnetHandler(j *job) http.HandlerFunc {
	// A Server without a Handshake function does not ask for an Origin.
	return websocket.Server{Handler: func(c *websocket.Conn) {
		if j.hub != nil {
			j.hub.join(func() error { return websocket.Message.Send(c, broadcastPayload) })
		}
		var p []byte
		for {
			if websocket.Message.Receive(c, &p) != nil || websocket.Message.Send(c, p) != nil {
				return
			}
		}
	}}.ServeHTTP
}
