package main

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// dialPrograms show the client's side of the opening handshake: its request, and its reaction to
// answers.
var dialPrograms = []program{
	{"Dial", func(p *probe) {
		url := p.serve(func(w http.ResponseWriter, r *http.Request) {
			u := websocket.Upgrader{Subprotocols: []string{"b"}}
			if c, err := p.keep(u.Upgrade(w, r, http.Header{"X-Own": {"v"}, "Set-Cookie": {"a=1"}})); err == nil {
				c.WriteMessage(websocket.TextMessage, []byte("hello"))
			}
		})
		for name, d := range map[string]*websocket.Dialer{
			"DefaultDialer": websocket.DefaultDialer, "nil": nil, "zero": {}, "with subprotocols": {Subprotocols: []string{"a", "b"}},
		} {
			c, resp, err := d.Dial(url, nil)
			p.see(name, err)
			if err != nil {
				continue
			}
			p.see(name+": status", resp.StatusCode)
			p.see(name+": header", fmt.Sprint(resp.Header["X-Own"], resp.Header["Upgrade"], resp.Header["Connection"], resp.Cookies()))
			body, err := io.ReadAll(resp.Body)
			p.see(name+": body", fmt.Sprint(len(body), err))
			p.see(name+": subprotocol", c.Subprotocol())
			_, data, err := c.ReadMessage()
			p.see(name+": message", fmt.Sprint(string(data), err))
			c.Close()
		}
		p.see("the default's timeout", websocket.DefaultDialer.HandshakeTimeout)
		p.see("the default's proxy", websocket.DefaultDialer.Proxy != nil)
	}},
	{"the request", func(p *probe) {
		requests := make(chan string, 1)
		url := p.rawServer(func(nc net.Conn, request string) {
			requests <- request
			nc.Close()
		})
		for name, c := range map[string]struct {
			path   string
			header http.Header
		}{
			"no path":         {"", nil},
			"a path":          {"/a/b%20c?d=e&f", nil},
			"a query only":    {"?d=e", nil},
			"fields":          {"/", http.Header{"Origin": {"http://a.example"}, "Cookie": {"a=1; b=2"}, "Authorization": {"Basic x"}, "X-Own": {"1", "2"}}},
			"a host":          {"/", http.Header{"Host": {"other.example"}}},
			"a user agent":    {"/", http.Header{"User-Agent": {"own/1"}}},
			"no user agent":   {"/", http.Header{"User-Agent": {""}}},
			"a subprotocol":   {"/", http.Header{"Sec-Websocket-Protocol": {"a, b"}}},
			"two of them":     {"/", http.Header{"Sec-Websocket-Protocol": {"a", "b"}}},
			"lower case":      {"/", http.Header{"x-own": {"1"}, "origin": {"http://a.example"}}},
			"in RFC's case":   {"/", http.Header{"Sec-WebSocket-Protocol": {"a"}}},
			"empty values":    {"/", http.Header{"X-Own": {""}, "X-None": {}, "X-Nil": nil}},
			"outer space":     {"/", http.Header{"X-Own": {"  a  "}}},
			"other than Go's": {"/", http.Header{"X-Own": {"ü\x80"}}},
		} {
			_, _, err := (&websocket.Dialer{}).Dial(url+c.path, c.header)
			p.see(name+": error", err != nil)
			select {
			case r := <-requests:
				p.see(name+": request", normalRequest(r))
			case <-time.After(patience):
				p.see(name+": request", "none")
			}
		}
	}},
	{"fields that may not be set", func(p *probe) {
		url := p.serve(func(w http.ResponseWriter, r *http.Request) { p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)) })
		for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions",
			"Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Content-Length", "Transfer-Encoding"} {
			_, _, err := (&websocket.Dialer{Subprotocols: []string{"a"}}).Dial(url, http.Header{name: {"1"}})
			p.see(name, err)
		}
	}},
	{"a server that refuses", func(p *probe) {
		for name, answer := range map[string]http.HandlerFunc{
			"403": func(w http.ResponseWriter, r *http.Request) { http.Error(w, "because", http.StatusForbidden) },
			"200": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
			"401": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("WWW-Authenticate", "x")
				w.WriteHeader(http.StatusUnauthorized)
			},
			"302": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
			"204": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
			"long": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				io.WriteString(w, text(100_000))
			},
			"chunked": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				w.(http.Flusher).Flush()
				io.WriteString(w, "a")
			},
			"Upgrade's": func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Upgrade")
				p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil))
			},
		} {
			c, resp, err := (&websocket.Dialer{}).Dial(p.serve(answer), nil)
			p.see(name+": error", err)
			p.see(name+": connection", c == nil)
			p.see(name+": status", resp.Status)
			p.see(name+": location", resp.Header.Get("Location")+resp.Header.Get("WWW-Authenticate"))
			body, err := io.ReadAll(resp.Body)
			p.see(name+": body", fmt.Sprint(brief(body), err))
		}
	}},
	{"a server that agrees wrongly", func(p *probe) {
		const upgrade, connection = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"
		for name, answer := range map[string]string{
			"well":                         upgrade + connection + "Sec-WebSocket-Accept: KEY\r\n",
			"in another case":              "UPGRADE: WebSocket\r\nconnection: UPGRADE\r\nsec-websocket-accept: KEY\r\n",
			"no accept":                    upgrade + connection,
			"another accept":               upgrade + connection + "Sec-WebSocket-Accept: x\r\n",
			"no upgrade":                   connection + "Sec-WebSocket-Accept: KEY\r\n",
			"no connection":                upgrade + "Sec-WebSocket-Accept: KEY\r\n",
			"a subprotocol nobody offered": upgrade + connection + "Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: x\r\n",
			"an extension nobody offered":  upgrade + connection + "Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Extensions: x\r\n",
			"compression nobody offered":   upgrade + connection + "Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
		} {
			url := p.rawServer(func(nc net.Conn, request string) {
				io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n"+strings.ReplaceAll(answer, "KEY", acceptFor(request))+"\r\n"+"\x81\x05glued")
			})
			c, resp, err := (&websocket.Dialer{}).Dial(url, nil)
			p.see(name+": error", err)
			p.see(name+": response", resp != nil)
			if err == nil {
				_, data, err := c.ReadMessage()
				p.see(name+": message", fmt.Sprint(string(data), err))
				p.see(name+": subprotocol", c.Subprotocol())
			}
		}
	}},
	{"a server that speaks no HTTP", func(p *probe) {
		for name, answer := range map[string]string{"nothing": "", "half a line": "HTTP/1.1 10", "SSH": "SSH-2.0-x\r\n", "half a head": "HTTP/1.1 101 x\r\nA: b\r\n"} {
			url := p.rawServer(func(nc net.Conn, request string) {
				io.WriteString(nc, answer)
				nc.Close()
			})
			c, resp, err := (&websocket.Dialer{}).Dial(url, nil)
			p.see(name+": error", err)
			p.see(name+": no response", c == nil && resp == nil)
		}
	}},
	{"URLs", func(p *probe) {
		url := p.serve(func(w http.ResponseWriter, r *http.Request) {
			if c, err := p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)); err == nil {
				c.WriteMessage(websocket.TextMessage, []byte(r.RequestURI+" "+r.Header.Get("Authorization")))
			}
		})
		host := strings.TrimPrefix(url, "ws://")
		for name, url := range map[string]string{
			"ws": url, "capitals": "WS://" + host, "http": "http://" + host, "ftp": "ftp://" + host, "no scheme": host, "nothing": "", "no host": "ws://",
			"a user": "ws://name:secret@" + host, "a fragment": url + "/#f", "an escape": url + "/%zz", "a path": url + "//a/../b", "a bad port": "ws://localhost:x",
		} {
			c, resp, err := (&websocket.Dialer{}).Dial(url, nil)
			p.see(name, err)
			if err != nil {
				p.see(name+": no response", resp == nil)
				continue
			}
			_, data, err := c.ReadMessage()
			p.see(name+": asked for", fmt.Sprint(string(data), err))
		}
	}},
	{"nobody listens", func(p *probe) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		p.must(err)
		l.Close()
		c, resp, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
		p.see("error", err)
		p.see("nothing else", c == nil && resp == nil)
		_, ok := err.(*net.OpError)
		p.see("net.OpError", ok)
	}},
}

// normalRequest makes requests comparable: the fields' order says nothing, and
// keys are random.
func normalRequest(r string) string {
	lines := strings.Split(strings.TrimSpace(ports.ReplaceAllString(r, "ADDR")), "\r\n")
	seen := map[string][]string{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		if name == "sec-websocket-key" {
			key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
			value = fmt.Sprint(len(key), err)
		}
		seen[name] = append(seen[name], value)
	}
	return fmt.Sprintf("%s %q", lines[0], seen)
}

// acceptFor computes the Sec-WebSocket-Accept that a request deserves.
func acceptFor(request string) string {
	for line := range strings.SplitSeq(request, "\r\n") {
		if name, key, _ := strings.Cut(line, ": "); strings.EqualFold(name, "Sec-WebSocket-Key") {
			sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			return base64.StdEncoding.EncodeToString(sum[:])
		}
	}
	return ""
}
