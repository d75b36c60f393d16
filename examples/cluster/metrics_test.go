package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// startAlone starts a node with a broker of its own, in this process, and returns its address.
func startAlone(t *testing.T) (address string) {
	t.Helper()
	cfg, _, _, err := parseFlags([]string{"-name", "alone"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{config: cfg, metrics: m}
	n.ws = n.newServer()
	b, err := startBroker(cfg.broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ts := httptest.NewServer(n.routes())
	t.Cleanup(ts.Close)
	t.Cleanup(func() { n.ws.Close() })
	if err := n.start(ctx, ctx, b); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(ts.URL, "http://")
}

// ask sends requests, and reads up to an answer of a type.
func ask(t *testing.T, c *websocket.Conn, until string, requests ...string) {
	t.Helper()
	for _, req := range requests {
		if err := c.WriteMessage(websocket.TextMessage, []byte(req)); err != nil {
			t.Fatal(err)
		}
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("waiting for %s: %v", until, err)
		}
		var a answer
		if json.Unmarshal(p, &a); a.Type == until {
			return
		}
	}
}

func metricsPage(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return string(page)
}

// Prometheus finds connections, topics and the hub's counts at /metrics.
func TestMetrics(t *testing.T) {
	address := startAlone(t)
	c, _, err := new(websocket.Dialer).Dial("ws://"+address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, "ack", `{"type":"hello","name":"Ann","client":"0123456789abcdef"}`, `{"type":"join","room":"tea"}`,
		`{"type":"say","room":"tea","id":"1","text":"hello"}`)
	want := []string{
		"\nwebsocket_server_active_connections 1\n",
		"\nwebsocket_server_handshakes_total 1\n",
		"\nwebsocket_server_messages_total{network_io_direction=\"receive\",websocket_message_type=\"text\"} 3\n",
		"\nwebsocket_pubsub_members 1\n",
		"\nwebsocket_pubsub_topics 1\n",
		"\ncluster_events_total 1\n",
		"\ncluster_repaired_total 0\n",
		"\ncluster_resets_total 0\n",
		"\ncluster_leader ", // 1 in a cluster only
		"\ngo_goroutines ",
	}
	var page string
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		page = metricsPage(t, address)
		if !lacks(page, want...) || time.Now().After(deadline) { // the event may come after the ack
			break
		}
	}
	for _, line := range want {
		if lacks(page, line) {
			t.Errorf("the page has no %q", line)
		}
	}
	if t.Failed() {
		t.Log(page[strings.Index(page, "# HELP websocket"):])
	}
}

// The queries in docs/metrics.md ask for figures that are on the page.
func TestMetricsQueries(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\b(cluster|process)_[a-z_]+`).FindAllString(string(doc), -1)
	if len(names) < 5 {
		t.Errorf("found only %q", names)
	}
	page := metricsPage(t, startAlone(t))
	for _, name := range names {
		if lacks(page, "\n"+name+" ") {
			t.Errorf("the page has no %s", name)
		}
	}
}

func lacks(page string, lines ...string) bool {
	for _, line := range lines {
		if !strings.Contains(page, line) {
			return true
		}
	}
	return false
}
