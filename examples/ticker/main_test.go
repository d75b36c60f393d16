package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// start runs the program on a free port until the test's end.
func start(t *testing.T, m *market) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func dial(t *testing.T, addr string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c
}

// A member gets the prices of each symbol in order, from the snapshot on.
func TestPrices(t *testing.T) {
	addr := start(t, newMarket(5, 500))
	dial(t, addr) // the market is open when the next one comes
	c := dial(t, addr)
	var s snapshot
	if err := c.ReadJSON(&s); err != nil || len(s.Prices) != 5 {
		t.Fatalf("%+v, %v", s, err)
	}
	seqs := make(map[string]int)
	for _, p := range s.Prices {
		seqs[p.Symbol] = p.Seq
	}
	for range 500 {
		var p price
		if err := c.ReadJSON(&p); err != nil {
			t.Fatal(err)
		}
		if p.Seq <= seqs[p.Symbol] {
			t.Fatalf("%+v comes behind number %d", p, seqs[p.Symbol])
		}
		seqs[p.Symbol] = p.Seq
	}
}

// The market is open while somebody listens.
func TestMarketIsOpenForMembers(t *testing.T) {
	m := newMarket(5, 1000)
	addr := start(t, m)
	published := func() int64 { return m.topics.Stats().Published }
	c := dial(t, addr)
	for range 10 {
		if _, _, err := c.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	for m.topics.Len(topic) > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	before := published()
	if before == 0 {
		t.Error("nothing was published")
	}
	time.Sleep(100 * time.Millisecond)
	if after := published(); after != before {
		t.Errorf("%d prices for nobody", after-before)
	}
}

// A member that does not read for a while gets the newest price of each symbol, and loses nothing
// else.
func TestSlowMember(t *testing.T) {
	m := newMarket(3, 1)
	addr := start(t, m)
	c, _, err := dialer.Dial("ws://"+addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for m.topics.Len(topic) == 0 {
		time.Sleep(time.Millisecond)
	}
	const n = 30_000
	for i := range n {
		m.change(i % 3)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	got, last := 0, make(map[string]int)
	for last[symbolName(0)] < n/3 || last[symbolName(1)] < n/3 || last[symbolName(2)] < n/3 {
		_, data, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var p price
		json.Unmarshal(data, &p)
		if p.Seq < last[p.Symbol] {
			t.Fatalf("%+v comes behind %d", p, last[p.Symbol])
		}
		last[p.Symbol] = p.Seq
		got++
	}
	if s := m.topics.Stats(); got > n/2 || s.Replaced == 0 || s.Dropped != 0 {
		t.Errorf("%d of %d prices came: %+v", got, n, s)
	}
}

func TestLoad(t *testing.T) {
	addr := start(t, newMarket(5, 500))
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	if err := load(ctx, &out, "ws://"+addr+"/ws", 50); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`fast +45 members \(0 closed\) +[1-9]\d+ received/s`, `slow +4 members`, `stuck +1 members`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the report has no %q:\n%s", want, out.Bytes())
		}
	}
}

func TestPage(t *testing.T) {
	addr := start(t, newMarket(1, 1))
	for path, want := range map[string]string{"/": "script.js", "/script.js": "WebSocket", "/style.css": "#prices", "/icon.svg": "<svg"} {
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
	http.DefaultClient.CloseIdleConnections()
}
