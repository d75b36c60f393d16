package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gorilla/websocket"
)

// Peers that break the protocol, or off.
var brokenPrograms = []program{
	{"a peer that breaks the protocol", func(p *probe) {
		for name, violation := range violations {
			server, client := p.rawPeer(&websocket.Upgrader{})
			client.Write(violation)
			server.SetReadDeadline(time.Now().Add(patience))
			_, data, err := server.ReadMessage()
			p.see(name+": message", brief(data))
			p.see(name+": read", err)
			p.see(name+": answer", readFrame(client))
			_, _, err = server.ReadMessage()
			p.see(name+": next read", err)
			p.see(name+": write", server.WriteMessage(websocket.TextMessage, []byte("a")))
		}
	}},
	{"a transport that ends early", func(p *probe) {
		whole := append(frame(0x01, text(300)), frame(0x80, text(300))...)
		for _, n := range []int{0, 1, 2, 3, 4, 7, 8, 9, 200, 308, 309, 310, 400, len(whole) - 1} {
			server, client := p.rawPeer(&websocket.Upgrader{})
			client.Write(whole[:n])
			client.Close()
			messageType, data, err := server.ReadMessage()
			p.see(fmt.Sprint(n, " bytes: ReadMessage"), err)
			p.see(fmt.Sprint(n, " bytes: type"), messageType)
			p.see(fmt.Sprint(n, " bytes: data"), brief(data))
		}
	}},
	{"a transport that ends early, with NextReader", func(p *probe) {
		whole := append(frame(0x01, text(300)), frame(0x80, text(300))...)
		for _, n := range []int{8, 9, 200, 308, 310, 400} {
			server, client := p.rawPeer(&websocket.Upgrader{})
			client.Write(whole[:n])
			client.Close()
			_, r, err := server.NextReader()
			p.see(fmt.Sprint(n, " bytes: NextReader"), err)
			data, err := io.ReadAll(r)
			p.see(fmt.Sprint(n, " bytes: ReadAll"), err)
			p.see(fmt.Sprint(n, " bytes: data"), brief(data))
			_, _, err = server.NextReader()
			p.see(fmt.Sprint(n, " bytes: then"), err)
		}
	}},
	{"a control frame that is cut off", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		client.Write(frame(0x89, text(100))[:50])
		client.Close()
		_, _, err := server.ReadMessage()
		p.see("read", err)
	}},
}

// violations are frames that a client may not send.
var violations = map[string][]byte{
	"no mask":                           {0x81, 0x01, 'a'},
	"RSV1":                              frame(0xc1, "a"),
	"RSV2":                              frame(0xa1, "a"),
	"RSV3":                              frame(0x91, "a"),
	"opcode 3":                          frame(0x83, "a"),
	"opcode 11":                         frame(0x8b, "a"),
	"a continuation of nothing":         frame(0x80, "a"),
	"a message within a message":        append(frame(0x01, "a"), frame(0x81, "b")...),
	"a fragmented ping":                 frame(0x09, "a"),
	"a long ping":                       frame(0x89, text(126)),
	"a close frame of one byte":         frame(0x88, "\x03"),
	"a close frame with code 0":         frame(0x88, "\x00\x00"),
	"a close frame with code 999":       frame(0x88, "\x03\xe7"),
	"a close frame with code 1004":      frame(0x88, "\x03\xec"),
	"a close frame with code 1005":      frame(0x88, "\x03\xed"),
	"a close frame with code 1006":      frame(0x88, "\x03\xee"),
	"a close frame with code 1014":      frame(0x88, "\x03\xf6"),
	"a close frame with code 2000":      frame(0x88, "\x07\xd0"),
	"a close frame with code 5000":      frame(0x88, "\x13\x88"),
	"a close frame whose text is none":  frame(0x88, "\x03\xe8\xff"),
	"text that is not UTF-8":            frame(0x81, "a\xffb"),
	"text that ends in a character":     frame(0x81, "a\xc3"),
	"binary that is not UTF-8":          frame(0x82, "a\xffb"),
	"a length that is not the shortest": {0x81, 0xfe, 0, 1, 0, 0, 0, 0, 'a'},
	"a length of 2^63":                  {0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	"an HTTP request":                   []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
}
