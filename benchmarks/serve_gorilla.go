package main

// gorilla/websocket, as its examples have it, and as well as its API allows.

import (
	"bytes"
	"net/http"
	"sync"

	gorilla "github.com/gorilla/websocket"
)

func gorillaHandler(j *job) http.HandlerFunc {
	u := &gorilla.Upgrader{EnableCompression: j.Deflate}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		gorillaJoin(j, c)
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	}
}

// gorillaTunedHandler returns after the upgrade, so that net/http lets go of
// the request. Its read buffer is net/http's, unless a small one is better.
func gorillaTunedHandler(j *job) http.HandlerFunc {
	u := &gorilla.Upgrader{EnableCompression: j.Deflate, ReadBufferSize: j.bufferSize(0), WriteBufferPool: new(sync.Pool)}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		gorillaJoin(j, c)
		go gorillaTuned(c)
	}
}

func gorillaTuned(c *gorilla.Conn) {
	defer c.Close()
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

// messageBuffers hold messages while they are answered, for the servers whose library gives them a
// reader.
var messageBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var gorillaPrepared, _ = gorilla.NewPreparedMessage(gorilla.BinaryMessage, broadcastPayload)

func gorillaJoin(j *job, c *gorilla.Conn) {
	if j.hub != nil {
		j.hub.join(func() error { return c.WritePreparedMessage(gorillaPrepared) })
	}
}
