package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plainsocket/websocket"
)

// A fuzzingServer imitates the part of the suite that the client sees. It has three cases, and
// notes the messages that come back.
type fuzzingServer struct {
	websocket.Server
	handlers sync.WaitGroup
	mu       sync.Mutex
	requests []string
	echoes   []string
}

func newFuzzingServer(t *testing.T) (f *fuzzingServer, url string) {
	f = new(fuzzingServer)
	f.Compression = &websocket.Compression{}
	f.Handler = f.serve
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, strings.Replace(s.URL, "http", "ws", 1)
}

func (f *fuzzingServer) note(list *[]string, s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, s)
}

func (f *fuzzingServer) serve(c *websocket.Conn, r *http.Request) {
	f.handlers.Add(1)
	defer f.handlers.Done()
	f.note(&f.requests, r.URL.Path+" "+r.URL.Query().Encode())
	switch {
	case r.URL.Path == "/getCaseCount":
		c.WriteMessage(websocket.TextMessage, []byte("3"))
	case r.URL.Path == "/runCase" && r.URL.Query().Get("case") == "1":
		f.exchange(c, websocket.TextMessage, "text")
		f.exchange(c, websocket.BinaryMessage, "\xff")
	case r.URL.Path == "/runCase" && r.URL.Query().Get("case") == "2":
		c.NetConn().Write([]byte{0xf1, 0}) // reserved bits
		_, _, err := c.ReadMessage()
		f.note(&f.echoes, fmt.Sprint("refused ", websocket.IsCloseError(err, websocket.CloseProtocolError)))
	case r.URL.Path == "/runCase":
		f.note(&f.echoes, r.Header.Get("Sec-WebSocket-Extensions"))
	}
}

func (f *fuzzingServer) exchange(c *websocket.Conn, messageType int, text string) {
	c.WriteMessage(messageType, []byte(text))
	got, p, err := c.ReadMessage()
	f.note(&f.echoes, fmt.Sprintf("%d %q %v", got, p, err))
}

func TestRun(t *testing.T) {
	f, url := newFuzzingServer(t)
	var stdout, stderr bytes.Buffer
	if status := run([]string{"-url", url, "-agent", "a & b"}, &stdout, &stderr); status != 0 {
		t.Errorf("status %d: %s", status, &stderr)
	}
	wantRequests := []string{"/getCaseCount ", "/runCase agent=a+%26+b&case=1", "/runCase agent=a+%26+b&case=2", "/runCase agent=a+%26+b&case=3", "/updateReports agent=a+%26+b"}
	f.handlers.Wait()
	if !slices.Equal(f.requests, wantRequests) {
		t.Errorf("requests %q, want %q", f.requests, wantRequests)
	}
	slices.Sort(f.echoes) // the second case's may come last
	wantEchoes := []string{`1 "text" <nil>`, `2 "\xff" <nil>`, "permessage-deflate; client_max_window_bits", "refused true"}
	if !slices.Equal(f.echoes, wantEchoes) {
		t.Errorf("the client answers with %q, want %q", f.echoes, wantEchoes)
	}
	if want := "case 1 of 3\ncase 2 of 3\ncase 3 of 3\n"; stdout.String() != want {
		t.Errorf("prints %q, want %q", &stdout, want)
	}
}

func TestRunSome(t *testing.T) {
	f, url := newFuzzingServer(t)
	var stderr bytes.Buffer
	if status := run([]string{"-url", url + "/", "-cases", "3,1-1"}, &stderr, &stderr); status != 0 {
		t.Errorf("status %d: %s", status, &stderr)
	}
	want := []string{"/getCaseCount ", "/runCase agent=plainsocket&case=3", "/runCase agent=plainsocket&case=1", "/updateReports agent=plainsocket"}
	if !slices.Equal(f.requests, want) {
		t.Errorf("requests %q, want %q", f.requests, want)
	}
}

// A handshake that fails is one case's failure, not the end.
func TestRunGoesOnAfterRefusal(t *testing.T) {
	f, _ := newFuzzingServer(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("case") == "2" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		f.ServeHTTP(w, r)
	}))
	defer s.Close()
	var stdout, stderr bytes.Buffer
	if status := run([]string{"-url", s.URL}, &stdout, &stderr); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if want := "case 2: websocket: bad handshake: 418 I'm a teapot\n"; !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("error %q, want %q", &stderr, want)
	}
	if len(f.requests) != 4 || !strings.HasPrefix(f.requests[3], "/updateReports") {
		t.Errorf("requests %q, want case 3 and the reports too", f.requests)
	}
}

func TestRunFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "ws://" + l.Addr().String()
	l.Close()
	_, url := newFuzzingServer(t)
	echo := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
		c.WriteMessage(websocket.TextMessage, []byte("hello"))
	}})
	defer echo.Close()
	tests := []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-url", nobody}, 1, "asking for the number of cases: dial tcp"},
		{[]string{"-url", echo.URL}, 1, "no fuzzing server"},
		{[]string{"-url", url, "-cases", "4"}, 1, "the server has 3"},
		{[]string{"-url", url, "-cases", "4-3"}, 2, "ends before it starts"},
		{[]string{"-url", "localhost"}, 2, "-url localhost"},
		{[]string{"-url", ":"}, 2, "-url :"},
		{[]string{"-url", url, "1"}, 2, `unexpected argument "1"`},
		{[]string{"-case", "1"}, 2, "flag provided but not defined"},
	}
	for _, tt := range tests {
		var stdout, stderr bytes.Buffer
		if status := run(tt.args, &stdout, &stderr); status != tt.status || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: status %d, %q, want %d and %q", tt.args, status, &stderr, tt.status, tt.want)
		}
	}
}
