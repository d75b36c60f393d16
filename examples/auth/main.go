// Command auth shows two ways to find out who a visitor is: before the connection is a WebSocket,
// and after.
//
//	AUTH_PASSWORD=... go run ./examples/auth
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
	user := flag.String("user", "demo", "the `name` to log in with")
	attempts := flag.Int("attempts", 3, "wrong passwords after which a connection is closed")
	patience := flag.Duration("patience", time.Minute, "how long logging in may take")
	flag.Parse()
	password := os.Getenv("AUTH_PASSWORD")
	if password == "" {
		log.Fatal("choose a password, in the environment, where neither the source nor a list of processes shows it:\n\n" +
			"\tAUTH_PASSWORD=... go run ./examples/auth")
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	host, _, _ := net.SplitHostPort(*addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	fmt.Println("open http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	a := &asker{account: newAccount(*user, password), attempts: *attempts, patience: *patience}
	if err := run(ctx, ln, a); err != nil {
		log.Fatal(err)
	}
}

// run serves the page and both kinds of connections until ctx ends.
func run(ctx context.Context, ln net.Listener, a *asker) error {
	after := &websocket.Server{Handler: a.serve}
	before := &websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) { echo(c) }}
	doors := &door{account: a.account}

	mux := http.NewServeMux()
	mux.Handle("/after", after)
	mux.Handle("/before", doors.guard(before))
	mux.HandleFunc("POST /login", doors.login)
	mux.HandleFunc("POST /logout", doors.logout)
	files := http.FileServerFS(page)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		files.ServeHTTP(w, r)
	})
	// ReadTimeout is for the form. It ends with the upgrade: a WebSocket has its own.
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(after.Shutdown(ctx), before.Shutdown(ctx), server.Shutdown(ctx))
}

// echo is the service for visitors who are logged in.
func echo(c *websocket.Conn) {
	for m := range c.Messages() {
		if err := c.WriteMessage(m.Type, append([]byte("your submit context: "), m.Data...)); err != nil {
			return
		}
	}
}
