//go:build !js

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// The page's files are served, and what is sent comes back. tools/browser runs the page's program.
func TestRoutes(t *testing.T) {
	ws := &websocket.Server{Handler: echo}
	defer ws.Close()
	server := httptest.NewServer(routes(ws))
	defer server.Close()
	for path, want := range map[string]string{"/": "wasm_exec.js", "/load.js": "page.wasm", "/style.css": "#log", "/icon.svg": "<svg", "/wasm_exec.js": "class"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || err != nil || !strings.Contains(string(body), want) {
			t.Errorf("GET %s: %s, %v, without %q", path, resp.Status, err, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	c, _, err := websocket.DefaultDialer.Dial(server.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteMessage(websocket.TextMessage, []byte("hello"))
	if _, p, err := c.ReadMessage(); string(p) != "hello" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}
