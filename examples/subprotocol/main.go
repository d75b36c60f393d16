// Command subprotocol shows how client and server agree on a subprotocol: over wss with a
// certificate made on the spot, with two versions of a chat, and with nothing in common.
//
//	go run ./examples/subprotocol
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"errors"
	"flag"
	"io"
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

// policy lets the page load and reach nothing but this server.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func main() {
	addr := flag.String("addr", "localhost:8080", "serve the page, and ws, on this `host:port`")
	tlsAddr := flag.String("tls", "localhost:0", "serve wss, and the page, on this `host:port` (port 0 takes a free one)")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmsgprefix)
	log.SetPrefix("server: ")
	plain, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	secure, err := net.Listen("tcp", *tlsAddr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Stdout, place{plain, *addr}, place{secure, *tlsAddr}); err != nil {
		log.Fatal(err)
	}
}

// A place is an address on which the program listens.
type place struct {
	net.Listener
	asked string // by the user, as host:port
}

// host is as the user wrote it.
func (p place) host() string {
	host, _, _ := net.SplitHostPort(p.asked)
	return cmp.Or(host, "localhost")
}

// address has the port that the system gave: localhost:0 asks for a free one.
func (p place) address() string {
	_, port, _ := net.SplitHostPort(p.Addr().String())
	return net.JoinHostPort(p.host(), port)
}

// run serves, lets the clients demonstrate, and goes on serving until ctx ends.
func run(ctx context.Context, out io.Writer, plain, secure place) error {
	cert, err := newCertificate("localhost", "127.0.0.1", "::1", secure.host())
	if err != nil {
		return err
	}
	chat := &websocket.Server{
		Upgrader: websocket.Upgrader{Subprotocols: protocols, ReadLimit: 64 << 10},
		Handler:  (&room{patience: 2 * time.Second}).serve,
	}
	server := &http.Server{Handler: routes(chat), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(plain) }()
	go func() {
		config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
		failed <- server.Serve(tls.NewListener(secure, config))
	}()
	err = demonstrate(ctx, out, plain, secure, cert.Leaf)
	if err == nil {
		select {
		case err = <-failed:
		case <-ctx.Done():
		}
	}
	// net/http forgets a connection that became a WebSocket, so there are two calls.
	shutdown, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, chat.Shutdown(shutdown), server.Shutdown(shutdown))
}

func demonstrate(ctx context.Context, out io.Writer, plain, secure place, cert *x509.Certificate) error {
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	d := &demonstration{out: out, server: "wss://" + secure.address(), roots: roots}
	if err := d.run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted, and no failure
		}
		return err
	}
	d.printf("open http://%s", plain.address())
	d.printf("or https://%s, whose certificate a browser cannot know and warns of", secure.address())
	return nil
}

// routes are the same over http and https, as ws and wss are the same over either. TLS is below
// them.
func routes(chat http.Handler) http.Handler {
	files := http.FileServerFS(page)
	mux := http.NewServeMux()
	mux.Handle("/chat", chat)
	mux.Handle("/strict", mustAgree(chat))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		files.ServeHTTP(w, r)
	})
	return mux
}
