package main

import (
	"fmt"
	"io"
	"strings"
	"testing/iotest"
	"time"

	"github.com/gorilla/websocket"
)

// readPrograms read good messages, and messages that are too large.
var readPrograms = []program{
	{"messages of many sizes", func(p *probe) {
		server, client := p.pair()
		for _, n := range []int{0, 1, 125, 126, 4095, 4096, 65535, 65536, 1 << 20} {
			for side, ends := range map[string][2]*websocket.Conn{"to the client": {server, client}, "to the server": {client, server}} {
				for _, messageType := range []int{websocket.TextMessage, websocket.BinaryMessage} {
					sent := start(func() { ends[0].WriteMessage(messageType, []byte(text(n))) })
					got, data, err := ends[1].ReadMessage()
					<-sent
					what := fmt.Sprint(n, " bytes, type ", messageType, ", ", side)
					p.see(what, fmt.Sprint(got, data != nil, string(data) == text(n), err))
				}
			}
		}
	}},
	{"fragments, with a ping between", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		client.Write(frame(0x01, "one "))
		client.Write(frame(0x89, "ping"))
		client.Write(frame(0x00, "two "))
		client.Write(frame(0x80, "three"))
		messageType, data, err := server.ReadMessage()
		p.see("message", fmt.Sprint(messageType, string(data), err))
		p.see("pong", readFrame(client))
	}},
	{"NextReader skips the rest of a message", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		client.Write(frame(0x01, "the first, "))
		client.Write(frame(0x80, "in two frames"))
		client.Write(frame(0x82, "the second"))
		messageType, first, err := server.NextReader()
		p.see("first", fmt.Sprint(messageType, err))
		begin := make([]byte, 5)
		_, err = io.ReadFull(first, begin)
		p.see("its beginning", fmt.Sprint(string(begin), err))
		messageType, second, err := server.NextReader()
		p.see("second", fmt.Sprint(messageType, err))
		_, err = first.Read(begin)
		p.see("the first reader, left", err)
		all, err := io.ReadAll(second)
		p.see("its data", fmt.Sprint(string(all), err))
		_, err = second.Read(begin)
		p.see("the second reader, at its end", err)
	}},
	{"ReadMessage skips the rest of a message", func(p *probe) {
		server, client := p.pair()
		client.WriteMessage(websocket.TextMessage, []byte(text(100_000)))
		client.WriteMessage(websocket.TextMessage, []byte("the second"))
		_, r, err := server.NextReader()
		p.see("first", err)
		_, err = r.Read(make([]byte, 10))
		p.see("read", err)
		messageType, data, err := server.ReadMessage()
		p.see("second", fmt.Sprint(messageType, string(data), err))
	}},
	{"a reader at its end", func(p *probe) {
		server, client := p.pair()
		client.WriteMessage(websocket.TextMessage, []byte("abc"))
		_, r, err := server.NextReader()
		p.must(err)
		// Read returns no bytes with io.EOF, and never no bytes without an error.
		for range 2 {
			n, err := r.Read(make([]byte, 10))
			p.see("read", fmt.Sprint(n, err))
		}
		n, err := r.Read(nil)
		p.see("an empty read", fmt.Sprint(n, err))
		client.WriteMessage(websocket.TextMessage, nil)
		_, r, err = server.NextReader()
		p.see("an empty message", err)
		n, err = r.Read(make([]byte, 10))
		p.see("its end", fmt.Sprint(n, err))
	}},
	{"a reader, byte by byte", func(p *probe) {
		server, client := p.pair()
		client.WriteMessage(websocket.TextMessage, []byte(text(5000)))
		_, r, err := server.NextReader()
		p.must(err)
		all, err := io.ReadAll(iotest.OneByteReader(r))
		p.see("message", fmt.Sprint(string(all) == text(5000), err))
	}},
	{"JoinMessages", func(p *probe) {
		for _, term := range []string{"", "\n", ", and "} {
			server, client := p.pair()
			for _, m := range []string{"one", "", "two\nlines", text(10_000)} {
				client.WriteMessage(websocket.TextMessage, []byte(m))
			}
			client.WriteMessage(websocket.BinaryMessage, []byte("binary"))
			client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
			all, err := io.ReadAll(websocket.JoinMessages(server, term))
			p.see(fmt.Sprintf("%q", term), brief(all))
			p.see(fmt.Sprintf("%q, whole", term), strings.Join([]string{"one", "", "two\nlines", text(10_000), "binary", ""}, term) == string(all))
			p.see(fmt.Sprintf("%q, its end", term), err)
		}
	}},
	{"JoinMessages, byte by byte", func(p *probe) {
		server, client := p.pair()
		client.WriteMessage(websocket.TextMessage, []byte("one"))
		client.WriteMessage(websocket.TextMessage, []byte("two"))
		client.Close()
		r := websocket.JoinMessages(server, "; ")
		n, err := r.Read(nil)
		p.see("nothing", fmt.Sprint(n, err))
		all, err := io.ReadAll(iotest.OneByteReader(r))
		p.see("all", string(all))
		p.see("its end", err)
	}},
	{"SetReadLimit", func(p *probe) {
		for name, frames := range map[string][][]byte{
			"a frame of the limit":      {frame(0x81, text(10))},
			"fragments of the limit":    {frame(0x01, text(5)), frame(0x80, text(5))},
			"a frame above it":          {frame(0x81, text(11))},
			"fragments above it":        {frame(0x01, text(5)), frame(0x00, text(5)), frame(0x80, text(1))},
			"two messages below it":     {frame(0x81, text(9)), frame(0x81, text(9))},
			"a ping above it":           {frame(0x89, text(20)), frame(0x81, text(9))},
			"a message that never ends": {frame(0x01, text(5)), frame(0x00, text(500))},
		} {
			server, client := p.rawPeer(&websocket.Upgrader{})
			server.SetReadLimit(10)
			for _, f := range frames {
				client.Write(f)
			}
			_, data, err := server.ReadMessage()
			p.see(name, brief(data))
			p.see(name+", error", err)
			server.SetReadDeadline(time.Now().Add(patience))
			_, _, err = server.ReadMessage()
			p.see(name+", the next", err)
			p.see(name+", the peer is sent", readFrame(client))
		}
	}},
	{"SetReadLimit, none", func(p *probe) {
		for _, limit := range []int64{0, -1} {
			server, client := p.pair()
			server.SetReadLimit(limit)
			start(func() { client.WriteMessage(websocket.BinaryMessage, make([]byte, 40<<20)) })
			_, data, err := server.ReadMessage()
			p.see(fmt.Sprint(limit), fmt.Sprint(len(data), err))
		}
	}},
	{"SetReadLimit, not called", func(p *probe) {
		server, client := p.pair()
		sent := start(func() { client.WriteMessage(websocket.BinaryMessage, make([]byte, 32<<20)) })
		_, data, err := server.ReadMessage()
		p.see("32 MiB", fmt.Sprint(len(data), err))
		<-sent
		start(func() { client.WriteMessage(websocket.BinaryMessage, make([]byte, 33<<20)) })
		_, _, err = server.ReadMessage()
		p.see("33 MiB", err)
	}},
	{"SetReadLimit, between messages", func(p *probe) {
		server, client := p.pair()
		client.WriteMessage(websocket.TextMessage, []byte(text(100)))
		_, _, err := server.ReadMessage()
		p.see("before", err)
		server.SetReadLimit(99)
		client.WriteMessage(websocket.TextMessage, []byte(text(100)))
		_, r, err := server.NextReader()
		p.see("after", err)
		p.see("reader", r == nil)
	}},
	{"the addresses", func(p *probe) {
		server, client := p.pair()
		p.see("one's local is the other's remote", server.LocalAddr().String() == client.RemoteAddr().String() &&
			client.LocalAddr().String() == server.RemoteAddr().String())
		p.see("NetConn", fmt.Sprintf("%T %T", server.NetConn(), client.NetConn()))
		p.see("UnderlyingConn", server.UnderlyingConn() == server.NetConn())
	}},
	{"repeated reads after a failure", func(p *probe) {
		server, client := p.pair()
		client.Close()
		var err error
		for range 2000 {
			_, _, err = server.ReadMessage()
		}
		p.see("the 2000th", err)
	}},
}
