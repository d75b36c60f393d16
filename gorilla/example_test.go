package websocket

// This example is of the package itself, and lacks its name. If a test imported the package, go mod
// tidy would fail in a module whose replace directive puts this module in gorilla's place.

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
)

var upgrader = Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

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

// A program for gorilla/websocket stays as it is, and go.mod puts this package in the place of that.
func Example() {
	hs := httptest.NewServer(http.HandlerFunc(echo))
	defer hs.Close()

	c, _, err := DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(TextMessage, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, message, err := c.ReadMessage()
	fmt.Printf("%s, %v\n", message, err)
	// Output: hello, <nil>
}
