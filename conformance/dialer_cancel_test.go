package conformance

// This file tests a Dialer that is interrupted. At every step it returns at once, gives the reason,
// and leaves nothing behind. A bubble of testing/synctest ends only when all its goroutines have
// ended. A transport that the Dialer forgot to close would leave the goroutine at its other end
// waiting.

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// dialSteps are the steps of a Dial, each with a server that stops there.
func dialSteps(server *tls.Config) []dialStep {
	tunnel := answers("HTTP/1.1 200 OK\r\n\r\n")
	return []dialStep{
		{name: "request", url: "ws://example.com/", serve: serveSteps(deaf)},
		{name: "response", url: "ws://example.com/", serve: serveSteps()},
		{name: "half a response", url: "ws://example.com/", serve: serveSteps(answers("HTTP/1.1 101 Swi"))},
		{name: "a response before the response", url: "ws://example.com/", serve: serveSteps(answers("HTTP/1.1 103 Early Hints\r\n\r\n"))},
		{name: "TLS handshake", url: "wss://example.com/", serve: serveSteps()},
		{name: "TLS handshake, deaf", url: "wss://example.com/", serve: serveSteps(deaf)},
		{name: "half a TLS handshake", url: "wss://example.com/", serve: serveSteps(says(0, "\x16\x03\x03\x00\x7a\x02"))},
		{name: "response over TLS", url: "wss://example.com/", serve: serveSteps(startsTLS(server))},
		{name: "request over TLS, deaf", url: "wss://example.com/", serve: serveSteps(startsTLS(server), func(nc net.Conn) net.Conn {
			return deaf(nc.(*tls.Conn).NetConn())
		})},
		{name: "CONNECT, deaf", url: "ws://example.com/", proxy: "http://proxy.example", serve: serveSteps(deaf)},
		{name: "CONNECT", url: "ws://example.com/", proxy: "http://proxy.example", serve: serveSteps()},
		{name: "half an answer to CONNECT", url: "ws://example.com/", proxy: "http://proxy.example", serve: serveSteps(answers("HTTP/1.1 200 OK\r\n"))},
		{name: "response behind a proxy", url: "ws://example.com/", proxy: "http://proxy.example", serve: serveSteps(tunnel)},
		{name: "TLS behind a proxy", url: "wss://example.com/", proxy: "http://proxy.example", serve: serveSteps(tunnel)},
		{name: "TLS to a proxy", url: "ws://example.com/", proxy: "https://example.com", serve: serveSteps()},
		{name: "CONNECT over TLS", url: "ws://example.com/", proxy: "https://example.com", serve: serveSteps(startsTLS(server))},
		{name: "TLS behind TLS to a proxy", url: "wss://example.com/", proxy: "https://example.com", serve: serveSteps(startsTLS(server), tunnel)},
		{name: "SOCKS, deaf", url: "ws://example.com/", proxy: "socks5://proxy.example", serve: serveSteps(deaf)},
		{name: "SOCKS methods", url: "ws://example.com/", proxy: "socks5://proxy.example", serve: serveSteps()},
		{name: "SOCKS password", url: "ws://example.com/", proxy: "socks5://u:p@proxy.example", serve: serveSteps(says(4, "\x05\x02"))},
		{name: "SOCKS reply", url: "ws://example.com/", proxy: "socks5://proxy.example", serve: serveSteps(says(3, "\x05\x00"))},
		{name: "half a SOCKS reply", url: "ws://example.com/", proxy: "socks5://proxy.example", serve: serveSteps(says(3, "\x05\x00"), says(18, "\x05\x00\x00\x01\x00"))},
		{name: "TLS behind SOCKS", url: "wss://example.com/", proxy: "socks5://proxy.example", serve: serveSteps(says(3, "\x05\x00"), says(18, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x50"))},
		{name: "dial", url: "ws://example.com/", dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }},
		{name: "dial to a proxy", url: "ws://example.com/", proxy: "https://proxy.example", dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, errors.New("no luck")
		}},
	}
}

type dialStep struct {
	name, url, proxy string
	serve            func(net.Conn)
	dial             dialFunc // nil: over a pipe to serve
}

func (s dialStep) dialer(config *tls.Config) *websocket.Dialer {
	d := &websocket.Dialer{NetDialContext: s.dial, TLSClientConfig: config}
	if s.dial == nil {
		d.NetDialContext = overPipe(s.serve)
	}
	if s.proxy != "" {
		d.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(s.proxy) }
	}
	return d
}

// checkTimeout returns a fault that it finds in err, the error of a HandshakeTimeout or of a
// context's deadline, or "".
func checkTimeout(err error) string {
	nerr, ok := errors.AsType[net.Error](err)
	switch {
	case !ok || !nerr.Timeout():
		return "is no net.Error with Timeout"
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return "is not os.ErrDeadlineExceeded"
	case !errors.Is(err, context.DeadlineExceeded):
		return "is not context.DeadlineExceeded"
	}
	return ""
}

func TestDialInterrupted(t *testing.T) {
	const patience = 3 * time.Second
	server, client := testTLS(t, "example.com")
	for _, step := range dialSteps(server) {
		for _, way := range []string{"cancel", "deadline", "HandshakeTimeout"} {
			t.Run(step.name+"/"+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, ctx := step.dialer(client), t.Context()
					switch way {
					case "cancel":
						c, cancel := context.WithCancel(ctx)
						time.AfterFunc(patience, cancel)
						ctx = c
					case "deadline":
						c, cancel := context.WithTimeout(ctx, patience)
						defer cancel()
						ctx = c
					default:
						d.HandshakeTimeout = patience
					}
					start := time.Now()
					c, resp, err := d.DialContext(ctx, step.url, nil)
					if c != nil || resp != nil || err == nil || time.Since(start) != patience {
						t.Errorf("Dial: %v, %v, %v after %v, want an error after %v", c, resp, err, time.Since(start), patience)
					}
					if way == "cancel" && !errors.Is(err, context.Canceled) {
						t.Errorf("error %v, want context.Canceled", err)
					}
					if wrong := checkTimeout(err); way != "cancel" && wrong != "" {
						t.Errorf("error %v %s", err, wrong)
					}
				})
			})
		}
	}
}

// A server that sends a byte a second has as long as HandshakeTimeout, like any other. Without one,
// Dial waits for it.
func TestDialTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trickle := overPipe(func(nc net.Conn) {
			r, err := http.ReadRequest(bufio.NewReader(nc))
			for i, answer := 0, fillIn(agreed, r)+"\x81\x02hi"; i < len(answer) && err == nil; i++ {
				time.Sleep(time.Second)
				_, err = io.WriteString(nc, answer[i:i+1])
			}
		})
		start := time.Now()
		d := &websocket.Dialer{NetDialContext: trickle}
		_, resp, err := d.Dial("ws://example.com/", nil)
		if checkTimeout(err) != "" || resp != nil || time.Since(start) != 10*time.Second {
			t.Errorf("Dial: %v, %v after %v, want a timeout after 10 s", resp, err, time.Since(start))
		}
		d.HandshakeTimeout = -1
		c, _, err := d.Dial("ws://example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, p, err := c.ReadMessage(); string(p) != "hi" || err != nil {
			t.Errorf("read %q, %v", p, err)
		}
	})
}

// A peer that stops reading cannot even delay the close alert that TLS sends. Here the time is
// over, or the server has refused.
func TestDialNoGoodbye(t *testing.T) {
	server, client := testTLS(t, "example.com")
	sleeps := func(net.Conn) net.Conn { time.Sleep(time.Hour); return nil }
	tunnel, refusal := answers("HTTP/1.1 200 OK\r\n\r\n"), answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
	takesHello := func(nc net.Conn) net.Conn {
		_, err := io.CopyN(io.Discard, nc, 1400) // most of the request, which has some 1,500 bytes
		if err != nil {
			return nil
		}
		return nc
	}
	for _, tt := range []struct {
		step  dialStep
		after time.Duration
		err   string
	}{
		{dialStep{name: "TLS behind TLS to a proxy", url: "wss://example.com/", proxy: "https://example.com", serve: serveSteps(startsTLS(server), tunnel, takesHello, sleeps)}, 3 * time.Second, "timeout"},
		{dialStep{name: "response behind TLS behind TLS", url: "wss://example.com/", proxy: "https://example.com", serve: serveSteps(startsTLS(server), tunnel, startsTLS(server), answers(""), sleeps)}, 3 * time.Second, "timeout"},
		{dialStep{name: "response over TLS", url: "wss://example.com/", serve: serveSteps(startsTLS(server), answers(""), sleeps)}, 3 * time.Second, "timeout"},
		{dialStep{name: "refusal over TLS", url: "wss://example.com/", serve: serveSteps(startsTLS(server), refusal, sleeps)}, 0, "bad handshake"},
		{dialStep{name: "refusal by a proxy", url: "ws://example.com/", proxy: "https://example.com", serve: serveSteps(startsTLS(server), refusal, sleeps)}, 0, "403"},
	} {
		t.Run(tt.step.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := tt.step.dialer(client)
				d.HandshakeTimeout = 3 * time.Second
				start := time.Now()
				if _, _, err := d.Dial(tt.step.url, nil); err == nil || !strings.Contains(err.Error(), tt.err) || time.Since(start) != tt.after {
					t.Errorf("Dial: %v after %v, want an error with %q after %v", err, time.Since(start), tt.err, tt.after)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// A transport that failed is closed. Only then do these servers end, because they wait for it, and
// their bubbles with them.
func TestDialClosesWhatFailed(t *testing.T) {
	server, client := testTLS(t, "other.example")
	for _, step := range []dialStep{
		{name: "a malformed response", url: "ws://example.com/", serve: serveSteps(answers("220 mail.example\r\n\r\n"))},
		{name: "a refusal", url: "ws://example.com/", serve: serveSteps(answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))},
		{name: "another key's acceptance", url: "ws://example.com/", serve: serveSteps(answers(strings.ReplaceAll(agreed, "\n", "\r\n")))},
		{name: "another name's certificate", url: "wss://example.com/", serve: serveSteps(startsTLS(server))},
		{name: "a refusal over TLS", url: "wss://other.example/", serve: serveSteps(startsTLS(server), answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))},
		{name: "a proxy's refusal", url: "ws://example.com/", proxy: "http://proxy.example", serve: serveSteps(answers("HTTP/1.1 407 Who\r\n\r\n"))},
		{name: "a malformed answer to CONNECT", url: "ws://example.com/", proxy: "http://proxy.example", serve: serveSteps(answers("x\r\n\r\n"))},
		{name: "an https proxy of another name", url: "ws://example.com/", proxy: "https://proxy.example", serve: serveSteps(startsTLS(server))},
		{name: "an https proxy's refusal", url: "ws://example.com/", proxy: "https://other.example", serve: serveSteps(startsTLS(server), answers("HTTP/1.1 407 Who\r\n\r\n"))},
		{name: "another name's certificate behind a proxy", url: "wss://example.com/", proxy: "http://proxy.example", serve: serveSteps(answers("HTTP/1.1 200 OK\r\n\r\n"), startsTLS(server))},
		{name: "no SOCKS", url: "ws://example.com/", proxy: "socks5://proxy.example", serve: serveSteps(says(3, "\x04\x00"))},
		{name: "refused by SOCKS", url: "ws://example.com/", proxy: "socks5://proxy.example", serve: serveSteps(says(3, "\x05\x00"), says(18, "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"))},
	} {
		t.Run(step.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				if c, _, err := step.dialer(client).Dial(step.url, nil); c != nil || err == nil || isTimeout(err) || time.Since(start) != 0 {
					t.Errorf("Dial: %v, %v after %v", c, err, time.Since(start))
				}
			})
		})
	}
}

// The look-up of a name, which cannot be done in a bubble.
func TestDialInterruptedInLookup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel() // now that the name server is to be asked
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	d := &websocket.Dialer{NetDialContext: (&net.Dialer{Resolver: resolver}).DialContext}
	if c, _, err := d.DialContext(ctx, "ws://name.invalid/", nil); c != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v, %v", c, err)
	}
}

// A NetDial function without a context cannot be interrupted. A connection that it returns too late
// is closed.
func TestDialNetDialIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		d := &websocket.Dialer{HandshakeTimeout: time.Second, NetDial: func(network, addr string) (net.Conn, error) {
			time.Sleep(time.Hour)
			return overPipe(func(nc net.Conn) { io.Copy(io.Discard, nc); ended <- time.Now() })(t.Context(), network, addr)
		}}
		start := time.Now()
		if _, _, err := d.Dial("ws://example.com/", nil); checkTimeout(err) != "" || time.Since(start) != time.Second {
			t.Errorf("Dial: %v after %v", err, time.Since(start))
		}
		if end := <-ended; end.Sub(start) != time.Hour {
			t.Errorf("the connection of NetDial was closed after %v", end.Sub(start))
		}
		d.NetDial = func(string, string) (net.Conn, error) { time.Sleep(time.Hour); return nil, io.EOF } // brings nothing
		if _, _, err := d.Dial("ws://example.com/", nil); checkTimeout(err) != "" {
			t.Errorf("Dial: %v", err)
		}
		time.Sleep(time.Hour)
	})
}

// A server's refusal is a better error than the end of the time in which its body came.
func TestDialInterruptedInBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &websocket.Dialer{HandshakeTimeout: 500 * time.Millisecond}
		d.NetDialContext = overPipe(serveSteps(answers("HTTP/1.1 503 Busy\r\n\r\nbusy")))
		start := time.Now()
		_, resp, err := d.Dial("ws://example.com/", nil)
		if err != websocket.ErrBadHandshake || resp == nil || time.Since(start) != 500*time.Millisecond {
			t.Fatalf("Dial: %v, %v after %v", resp, err, time.Since(start))
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "busy" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
	})
}

// A context that ended before Dial opens nothing that stays. A context that ends after Dial does
// the connection no harm.
func TestDialContextBeforeAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &websocket.Dialer{NetDialContext: overPipe(func(nc net.Conn) {
			answering(agreed)(nc)
			io.Copy(nc, nc)
		})}
		ctx, cancel := context.WithCancel(t.Context())
		c, _, err := d.DialContext(ctx, "ws://example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Hour) // HandshakeTimeout, too, is over
		go c.WriteMessage(websocket.TextMessage, []byte("back, please"))
		// ^An echo of the client's bytes is a masked frame, which no client takes.
		if _, _, err := c.ReadMessage(); err == nil || !strings.Contains(err.Error(), "mask") {
			t.Errorf("read: %v", err)
		}
		c.Close()
		if c, _, err := d.DialContext(ctx, "ws://example.com/", nil); c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Dial with a context that has ended: %v, %v", c, err)
		}
	})
}

// Contexts that end at any time, over real sockets: there is a connection that works, or none.
func TestDialInterruptedAnytime(t *testing.T) {
	server, client := testTLS(t, "127.0.0.1")
	server.NextProtos = []string{"http/1.1"}
	srv := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) { c.WriteMessage(websocket.TextMessage, []byte("hi")) }}
	for scheme, listen := range map[string]func(net.Listener) error{"ws": srv.Serve, "wss": func(l net.Listener) error {
		return srv.Serve(tls.NewListener(l, server))
	}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go listen(l)
		var dials sync.WaitGroup
		d := &websocket.Dialer{TLSClientConfig: client}
		for range 100 {
			dials.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), mathrand.N(20*time.Millisecond))
				defer cancel()
				c, _, err := d.DialContext(ctx, scheme+"://"+l.Addr().String(), nil)
				if err != nil {
					if wrong := checkTimeout(err); wrong != "" {
						t.Errorf("Dial: %v %s", err, wrong)
					}
					return
				}
				defer c.Close()
				if _, p, err := c.ReadMessage(); string(p) != "hi" || err != nil {
					t.Errorf("read %q, %v", p, err)
				}
			})
		}
		dials.Wait()
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
