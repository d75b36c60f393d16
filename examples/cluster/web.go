package main

import (
	"embed"
	"net/http"
	"strings"

	"github.com/plainsocket/websocket"
)

//go:embed index.html style.css script.js icon.svg
var page embed.FS

// newServer returns the WebSocket server of a node.
func (n *node) newServer() *websocket.Server {
	return &websocket.Server{
		Upgrader: websocket.Upgrader{
			ReadLimit:      readLimit,
			QueueLimit:     queueLimit,
			Compression:    &websocket.Compression{},
			AllowedOrigins: n.config.peers, // a page of one node may connect to another
			Admit:          n.admit,
			Trace:          n.metrics.ServerTrace(nil),
		},
		OnOpen:         func(c *websocket.Conn, r *http.Request) { n.lobby.opened(c, r) },
		OnMessage:      func(c *websocket.Conn, t int, data []byte) { n.lobby.received(c, t, data) },
		OnClose:        func(c *websocket.Conn, err error) { n.lobby.closed(c, err) },
		ShutdownSpread: n.config.spread,
		ShutdownCode:   websocket.CloseServiceRestart,
	}
}

// admit refuses connections before the broker is ready, and when the node is about to end.
func (n *node) admit(*http.Request, http.Header) (*http.Request, error) {
	if n.ready.Load() {
		return nil, nil
	}
	return nil, &websocket.Refusal{
		Status:  http.StatusServiceUnavailable,
		Message: "this node is not ready",
		Header:  http.Header{"Retry-After": {"1"}},
	}
}

func (n *node) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ws", n.ws)
	mux.HandleFunc("GET /{$}", n.servePage)
	mux.HandleFunc("GET /{room}", n.servePage)
	for _, name := range []string{"/script.js", "/style.css", "/icon.svg"} {
		mux.HandleFunc("GET "+name, n.serveFile)
	}
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("alive\n")) })
	mux.HandleFunc("GET /readyz", n.serveReady)
	mux.Handle("GET /metrics", n.metrics.page)
	return mux
}

// serveReady is for load balancers. A broker without a leader is no reason to be unready: then all
// nodes would be, and the clients would have nowhere to go.
func (n *node) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !n.ready.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ready\n"))
}

// servePage serves the page, which is the same for all rooms. Its script looks at the path.
func (n *node) servePage(w http.ResponseWriter, r *http.Request) {
	if room := r.PathValue("room"); room != "" && !isRoomName(room) {
		http.NotFound(w, r)
		return
	}
	n.setPolicy(w)
	http.ServeFileFS(w, r, page, "index.html")
}

func (n *node) serveFile(w http.ResponseWriter, r *http.Request) {
	n.setPolicy(w)
	http.ServeFileFS(w, r, page, r.URL.Path[1:])
}

// setPolicy lets the page talk to the nodes, and to nobody else.
func (n *node) setPolicy(w http.ResponseWriter) {
	policy := "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'"
	for _, peer := range n.config.peers {
		policy += " " + strings.Replace(peer, "http", "ws", 1)
	}
	w.Header().Set("Content-Security-Policy", policy)
}
