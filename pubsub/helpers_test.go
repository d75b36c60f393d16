package pubsub_test

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/websockettest"
)

// TestMain runs all tests, and then looks for goroutines that they left behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !settles(before) {
		buf := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// settles reports whether there are soon no more than n goroutines.
func settles(n int) bool {
	for range 1000 {
		if runtime.NumGoroutine() <= n {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// prepare returns a prepared text message.
func prepare(text string) *websocket.PreparedMessage {
	pm, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(text))
	if err != nil {
		panic(err)
	}
	return pm
}

// pair returns the two ends of a connection in memory. The server's end reads, as it does in a
// program.
func pair(t testing.TB) (client, server *websocket.Conn) {
	t.Helper()
	client, server = websockettest.Pipe()
	go func() {
		for {
			if _, _, err := server.ReadMessage(); err != nil {
				server.Close()
				return
			}
		}
	}()
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// served returns the two ends of a connection in memory to a Server with these settings.
func served(t testing.TB, settings websocket.Upgrader, d func(*websocket.Dialer)) (client, server *websocket.Conn) {
	t.Helper()
	opened := make(chan *websocket.Conn, 1)
	srv := &websocket.Server{
		Upgrader:  settings,
		OnOpen:    func(c *websocket.Conn, _ *http.Request) { opened <- c },
		OnMessage: func(*websocket.Conn, int, []byte) {},
	}
	ts := websockettest.NewServer(srv)
	dialer := ts.Dialer()
	if d != nil {
		d(dialer)
	}
	client, _, err := dialer.DialContext(t.Context(), ts.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		srv.Close()
		ts.Close()
	})
	return client, <-opened
}

// wants reads messages from c and compares them.
func wants(t *testing.T, c *websocket.Conn, texts ...string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for _, want := range texts {
		_, p, err := c.ReadMessage()
		if err != nil || string(p) != want {
			t.Fatalf("read %.80q, %v; want %.80q", p, err, want)
		}
	}
}

// collect reads from c until the message "end", and returns all before it.
func collect(c *websocket.Conn) (texts []string, err error) {
	c.SetReadDeadline(time.Now().Add(60 * time.Second))
	for {
		_, p, err := c.ReadMessage()
		if err != nil || string(p) == "end" {
			return texts, err
		}
		texts = append(texts, string(p))
	}
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// long is a text of n bytes that begins with s.
func long(s string, n int) string { return s + strings.Repeat(".", n-len(s)) }
