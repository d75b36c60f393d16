// Command echo serves a page with a WebSocket to play with, and sends every message back.
//
//	go run ./examples/echo
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plainsocket/websocket"
)

//go:embed index.html style.css script.js icon.svg
var page embed.FS

// policy lets the page load and reach nothing but this server, which includes the WebSocket. To
// 'self', ws is the same place as http, and wss as https.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func main() {
	addr := flag.String("addr", "localhost:8080", "listen on this `host:port`")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	// The host as the user wrote it, the port as the system gave it: -addr localhost:0 asks for a
	// free one.
	host, _, _ := net.SplitHostPort(*addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	fmt.Println("open http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, ln); err != nil {
		log.Fatal(err)
	}
}

// run serves the page and the WebSocket until ctx ends.
func run(ctx context.Context, ln net.Listener) error {
	ws := &websocket.Server{
		// browsers offer it, and nearly all do
		Upgrader: websocket.Upgrader{Compression: &websocket.Compression{}},
		Handler:  echo,
	}
	files := http.FileServerFS(page)

	// A WebSocket begins as an HTTP request, so it is one more route.
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		files.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	// There are two calls, because net/http forgets a connection once it has become a WebSocket.
	// The first tells every peer 1001, going away, and waits for the answers. The second lets
	// requests for the page finish.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(ws.Shutdown(ctx), server.Shutdown(ctx))
}

// echo runs in a goroutine of its own for each connection. The library answers
// pings by itself, and when echo returns it completes the closing handshake.
func echo(c *websocket.Conn, r *http.Request) {
	log.Printf("%s connected", c.RemoteAddr())
	for {
		messageType, data, err := c.ReadMessage()
		if err == nil {
			err = c.WriteMessage(messageType, data)
		}
		if err != nil { // often a *websocket.CloseError: the code and reason that the peer sent
			log.Printf("%s: %v", c.RemoteAddr(), err)
			return
		}
	}
}
