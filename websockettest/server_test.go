package websockettest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/websockettest"
)

func echo(c *websocket.Conn, _ *http.Request) {
	for m := range c.Messages() {
		c.WriteMessage(m.Type, m.Data)
	}
}

// TestMain checks that the tests left no goroutine and no connection behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	if runtime.GOOS == "js" {
		before++ // the runtime's own, which handles events
	}
	code := m.Run()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "leak: %d goroutines before the tests, now\n%s", before, buf[:runtime.Stack(buf, true)])
	os.Exit(1)
}

// upgrading returns a mux with an Upgrader in one of its handlers.
func upgrading(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		echo(c, r)
	})
	return mux
}

// Every kind of handler echoes to several clients, in a bubble and without one. Close ends them all
// and takes no time.
func TestServer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.Handler
		path    string
	}{
		{"Server", &websocket.Server{Handler: echo}, ""},
		{"Upgrader in a mux", upgrading(t), "/echo?x=1"},
	} {
		test := func(t *testing.T) {
			srv := websockettest.NewServer(tt.handler)
			defer srv.Close()
			a, b := srv.Dial(t, tt.path), srv.Dial(t, tt.path)
			for _, c := range []*websocket.Conn{a, b} {
				c.WriteMessage(websocket.TextMessage, []byte("hello"))
				if _, p, err := c.ReadMessage(); string(p) != "hello" || err != nil {
					t.Errorf("echo of %q, %v", p, err)
				}
			}
			if a.LocalAddr().String() == b.LocalAddr().String() {
				t.Errorf("two clients at %v", a.LocalAddr())
			}
			start := time.Now()
			srv.Close()
			if d := time.Since(start); d > 4*time.Second {
				t.Errorf("Close took %v", d)
			}
			if _, _, err := a.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) {
				t.Errorf("after Close the client read %v, want code 1006", err)
			}
			if _, _, err := srv.Dialer().Dial(srv.URL, nil); err == nil || !strings.Contains(err.Error(), "Server is closed") {
				t.Errorf("Dial after Close: %v", err)
			}
		}
		t.Run(tt.name, test)
		t.Run(tt.name+" in a bubble", func(t *testing.T) { synctest.Test(t, test) })
	}
}

// A connection that Dial opened ends with its test.
func TestServerDialCleanup(t *testing.T) {
	ended := make(chan error, 1)
	srv := websockettest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
		_, _, err := c.ReadMessage()
		ended <- err
	}})
	defer srv.Close()
	t.Run("", func(t *testing.T) { srv.Dial(t, "") })
	if err := <-ended; !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) {
		t.Errorf("the handler read %v, want code 1006", err)
	}
}

// Close returns after the handlers have.
func TestServerCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tidied := make(chan string, 3)
		tidyUp := func(c *websocket.Conn, r *http.Request) {
			c.ReadMessage()
			time.Sleep(time.Second)
			tidied <- r.URL.Path
		}
		mux := http.NewServeMux()
		mux.Handle("/server", &websocket.Server{Handler: tidyUp})
		mux.HandleFunc("/upgrader", func(w http.ResponseWriter, r *http.Request) {
			c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			tidyUp(c, r)
			c.Close()
			time.Sleep(time.Second)
			tidied <- "/upgrader, later"
		})
		srv := websockettest.NewServer(mux)
		srv.Dial(t, "/server")
		srv.Dial(t, "/upgrader")
		srv.Close()
		if len(tidied) != 3 {
			t.Errorf("Close returned when %d of 3 were done", len(tidied))
		}
	})
}

// A connection that its handler forgot is reported. Close does not wait for it without end.
func TestServerCloseReports(t *testing.T) {
	var logged strings.Builder
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		srv := websockettest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := new(websocket.Upgrader).Upgrade(w, r, nil); err != nil {
				t.Error(err)
			}
		}))
		srv.Dial(t, "/")
		start := time.Now()
		srv.Close()
		if d := time.Since(start); d != 5*time.Second || !strings.Contains(logged.String(), "0 calls of handlers and 1 connections") {
			t.Errorf("Close took %v and logged %q", d, logged.String())
		}
	})
}

// The settings of a Dialer and of an Upgrader take effect together, and plain HTTP passes through
// the same Dialer.
func TestServerSettings(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/ws", &websocket.Server{
		Upgrader: websocket.Upgrader{Subprotocols: []string{"v2", "v1"}, Compression: &websocket.Compression{}},
		Handler: func(c *websocket.Conn, r *http.Request) {
			host, port, err := net.SplitHostPort(r.RemoteAddr)
			c.WriteJSON([]any{r.Host, r.Header.Get("X"), host, port != "", err})
		},
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the page") })
	srv := websockettest.NewServer(mux)
	defer srv.Close()

	d := srv.Dialer()
	d.Subprotocols, d.Compression = []string{"v1"}, &websocket.Compression{}
	c, resp, err := d.Dial("ws://any.example:81/ws", http.Header{"X": {"y"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, p, err := c.ReadMessage(); string(p) != `["any.example:81","y","192.0.2.1",true,null]`+"\n" || err != nil {
		t.Errorf("the handler saw %s, %v", p, err)
	}
	if c.Subprotocol() != "v1" || resp.Header["Sec-Websocket-Extensions"] == nil {
		t.Errorf("subprotocol %q, response %v", c.Subprotocol(), resp.Header)
	}

	client := &http.Client{Transport: &http.Transport{DialContext: d.NetDialContext, DisableKeepAlives: true}}
	page, err := client.Get("http://any.example/page")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if b, _ := io.ReadAll(page.Body); string(b) != "the page" {
		t.Errorf("over HTTP: %q", b)
	}
}

// failing is a testing.TB that notes how it fails.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// A refusal fails the test with the server's words.
func TestServerDialRefused(t *testing.T) {
	refusing := websockettest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not at this hour", http.StatusServiceUnavailable)
	}))
	defer refusing.Close()
	closed := websockettest.NewServer(http.NotFoundHandler())
	closed.Close()
	for server, want := range map[*websockettest.Server]string{
		refusing: "/x: websocket: bad handshake: 503 Service Unavailable: not at this hour", closed: "Server is closed",
	} {
		f := &failing{TB: t}
		done := make(chan bool)
		go func() {
			defer close(done)
			server.Dial(f, "/x")
		}()
		if <-done; !strings.Contains(f.message, want) {
			t.Errorf("Dial: %q, want %q", f.message, want)
		}
	}
}

// Keepalive of either side works in fake time. A peer that is there answers. A peer that stops
// reading is given up.
func TestKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := websockettest.NewServer(&websocket.Server{
			Upgrader: websocket.Upgrader{PingInterval: time.Minute, PongTimeout: time.Minute},
			Handler: func(c *websocket.Conn, r *http.Request) {
				_, _, err := c.ReadMessage()
				ended <- err
			},
		})
		defer srv.Close()
		c := srv.Dial(t, "")
		pings := 0
		c.SetPingHandler(func(data string) error {
			pings++
			return c.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		c.ReadMessageContext(ctx) // answers pings
		if pings < 50 || len(ended) != 0 {
			t.Errorf("%d pings in an hour, and %d ends", pings, len(ended))
		}
		start := time.Now() // the client stops reading here
		if err := <-ended; err != websocket.ErrPongTimeout || time.Since(start) > 3*time.Minute {
			t.Errorf("the server gave up with %v after %v", err, time.Since(start))
		}
	})
}

// A Dial is interrupted while the server's handler still works on the answer.
func TestServerSlowHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := websockettest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		defer srv.Close()
		start := time.Now()
		_, _, err := srv.Dialer().Dial(srv.URL, nil)
		if nerr, ok := err.(net.Error); !ok || !nerr.Timeout() || time.Since(start) != 10*time.Second {
			t.Errorf("Dial: %v after %v", err, time.Since(start))
		}
	})
}
