package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A jarEndsOddly is a cookie jar whose methods end oddly.
type jarEndsOddly struct {
	http.CookieJar
	set, get func()
}

func (j jarEndsOddly) SetCookies(*url.URL, []*http.Cookie) { j.set() }
func (j jarEndsOddly) Cookies(*url.URL) (c []*http.Cookie) { j.get(); return nil }

// dialCode lists the places at which Dial runs the application's code. Each function sets one of
// them up to end oddly.
var dialCode = []struct {
	name string
	url  string
	set  func(d *Dialer, trace *httptrace.ClientTrace, end func())
}{
	{"Proxy", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.Proxy = func(*http.Request) (*url.URL, error) { end(); return nil, nil }
	}},
	{"NetDial", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.NetDial = func(string, string) (net.Conn, error) { end(); return nil, nil }
	}},
	{"NetDialContext", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { end(); return nil, nil }
	}},
	{"NetDialTLSContext", "wss://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.NetDialTLSContext = func(context.Context, string, string) (net.Conn, error) { end(); return nil, nil }
	}},
	{"VerifyConnection", "wss://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.TLSClientConfig.VerifyConnection = func(tls.ConnectionState) error { end(); return nil }
	}},
	{"Cookies", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.Jar = jarEndsOddly{get: end, set: func() {}}
	}},
	{"SetCookies", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.Jar = jarEndsOddly{set: end, get: func() {}}
	}},
	{"Trace, agreed", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.Trace = &Trace{Handshake: func(*Conn, *http.Request, []byte, error) { end() }}
	}},
	{"Trace, refused", "ws://a/refuse", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		d.Trace = &Trace{Handshake: func(*Conn, *http.Request, []byte, error) { end() }}
	}},
	{"transport's Read", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		dial := d.NetDial
		d.NetDial = func(network, addr string) (net.Conn, error) {
			nc, err := dial(network, addr)
			return connEndsOddly{Conn: nc, read: end}, err
		}
	}},
	{"transport's Write to a proxy", "ws://a/", func(d *Dialer, _ *httptrace.ClientTrace, end func()) {
		dial := d.NetDial
		d.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"})
		d.NetDial = func(network, addr string) (net.Conn, error) {
			nc, err := dial(network, addr)
			return connEndsOddly{Conn: nc, write: end}, err
		}
	}},
	{"GetConn", "ws://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) { t.GetConn = func(string) { end() } }},
	{"GotConn", "ws://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) {
		t.GotConn = func(httptrace.GotConnInfo) { end() }
	}},
	{"TLSHandshakeStart", "wss://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) { t.TLSHandshakeStart = end }},
	{"TLSHandshakeDone", "wss://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) {
		t.TLSHandshakeDone = func(tls.ConnectionState, error) { end() }
	}},
	{"WroteHeaders", "ws://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) { t.WroteHeaders = end }},
	{"WroteRequest", "ws://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) {
		t.WroteRequest = func(httptrace.WroteRequestInfo) { end() }
	}},
	{"GotFirstResponseByte", "ws://a/", func(_ *Dialer, t *httptrace.ClientTrace, end func()) { t.GotFirstResponseByte = end }},
	{"Got1xxResponse", "ws://a/early", func(_ *Dialer, t *httptrace.ClientTrace, end func()) {
		t.Got1xxResponse = func(int, textproto.MIMEHeader) error { end(); return nil }
	}},
}

// If the application's code panics or ends the goroutine while Dial runs, Dial does the same to its
// caller. It leaves no transport and no goroutine behind.
func TestDialThatEndsOddly(t *testing.T) {
	for _, tt := range dialCode {
		for name, end := range oddEnds {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var open atomic.Int32 // transports
					d := &Dialer{HandshakeTimeout: -1, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
					d.NetDial = func(string, string) (net.Conn, error) {
						s, c := net.Pipe()
						open.Add(1)
						go func() {
							answerDial(s)
							open.Add(-1)
						}()
						return c, nil
					}
					var trace httptrace.ClientTrace
					tt.set(d, &trace, end)
					ended := make(chan any, 1)
					go func() {
						returned := false
						defer func() {
							if v := recover(); v != nil || !returned {
								ended <- v
							} else {
								ended <- "Dial returned"
							}
						}()
						d.DialContext(httptrace.WithClientTrace(context.Background(), &trace), tt.url, nil)
						returned = true
					}()
					want := map[string]any{"panic": "oh no", "Goexit": nil}[name]
					if got := <-ended; got != want {
						t.Errorf("Dial's goroutine ended with %v, want %v", got, want)
					}
					synctest.Wait()
					if n := open.Load(); n != 0 {
						t.Errorf("%d transports are left open", n)
					}
				})
			})
		}
	}
}

// answerDial is a server for TestDialThatEndsOddly. It returns when the client has closed its end.
func answerDial(nc net.Conn) {
	defer nc.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(nc, first); err != nil {
		return
	}
	nc = &peekedConn{Conn: nc, first: first}
	if first[0] == 0x16 {
		nc = tls.Server(nc, testTLS())
	}
	c := newConn(nc, false)
	n, err := c.readHeader(bufferSize)
	if err != nil {
		return
	}
	r, _ := parseRequest(c.in.unread[:n])
	switch r.URL.Path {
	case "/refuse":
		io.WriteString(nc, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
	case "/early":
		io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\n\r\n")
		fallthrough
	default:
		nc.Write(appendSwitching(nil, r.Header.Get("Sec-Websocket-Key"), "", "", http.Header{"Set-Cookie": {"a=1"}}))
	}
	io.Copy(io.Discard, nc)
}

// A peekedConn is a connection of which some bytes were read before. It returns these first.
type peekedConn struct {
	net.Conn
	first []byte
}

func (c *peekedConn) Read(p []byte) (int, error) {
	if n := copy(p, c.first); n > 0 {
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// A dial function that returns too late does no harm, even if it returns nothing, panics, or calls
// Goexit.
func TestDialLateAndOdd(t *testing.T) {
	for name, late := range map[string]func() (net.Conn, error){
		"nothing": func() (net.Conn, error) { return nil, nil },
		"panic":   func() (net.Conn, error) { panic("oh no") },
		"Goexit":  func() (net.Conn, error) { oddEnds["Goexit"](); return nil, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := Dialer{HandshakeTimeout: time.Second, NetDial: func(string, string) (net.Conn, error) {
				time.Sleep(time.Minute)
				return late()
			}}
			if _, _, err := d.Dial("ws://a/", nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
			time.Sleep(time.Hour)
		})
	}
}
