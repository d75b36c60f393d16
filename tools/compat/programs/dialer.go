package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// A Dialer's fields, and its contexts.
var dialerPrograms = []program{
	{"HandshakeTimeout", func(p *probe) {
		hold := make(chan bool)
		p.cleanup(func() { close(hold) })
		url := p.serve(func(http.ResponseWriter, *http.Request) { <-hold })
		_, resp, err := (&websocket.Dialer{HandshakeTimeout: 50 * time.Millisecond}).Dial(url, nil)
		p.see("error", err)
		p.see("no response", resp == nil)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, _, err = (&websocket.Dialer{}).DialContext(ctx, url, nil)
		p.see("a context's", err)
		ctx, cancel = context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		took := blocks(func() {
			_, _, err := (&websocket.Dialer{}).DialContext(ctx, url, nil)
			p.see("a context that is cancelled", err)
		})
		p.see("a context that is cancelled: waits", took)
		_, _, err = (&websocket.Dialer{}).DialContext(ctx, url, nil)
		p.see("one that was cancelled before", err)
	}},
	{"a context that ends after the handshake", func(p *probe) {
		url := p.serve(func(w http.ResponseWriter, r *http.Request) {
			if c, err := p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)); err == nil {
				time.Sleep(100 * time.Millisecond)
				c.WriteMessage(websocket.TextMessage, []byte("later"))
			}
		})
		ctx, cancel := context.WithCancel(context.Background())
		c, _, err := (&websocket.Dialer{HandshakeTimeout: 80 * time.Millisecond}).DialContext(ctx, url, nil)
		p.must(err)
		cancel()
		_, data, err := c.ReadMessage()
		p.see("read", fmt.Sprint(string(data), err))
	}},
	{"TLS", func(p *probe) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)); err == nil {
				c.WriteMessage(websocket.TextMessage, []byte(fmt.Sprint(r.TLS.ServerName)))
			}
		}))
		s.Config.ErrorLog = silent
		s.StartTLS()
		p.cleanup(s.Close)
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		for name, config := range map[string]*tls.Config{
			"none": nil, "an unknown authority": {}, "its certificate": {RootCAs: roots}, "another name": {RootCAs: roots, ServerName: "other.example"},
			"a name of its own": {RootCAs: roots, ServerName: "example.com"}, "not verified": {InsecureSkipVerify: true},
			"http/1.1": {RootCAs: roots, NextProtos: []string{"http/1.1"}},
		} {
			c, _, err := (&websocket.Dialer{TLSClientConfig: config}).Dial("wss"+strings.TrimPrefix(s.URL, "https"), nil)
			p.see(name, err)
			if err == nil {
				_, data, err := c.ReadMessage()
				p.see(name+": ServerName", fmt.Sprint(string(data), err))
				p.see(name+": NetConn", fmt.Sprintf("%T", c.NetConn()))
				c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				_, _, err = c.ReadMessage()
				p.see(name+": deadline", err)
			}
		}
		_, resp, err := (&websocket.Dialer{}).Dial("ws"+strings.TrimPrefix(s.URL, "https"), nil)
		p.see("ws for wss", err)
		p.see("ws for wss: response", resp != nil)
	}},
	{"dial functions", func(p *probe) {
		url := p.serve(func(w http.ResponseWriter, r *http.Request) { p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)) })
		host := strings.TrimPrefix(url, "ws://")
		note := func(name string) func(network, addr string) (net.Conn, error) {
			return func(network, addr string) (net.Conn, error) {
				p.see("called", fmt.Sprint(name, network, ports.ReplaceAllString(addr, "ADDR")))
				return net.Dial("tcp", host)
			}
		}
		noteContext := func(name string) func(ctx context.Context, network, addr string) (net.Conn, error) {
			return func(ctx context.Context, network, addr string) (net.Conn, error) {
				p.see("value of "+name, ctx.Value(key{}))
				return note(name)(network, addr)
			}
		}
		ctx := context.WithValue(context.Background(), key{}, "the context's value")
		for _, d := range []*websocket.Dialer{
			{NetDial: note("NetDial")}, {NetDialContext: noteContext("NetDialContext")},
			{NetDial: note("NetDial, too"), NetDialContext: noteContext("NetDialContext rather")},
			{NetDialTLSContext: noteContext("NetDialTLSContext"), NetDial: note("NetDial beside TLS")},
		} {
			for _, url := range []string{"ws://server.example", "ws://server.example:81/", "ws://[::1]/", "wss://server.example"} {
				if c, _, err := d.DialContext(ctx, url, nil); err == nil {
					p.see("connected", url)
					c.Close()
				} else {
					p.see("not connected", url)
				}
			}
		}
		_, _, err := (&websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return nil, errOurs }}).Dial(url, nil)
		p.see("a function that fails", err)
	}},
	{"Jar", func(p *probe) {
		server := p.serve(func(w http.ResponseWriter, r *http.Request) {
			if c, err := p.keep((&websocket.Upgrader{}).Upgrade(w, r, http.Header{"Set-Cookie": {"b=2; Path=/"}})); err == nil {
				c.WriteMessage(websocket.TextMessage, []byte(r.Header.Get("Cookie")))
			}
		})
		jar, err := cookiejar.New(nil)
		p.must(err)
		u, err := url.Parse("http" + strings.TrimPrefix(server, "ws"))
		p.must(err)
		jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1"}})
		d := &websocket.Dialer{Jar: jar}
		for range 2 {
			c, _, err := d.Dial(server, nil)
			p.must(err)
			_, data, err := c.ReadMessage()
			p.see("sent", fmt.Sprint(string(data), err))
		}
		p.see("kept", jar.Cookies(u))
	}},
	{"Proxy", func(p *probe) {
		server := p.serve(func(w http.ResponseWriter, r *http.Request) {
			if c, err := p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)); err == nil {
				c.WriteMessage(websocket.TextMessage, []byte("through"))
			}
		})
		for name, c := range map[string]struct {
			answer string
			user   *url.Userinfo
		}{
			"agrees": {"HTTP/1.1 200 OK\r\n\r\n", nil}, "asks who it is": {"HTTP/1.1 200 OK\r\n\r\n", url.UserPassword("name", "secret")},
			"refuses": {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", nil}, "fails": {"", nil},
		} {
			proxy := p.rawServer(func(nc net.Conn, request string) {
				defer nc.Close()
				p.see(name+": request", normalRequest(request))
				io.WriteString(nc, c.answer)
				if !strings.Contains(c.answer, "200") {
					return
				}
				up, err := net.Dial("tcp", strings.TrimPrefix(server, "ws://"))
				p.must(err)
				defer up.Close()
				go io.Copy(up, nc)
				io.Copy(nc, up)
			})
			d := &websocket.Dialer{Proxy: func(r *http.Request) (*url.URL, error) {
				p.see(name+": asked about", fmt.Sprint(r.Method, r.URL.Scheme, r.URL.Path))
				return &url.URL{Scheme: "http", Host: strings.TrimPrefix(proxy, "ws://"), User: c.user}, nil
			}}
			conn, resp, err := d.Dial(server, nil)
			p.see(name+": error", err)
			p.see(name+": response", resp != nil)
			if err == nil {
				_, data, err := conn.ReadMessage()
				p.see(name+": message", fmt.Sprint(string(data), err))
				conn.Close()
			}
		}
		for name, f := range map[string]func(*http.Request) (*url.URL, error){
			"an error": func(*http.Request) (*url.URL, error) { return nil, errOurs }, "none": func(*http.Request) (*url.URL, error) { return nil, nil },
			"another kind": func(*http.Request) (*url.URL, error) { return url.Parse("ftp://127.0.0.1:1") },
		} {
			_, _, err := (&websocket.Dialer{Proxy: f}).Dial(server, nil)
			p.see(name, err)
		}
	}},
	{"httptrace", func(p *probe) {
		server := p.serve(func(w http.ResponseWriter, r *http.Request) { p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)) })
		var mu sync.Mutex
		var hooks []string
		note := func(hook string) { mu.Lock(); defer mu.Unlock(); hooks = append(hooks, hook) }
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			GetConn:              func(hostPort string) { note("GetConn " + ports.ReplaceAllString(hostPort, "ADDR")) },
			GotConn:              func(i httptrace.GotConnInfo) { note(fmt.Sprintf("GotConn %T", i.Conn)) },
			ConnectStart:         func(network, addr string) { note("ConnectStart") },
			ConnectDone:          func(network, addr string, err error) { note("ConnectDone") },
			WroteHeaders:         func() { note("WroteHeaders") },
			WroteRequest:         func(httptrace.WroteRequestInfo) { note("WroteRequest") },
			GotFirstResponseByte: func() { note("GotFirstResponseByte") },
		})
		_, _, err := (&websocket.Dialer{}).DialContext(ctx, server, nil)
		p.must(err)
		for _, hook := range hooks {
			p.see(hook, slices.Index(hooks, hook))
		}
	}},
	{"EnableCompression", func(p *probe) {
		for _, enable := range []bool{false, true} {
			offers := make(chan string, 1)
			url := p.serve(func(w http.ResponseWriter, r *http.Request) {
				offers <- r.Header.Get("Sec-WebSocket-Extensions")
				p.keep((&websocket.Upgrader{EnableCompression: true}).Upgrade(w, r, nil))
			})
			_, resp, err := (&websocket.Dialer{EnableCompression: enable}).Dial(url, nil)
			p.must(err)
			p.see(fmt.Sprint(enable, ": offers"), strings.Contains(<-offers, "permessage-deflate"))
			p.see(fmt.Sprint(enable, ": agreed"), strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate"))
		}
	}},
	{"subprotocols that are offered", func(p *probe) {
		for name, offer := range map[string][]string{
			"tokens": {"v2.example", "v1.example"}, "Kubernetes's": {"SPDY/3.1+portforward.k8s.io"}, "one twice": {"a", "a"},
			"with a space": {"a b"}, "with a comma": {"a,b"}, "an empty one": {""}, "none": {},
		} {
			url := p.serve(func(w http.ResponseWriter, r *http.Request) {
				p.see(name+": offered", r.Header["Sec-Websocket-Protocol"])
				p.keep((&websocket.Upgrader{Subprotocols: offer}).Upgrade(w, r, nil))
			})
			c, _, err := (&websocket.Dialer{Subprotocols: offer}).Dial(url, nil)
			p.see(name+": error", err)
			if err == nil {
				p.see(name+": agreed", c.Subprotocol())
			}
		}
	}},
	{"NewClient", func(p *probe) {
		server := p.serve(func(w http.ResponseWriter, r *http.Request) {
			if c, err := p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)); err == nil {
				c.WriteMessage(websocket.TextMessage, []byte(r.Host+r.RequestURI+r.Header.Get("Origin")))
			} else {
				p.see("server", err)
			}
		})
		for _, address := range []string{"ws://server.example:81/path?q", "http://server.example/", "wss://server.example/"} {
			u, err := url.Parse(address)
			p.must(err)
			nc, err := net.Dial("tcp", strings.TrimPrefix(server, "ws://"))
			p.must(err)
			//lint:ignore SA1019 programs use it
			c, resp, err := websocket.NewClient(nc, u, http.Header{"X-Own": {"v"}}, 1024, 1024)
			p.see(address, err)
			p.see(address+": response", resp != nil)
			if err == nil {
				_, data, err := c.ReadMessage()
				p.see(address+": message", fmt.Sprint(string(data), err))
			}
			_, err = nc.Write(nil)
			p.see(address+": transport", err)
		}
	}},
}

// key is for a context's value.
type key struct{}
