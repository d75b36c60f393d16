package main

// lesismal/nbio, which has an event loop in place of a goroutine for each connection.

import (
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func serveNBIO(ln net.Listener, j *job) error {
	logging.SetLevel(logging.LevelNone)
	u := websocket.NewUpgrader()
	u.KeepaliveTime = 0 // no connection is ended for being silent
	u.OnMessage(func(c *websocket.Conn, messageType websocket.MessageType, data []byte) {
		c.WriteMessage(messageType, data)
	})
	if j.hub != nil {
		u.OnOpen(func(c *websocket.Conn) {
			j.hub.join(func() error { return c.WriteMessage(websocket.BinaryMessage, broadcastPayload) })
		})
	}
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{ln.Addr().String()},
		Listen:                  func(string, string) (net.Listener, error) { return ln, nil },
		MaxLoad:                 1 << 20,
		ReleaseWebsocketPayload: true,
		// By default it cuts messages into frames of 32 KiB. The load generator compares frames.
		MaxWebsocketFramePayloadSize: 4 << 20,
		Handler:                      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { u.Upgrade(w, r, nil) }),
	})
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}
