// Command chat is rooms for many browsers: each path is one.
//
//	go run ./examples/chat
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
	addr := flag.String("addr", "localhost:8080", "listen on this `host:port`")
	spread := flag.Duration("spread", time.Second, "at the end, tell the pages over this `time`: so they do not come back all at once")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	host, _, _ := net.SplitHostPort(*addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	fmt.Println("open http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, ln, newChat(pace), *spread); err != nil {
		log.Fatal(err)
	}
}

// run serves the page and the rooms until ctx ends.
func run(ctx context.Context, ln net.Listener, chat *chat, spread time.Duration) error {
	ws := &websocket.Server{
		// Nobody may send more than a line. (The room is stricter, and polite.)
		Upgrader:       websocket.Upgrader{ReadLimit: 8 << 10, Compression: &websocket.Compression{}},
		OnOpen:         chat.opened,
		OnMessage:      chat.received,
		OnClose:        chat.closed,
		ShutdownSpread: spread,
		ShutdownCode:   websocket.CloseServiceRestart,
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws/{room}", onlyRooms(ws))
	mux.Handle("GET /{room}", onlyRooms(http.HandlerFunc(servePage)))
	mux.HandleFunc("GET /{$}", servePage)
	for _, name := range []string{"/script.js", "/style.css", "/icon.svg"} {
		mux.HandleFunc("GET "+name, serveFile)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Everybody is told 1012, service restart: the pages will come back by themselves.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(ws.Shutdown(ctx), server.Shutdown(ctx))
}

// onlyRooms serves paths that name a room.
func onlyRooms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isRoomName(r.PathValue("room")) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// servePage serves the page, which is the same for all rooms. Its script looks at the path.
func servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	http.ServeFileFS(w, r, page, "index.html")
}

func serveFile(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	http.ServeFileFS(w, r, page, r.URL.Path[1:])
}
