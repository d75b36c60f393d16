package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// transportPrograms use transports that are not net's own. Every byte has to go through them, and
// some can do less than others.
var transportPrograms = []program{
	{"transports that count", func(p *probe) {
		for name, wrap := range map[string]func(nc net.Conn, n *counts) net.Conn{
			"of any net.Conn":    func(nc net.Conn, n *counts) net.Conn { return counting{nc, n} },
			"of a *net.TCPConn":  func(nc net.Conn, n *counts) net.Conn { return countingTCP{nc.(*net.TCPConn), n} },
			"pointers to a wrap": func(nc net.Conn, n *counts) net.Conn { return &counting{nc, n} },
		} {
			var atServer, atClient counts
			server, client := p.over(func(nc net.Conn) net.Conn { return wrap(nc, &atServer) }, func(nc net.Conn) net.Conn { return wrap(nc, &atClient) })
			// The bytes before this went around the server's transport, because net/http read the
			// request.
			response, request := atClient.read.Load(), atClient.written.Load()
			for range 10 {
				sent := start(func() { server.WriteMessage(websocket.BinaryMessage, []byte(text(100_000))) })
				_, data, err := client.ReadMessage()
				<-sent
				p.see(name, fmt.Sprint(len(data), err))
				client.WriteMessage(websocket.TextMessage, []byte("and back"))
				_, data, err = server.ReadMessage()
				p.see(name, fmt.Sprint(string(data), err))
			}
			p.see(name+", bytes read by the server", atServer.read.Load() == 10*(8+6))
			p.see(name+", bytes read by the client", atClient.read.Load()-response == 10*100_010)
			p.see(name+", bytes written by the server", atServer.written.Load() == atClient.read.Load())
			p.see(name+", bytes written by the client", atClient.written.Load()-request == atServer.read.Load())
			p.see(name+", NetConn", fmt.Sprintf("%T", client.NetConn()))
		}
	}},
	{"a transport without deadlines", func(p *probe) {
		no := func(nc net.Conn) net.Conn { return withoutDeadlines{nc} }
		server, client := p.over(no, no)
		p.see("SetReadDeadline", server.SetReadDeadline(time.Now().Add(time.Second)))
		p.see("SetWriteDeadline", server.SetWriteDeadline(time.Now().Add(time.Second)))
		p.see("WriteMessage", server.WriteMessage(websocket.TextMessage, []byte("a")))
		p.see("WriteControl", server.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)))
		p.see("Close", server.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second)))
		_, data, err := client.ReadMessage()
		p.see("received", fmt.Sprint(string(data), err))
		_, _, err = client.ReadMessage()
		p.see("received then", err)
		_, _, err = server.ReadMessage()
		p.see("answer", err)
	}},
	{"a transport without deadlines, dialed with a timeout", func(p *probe) {
		url := p.serve(func(w http.ResponseWriter, r *http.Request) { p.keep((&websocket.Upgrader{}).Upgrade(w, r, nil)) })
		_, _, err := (&websocket.Dialer{HandshakeTimeout: time.Second, NetDial: func(network, addr string) (net.Conn, error) {
			nc, err := net.Dial(network, addr)
			return withoutDeadlines{nc}, err
		}}).Dial(url, nil)
		p.see("error", err)
	}},
}

// over connects the library's server and client over transports that are wrapped.
func (p *probe) over(atServer, atClient func(net.Conn) net.Conn) (server, client *websocket.Conn) {
	conns := make(chan *websocket.Conn, 1)
	url := p.serve(func(w http.ResponseWriter, r *http.Request) {
		c, err := p.keep((&websocket.Upgrader{}).Upgrade(wrappingHijacker{w, atServer}, r, nil))
		p.see("Upgrade", err)
		conns <- c
	})
	client, _, err := (&websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		nc, err := net.Dial(network, addr)
		if err != nil {
			return nil, err
		}
		return atClient(nc), nil
	}}).Dial(url, nil)
	p.must(err)
	p.cleanup(func() { client.Close() })
	if server = <-conns; server == nil {
		panic("setting up: the upgrade failed")
	}
	p.cleanup(func() { server.Close() })
	return server, client
}

type wrappingHijacker struct {
	http.ResponseWriter
	wrap func(net.Conn) net.Conn
}

func (w wrappingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return w.wrap(nc), rw, nil
}

type counts struct{ read, written atomic.Int64 }

type counting struct {
	net.Conn
	n *counts
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.read.Add(int64(n))
	return n, err
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.written.Add(int64(n))
	return n, err
}

// countingTCP has all methods of *net.TCPConn, and with them ways around its
// own Read and Write.
type countingTCP struct {
	*net.TCPConn
	n *counts
}

func (c countingTCP) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.n.read.Add(int64(n))
	return n, err
}

func (c countingTCP) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.n.written.Add(int64(n))
	return n, err
}

type withoutDeadlines struct{ net.Conn }

var errNoDeadlines = errors.New("deadlines are not supported")

func (withoutDeadlines) SetDeadline(time.Time) error      { return errNoDeadlines }
func (withoutDeadlines) SetReadDeadline(time.Time) error  { return errNoDeadlines }
func (withoutDeadlines) SetWriteDeadline(time.Time) error { return errNoDeadlines }
