package main

// coder/websocket. It has no prepared messages: a broadcast writes.

import (
	"bytes"
	"context"
	"net/http"

	coder "github.com/coder/websocket"
)

func coderHandler(j *job) http.HandlerFunc {
	var options coder.AcceptOptions
	if j.Deflate {
		options.CompressionMode = coder.CompressionNoContextTakeover
	}
	if j.Takeover {
		options.CompressionMode = coder.CompressionContextTakeover
	}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, &options)
		if err != nil {
			return
		}
		c.SetReadLimit(-1) // its default, 32 KiB, is less than some of these messages
		if j.hub != nil {
			j.hub.join(func() error { return c.Write(context.Background(), coder.MessageBinary, broadcastPayload) })
		}
		go coderLoop(c)
	}
}

func coderLoop(c *coder.Conn) {
	defer c.CloseNow()
	ctx := context.Background()
	for {
		messageType, r, err := c.Reader(ctx)
		if err != nil {
			return
		}
		b := messageBuffers.Get().(*bytes.Buffer)
		b.Reset()
		if _, err := b.ReadFrom(r); err != nil || c.Write(ctx, messageType, b.Bytes()) != nil {
			return
		}
		messageBuffers.Put(b)
	}
}
