package main

import (
	"context"
	"embed"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/plainsocket/websocket"
)

//go:embed index.html style.css script.js icon.svg
var files embed.FS

// policy lets the page load and reach nothing but this server, which includes
// the WebSocket.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A page shows the registry live in browsers. It is on a listener of its own, because people have
// no device's certificate. It asks nobody for a name, so that listener should be one that only this
// machine reaches.
type page struct {
	registry *registry
	live     *websocket.Server
	http     *http.Server
}

// pause is the shortest time between two pictures. Changes come as often as there are devices, and
// eyes see some ten pictures in a second.
const pause = 100 * time.Millisecond

func newPage(g *registry) *page {
	p := &page{registry: g}
	p.live = &websocket.Server{
		Upgrader: websocket.Upgrader{Compression: &websocket.Compression{}, ReadLimit: messageLimit},
		Handler:  p.watch,
	}
	static := http.FileServerFS(files)
	mux := http.NewServeMux()
	mux.Handle("/live", p.live)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		static.ServeHTTP(w, r)
	})
	p.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return p
}

func (p *page) serve(l net.Listener) error { return p.http.Serve(l) }

// shutdown takes two calls, because net/http forgets a connection once it has
// become a WebSocket.
func (p *page) shutdown(ctx context.Context) error {
	return errors.Join(p.live.Shutdown(ctx), p.http.Shutdown(ctx))
}

// watch sends a browser the whole state each time that it has changed. A slow
// one misses states in between and is sent the newest: no queue grows.
func (p *page) watch(c *websocket.Conn, _ *http.Request) {
	gone := make(chan struct{})
	// A handler that only writes still needs a reader, for pongs and for the end.
	go func() {
		defer close(gone)
		for range c.Messages() {
		}
	}()
	for {
		state, changed := p.registry.view()
		if err := c.WriteJSON(state); err != nil {
			return
		}
		select {
		case <-changed:
		case <-gone:
			return
		}
		select {
		case <-time.After(pause):
		case <-gone:
			return
		}
	}
}
