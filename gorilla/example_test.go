package websocket_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	// A program for gorilla/websocket imports "github.com/gorilla/websocket", and its go.mod puts this
	// package in the place of that.
	"github.com/plainsocket/websocket/gorilla"
)

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		log.Print("upgrade:", err)
		return
	}
	defer c.Close()
	for {
		messageType, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(messageType, message); err != nil {
			return
		}
	}
}

// A program for gorilla/websocket stays as it is.
func Example() {
	hs := httptest.NewServer(http.HandlerFunc(echo))
	defer hs.Close()

	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, message, err := c.ReadMessage()
	fmt.Printf("%s, %v\n", message, err)
	// Output: hello, <nil>
}
