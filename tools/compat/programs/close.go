package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gorilla/websocket"
)

// closePrograms show the ends of connections, as the two sides see them.
var closePrograms = []program{
	{"CloseError.Error", func(p *probe) {
		for _, code := range closeCodes {
			p.see(fmt.Sprint(code), (&websocket.CloseError{Code: code}).Error())
			p.see(fmt.Sprint(code, " and a text"), (&websocket.CloseError{Code: code, Text: "why"}).Error())
		}
	}},
	{"FormatCloseMessage", func(p *probe) {
		for _, code := range closeCodes {
			p.see(fmt.Sprint(code), brief(websocket.FormatCloseMessage(code, "why")))
		}
		p.see("nil", websocket.FormatCloseMessage(1005, "") == nil)
	}},
	{"IsCloseError", func(p *probe) {
		for name, err := range map[string]error{
			"nil": nil, "another error": io.EOF, "1000": &websocket.CloseError{Code: 1000},
			"1006": &websocket.CloseError{Code: 1006}, "wrapped": fmt.Errorf("wrapped: %w", &websocket.CloseError{Code: 1000}),
		} {
			p.see(name+", IsCloseError(1000, 1001)", websocket.IsCloseError(err, 1000, 1001))
			p.see(name+", IsCloseError()", websocket.IsCloseError(err))
			p.see(name+", IsUnexpectedCloseError(1000, 1001)", websocket.IsUnexpectedCloseError(err, 1000, 1001))
			p.see(name+", IsUnexpectedCloseError()", websocket.IsUnexpectedCloseError(err))
		}
	}},
	{"the server closes", func(p *probe) { closing(p, p.pair) }},
	{"the client closes", func(p *probe) {
		closing(p, func() (*websocket.Conn, *websocket.Conn) {
			server, client := p.pair()
			return client, server
		})
	}},
	{"every close code sent", func(p *probe) {
		for _, code := range closeCodes {
			server, client := p.pair()
			err := server.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, "why"))
			p.see(fmt.Sprint(code, " sent"), err)
			if err == nil {
				_, _, err = client.ReadMessage()
				p.see(fmt.Sprint(code, " received"), err)
			}
		}
	}},
	{"a close message without a code", func(p *probe) {
		server, client := p.pair()
		p.see("sent", server.WriteMessage(websocket.CloseMessage, nil))
		_, _, err := client.ReadMessage()
		p.see("received", err)
		_, _, err = server.ReadMessage()
		p.see("answer", err)
	}},
	{"the peer's transport ends", func(p *probe) {
		server, client := p.pair()
		client.Close()
		messageType, data, err := server.ReadMessage()
		p.see("type", messageType)
		p.see("data", data == nil)
		p.see("error", err)
		p.see("IsUnexpectedCloseError", websocket.IsUnexpectedCloseError(err, websocket.CloseGoingAway))
		_, _, again := server.ReadMessage()
		p.see("the same again", err == again)
	}},
	{"Close", func(p *probe) {
		server, _ := p.pair()
		p.see("first", server.Close())
		p.see("second", server.Close())
		_, _, err := server.ReadMessage()
		p.see("read", err)
		_, _, err = server.NextReader()
		p.see("NextReader", err)
		p.see("write", server.WriteMessage(websocket.TextMessage, []byte("a")))
		p.see("ping", server.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)))
		_, err = server.NextWriter(websocket.TextMessage)
		p.see("NextWriter", err)
	}},
	{"Close while another goroutine reads", func(p *probe) {
		server, _ := p.pair()
		result := make(chan error)
		go func() {
			_, _, err := server.ReadMessage()
			result <- err
		}()
		time.Sleep(50 * time.Millisecond)
		server.Close()
		p.see("read", <-result)
	}},
	{"SetCloseHandler", func(p *probe) {
		server, client := p.pair()
		server.SetCloseHandler(func(code int, text string) error {
			p.see("handler", fmt.Sprint(code, text))
			return nil
		})
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "why"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		client.SetReadDeadline(time.Now().Add(patience))
		_, _, err = client.ReadMessage()
		p.see("answer, where the handler sends none", err)
	}},
	{"SetCloseHandler, sending another code", func(p *probe) {
		server, client := p.pair()
		server.SetCloseHandler(func(code int, text string) error {
			m := websocket.FormatCloseMessage(4001, "my own")
			return server.WriteControl(websocket.CloseMessage, m, time.Now().Add(time.Second))
		})
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "why"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		_, _, err = client.ReadMessage()
		p.see("answer", err)
	}},
	{"SetCloseHandler, returning an error", func(p *probe) {
		server, client := p.pair()
		server.SetCloseHandler(func(int, string) error { return errOurs })
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "why"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		_, _, err = server.ReadMessage()
		p.see("again", err)
	}},
	{"SetCloseHandler, wrapping the default one", func(p *probe) {
		server, client := p.pair()
		inner := server.CloseHandler()
		server.SetCloseHandler(func(code int, text string) error {
			p.see("inner", inner(code, text))
			return nil
		})
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "why"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
		_, _, err = client.ReadMessage()
		p.see("answer", err)
	}},
	{"SetCloseHandler, closing the transport", func(p *probe) {
		server, client := p.pair()
		server.SetCloseHandler(func(int, string) error { return server.Close() })
		client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "why"))
		_, _, err := server.ReadMessage()
		p.see("read", err)
	}},
}

// closeCodes are those with a name, and neighbours.
var closeCodes = []int{0, 1, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016,
	1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535}

// closing makes one side begin the closing handshake, and looks at both.
func closing(p *probe, connect func() (first, second *websocket.Conn)) {
	first, second := connect()
	m := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done")
	p.see("sent", first.WriteControl(websocket.CloseMessage, m, time.Now().Add(time.Second)))
	p.see("sent again", first.WriteControl(websocket.CloseMessage, m, time.Now().Add(time.Second)))
	p.see("a message after it", first.WriteMessage(websocket.TextMessage, []byte("a")))
	p.see("JSON after it", first.WriteJSON("a"))
	p.see("a ping after it", first.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)))
	_, err := first.NextWriter(websocket.TextMessage)
	p.see("NextWriter after it", err)

	p.see("a message before it was read", second.WriteMessage(websocket.TextMessage, []byte("late")))
	_, _, err = second.ReadMessage()
	p.see("received", err)
	_, _, again := second.ReadMessage()
	p.see("the same again", err == again)
	p.see("a message after it was read", second.WriteMessage(websocket.TextMessage, []byte("a")))

	_, data, err := first.ReadMessage()
	p.see("what came before the answer", brief(data))
	p.see("its error", err)
	_, _, err = first.ReadMessage()
	p.see("the answer", err)
}
