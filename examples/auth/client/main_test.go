package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// TestMain runs all tests, and then checks that they left no goroutines behind.
func TestMain(m *testing.M) {
	goroutines := runtime.NumGoroutine()
	code := m.Run()
	for deadline := time.Now().Add(10 * time.Second); code == 0 && runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", buf[:runtime.Stack(buf, true)])
			code = 1
		}
	}
	os.Exit(code)
}

// server imitates the part of examples/auth that the client needs.
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
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, password string
		args           []string
		stdin          string
		status         int
		stdout, stderr string
	}{
		{"exit", "", nil, "hello\nexit\nunread\n", 0, "your submit context: hello\n", ""},
		{"a long line", "", nil, long + "\r\nb\nexit\n", 0, "your submit context: " + long + "\nyour submit context: b\n", ""},
		{"help", "", []string{"-h"}, "", 0, "", "-before"},
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

// startAuth runs the server that the client is for, and returns its URL.
func startAuth(t *testing.T) (url string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "auth")
	if out, err := exec.Command("go", "build", "-o", program, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	auth := exec.Command(program, "-addr", "localhost:0")
	out, err := auth.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		auth.Process.Kill()
		auth.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(strings.TrimSpace(line), "open ")
}

func TestAgainstServer(t *testing.T) {
	t.Setenv("AUTH_PASSWORD", "sesame")
	url := startAuth(t)
	// The user goes on sitting there. The end of the input would be a close, which might cross the
	// server's.
	sitting, gone := io.Pipe()
	defer gone.Close()
	const asked = "user name:\npassword:\n"
	for _, tt := range []struct {
		name           string
		args           []string
		stdin          string
		status         int
		stdout, stderr string
	}{
		{"right", nil, "demo\nsesame\nhello\nexit\n", 0, asked + "welcome, demo\nyour submit context: hello\n", ""},
		{"wrong", nil, "demo\na\ndemo\nb\ndemo\nc\nhello\n", 1, asked +
			"wrong user name or password; attempts left: 2\n" + asked + "wrong user name or password; attempts left: 1\n" + asked,
			"1008 too many wrong passwords"},
		{"before", []string{"-before"}, "hello\nexit\n", 0, "your submit context: hello\n", ""},
		{"not the user", []string{"-before", "-user", "root"}, "", 1, "", "401 Unauthorized: wrong user name or password"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(append([]string{"-server", url}, tt.args...), io.MultiReader(strings.NewReader(tt.stdin), sitting), &stdout, &stderr)
		if status != tt.status || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%s: status %d, %q, %q; want %d, %q, %q", tt.name, status, &stdout, &stderr, tt.status, tt.stdout, tt.stderr)
		}
	}
}

// A server that does not answer the close frame is not waited for without end.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		go func() {
			r := bufio.NewReader(server)
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Error(err)
				return
			}
			sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			fmt.Fprintf(server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
			io.Copy(io.Discard, r)
		}()
		d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
		c, _, err := d.Dial("ws://deaf.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ended := make(chan error, 1)
		go func() { ended <- print(c, io.Discard) }()
		var stderr bytes.Buffer
		start := time.Now()
		status := leave(c, ended, &stderr)
		if took := time.Since(start); status != 1 || took != closeTimeout || !strings.Contains(stderr.String(), "does not answer") {
			t.Errorf("status %d after %v, %q", status, took, &stderr)
		}
	})
}
