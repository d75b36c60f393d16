package browser

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// The library's own tests for GOOS=js, in Node and in Chromium, against this server. So its client
// meets two implementations of the browser's WebSocket.

// wasmTests are the tests that need a browser, or something like it.
const wasmTests = "^TestBrowser"

// A wasmServer has a path for each behaviour that the tests ask for. See client_js_test.go.
type wasmServer struct {
	*http.ServeMux
	mu    sync.Mutex
	fates map[string]chan string // by the id of a connection to /echo
}

func newWasmServer(t *testing.T) *wasmServer {
	s := &wasmServer{ServeMux: http.NewServeMux(), fates: make(map[string]chan string)}
	for path, handler := range map[string]func(c *websocket.Conn, r *http.Request){
		"/echo": s.echo, "/fate": s.tellFate, "/fragments": fragments, "/close": closeWith, "/die": die, "/stall": stall, "/flood": flood, "/ping": ping,
	} {
		ws := &websocket.Server{
			Upgrader: websocket.Upgrader{Subprotocols: []string{"chat", "chat.v2"}, Compression: &websocket.Compression{}, CheckOrigin: fromAnywhere},
			Handler:  handler,
		}
		t.Cleanup(func() { ws.Close() })
		s.Handle(path, ws)
	}
	s.HandleFunc("/refuse", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	s.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return s
}

func fromAnywhere(*http.Request) bool { return true } // Node sends no Origin

// fate returns the channel for how a connection ended.
func (s *wasmServer) fate(id string) chan string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fates[id] == nil {
		s.fates[id] = make(chan string, 1)
	}
	return s.fates[id]
}

func (s *wasmServer) echo(c *websocket.Conn, r *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			if id := r.FormValue("id"); id != "" {
				s.fate(id) <- describeEnd(err)
			}
			return
		}
		c.WriteMessage(messageType, p)
	}
}

func describeEnd(err error) string {
	if e, ok := err.(*websocket.CloseError); ok {
		return fmt.Sprintf("%d %s", e.Code, e.Text)
	}
	return err.Error()
}

func (s *wasmServer) tellFate(c *websocket.Conn, r *http.Request) {
	select {
	case fate := <-s.fate(r.FormValue("id")):
		c.WriteMessage(websocket.TextMessage, []byte(fate))
	case <-time.After(patience):
	}
}

func fragments(c *websocket.Conn, _ *http.Request) {
	messageType, p, err := c.ReadMessage()
	if err != nil {
		return
	}
	c.SetWriteDeadline(time.Now().Add(patience))
	w, err := c.NextWriter(messageType)
	if err != nil {
		return
	}
	for len(p) > 0 {
		w.Write(p[:1000])
		w.(interface{ Flush() error }).Flush()
		p = p[1000:]
	}
	w.Close()
	c.ReadMessage()
}

func closeWith(c *websocket.Conn, r *http.Request) {
	code, _ := strconv.Atoi(r.FormValue("code"))
	c.WriteMessage(websocket.TextMessage, []byte("last words"))
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	c.Shutdown(ctx, code, r.FormValue("reason"))
}

func die(c *websocket.Conn, _ *http.Request) {
	c.WriteMessage(websocket.TextMessage, []byte("last words"))
	c.Close()
}

func stall(c *websocket.Conn, _ *http.Request) { <-c.Context().Done() }

func flood(c *websocket.Conn, r *http.Request) {
	messages, _ := strconv.Atoi(r.FormValue("messages"))
	size, _ := strconv.Atoi(r.FormValue("size"))
	for i := range messages {
		message := append(fmt.Appendf(nil, "%04d", i), make([]byte, size-4)...)
		if c.WriteMessage(websocket.BinaryMessage, message) != nil {
			return
		}
	}
	c.ReadMessage()
}

func ping(c *websocket.Conn, r *http.Request) {
	go c.ReadMessage()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	result := "pong"
	if _, err := c.Ping(ctx); err != nil {
		result = err.Error()
	}
	c.WriteMessage(websocket.TextMessage, []byte(result))
}

// buildWasm compiles the library's tests for GOOS=js.
func buildWasm(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.wasm")
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", path, ".")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the tests for GOOS=js: %v\n%s", err, out)
	}
	return path
}

// wasmSupport returns the directory of the scripts that Go comes with.
func wasmSupport(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "lib", "wasm")
}

// serveWasm serves the behaviours, and a page that runs the tests.
func serveWasm(t *testing.T, program string) *httptest.Server {
	s := newWasmServer(t)
	s.HandleFunc("/test.wasm", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, program) })
	s.HandleFunc("/wasm_exec.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(wasmSupport(t), "wasm_exec.js"))
	})
	s.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, wasmPage) })
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

const wasmPage = `<!DOCTYPE html><title>tests</title><p id="state">running</p><pre id="log"></pre>
<script src="wasm_exec.js"></script>
<script>
	console.log = (line) => document.querySelector("#log").append(line + "\n");
	const go = new Go();
	go.argv = ["test", "-test.v", "-test.run", "` + wasmTests + `"];
	go.env = {PLAINSOCKET_JS_SERVER: "ws://" + location.host};
	go.exit = (code) => document.querySelector("#state").textContent = "exit " + code;
	WebAssembly.instantiateStreaming(fetch("test.wasm"), go.importObject).then((r) => go.run(r.instance));
</script>`

func TestWasm(t *testing.T) {
	program := buildWasm(t)
	t.Run("Chromium", func(t *testing.T) { runInChromium(t, program) })
	t.Run("Node", func(t *testing.T) { runInNode(t, program) })
	t.Run("websockettest", runWebsockettest)
}

func runInChromium(t *testing.T, program string) {
	server := serveWasm(t, program)
	page := Open(t, server.URL)
	for deadline := time.Now().Add(lifetime - patience); page.Text("#state") == "running"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the tests still run:\n%s", page.Text("#log"))
		}
	}
	checkWasm(t, page.Text("#state"), page.Text("#log"))
}

// checkWasm requires that all tests have passed, and that none was left out.
func checkWasm(t *testing.T, state, output string) {
	t.Helper()
	if state != "exit 0" || strings.Count(output, "\n--- PASS: TestBrowserServer") < 5 || strings.Contains(output, "--- SKIP") {
		t.Errorf("%s:\n%s", state, output)
	}
}

func runInNode(t *testing.T, program string) {
	// Node has a WebSocket since 20.10 behind this option, and since 22 without.
	options := "NODE_OPTIONS=--experimental-websocket"
	probe := exec.Command("node", "-e", "new WebSocket('ws://localhost:9').onerror = () => {}")
	probe.Env = append(os.Environ(), options)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("no Node with a WebSocket here: %v\n%s", err, out)
	}
	server := serveWasm(t, program)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "--stack-size=8192", filepath.Join(wasmSupport(t), "wasm_exec_node.js"), program,
		"-test.v", "-test.run", wasmTests)
	node.Env = append(os.Environ(), options, "PLAINSOCKET_JS_SERVER=ws://"+server.Listener.Addr().(*net.TCPAddr).String())
	var output bytes.Buffer
	node.Stdout, node.Stderr = &output, &output
	state := "exit 0"
	if err := node.Run(); err != nil {
		state = err.Error()
	}
	checkWasm(t, state, output.String())
}

// Package websockettest has a transport of its own, which is used under GOOS=js as everywhere.
func runWebsockettest(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	test := exec.CommandContext(ctx, "go", "test", "-count=1", "-exec", filepath.Join(wasmSupport(t), "go_js_wasm_exec"), "./websockettest")
	test.Dir = filepath.Join("..", "..")
	test.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The example's page, whose program is in Go, stays connected.
func TestPageInGo(t *testing.T) {
	server := Start(t, "wasm")
	resp, err := http.Get(server.URL + "/page.wasm") // so the page need not wait for the build
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	page := Open(t, server.URL)
	page.See("#state", "connected")
	page.Labelled()
	page.Fill("#text", "Grüße, 世界")
	page.Press("\r")
	page.See("#log", "Grüße, 世界")
	page.Resize(320, 640)
	page.Quiet()
	server.Interrupt()
	page.See("#error", "close 1001", "next attempt")

	addr := strings.TrimPrefix(server.URL, "http://")
	again := Run(t, server.cmd.Path, "-addr", addr)
	again.WaitOutput("open http://")
	page.See("#state", "connected")
	page.Fill("#text", "again")
	page.Click("#form button")
	page.See("#log", "again")
}
