package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// server is as much of examples/auth as the client needs to be shown.
func server(t *testing.T) string {
	t.Helper()
	echo := func(c *websocket.Conn, _ *http.Request) {
		for m := range c.Messages() {
			if string(m.Data) == "throw me out" {
				c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "as you like"))
			}
			c.WriteMessage(m.Type, append([]byte("your submit context: "), m.Data...))
		}
	}
	ws := &websocket.Server{Handler: echo}
	mux := http.NewServeMux()
	mux.Handle("/after", ws)
	mux.HandleFunc("/before", func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("session"); err != nil || cookie.Value != "sesame" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		ws.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.PostFormValue("name") != "demo" || r.PostFormValue("password") != "secret":
			http.Error(w, "wrong", http.StatusUnauthorized)
		default:
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "sesame", HttpOnly: true})
			w.WriteHeader(http.StatusNoContent)
		}
	})
	hs := httptest.NewServer(mux)
	t.Cleanup(func() {
		ws.Close()
		hs.Close()
	})
	return hs.URL
}

func TestRun(t *testing.T) {
	url := server(t)
	for _, tt := range []struct {
		name, password string
		args           []string
		stdin          string
		status         int
		stdout, stderr string
	}{
		{"exit", "", nil, "hello\nexit\nunread\n", 0, "your submit context: hello\n", ""},
		{"end of input", "", nil, "a\nb", 0, "your submit context: a\nyour submit context: b\n", ""},
		{"thrown out", "", nil, "throw me out\n", 1, "", "1008 as you like"},
		{"before", "secret", []string{"-before"}, "hello\nexit\n", 0, "your submit context: hello\n", ""},
		{"wrong password", "wrong", []string{"-before"}, "", 1, "", "401 Unauthorized: wrong"},
		{"no such page", "", []string{"-server", url + "/nowhere"}, "", 1, "", "404 Not Found"},
		{"no server", "", []string{"-server", "http://127.0.0.1:1"}, "", 1, "", "refused"},
		{"no such flag", "", []string{"-nonsense"}, "", 2, "", "-nonsense"},
	} {
		t.Setenv("AUTH_PASSWORD", tt.password)
		var stdout, stderr bytes.Buffer
		status := run(append([]string{"-server", url}, tt.args...), strings.NewReader(tt.stdin), &stdout, &stderr)
		if status != tt.status || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%s: status %d, %q, %q; want %d, %q, %q", tt.name, status, stdout.String(), stderr.String(), tt.status, tt.stdout, tt.stderr)
		}
	}
}
