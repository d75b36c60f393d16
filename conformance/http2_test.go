package conformance

// The same tests over HTTP/2 (RFC 8441). The peer here speaks HTTP/1.1, so a proxy stands between it and
// the server, which makes an extended CONNECT of its opening handshake and passes bytes on. The proxy
// is a program of module conformance/h2, whose test starts it and then the tests of this package.

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/plainsocket/websocket"
)

// http2Proxy is the proxy's address. "" means that the tests run over HTTP/1.1, as they mostly do.
var http2Proxy = os.Getenv("PLAINSOCKET_HTTP2_PROXY")

var http2Targets = []target{
	{"HTTP/2, HandleMessages", overHTTP2(handlerOf), echoHandled},
	{"HTTP/2, Upgrader", overHTTP2(upgraderOf), echoMessage},
	{"HTTP/2, OnMessage", overHTTP2(onMessageOf), nil},
	{"HTTP/2, NextReader", overHTTP2(handlerOf), echoRead},
}

func handlerOf(u websocket.Upgrader, handle func(*websocket.Conn)) http.Handler {
	return &websocket.Server{Upgrader: u, Handler: func(c *websocket.Conn, _ *http.Request) { handle(c) }}
}

func onMessageOf(u websocket.Upgrader, _ func(*websocket.Conn)) http.Handler {
	return &websocket.Server{Upgrader: u, OnMessage: echoOnMessage}
}

func upgraderOf(u websocket.Upgrader, handle func(*websocket.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer c.Close()
		handle(c)
	})
}

// overHTTP2 returns a way to serve. The server is on a port of its own, and the proxy's client on l.
func overHTTP2(handler func(websocket.Upgrader, func(*websocket.Conn)) http.Handler) func(net.Listener, func(*websocket.Upgrader), func(*websocket.Conn)) func() error {
	return func(l net.Listener, configure func(*websocket.Upgrader), handle func(*websocket.Conn)) func() error {
		var u websocket.Upgrader
		configure(&u)
		behind, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		srv := &http.Server{Handler: handler(u, handle), Protocols: new(http.Protocols)}
		srv.Protocols.SetUnencryptedHTTP2(true)
		go srv.Serve(behind)
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				go toProxy(nc, behind.Addr())
			}
		}()
		return func() error {
			l.Close()
			return srv.Close()
		}
	}
}

// toProxy tells the proxy where the server is, and passes everything on.
func toProxy(nc net.Conn, server net.Addr) {
	defer nc.Close()
	proxy, err := net.Dial("tcp", http2Proxy)
	if err != nil {
		return
	}
	defer proxy.Close()
	fmt.Fprintf(proxy, "%s\n", server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(proxy, nc)
		proxy.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, nc) // what is left unread would become a reset, which may overtake a close frame
	}()
	io.Copy(nc, proxy)
	if tc, ok := nc.(*net.TCPConn); ok {
		tc.CloseWrite()
	} else {
		nc.Close()
	}
	nc.SetReadDeadline(time.Now().Add(time.Second))
	<-done
}
