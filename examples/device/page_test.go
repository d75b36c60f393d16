package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

func TestPageFiles(t *testing.T) {
	_, _, addr, _ := startReal(t, makeTestCerts(t))
	for path, contentType := range map[string]string{
		"/": "text/html", "/style.css": "text/css", "/script.js": "text/javascript", "/icon.svg": "image/svg+xml",
	} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), contentType) {
			t.Errorf("GET %s: %s, Content-Type %q", path, resp.Status, resp.Header.Get("Content-Type"))
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self'") {
			t.Errorf("GET %s: Content-Security-Policy %q", path, got)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// awaitView reads the feed until wanted accepts a view.
func awaitView(t *testing.T, feed *websocket.Conn, what string, wanted func(view) bool) {
	t.Helper()
	feed.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		var v view
		if err := feed.ReadJSON(&v); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if wanted(v) {
			return
		}
	}
}

// The feed shows events as they happen, over real connections.
func TestFeed(t *testing.T) {
	dir := makeTestCerts(t, "kitchen")
	_, devices, addr, _ := startReal(t, dir)
	feed, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	awaitView(t, feed, "no device", func(v view) bool { return len(v.Devices) == 0 && len(v.Events) == 0 })

	config, err := deviceTLS(dir, "kitchen")
	if err != nil {
		t.Fatal(err)
	}
	d := websocket.Dialer{TLSClientConfig: config}
	c, _, err := d.Dial("wss://"+devices+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.WriteJSON(message{Type: "register", Outbox: "o", About: "a thermometer"})
	awaitView(t, feed, "registered", func(v view) bool {
		return len(v.Devices) == 1 && v.Devices[0].Here && v.Devices[0].Name == "kitchen" && v.Devices[0].About == "a thermometer"
	})
	c.WriteJSON(message{Type: "report", Report: &report{Seq: 1, Celsius: 21.5}})
	c.WriteJSON(message{Type: "report", Report: &report{Seq: 1, Celsius: 21.5}})
	awaitView(t, feed, "reported", func(v view) bool {
		d := v.Devices[0]
		return d.Reports == 1 && d.Duplicates == 1 && len(d.Recent) == 1 && d.Recent[0].Celsius == 21.5
	})
	c.Close() // without a goodbye
	awaitView(t, feed, "lost", func(v view) bool {
		last := v.Events[len(v.Events)-1]
		return !v.Devices[0].Here && v.Devices[0].Why == "lost" && last.Device == "kitchen" && last.Text == "lost"
	})
}

// Pages of other origins do not get to see the devices.
func TestFeedIsNotForOtherOrigins(t *testing.T) {
	_, _, addr, _ := startReal(t, makeTestCerts(t))
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+addr+"/live", http.Header{"Origin": {"https://evil.example"}})
	if err != websocket.ErrBadHandshake || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v, %+v", err, resp)
	}
}
