package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// The server's side of the opening handshake.
var upgradePrograms = []program{
	{"Upgrade refuses", func(p *probe) {
		for name, edits := range refused {
			upgraded := upgrade(p, &websocket.Upgrader{}, nil, edits...)
			p.see(name+": status", upgraded.resp.StatusCode)
			p.see(name+": error", upgraded.err)
			p.see(name+": body", upgraded.body)
			p.see(name+": version", upgraded.resp.Header["Sec-Websocket-Version"])
			p.see(name+": content type", upgraded.resp.Header["Content-Type"])
		}
	}},
	{"Upgrade refuses, with Error", func(p *probe) {
		for name, edits := range refused {
			u := &websocket.Upgrader{Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
				p.see(name+": Error's status", status)
				p.see(name+": Error's reason", reason)
				http.Error(w, "our own words", http.StatusTeapot)
			}}
			upgraded := upgrade(p, u, nil, edits...)
			p.see(name+": status", upgraded.resp.StatusCode)
			p.see(name+": body", upgraded.body)
			p.see(name+": error", upgraded.err)
		}
	}},
	{"Upgrade accepts", func(p *probe) {
		for name, edits := range accepted {
			upgraded := upgrade(p, &websocket.Upgrader{}, nil, edits...)
			p.see(name+": status", upgraded.resp.StatusCode)
			p.see(name+": error", upgraded.err)
			p.see(name+": header", upgraded.resp.Header)
		}
	}},
	{"the package's Upgrade", func(p *probe) {
		for name, edits := range map[string][]string{"another origin": {"Origin: https://evil.example"}, "no upgrade": {"Upgrade:"}} {
			upgraded := handle(p, func(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
				//lint:ignore SA1019 programs use it
				return websocket.Upgrade(w, r, nil, 1024, 1024)
			}, edits...)
			p.see(name+": status", upgraded.resp.StatusCode)
			p.see(name+": error", upgraded.err)
			p.see(name+": body", upgraded.body)
		}
	}},
	{"CheckOrigin", func(p *probe) {
		for _, origin := range []string{"http://localhost", "https://localhost", "http://LOCALHOST", "http://localhost:80",
			"http://localhost:8080", "http://localhost.evil.example", "https://evil.example", "null", "localhost", "%zz", "http://localhost/path", " "} {
			upgraded := upgrade(p, &websocket.Upgrader{}, nil, "Origin: "+origin)
			p.see(origin, upgraded.resp.StatusCode)
			for _, allow := range []bool{true, false} {
				asked := 0
				upgraded := upgrade(p, &websocket.Upgrader{CheckOrigin: func(r *http.Request) bool {
					asked++
					return allow
				}}, nil, "Origin: "+origin)
				p.see(fmt.Sprint(origin, ", CheckOrigin says ", allow), fmt.Sprint(upgraded.resp.StatusCode, " asked ", asked))
			}
		}
		upgraded := upgrade(p, &websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return false }}, nil)
		p.see("no origin, CheckOrigin says false", upgraded.resp.StatusCode)
	}},
	{"the response's header", func(p *probe) {
		for name, h := range map[string]http.Header{
			"cookies":         {"Set-Cookie": {"a=1", "b=2"}, "X-Own": {"v"}},
			"not canonical":   {"x-lower": {"v"}},
			"line breaks":     {"X-Own": {"a\r\nX-Evil: b"}},
			"a bad name":      {"X Own": {"a"}},
			"an extension":    {"Sec-Websocket-Extensions": {"x"}},
			"an accept":       {"Sec-Websocket-Accept": {"x"}},
			"an empty header": {},
		} {
			upgraded := upgrade(p, &websocket.Upgrader{}, h)
			p.see(name+": status", upgraded.resp.StatusCode)
			p.see(name+": error", upgraded.err)
			if upgraded.err == nil {
				p.see(name+": header", upgraded.resp.Header)
			}
		}
	}},
	{"subprotocols", func(p *probe) {
		for name, c := range map[string]struct {
			own   []string
			extra http.Header
			offer string
		}{
			"none offered":                  {[]string{"a"}, nil, ""},
			"none known":                    {nil, nil, "a, b"},
			"none in common":                {[]string{"c"}, nil, "a, b"},
			"the server's preference":       {[]string{"b", "a"}, nil, "a, b"},
			"an empty list":                 {[]string{}, http.Header{"Sec-Websocket-Protocol": {"a"}}, "a, b"},
			"by the header":                 {nil, http.Header{"Sec-Websocket-Protocol": {"b"}}, "a, b"},
			"by the header, not offered":    {nil, http.Header{"Sec-Websocket-Protocol": {"c"}}, "a, b"},
			"by the header, nothing wanted": {nil, http.Header{"Sec-Websocket-Protocol": {"c"}}, ""},
			"both ways":                     {[]string{"b"}, http.Header{"Sec-Websocket-Protocol": {"a"}}, "a, b"},
			"without spaces":                {[]string{"b"}, nil, "a,b"},
			"another case":                  {[]string{"A"}, nil, "a"},
		} {
			upgraded := upgrade(p, &websocket.Upgrader{Subprotocols: c.own}, c.extra, "Sec-WebSocket-Protocol:"+c.offer)
			p.see(name+": agreed", upgraded.conn.Subprotocol())
			p.see(name+": header", upgraded.resp.Header["Sec-Websocket-Protocol"])
		}
	}},
	{"a message behind the request", func(p *probe) {
		conns, errs := make(chan *websocket.Conn, 1), make(chan error, 1)
		url := p.serve(func(w http.ResponseWriter, r *http.Request) {
			c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
			conns <- c
			errs <- err
		})
		nc, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
		p.must(err)
		defer nc.Close()
		io.WriteString(nc, upgradeRequest("localhost")+string(frame(0x81, "glued")))
		c := <-conns
		err = <-errs
		p.see("error", err)
		if err == nil {
			_, data, err := c.ReadMessage()
			p.see("message", fmt.Sprint(string(data), err))
		}
	}},
	{"writers that cannot be hijacked", func(p *probe) {
		for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
			"hidden":    func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} },
			"failing":   func(w http.ResponseWriter) http.ResponseWriter { return failingHijacker{w} },
			"unwrapped": func(w http.ResponseWriter) http.ResponseWriter { return wrapper{w} },
		} {
			upgraded := handle(p, func(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
				return (&websocket.Upgrader{}).Upgrade(wrap(w), r, nil)
			})
			p.see(name+": status", upgraded.resp.StatusCode)
			p.see(name+": error", upgraded.err)
		}
	}},
	{"a pipe for a connection", func(p *probe) {
		near, far := net.Pipe()
		defer far.Close()
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgradeRequest("localhost"))))
		p.must(err)
		done := start(func() {
			c, err := (&websocket.Upgrader{}).Upgrade(pipeWriter{near}, r, nil)
			p.see("error", err)
			c.WriteMessage(websocket.TextMessage, []byte("hello"))
		})
		far.SetDeadline(time.Now().Add(time.Second))
		p.see("status", strings.SplitN(readHead(far), "\r\n", 2)[0])
		p.see("message", readFrame(far))
		<-done
	}},
	{"buffers", func(p *probe) {
		pool := new(countingPool)
		server, client := p.pairOf(
			&websocket.Upgrader{ReadBufferSize: 16, WriteBufferSize: 16, WriteBufferPool: pool, HandshakeTimeout: time.Second},
			&websocket.Dialer{ReadBufferSize: 16, WriteBufferSize: 16, WriteBufferPool: pool})
		for name, ends := range map[string][2]*websocket.Conn{"to the client": {server, client}, "to the server": {client, server}} {
			ends[0].WriteMessage(websocket.TextMessage, []byte(text(1000)))
			_, data, err := ends[1].ReadMessage()
			p.see(name, fmt.Sprint(string(data) == text(1000), err))
		}
		p.see("the pool is used", pool.gets > 0)
	}},
}

// refused are edits of a good request that make it a bad one.
var refused = map[string][]string{
	"no Connection":        {"Connection:"},
	"another Connection":   {"Connection: keep-alive"},
	"no Upgrade":           {"Upgrade:"},
	"another Upgrade":      {"Upgrade: h2c"},
	"neither":              {"Upgrade:", "Connection:"},
	"POST":                 {"POST / HTTP/1.1", "Content-Length: 0"},
	"no version":           {"Sec-WebSocket-Version:"},
	"version 8":            {"Sec-WebSocket-Version: 8"},
	"no key":               {"Sec-WebSocket-Key:"},
	"a short key":          {"Sec-WebSocket-Key: c2hvcnQ="},
	"a key without base64": {"Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="},
	"another origin":       {"Origin: https://evil.example"},
}

// accepted are edits that leave it a good one.
var accepted = map[string][]string{
	"as it is":              {"Host: localhost"},
	"more in Connection":    {"Connection: keep-alive, Upgrade"},
	"Connection's case":     {"Connection: UPGRADE"},
	"Upgrade's case":        {"Upgrade: WebSocket"},
	"more in Upgrade":       {"Upgrade: h2c, websocket"},
	"two versions":          {"Sec-WebSocket-Version: 8, 13"},
	"its own origin":        {"Origin: http://localhost"},
	"an extension":          {"Sec-WebSocket-Extensions: permessage-deflate"},
	"a malformed extension": {"Sec-WebSocket-Extensions: ,;=\""},
	"HTTP/1.0":              {"GET / HTTP/1.0"},
}

// upgraded holds the results of an upgrade, on both sides.
type upgraded struct {
	conn *websocket.Conn
	err  error
	resp *http.Response
	body string
}

// upgrade sends a request with edits to u.
func upgrade(p *probe, u *websocket.Upgrader, extra http.Header, edits ...string) upgraded {
	return handle(p, func(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
		return u.Upgrade(w, r, extra)
	}, edits...)
}

func handle(p *probe, f func(http.ResponseWriter, *http.Request) (*websocket.Conn, error), edits ...string) (u upgraded) {
	done := make(chan bool)
	url := p.serve(func(w http.ResponseWriter, r *http.Request) {
		u.conn, u.err = f(w, r)
		if u.conn != nil {
			p.cleanup(func() { u.conn.Close() })
		}
		close(done)
	})
	_, u.resp = p.rawClient(url, upgradeRequest("localhost", edits...))
	<-done
	if u.resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(u.resp.Body)
		u.body = string(body)
	}
	delete(u.resp.Header, "Date")
	return u
}

// silent is for servers whose complaints do not matter.
var silent = log.New(io.Discard, "", 0)

type failingHijacker struct{ http.ResponseWriter }

func (failingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("no hijacking today")
}

type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// pipeWriter is a ResponseWriter that can do nothing but be hijacked.
type pipeWriter struct{ nc net.Conn }

func (w pipeWriter) Header() http.Header         { return http.Header{} }
func (w pipeWriter) WriteHeader(int)             {}
func (w pipeWriter) Write(p []byte) (int, error) { return len(p), nil }

func (w pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.nc, bufio.NewReadWriter(bufio.NewReader(w.nc), bufio.NewWriter(w.nc)), nil
}

// countingPool is a BufferPool.
type countingPool struct {
	gets int
	free []any
}

func (b *countingPool) Get() any {
	b.gets++
	if len(b.free) == 0 {
		return nil
	}
	v := b.free[0]
	b.free = slices.Delete(b.free, 0, 1)
	return v
}

func (b *countingPool) Put(v any) { b.free = append(b.free, v) }
