package main

// This file has the list of servers that are measured, and the parts that they share.

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A server is one way to serve WebSockets: a library in one configuration, and
// one row of the tables.
type server struct {
	name   string
	module string // "" for Go's own package net
	how    string // the configuration, for the report

	// serve accepts connections on ln, which may be a TLS listener, and echoes
	// their messages.
	serve func(ln net.Listener, j *job) error

	command []string // runs a server in another language, in place of serve
	needs   string   // the file by which others/build.sh shows that command can run
	version string   // of the library that command uses

	raw      bool // answers every handshake alike and echoes bytes without WebSocket
	deflate  bool // can compress
	takeover bool // can refer to earlier messages when it does

	holdsMany bool // measured with as many connections as possible, which takes time

	noTLS         bool // not measured over TLS
	smallOnly     bool // does not answer an empty message, and a large one in several frames
	quietOnly     bool // measured only where memory and handshakes are
	pipelinedOnly bool // measured only where several messages are in flight
}

// ours marks this library among the modules.
const ours = "github.com/plainsocket/websocket"

var servers = []*server{
	{name: "raw", how: "TCP, no WebSocket: net.Conn's Read and Write, with a buffer of 32 KiB that grows while reads fill it",
		serve: serveRaw, raw: true, holdsMany: true},
	{name: "plainsocket-pull", module: ours, how: "`Server.Serve`, a loop of `AppendMessage` and `WriteMessage`",
		serve: servePlain, deflate: true, takeover: true, holdsMany: true},
	{name: "plainsocket-http", module: ours, how: "the same behind net/http, by `Server.ServeHTTP`",
		serve: overHTTP(plainHandler), deflate: true, takeover: true},
	{name: "plainsocket-upgrader", module: ours, how: "net/http, `Upgrader.Upgrade`, `ReadMessage` and `WriteMessage` in the handler, as gorilla",
		serve: overHTTP(plainUpgraderHandler), deflate: true, takeover: true, quietOnly: true},
	{name: "plainsocket-onmessage", module: ours, how: "`Server.Serve` with `OnMessage`: the library reads, and gathers the answers; idle connections have no goroutine",
		serve: servePlainOnMessage, deflate: true, takeover: true, holdsMany: true},
	{name: "plainsocket-goroutines", module: ours, how: "the same with a goroutine for each connection, as on systems without epoll",
		serve: servePlainGoroutines, deflate: true, takeover: true, holdsMany: true},
	{name: "plainsocket-events", module: ours, how: "as plainsocket-onmessage, with `OnOpen`, `OnClose` and a `Value`",
		serve: servePlainEvents, deflate: true, takeover: true, quietOnly: true},
	{name: "plainsocket-coalesce", module: ours, how: "as plainsocket-pull, with `CoalesceWrites`: only where several messages are in flight",
		serve: servePlainCoalesced, deflate: true, takeover: true, pipelinedOnly: true},
	{name: "gorilla", module: "github.com/gorilla/websocket", how: "net/http, `ReadMessage` and `WriteMessage`, all defaults",
		serve: overHTTP(gorillaHandler), deflate: true},
	{name: "gorilla-tuned", module: "github.com/gorilla/websocket",
		how:   "net/http, `NextReader` into a pooled buffer, `WriteBufferPool`, in a goroutine outside the handler",
		serve: overHTTP(gorillaTunedHandler), deflate: true, holdsMany: true},
	{name: "coder", module: "github.com/coder/websocket", how: "net/http, `Reader` into a pooled buffer, `Write`, in a goroutine outside the handler",
		serve: overHTTP(coderHandler), deflate: true, takeover: true},
	{name: "gobwas", module: "github.com/gobwas/ws",
		how:   "its own upgrade on net.Conn, `ReadHeader` and `Cipher` on a bufio.Reader, and answers that this program gathers while whole frames are buffered",
		serve: serveGobwas, deflate: true, holdsMany: true},
	{name: "gobwas-http", module: "github.com/gobwas/ws", how: "the same upgraded from net/http",
		serve: overHTTP(gobwasHandler), quietOnly: true},
	{name: "gws", module: "github.com/lxzan/gws", how: "its own server, `OnMessage`, and a broadcast by its `Broadcaster`, which returns before anything is written, so one broadcast overlaps the next",
		serve: serveGWS, deflate: true, takeover: true, holdsMany: true},
	{name: "gws-http", module: "github.com/lxzan/gws", how: "the same behind net/http",
		serve: overHTTP(gwsHandler), deflate: true, takeover: true, quietOnly: true},
	{name: "nbio", module: "github.com/lesismal/nbio", how: "its own event loop (`nbhttp.Engine`, `IOModNonBlocking`), `OnMessage`",
		serve: serveNBIO, holdsMany: true, noTLS: true, smallOnly: true},
	{name: "fasthttp", module: "github.com/fasthttp/websocket", how: "fasthttp, otherwise as gorilla-tuned",
		serve: serveFastHTTP, deflate: true},
	{name: "xnet", module: "golang.org/x/net", how: "net/http, `websocket.Message`",
		serve: overHTTP(xnetHandler)},
}

// A job is the task of a server's process.
type job struct {
	TLS     bool
	Deflate bool
	// Takeover lets compressed messages refer to earlier ones.
	Takeover bool
	// Quiet means that the connections will hardly say anything. A server that can choose a
	// buffer's size chooses quietBuffer.
	Quiet bool
	// Broadcast means that the connections are to be joined to hub.
	Broadcast bool

	hub *hub
}

// quietBuffer holds a message of 125 bytes.
const quietBuffer = 256

// bufferSize chooses a buffer's size for a job.
func (j *job) bufferSize(usual int) int {
	if j.Quiet {
		return quietBuffer
	}
	return usual
}

// broadcastPayload is the message of a broadcast.
var broadcastPayload = []byte(strings.Repeat("broadcast", 14)[:125])

// A hub has the connections of a server, to broadcast to all of them.
type hub struct {
	mu    sync.Mutex
	sends []func() error
}

// join adds a connection, by the function that sends it the prepared message.
func (h *hub) join(send func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sends = append(h.sends, send)
}

// broadcast waits for n connections, and sends each of them the message, times over.
func (h *hub) broadcast(n, times int) error {
	for h.len() < n {
		time.Sleep(time.Millisecond)
	}
	for range times {
		for _, send := range h.sends {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hub) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sends)
}

// overHTTP serves a handler by net/http.
func overHTTP(handler func(j *job) http.HandlerFunc) func(net.Listener, *job) error {
	return func(ln net.Listener, j *job) error {
		return http.Serve(ln, handler(j))
	}
}

// accept calls serve in a goroutine for each connection. Over TLS it is a new goroutine after the
// handshake, because that makes a stack grow to 8 KiB.
func accept(ln net.Listener, serve func(nc net.Conn)) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		if tc, ok := nc.(*tls.Conn); ok {
			go func() {
				if tc.Handshake() == nil {
					go serve(tc)
				}
			}()
			continue
		}
		go serve(nc)
	}
}

// selectServers returns the servers that a comma-separated list names: a
// library stands for all its rows. "" names all.
func selectServers(servers []*server, list string) (selected []*server, unknown []string) {
	if list == "" {
		return servers, nil
	}
	names := strings.Split(list, ",")
	for _, s := range servers {
		library, _, _ := strings.Cut(s.name, "-")
		if slices.Contains(names, s.name) || slices.Contains(names, library) {
			selected = append(selected, s)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(servers, func(s *server) bool { return s.name == n || strings.HasPrefix(s.name, n+"-") }) {
			unknown = append(unknown, n)
		}
	}
	return selected, unknown
}
