package main

// fasthttp/websocket: gorilla's code on fasthttp instead of net/http.

import (
	"bytes"
	"net"
	"sync"

	fastws "github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

func serveFastHTTP(ln net.Listener, j *job) error {
	u := &fastws.FastHTTPUpgrader{
		EnableCompression: j.Deflate,
		ReadBufferSize:    j.bufferSize(0), // 0: its default, 4096,
		WriteBufferPool:   new(sync.Pool),
	}
	return fasthttp.Serve(ln, func(ctx *fasthttp.RequestCtx) {
		u.Upgrade(ctx, func(c *fastws.Conn) { fastLoop(c, j) })
	})
}

var fastPrepared, _ = fastws.NewPreparedMessage(fastws.BinaryMessage, broadcastPayload)

func fastLoop(c *fastws.Conn, j *job) {
	defer c.Close()
	if j.hub != nil {
		j.hub.join(func() error { return c.WritePreparedMessage(fastPrepared) })
	}
	for {
		messageType, r, err := c.NextReader()
		if err != nil {
			return
		}
		b := messageBuffers.Get().(*bytes.Buffer)
		b.Reset()
		if _, err := b.ReadFrom(r); err != nil || c.WriteMessage(messageType, b.Bytes()) != nil {
			return
		}
		messageBuffers.Put(b)
	}
}
