// Command inspector serves a page that shows a WebSocket connection frame by frame, down to the
// bits. The connection is one of its own echo, or of a server that it stands in front of.
//
//	go run ./examples/inspector
//	go run ./examples/inspector -target wss://server.example/chat
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
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plainsocket/websocket"
)

//go:embed index.html style.css *.js icon.svg
var page embed.FS

// policy lets the page load and reach nothing but this server.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func main() {
	addr := flag.String("addr", "localhost:8080", "listen on this `host:port`")
	target := flag.String("target", "", "pass connections on to this `URL`, ws or wss, instead of echoing messages")
	flag.Parse()
	if err := checkTarget(*target); err != nil {
		log.Fatal(err)
	}
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
	if err := run(ctx, ln, *target); err != nil {
		log.Fatal(err)
	}
}

// checkTarget finds a mistyped URL before the first connection does.
func checkTarget(target string) error {
	if target == "" {
		return nil
	}
	u, err := url.Parse(target)
	if err == nil && (u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "") {
		err = errors.New("want ws://host/path or wss://host/path")
	}
	if err != nil {
		return fmt.Errorf("-target %s: %w", target, err)
	}
	return nil
}

// run serves the page and both kinds of WebSocket until ctx ends.
func run(ctx context.Context, ln net.Listener, target string) error {
	watch := newHub()
	observed := &gateway{hub: watch, target: target}
	// Messages to observers are not traced, because the inspector does not look at itself.
	observers := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) { watch.serve(c, target) }}
	files := http.FileServerFS(page)

	mux := http.NewServeMux()
	mux.Handle("/ws", observed)
	mux.Handle("/observe", observers)
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
	// The observed connections first, so that their closing is observed.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	watch.shutdown(ctx)
	return errors.Join(observers.Shutdown(ctx), server.Shutdown(ctx))
}
