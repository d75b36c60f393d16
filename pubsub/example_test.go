package pubsub_test

import (
	"fmt"
	"net/http"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
	"github.com/plainsocket/websocket/websockettest"
)

// Two rooms. Each member gets what others say in its own.
func Example() {
	var topics pubsub.Topics
	ts := websockettest.NewServer(&websocket.Server{
		OnOpen: func(c *websocket.Conn, r *http.Request) {
			topics.Subscribe(c, r.URL.Path)
			c.Enqueue(websocket.TextMessage, []byte("welcome to "+r.URL.Path))
		},
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) {
			pm, err := websocket.NewPreparedMessage(messageType, data)
			if err != nil {
				return
			}
			for topic := range topics.Of(c) {
				topics.Publish(topic, pm, c) // to all but c
			}
		},
	})
	defer ts.Close()

	join := func(room string) *websocket.Conn {
		c, _, err := ts.Dialer().Dial(ts.URL+room, nil)
		if err != nil {
			panic(err)
		}
		hear(c)
		return c
	}
	ann, bob, eve := join("/tea"), join("/tea"), join("/coffee")
	eve.WriteMessage(websocket.TextMessage, []byte("is nobody here?"))
	ann.WriteMessage(websocket.TextMessage, []byte("hello, tea"))
	hear(bob)
	fmt.Println(topics.Len("/tea"), "and", topics.Len("/coffee"))
	// Output:
	// welcome to /tea
	// welcome to /tea
	// welcome to /coffee
	// hello, tea
	// 2 and 1
}

func hear(c *websocket.Conn) {
	_, p, err := c.ReadMessage()
	if err != nil {
		panic(err)
	}
	fmt.Println(string(p))
}

// Slow members lose what others type, and are closed for everything else. Prices supersede each
// other, so they cannot pile up.
func ExampleTopics() {
	topics := pubsub.Topics{
		Slow: func(c *websocket.Conn, topic string, pm *websocket.PreparedMessage) pubsub.Verdict {
			if topic == "typing" {
				return pubsub.DropNewest
			}
			return pubsub.CloseSlow
		},
		Opened: func(topic string) { fmt.Println("first member of", topic) },
		Closed: func(topic string) { fmt.Println("last member of", topic) },
	}
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()
	topics.Subscribe(server, "prices")
	pm, _ := websocket.NewPreparedMessage(websocket.TextMessage, []byte(`{"ACME":17.5}`))
	topics.PublishLatest("prices", "ACME", pm)
	hear(client)
	topics.Unsubscribe(server, "prices")
	// Output:
	// first member of prices
	// {"ACME":17.5}
	// last member of prices
}
