//go:build !js

// Command wasm serves a page whose program is in Go, with this library on both sides of its
// WebSocket.
//
//	go run ./examples/wasm
package main

import (
	"cmp"
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/plainsocket/websocket"
)

//go:embed index.html style.css load.js icon.svg
var page embed.FS

// policy lets the page load and reach nothing but this server, and run WebAssembly.
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func main() {
	addr := flag.String("addr", "localhost:8080", "listen on this `host:port`")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	host, _, _ := net.SplitHostPort(*addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	fmt.Println("open http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	ws := &websocket.Server{Handler: echo}
	server := &http.Server{Handler: routes(ws), ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal(server.Serve(ln)) }()
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ws.Shutdown(ctx)
}

func routes(ws *websocket.Server) http.Handler {
	files := http.FileServerFS(page)
	program := sync.OnceValues(build)
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	mux.HandleFunc("/page.wasm", func(w http.ResponseWriter, _ *http.Request) {
		wasm, err := program()
		if err != nil {
			log.Print(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/wasm")
		w.Write(wasm)
	})
	mux.HandleFunc("/wasm_exec.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(goroot(), "lib", "wasm", "wasm_exec.js"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		files.ServeHTTP(w, r)
	})
	return mux
}

func echo(c *websocket.Conn, _ *http.Request) {
	for m := range c.Messages() {
		c.WriteMessage(m.Type, m.Data)
	}
}

// build compiles this directory once more, for the browser: page_js.go.
func build() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	_, source, _, _ := runtime.Caller(0)
	program := filepath.Join(dir, "page.wasm")
	command := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, ".")
	command.Dir = filepath.Dir(source)
	command.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build for the browser: %w\n%s", err, out)
	}
	f, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// goroot returns the directory of Go, which has the script that starts a program in a browser.
func goroot() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		log.Print(err)
	}
	return strings.TrimSpace(string(out))
}
