package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// deadlinePrograms show deadlines. After a deadline has passed, the two libraries differ on
// purpose.
var deadlinePrograms = []program{
	{"SetReadDeadline", func(p *probe) {
		server, client := p.pair()
		p.see("set", server.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		p.see("CloseError", errors.As(err, new(*websocket.CloseError)))
		p.see("lifted", server.SetReadDeadline(time.Time{}))
		client.WriteMessage(websocket.TextMessage, []byte("late"))
		_, data, err := server.ReadMessage()
		p.see("read then", err)
		p.see("message then", string(data))
		p.see("write", server.WriteMessage(websocket.TextMessage, nil))
	}},
	{"SetReadDeadline, in a message", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		whole := frame(0x81, text(300))
		client.Write(whole[:100])
		server.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		messageType, r, err := server.NextReader()
		p.see("NextReader", fmt.Sprint(messageType, err))
		n, err := r.Read(make([]byte, 1000))
		p.see("Read", fmt.Sprint(n, err))
		n, err = r.Read(make([]byte, 1000))
		p.see("Read at the deadline", n)
		p.see("its error", err)
	}},
	{"SetReadDeadline, in the past", func(p *probe) {
		server, client := p.pair()
		client.WriteMessage(websocket.TextMessage, []byte("a"))
		time.Sleep(20 * time.Millisecond)
		server.SetReadDeadline(time.Now().Add(-time.Second))
		_, _, err := server.ReadMessage()
		p.see("read", err)
	}},
	{"SetReadDeadline, while another goroutine reads", func(p *probe) {
		server, _ := p.pair()
		result := make(chan error)
		go func() {
			_, _, err := server.ReadMessage()
			result <- err
		}()
		time.Sleep(30 * time.Millisecond)
		server.SetReadDeadline(time.Now())
		p.see("read", <-result)
	}},
	{"SetReadDeadline, moved by pongs", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		const wait = 600 * time.Millisecond
		server.SetReadDeadline(time.Now().Add(wait))
		server.SetPongHandler(func(string) error { return server.SetReadDeadline(time.Now().Add(wait)) })
		go func() {
			for range 5 {
				time.Sleep(wait / 3)
				client.Write(frame(0x8a, ""))
			}
			client.Write(frame(0x81, "after four thirds"))
		}()
		_, data, err := server.ReadMessage()
		p.see("read", fmt.Sprint(string(data), err))
		_, _, err = server.ReadMessage()
		p.see("without pongs", err)
	}},
	{"SetWriteDeadline, in the past", func(p *probe) {
		server, client := p.pair()
		p.see("set", server.SetWriteDeadline(time.Now().Add(-time.Second)))
		p.see("write", server.WriteMessage(websocket.TextMessage, []byte("a")))
		p.see("lifted", server.SetWriteDeadline(time.Time{}))
		p.see("write then", server.WriteMessage(websocket.TextMessage, []byte("b")))
		client.SetReadDeadline(time.Now().Add(patience))
		_, data, _ := client.ReadMessage()
		p.see("received", string(data))
	}},
	{"SetWriteDeadline, and a peer that does not read", func(p *probe) {
		server, _ := p.pair()
		server.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		var err error
		for range 1000 {
			if err = server.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20)); err != nil {
				break
			}
		}
		p.see("write", err)
		p.see("the next", server.WriteMessage(websocket.TextMessage, nil))
		p.see("a ping", server.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)))
		p.see("Close", server.Close())
	}},
	// Programs set a deadline before each message, and may then have nothing to say for longer than
	// that.
	{"SetWriteDeadline, in the past, and control messages", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		server.SetWriteDeadline(time.Now().Add(-time.Second))
		p.see("WriteControl", server.WriteControl(websocket.PingMessage, []byte("own"), time.Now().Add(time.Second)))
		p.see("received", readFrame(client))
		client.Write(frame(0x89, "the peer's ping"))
		client.Write(frame(0x88, "\x03\xe8bye"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		p.see("pong", readFrame(client))
		p.see("close", readFrame(client))
	}},
	{"SetWriteDeadline, in the past, and a peer that breaks the protocol", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		server.SetWriteDeadline(time.Now().Add(-time.Second))
		client.Write(frame(0x80, ""))
		server.ReadMessage()
		p.see("an answer", !strings.HasPrefix(readFrame(client), "nothing"))
	}},
	{"deadlines on a closed connection", func(p *probe) {
		server, _ := p.pair()
		server.Close()
		p.see("SetReadDeadline", server.SetReadDeadline(time.Now()))
		p.see("SetWriteDeadline", server.SetWriteDeadline(time.Now()))
	}},
	{"WriteControl, and a peer that does not read", func(p *probe) {
		server, _ := p.pair()
		go func() {
			for server.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20)) == nil {
			}
		}()
		time.Sleep(100 * time.Millisecond)
		p.see("ping", server.WriteControl(websocket.PingMessage, nil, time.Now().Add(50*time.Millisecond)))
		server.Close()
	}},
	{"a deadline on the transport", func(p *probe) {
		server, _ := p.pair()
		server.NetConn().SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		_, _, err := server.ReadMessage()
		p.see("read", err)
	}},
	{"the transport is closed by the program", func(p *probe) {
		server, client := p.pair()
		server.NetConn().Close()
		_, _, err := server.ReadMessage()
		p.see("read", err)
		p.see("write", server.WriteMessage(websocket.TextMessage, nil))
		_, _, err = client.ReadMessage()
		p.see("the peer's read", err)
	}},
	{"the peer resets", func(p *probe) {
		server, client := p.pair()
		client.NetConn().(*net.TCPConn).SetLinger(0)
		client.Close()
		_, _, err := server.ReadMessage()
		p.see("read", err)
		p.see("write", server.WriteMessage(websocket.TextMessage, nil))
	}},
}
