package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

const secret = "correct horse"

// TestMain runs all tests, and then checks that they left no goroutines behind. As a process of its
// own, with arguments in the environment, it is the program.
func TestMain(m *testing.M) {
	if args := os.Getenv("AUTH_TEST_ARGS"); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
		return
	}
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

// start runs the program on a free port.
func start(t *testing.T, patience time.Duration) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, ln, &asker{account: newAccount("demo", secret), attempts: 3, patience: patience})
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// converse sends lines, and perhaps a close. It returns all that comes back, and the way it ends.
func converse(t *testing.T, c *websocket.Conn, exit bool, lines ...string) (heard []string, end error) {
	t.Helper()
	defer c.Close()
	for _, line := range lines {
		c.WriteMessage(websocket.TextMessage, []byte(line))
	}
	if exit {
		c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "exit"))
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return heard, err
		}
		heard = append(heard, string(p))
	}
}

func TestPage(t *testing.T) {
	addr := start(t, time.Minute)
	for path, want := range map[string]string{"/": "script.js", "/script.js": "WebSocket", "/style.css": "#log", "/icon.svg": "<svg"} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
}

// program is the program itself, as it is started from a terminal.
func program(password string) *exec.Cmd {
	p := exec.Command(os.Args[0])
	p.Env = append(os.Environ(), "AUTH_TEST_ARGS=-addr localhost:0 -patience 50ms", "AUTH_PASSWORD="+password)
	return p
}

func TestNoPassword(t *testing.T) {
	out, err := program("").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "AUTH_PASSWORD=... go run") || strings.Contains(string(out), "open http://") {
		t.Errorf("started without a password: %v\n%s", err, out)
	}
}

func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no process can be sent a signal")
	}
	p := program(secret)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "open http://")
	if err != nil || !ok {
		t.Fatalf("printed %q, %v", line, err)
	}
	v := visit(t, addr)
	v.login("demo", secret, nil)
	c, _, err := (&websocket.Dialer{Jar: v.Jar}).Dial("ws://"+addr+"/before", nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Process.Signal(syscall.SIGTERM)
	if _, end := converse(t, c, false); !websocket.IsCloseError(end, websocket.CloseGoingAway) {
		t.Errorf("at the end: %v, want 1001", end)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}
