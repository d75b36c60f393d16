package main

// This file serves with lxzan/gws, whose API calls a handler for each message.

import (
	"net"
	"net/http"

	"github.com/lxzan/gws"
)

// A gwsEvents echoes, and joins new connections to a job's hub.
type gwsEvents struct {
	gws.BuiltinEventHandler
	j *job
}

func (h *gwsEvents) OnOpen(c *gws.Conn) {
	if h.j.hub != nil {
		h.j.hub.join(func() error { return gwsPrepared.Broadcast(c) })
	}
}

func (h *gwsEvents) OnPing(c *gws.Conn, p []byte) { c.WritePong(p) }

func (h *gwsEvents) OnMessage(c *gws.Conn, m *gws.Message) {
	c.WriteMessage(m.Opcode, m.Bytes())
	m.Close()
}

var gwsPrepared = gws.NewBroadcaster(gws.OpcodeBinary, broadcastPayload)

func gwsOptions(j *job) *gws.ServerOption {
	return &gws.ServerOption{
		ReadBufferSize: j.bufferSize(0), // 0: its default, 4096
		PermessageDeflate: gws.PermessageDeflate{
			Enabled:               j.Deflate,
			ServerContextTakeover: j.Takeover,
			ClientContextTakeover: j.Takeover,
		},
	}
}

func serveGWS(ln net.Listener, j *job) error {
	return gws.NewServer(&gwsEvents{j: j}, gwsOptions(j)).RunListener(ln)
}

func gwsHandler(j *job) http.HandlerFunc {
	u := gws.NewUpgrader(&gwsEvents{j: j}, gwsOptions(j))
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}
}
