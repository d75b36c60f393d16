package websockettest_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/websockettest"
)

// The bytes that one end has written can be read at the other, by the same goroutine.
func ExamplePipe() {
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()

	client.WriteMessage(websocket.TextMessage, []byte("hello"))
	_, p, err := server.ReadMessage()
	fmt.Printf("%s, %v\n", p, err)
	// Output: hello, <nil>
}

// A handler is tested as the Server that will run it, with all settings. In a test, srv.Dial(t,
// "/") takes one line instead of five.
func ExampleNewServer() {
	greet := func(c *websocket.Conn, r *http.Request) {
		c.WriteMessage(websocket.TextMessage, []byte("hello, "+r.FormValue("name")))
	}
	srv := websockettest.NewServer(&websocket.Server{Handler: greet})
	defer srv.Close()

	c, _, err := srv.Dialer().Dial(srv.URL+"/?name=gopher", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for m, err := range c.Messages() {
		fmt.Printf("%s, %v\n", m.Data, err)
	}
	// Output: hello, gopher, <nil>
}

// A mux, with an Upgrader in one of its handlers.
func ExampleServer_Dialer() {
	mux := http.NewServeMux()
	mux.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{Subprotocols: []string{"chat.v2", "chat.v1"}}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.Shutdown(r.Context(), websocket.CloseNormalClosure, "you spoke "+c.Subprotocol())
	})
	srv := websockettest.NewServer(mux)
	defer srv.Close()

	d := srv.Dialer()
	d.Subprotocols = []string{"chat.v1"}
	c, _, err := d.Dial(srv.URL+"/chat", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, _, err = c.ReadMessage()
	fmt.Println(err)

	// A page that does not come from this host is refused.
	_, resp, err := d.Dial(srv.URL+"/chat", http.Header{"Origin": {"https://elsewhere.example"}})
	fmt.Println(errors.Is(err, websocket.ErrBadHandshake), resp.StatusCode)
	// Output:
	// websocket: close 1000 (normal): you spoke chat.v1
	// true 403
}

// Servers that misbehave, for a client to be tested with: one that agrees and
// then sends a frame with a reserved opcode, one that agrees without proof, and
// one that goes away.
func ExampleServer_misbehaving() {
	mux := http.NewServeMux()
	mux.HandleFunc("/frames", func(w http.ResponseWriter, r *http.Request) {
		c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.NetConn().Write([]byte{0x83, 0x00})
		c.ReadMessage() // waits until the client has had enough
	})
	mux.HandleFunc("/handshake", func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	})
	mux.Handle("/gone", &websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) { c.Close() }})
	srv := websockettest.NewServer(mux)
	defer srv.Close()

	for _, path := range []string{"/frames", "/handshake", "/gone"} {
		c, _, err := srv.Dialer().Dial(srv.URL+path, nil)
		if err == nil {
			_, _, err = c.ReadMessage()
			c.Close()
		}
		fmt.Println(err)
	}
	// Output:
	// websocket: reserved opcode 0x3 (closed with 1002 (protocol error))
	// websocket: bad handshake: the response has Upgrade [], not "websocket"
	// websocket: close 1006 (abnormal closure): unexpected EOF
}
