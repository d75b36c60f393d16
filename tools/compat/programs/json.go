package main

import (
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

// JSON, as messages carry it.
var jsonPrograms = []program{
	{"WriteJSON", func(p *probe) {
		server, client := p.pair()
		for name, v := range map[string]any{
			"nil": nil, "a number": 1.5, "a string": "<&> ü", "a map": map[string]any{"b": 1, "a": []int{}},
			"a struct": struct {
				A int    `json:"a"`
				B string `json:",omitempty"`
			}{A: 1},
		} {
			p.see(name, server.WriteJSON(v))
			messageType, data, err := client.ReadMessage()
			p.see(name+", received", fmt.Sprintf("%d %q %v", messageType, data, err))
		}
		//lint:ignore SA1019 programs use it
		p.see("the package's", websocket.WriteJSON(server, []int{1}))
		_, data, _ := client.ReadMessage()
		p.see("received", string(data))
	}},
	{"WriteJSON of what has no JSON", func(p *probe) {
		server, client := p.pair()
		p.see("a channel", server.WriteJSON(make(chan int)))
		p.see("the next", server.WriteJSON("next"))
		_, data, err := client.ReadMessage()
		p.see("received", fmt.Sprintf("%q %v", data, err))
	}},
	{"ReadJSON", func(p *probe) {
		for name, m := range map[string]string{
			"an object": `{"A":1,"b":"x"}`, "an array": `[1,"a",null]`, "a number": "12", "null": "null", "spaces": " \t{} \r\n",
			"another case": `{"a":2}`, "an empty message": "", "only spaces": "  ", "cut short": `{"A":`, "no JSON": "hello",
			"a second value": `{"A":1} {"A":2}`, "rubbish behind": `{"A":1} x`, "a bracket too many": `{"A":1}}`, "the wrong type": `{"A":"x"}`,
		} {
			server, client := p.pair()
			client.WriteMessage(websocket.TextMessage, []byte(m))
			client.WriteMessage(websocket.TextMessage, []byte(`"next"`))
			var v any
			p.see(name, server.ReadJSON(&v))
			p.see(name+", value", fmt.Sprintf("%#v", v))
			p.see(name+", next", server.ReadJSON(&v))
			p.see(name+", next value", v)
			client.WriteMessage(websocket.TextMessage, []byte(m))
			var s struct {
				A int
				B string
			}
			p.see(name+", in a struct", server.ReadJSON(&s))
			p.see(name+", the struct", fmt.Sprintf("%+v", s))
		}
	}},
	{"ReadJSON, in other cases", func(p *probe) {
		server, client := p.pair()
		var v any
		client.WriteMessage(websocket.BinaryMessage, []byte(`"binary"`))
		p.see("a binary message", server.ReadJSON(&v))
		p.see("its value", v)
		client.WriteJSON("x")
		//lint:ignore SA1019 programs use it
		p.see("the package's", websocket.ReadJSON(server, &v))
		client.WriteJSON(1)
		p.see("no pointer", server.ReadJSON(v))
		client.WriteJSON(text(100_000))
		p.see("large", server.ReadJSON(&v))
		p.see("its value", v == text(100_000))
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		p.see("a close frame", server.ReadJSON(&v))
		p.see("and after it", server.ReadJSON(&v))
	}},
	{"ReadJSON of a message that is cut off", func(p *probe) {
		server, client := p.rawPeer(&websocket.Upgrader{})
		client.Write(frame(0x01, `{"A":`))
		client.Close()
		var v any
		p.see("read", server.ReadJSON(&v))
		p.see("read", server.ReadJSON(&v))
	}},
	{"ReadJSON with a deadline", func(p *probe) {
		server, _ := p.pair()
		server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		var v any
		p.see("read", server.ReadJSON(&v))
	}},
	{"ReadJSON above the limit", func(p *probe) {
		server, client := p.pair()
		server.SetReadLimit(5)
		client.WriteJSON("longer")
		var v any
		p.see("read", server.ReadJSON(&v))
	}},
}
