package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Writing, in all the ways that there are.
var writePrograms = []program{
	{"message types", func(p *probe) {
		for _, messageType := range []int{-1, 0, 1, 2, 3, 7, 8, 9, 10, 11, 256 + 1} {
			server, client := p.pair()
			p.see(fmt.Sprint("WriteMessage ", messageType), server.WriteMessage(messageType, nil))
			p.see(fmt.Sprint("WriteControl ", messageType), client.WriteControl(messageType, nil, time.Now().Add(time.Second)))
			server, _ = p.pair()
			w, err := server.NextWriter(messageType)
			p.see(fmt.Sprint("NextWriter ", messageType), err)
			if err == nil {
				p.see(fmt.Sprint("Close ", messageType), w.Close())
			}
			_, err = websocket.NewPreparedMessage(messageType, nil)
			p.see(fmt.Sprint("NewPreparedMessage ", messageType), err)
		}
	}},
	{"control messages", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		for _, messageType := range []int{websocket.PingMessage, websocket.PongMessage} {
			for _, n := range []int{0, 1, 125, 126} {
				what := fmt.Sprint(messageType, " of ", n)
				p.see(what+", WriteControl", server.WriteControl(messageType, []byte(text(n)), time.Now().Add(time.Second)))
				p.see(what+", WriteMessage", server.WriteMessage(messageType, []byte(text(n))))
				p.see(what+", received", readFrame(client))
				p.see(what+", received", readFrame(client))
			}
		}
		p.see("without a deadline", server.WriteControl(websocket.PingMessage, []byte("a"), time.Time{}))
		p.see("received", readFrame(client))
		p.see("a deadline that has passed", server.WriteControl(websocket.PingMessage, nil, time.Now().Add(-time.Second)))
		p.see("the next", server.WriteControl(websocket.PingMessage, []byte("b"), time.Now().Add(time.Second)))
		p.see("received", readFrame(client))
		p.see("a close text that is too long",
			server.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, text(124)), time.Now().Add(time.Second)))
		p.see("one that is not", server.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, text(123)), time.Now().Add(time.Second)))
		p.see("received", readFrame(client))
	}},
	{"NextWriter", func(p *probe) {
		server, client := p.pair()
		w, err := server.NextWriter(websocket.TextMessage)
		p.must(err)
		n, err := w.Write([]byte("written, "))
		p.see("Write", fmt.Sprint(n, err))
		n, err = w.Write(nil)
		p.see("Write of nothing", fmt.Sprint(n, err))
		n, err = io.WriteString(w, "a string, ")
		p.see("WriteString", fmt.Sprint(n, err))
		copied, err := io.Copy(w, strings.NewReader("copied"))
		p.see("Copy", fmt.Sprint(copied, err))
		p.see("a ping meanwhile", server.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)))
		p.see("Close", w.Close())
		_, err = w.Write([]byte("late"))
		p.see("Write after Close", err)
		p.see("Close after Close", w.Close())
		messageType, data, err := client.ReadMessage()
		p.see("received", fmt.Sprint(messageType, string(data), err))
	}},
	{"NextWriter, large", func(p *probe) {
		server, client := p.pair()
		for side, ends := range map[string][2]*websocket.Conn{"to the client": {server, client}, "to the server": {client, server}} {
			sent := start(func() {
				w, _ := ends[0].NextWriter(websocket.BinaryMessage)
				for range 100 {
					io.WriteString(w, text(3000))
				}
				io.Copy(w, strings.NewReader(text(100_000)))
				w.Close()
			})
			_, data, err := ends[1].ReadMessage()
			<-sent
			p.see(side, fmt.Sprint(len(data), string(data) == strings.Repeat(text(3000), 100)+text(100_000), err))
		}
	}},
	// Some peers take a fragment for a message. A message that fits the buffer that the program
	// asked for has to come in one frame.
	{"NextWriter, a message as large as the buffer", func(p *probe) {
		const size = 100_000
		write := func(c *websocket.Conn) error {
			w, err := c.NextWriter(websocket.BinaryMessage)
			if err != nil {
				return err
			}
			io.WriteString(w, "x")
			io.WriteString(w, text(size-1000))
			return w.Close()
		}
		server, client := p.rawPeer(&websocket.Upgrader{WriteBufferSize: size})
		sent := start(func() { p.see("a server's", write(server)) })
		p.see("a server's frame", readFrame(client))
		<-sent
		received := make(chan string)
		url := p.rawServer(func(nc net.Conn, request string) {
			io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: "+acceptFor(request)+"\r\n\r\n")
			received <- readFrame(nc)
		})
		c, _, err := (&websocket.Dialer{WriteBufferSize: size}).Dial(url, nil)
		p.must(err)
		sent = start(func() { p.see("a client's", write(c)) })
		p.see("a client's frame", <-received)
		<-sent
	}},
	{"NextWriter, nothing written", func(p *probe) {
		server, client := p.pair()
		w, err := server.NextWriter(websocket.TextMessage)
		p.must(err)
		p.see("Close", w.Close())
		messageType, data, err := client.ReadMessage()
		p.see("received", fmt.Sprint(messageType, len(data), err))
	}},
	{"NextWriter, not closed before the next message", func(p *probe) {
		for name, next := range map[string]func(c *websocket.Conn) error{
			"WriteMessage": func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, []byte("next")) },
			"WriteJSON":    func(c *websocket.Conn) error { return c.WriteJSON("next") },
			"NextWriter": func(c *websocket.Conn) error {
				w, err := c.NextWriter(websocket.TextMessage)
				if err == nil {
					io.WriteString(w, "next")
					err = w.Close()
				}
				return err
			},
		} {
			server, client := p.pair()
			w, err := server.NextWriter(websocket.TextMessage)
			p.must(err)
			io.WriteString(w, "forgotten")
			p.see(name+" blocks", blocks(func() { p.see(name, next(server)) }))
			client.SetReadDeadline(time.Now().Add(patience))
			_, data, _ := client.ReadMessage()
			p.see(name+", received", string(data))
			_, data, _ = client.ReadMessage()
			p.see(name+", received then", string(data))
		}
	}},
	{"NextWriter, and other messages of the same goroutine before Close", func(p *probe) {
		server, client := p.pair()
		client.SetPingHandler(func(data string) error { p.see("ping", data); return nil })
		w, err := server.NextWriter(websocket.TextMessage)
		p.must(err)
		io.WriteString(w, "open")
		p.see("WriteMessage of a ping", server.WriteMessage(websocket.PingMessage, []byte("1")))
		p.see("WriteControl", server.WriteControl(websocket.PingMessage, []byte("2"), time.Now().Add(time.Second)))
		prepared, err := websocket.NewPreparedMessage(websocket.PingMessage, []byte("3"))
		p.must(err)
		p.see("WritePreparedMessage of a ping", server.WritePreparedMessage(prepared))
		io.WriteString(w, ", and whole")
		w.Close()
		_, data, err := client.ReadMessage()
		p.see("received", fmt.Sprint(string(data), err))
	}},
	{"NextWriter, after the close message", func(p *probe) {
		server, _ := p.pair()
		w, err := server.NextWriter(websocket.TextMessage)
		p.must(err)
		server.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		_, err = io.WriteString(w, "late")
		p.see("Write", err)
		p.see("Close", w.Close())
	}},
	{"PreparedMessage", func(p *probe) {
		server, client := p.pair()
		for name, ends := range map[string][2]*websocket.Conn{"to the client": {server, client}, "to the server": {client, server}} {
			for _, n := range []int{0, 5, 70_000} {
				data := []byte(text(n))
				pm, err := websocket.NewPreparedMessage(websocket.TextMessage, data)
				p.see(fmt.Sprint(name, n), err)
				sent := start(func() { ends[0].WritePreparedMessage(pm) })
				messageType, data, err := ends[1].ReadMessage()
				<-sent
				p.see(fmt.Sprint(name, n, " received"), fmt.Sprint(messageType, string(data) == text(n), err))
			}
		}
		ping, err := websocket.NewPreparedMessage(websocket.PingMessage, []byte("p"))
		p.see("ping", err)
		p.see("ping sent", server.WritePreparedMessage(ping))
		closing, err := websocket.NewPreparedMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		p.see("close", err)
		p.see("close sent", server.WritePreparedMessage(closing))
		p.see("after it", server.WritePreparedMessage(ping))
		_, err = websocket.NewPreparedMessage(websocket.PingMessage, []byte(text(126)))
		p.see("a long ping", err)
	}},
	{"writes to a peer that is gone", func(p *probe) {
		server, client := p.pair()
		client.Close()
		var err error
		for range 1000 {
			if err = server.WriteMessage(websocket.TextMessage, []byte(text(10_000))); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		p.see("fails", err != nil)
		p.see("the same again", server.WriteMessage(websocket.TextMessage, nil) == err)
	}},
	{"one goroutine writes, others send control messages", func(p *probe) {
		server, client := p.pair()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 200 {
				server.WriteMessage(websocket.TextMessage, []byte(text(5000)))
			}
		})
		for range 4 {
			wg.Go(func() {
				for range 50 {
					server.WriteControl(websocket.PongMessage, []byte("p"), time.Now().Add(time.Second))
				}
			})
		}
		pongs := 0
		client.SetPongHandler(func(string) error { pongs++; return nil })
		whole := 0
		for range 200 {
			if _, data, err := client.ReadMessage(); err == nil && string(data) == text(5000) {
				whole++
			}
		}
		wg.Wait()
		server.WriteMessage(websocket.TextMessage, nil)
		client.ReadMessage()
		p.see("messages", whole)
		p.see("pongs", pongs)
	}},
	{"compression", func(p *probe) {
		server, client := p.pairOf(&websocket.Upgrader{EnableCompression: true}, &websocket.Dialer{EnableCompression: true})
		for _, level := range []int{-3, -2, -1, 0, 1, 9, 10} {
			p.see(fmt.Sprint("level ", level), server.SetCompressionLevel(level))
		}
		for _, enable := range []bool{true, false, true} {
			server.EnableWriteCompression(enable)
			for _, n := range []int{0, 10, 1000, 300_000} {
				sent := start(func() { server.WriteMessage(websocket.TextMessage, []byte(text(n))) })
				messageType, data, err := client.ReadMessage()
				<-sent
				p.see(fmt.Sprint(enable, n), fmt.Sprint(messageType, string(data) == text(n), err))
			}
		}
		plain, _ := p.pair()
		plain.EnableWriteCompression(true)
		p.see("level, without compression", plain.SetCompressionLevel(1))
		p.see("a bad level, without compression", plain.SetCompressionLevel(100))
	}},
	{"compression, and a read limit", func(p *probe) {
		server, client := p.pairOf(&websocket.Upgrader{EnableCompression: true}, &websocket.Dialer{EnableCompression: true})
		client.SetReadLimit(10_000)
		server.WriteMessage(websocket.TextMessage, []byte(text(5_000)))
		_, data, err := client.ReadMessage()
		p.see("below", fmt.Sprint(len(data), err))
		server.WriteMessage(websocket.TextMessage, []byte(text(500_000)))
		_, _, err = client.ReadMessage()
		p.see("above, once decompressed", err)
	}},
}
