package main

import (
	"fmt"
	"net/http"

	"github.com/gorilla/websocket"
)

// requestPrograms inspect a request without upgrading it.
var requestPrograms = []program{
	{"IsWebSocketUpgrade", func(p *probe) {
		for _, connection := range []string{"", "Upgrade", "upgrade", "keep-alive, Upgrade", "keep-alive", "upgraded", `"Upgrade"`, ",,Upgrade"} {
			for _, upgrade := range []string{"", "websocket", "WebSocket", "h2c, websocket", "websocket/13", "websockets"} {
				r := &http.Request{Header: http.Header{}}
				r.Header.Set("Connection", connection)
				r.Header.Set("Upgrade", upgrade)
				p.see(connection+"; "+upgrade, websocket.IsWebSocketUpgrade(r))
			}
		}
		p.see("in two fields", websocket.IsWebSocketUpgrade(&http.Request{Header: http.Header{
			"Connection": {"keep-alive", "Upgrade"}, "Upgrade": {"h2c", "websocket"}}}))
		p.see("another method", websocket.IsWebSocketUpgrade(&http.Request{Method: http.MethodPost, Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}}))
	}},
	{"Subprotocols", func(p *probe) {
		for _, value := range []string{"", " ", "a", "a,b", " a ,  b ", "a,,b", ",", "a b", "a;q=1", `"a"`} {
			got := websocket.Subprotocols(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": {value}}})
			p.see(fmt.Sprintf("%q", value), fmt.Sprintf("%q", got))
		}
		p.see("no field", websocket.Subprotocols(&http.Request{}) == nil)
		p.see("two fields", fmt.Sprintf("%q", websocket.Subprotocols(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": {"a", "b"}}})))
	}},
}
