// The page's program. It runs in the browser: GOOS=js GOARCH=wasm.
package main

import (
	"context"
	"fmt"
	"strings"
	"syscall/js"
	"time"

	"github.com/plainsocket/websocket"
)

var document = js.Global().Get("document")

func element(id string) js.Value { return document.Call("getElementById", id) }

func show(id, text string) { element(id).Set("textContent", text) }

func main() {
	typed := onSubmit()
	d := websocket.Dialer{Retry: &websocket.Retry{
		FirstWait: time.Second,
		Waiting: func(err error, wait time.Duration) {
			show("state", "not connected")
			show("error", fmt.Sprintf("%v (next attempt in %.1f s)", err, wait.Seconds()))
		},
	}}
	for c, err := range d.Connect(context.Background(), socketURL(), nil) {
		if err != nil {
			show("error", err.Error())
			return
		}
		show("state", "connected")
		show("error", "")
		talk(c, typed)
	}
}

// socketURL returns the URL of the WebSocket on the page's server.
func socketURL() string {
	location := js.Global().Get("location")
	return strings.Replace(location.Get("origin").String(), "http", "ws", 1) + "/ws"
}

// onSubmit returns the texts that the user sends. The function that the browser calls must not
// wait, so a text that comes before the last was taken is dropped.
func onSubmit() <-chan string {
	typed := make(chan string, 1)
	element("form").Set("onsubmit", js.FuncOf(func(_ js.Value, args []js.Value) any {
		args[0].Call("preventDefault")
		select {
		case typed <- element("text").Get("value").String():
		default:
		}
		return nil
	}))
	return typed
}

// talk sends what the user types, and shows what comes, until the connection ends.
func talk(c *websocket.Conn, typed <-chan string) {
	go func() {
		for {
			select {
			case text := <-typed:
				c.WriteMessage(websocket.TextMessage, []byte(text))
			case <-c.Context().Done():
				return
			}
		}
	}()
	for m := range c.Messages() {
		item := document.Call("createElement", "li")
		item.Set("textContent", string(m.Data))
		element("log").Call("append", item)
	}
}
