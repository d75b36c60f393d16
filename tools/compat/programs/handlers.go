package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/gorilla/websocket"
)

// handlerPrograms show handlers for control messages: the goroutine that calls them, and the
// effects of their errors.
var handlerPrograms = []program{
	{"handlers are called by what reads", func(p *probe) {
		for name, read := range map[string]func(c *websocket.Conn){
			"ReadMessage": func(c *websocket.Conn) { c.ReadMessage() },
			"NextReader":  func(c *websocket.Conn) { c.NextReader() },
			"ReadJSON":    func(c *websocket.Conn) { c.ReadJSON(new(any)) },
			"Read": func(c *websocket.Conn) {
				_, r, _ := c.NextReader()
				io.ReadAll(r)
			},
		} {
			server, client := p.rawPeer(&websocket.Upgrader{})
			reader := goroutine()
			note := func(what string) {
				p.see(name+": "+what, goroutine() == reader)
			}
			server.SetPingHandler(func(data string) error { note("ping " + data); return nil })
			server.SetPongHandler(func(data string) error { note("pong " + data); return nil })
			server.SetCloseHandler(func(code int, text string) error { note(fmt.Sprint("close ", code, text)); return nil })
			if name == "Read" {
				client.Write(frame(0x01, "a"))
			}
			client.Write(frame(0x89, "1"))
			client.Write(frame(0x8a, "2"))
			client.Write(frame(0x89, ""))
			client.Write(frame(0x88, "\x03\xe8bye"))
			read(server)
		}
	}},
	{"the default handlers", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		p.see("ping", server.PingHandler() != nil)
		p.see("pong", server.PongHandler() != nil)
		p.see("close", server.CloseHandler() != nil)
		p.see("pong's result", server.PongHandler()("x"))
		p.see("ping's result", server.PingHandler()("x"))
		p.see("ping's answer", readFrame(client))
		p.see("close's result", server.CloseHandler()(4000, "why"))
		p.see("close's answer", readFrame(client))
		p.see("ping's result after that", server.PingHandler()("x"))
		p.see("close's result after that", server.CloseHandler()(4000, "why"))
	}},
	{"handlers set to nil", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		server.SetPingHandler(func(string) error { return errOurs })
		server.SetPongHandler(func(string) error { return errOurs })
		server.SetCloseHandler(func(int, string) error { return errOurs })
		server.SetPingHandler(nil)
		server.SetPongHandler(nil)
		server.SetCloseHandler(nil)
		client.Write(frame(0x89, "1"))
		client.Write(frame(0x8a, "2"))
		client.Write(frame(0x88, "\x03\xe8bye"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		p.see("pong", readFrame(client))
		p.see("close", readFrame(client))
	}},
	{"handlers that are set can be had", func(p *probe) {
		server, _ := p.pair()
		server.SetPingHandler(func(string) error { return errOurs })
		server.SetPongHandler(func(string) error { return errOurs })
		server.SetCloseHandler(func(int, string) error { return errOurs })
		p.see("ping", server.PingHandler()(""))
		p.see("pong", server.PongHandler()(""))
		p.see("close", server.CloseHandler()(0, ""))
	}},
	{"handlers' errors", func(p *probe) {
		for name, set := range map[string]func(c *websocket.Conn){
			"ping": func(c *websocket.Conn) { c.SetPingHandler(func(string) error { return errOurs }) },
			"pong": func(c *websocket.Conn) { c.SetPongHandler(func(string) error { return errOurs }) },
		} {
			server, client := p.rawPeer(&websocket.Upgrader{})
			set(server)
			client.Write(frame(0x89, "1"))
			client.Write(frame(0x8a, "2"))
			client.Write(frame(0x81, "a message"))
			_, _, err := server.ReadMessage()
			p.see(name, err)
			_, _, err = server.ReadMessage()
			p.see(name+", again", err)
			p.see(name+", a write", server.WriteMessage(websocket.TextMessage, nil))
		}
	}},
	{"handlers that write", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		server.SetPingHandler(func(data string) error {
			p.see("WriteMessage", server.WriteMessage(websocket.TextMessage, []byte("ping was "+data)))
			p.see("WriteControl", server.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second)))
			return nil
		})
		client.Write(frame(0x89, "1"))
		client.Write(frame(0x81, "a message"))
		_, data, err := server.ReadMessage()
		p.see("read", fmt.Sprint(string(data), err))
		p.see("received", readFrame(client))
		p.see("received", readFrame(client))
	}},
	{"a handler that is replaced by itself", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		server.SetPingHandler(func(string) error {
			p.see("called", true)
			server.SetPingHandler(nil)
			return nil
		})
		client.Write(frame(0x89, "1"))
		client.Write(frame(0x89, "2"))
		client.Write(frame(0x81, ""))
		server.ReadMessage()
		p.see("received", readFrame(client))
	}},
	{"a ping to a side that has sent its close frame", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		server.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		client.Write(frame(0x89, "1"))
		client.Write(frame(0x81, "late"))
		_, data, err := server.ReadMessage()
		p.see("read", fmt.Sprint(string(data), err))
		p.see("received", readFrame(client))
		p.see("received then", readFrame(client))
	}},
}

// goroutine identifies the goroutine that calls it.
func goroutine() string {
	b := make([]byte, 64)
	b = b[:runtime.Stack(b, false)]
	return string(bytes.Fields(b)[1])
}
