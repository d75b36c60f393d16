// Command ticker sends prices to many, thousands a second, and each gets as many as it can take.
//
//	go run ./examples/ticker
//	go run ./examples/ticker -load 500
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

const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func main() {
	addr := flag.String("addr", "localhost:8080", "listen on this `host:port`, or with -load, connect to it")
	symbols := flag.Int("symbols", 40, "how many `symbols` there are")
	rate := flag.Int("rate", 2000, "`prices` per second, of all symbols together")
	members := flag.Int("load", 0, "be no server, but `N` members of one")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if *members > 0 {
		if err := load(ctx, os.Stdout, "ws://"+*addr+"/ws", *members); err != nil {
			log.Fatal(err)
		}
		return
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	host, _, _ := net.SplitHostPort(*addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	fmt.Println("open http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port))
	if err := run(ctx, ln, newMarket(max(*symbols, 1), max(*rate, 1))); err != nil {
		log.Fatal(err)
	}
}

// run serves the page and the prices until ctx ends.
func run(ctx context.Context, ln net.Listener, m *market) error {
	ws := &websocket.Server{
		Upgrader:       websocket.Upgrader{ReadLimit: 1 << 10},
		OnOpen:         m.opened,
		OnMessage:      func(*websocket.Conn, int, []byte) {}, // members only listen
		ShutdownSpread: time.Second,
		ShutdownCode:   websocket.CloseServiceRestart,
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	files := http.FileServerFS(page)
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(ws.Shutdown(ctx), server.Shutdown(ctx))
}
