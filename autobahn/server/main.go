// Command server is the echo server that the Autobahn suite tests.
//
// Every message goes back as it came, with its type. Everything else that the suite looks at is the
// library's own work: pongs, the closing handshake, the answer to a broken frame.
//
//	go run ./autobahn/server -addr localhost:9001
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/plainsocket/websocket"
)

// shutdownTimeout is the time that peers have to answer the close frames of a shutdown.
const shutdownTimeout = 5 * time.Second

// upgrader allows compression, which the suite's sections 12 and 13 are about.
var upgrader = websocket.Upgrader{Compression: &websocket.Compression{}}

func main() {
	addr := flag.String("addr", "localhost:9001", "`host:port` to listen on (port 0 takes a free one)")
	viaHTTP := flag.Bool("http", false, "serve through net/http and websocket.Upgrader instead of websocket.Server")
	flag.Parse()
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, newServer(*viaHTTP)); err != nil {
		log.Fatal(err)
	}
}

// A server has the methods that *websocket.Server and *http.Server share.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

func newServer(viaHTTP bool) server {
	if viaHTTP {
		return &http.Server{Handler: http.HandlerFunc(upgradeAndEcho)}
	}
	return &websocket.Server{Upgrader: upgrader, Handler: echo, Logger: slog.Default()}
}

// run serves until ctx ends. It listens by itself, because only a listener can name the port it was
// given, and run.sh has to know that. Shutdown differs between the two: websocket.Server closes its
// connections with 1001, while net/http no longer knows those that were upgraded. They end with the
// process.
func run(ctx context.Context, addr string, srv server) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on ws://%s/\n", l.Addr())
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return srv.Shutdown(ctx)
}

func upgradeAndEcho(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered the request.
	}
	defer c.Close()
	echo(c, r)
}

// echo sends every message back until the connection ends. The reason for which it ended does not
// matter here. If a close frame was due, it has been sent by then. One buffer serves the whole
// connection and grows to its largest message.
func echo(c *websocket.Conn, _ *http.Request) {
	var buf []byte
	for {
		messageType, p, err := c.AppendMessage(buf[:0])
		if err != nil {
			return
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return
		}
		buf = p
	}
}
