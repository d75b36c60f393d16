package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/websockettest"
)

// A whole echo server that ends politely on Ctrl-C: every client gets close
// code 1001, and the time to answer.
func ExampleServer() {
	srv := &websocket.Server{
		Addr: "localhost:8080",
		Handler: func(c *websocket.Conn, r *http.Request) {
			for m, err := range c.Messages() {
				if err != nil {
					log.Print(err)
					return
				}
				if err := c.WriteMessage(m.Type, m.Data); err != nil {
					return
				}
			}
		},
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		srv.Shutdown(context.Background())
	}()
	if err := srv.ListenAndServe(); err != websocket.ErrServerClosed {
		log.Fatal(err)
	}
	<-done
}

// Shutdown tells every client that the server goes away, and returns when the handlers have.
func ExampleServer_Shutdown() {
	srv := &websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) {
		c.WriteMessage(websocket.TextMessage, []byte("hello"))
		_, _, err := c.ReadMessage()
		fmt.Println("handler:", err)
	}}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	c, _, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, p, err := c.ReadMessage()
	fmt.Printf("client: %s, %v\n", p, err)

	go c.ReadMessage() // some goroutine has to read, for the close frame to be answered
	fmt.Println("shutdown:", srv.Shutdown(context.Background()))
	fmt.Println("serve:", <-served)
	// Output:
	// client: hello, <nil>
	// handler: websocket: close 1001 (going away)
	// shutdown: <nil>
	// serve: websocket: Server closed
}

// A Server is an http.Handler: one path of a mux among others. http.ListenAndServe serves the mux
// outside of a test.
func ExampleServer_ServeHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the page") })
	mux.Handle("/ws", &websocket.Server{
		Upgrader: websocket.Upgrader{AllowedOrigins: []string{"https://app.example.com"}},
		Handler: func(c *websocket.Conn, r *http.Request) {
			c.WriteJSON(map[string]string{"room": r.FormValue("room")})
		},
	})
	hs := httptest.NewServer(mux)
	defer hs.Close()

	page := http.Header{"Origin": {"https://app.example.com"}}
	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http")+"/ws?room=tea", page)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	var hello map[string]string
	err = c.ReadJSON(&hello)
	fmt.Println(hello["room"], err)
	// Output: tea <nil>
}

// A program's own state belongs to a connection from its first moment to its last.
func ExampleServer_onOpen() {
	type visitor struct {
		name  string
		lines int
	}
	closed := make(chan struct{})
	srv := websockettest.NewServer(&websocket.Server{
		OnOpen: func(c *websocket.Conn, r *http.Request) {
			c.SetValue(&visitor{name: r.FormValue("name")})
		},
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) {
			v := c.Value().(*visitor)
			v.lines++
			c.WriteMessage(messageType, fmt.Appendf(nil, "%s, line %d: %s", v.name, v.lines, data))
		},
		OnClose: func(c *websocket.Conn, err error) {
			fmt.Println(c.Value().(*visitor).name, "left:", err)
			close(closed)
		},
	})
	defer srv.Close()

	c, _, err := srv.Dialer().Dial(srv.URL+"/?name=ann", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range []string{"hello", "anybody?"} {
		c.WriteMessage(websocket.TextMessage, []byte(line))
		_, p, err := c.ReadMessage()
		fmt.Printf("%s %v\n", p, err)
	}
	c.Shutdown(context.Background(), websocket.CloseNormalClosure, "nobody there")
	<-closed
	// Output:
	// ann, line 1: hello <nil>
	// ann, line 2: anybody? <nil>
	// ann left: websocket: close 1000 (normal): nobody there
}

// An Upgrader makes a connection within a handler, which has to close it.
func ExampleUpgrader_Upgrade() {
	upgrader := websocket.Upgrader{Subprotocols: []string{"chat.v2", "chat.v1"}}
	handler := func(w http.ResponseWriter, r *http.Request) {
		// Until the upgrade, the handler can give an ordinary answer.
		if _, _, ok := r.BasicAuth(); !ok {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer c.Close()
		c.WriteMessage(websocket.TextMessage, []byte("you speak "+c.Subprotocol()))
		c.Shutdown(context.Background(), websocket.CloseNormalClosure, "that was all")
	}
	hs := httptest.NewServer(http.HandlerFunc(handler))
	defer hs.Close()

	dialer := websocket.Dialer{Subprotocols: []string{"chat.v1"}}
	host := strings.TrimPrefix(hs.URL, "http://")
	_, resp, err := dialer.Dial("ws://"+host, nil)
	fmt.Println(err, resp.StatusCode)

	c, _, err := dialer.Dial("ws://ann:sesame@"+host, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, p, _ := c.ReadMessage()
	_, _, err = c.ReadMessage()
	fmt.Printf("%s\n%v\n", p, err)
	// Output:
	// websocket: bad handshake 401
	// you speak chat.v1
	// websocket: close 1000 (normal): that was all
}

// Admit looks at each request before the response. It decides which clients may connect, sends a
// cookie along, and gives the handler the user's name.
func ExampleUpgrader_admit() {
	type userKey struct{}
	srv := &websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) {
		c.WriteMessage(websocket.TextMessage, []byte("hello "+r.Context().Value(userKey{}).(string)))
	}}
	srv.Admit = func(r *http.Request, header http.Header) (*http.Request, error) {
		user, password, _ := r.BasicAuth()
		if user != "ann" || password != "sesame" {
			return nil, &websocket.Refusal{
				Status:  http.StatusUnauthorized,
				Message: "log in first",
				Header:  http.Header{"WWW-Authenticate": {`Basic realm="chat"`}},
			}
		}
		header.Add("Set-Cookie", "seen=1")
		return r.WithContext(context.WithValue(r.Context(), userKey{}, user)), nil
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()

	_, resp, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%v: %s, %s, %s", err, resp.Status, resp.Header.Get("WWW-Authenticate"), body)

	c, resp, err := websocket.DefaultDialer.Dial("ws://ann:sesame@"+l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, p, _ := c.ReadMessage()
	fmt.Printf("%s: %s\n", resp.Header.Get("Set-Cookie"), p)
	// Output:
	// websocket: bad handshake: 401 Unauthorized, Basic realm="chat", log in first
	// seen=1: hello ann
}

// A read that times out loses nothing: the next one goes on.
func ExampleConn_SetReadDeadline() {
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()

	server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, _, err := server.ReadMessage()
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))

	client.WriteMessage(websocket.TextMessage, []byte("sorry, here I am"))
	server.SetReadDeadline(time.Time{}) // no deadline
	_, p, err := server.ReadMessage()
	fmt.Printf("%s, %v\n", p, err)
	// Output:
	// true
	// sorry, here I am, <nil>
}

// A context bounds one call, and the connection goes on after it.
func ExampleConn_ReadMessageContext() {
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, _, err := server.ReadMessageContext(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	client.WriteMessage(websocket.TextMessage, []byte("hello"))
	_, p, err := server.ReadMessageContext(context.Background())
	fmt.Printf("%s, %v\n", p, err)
	// Output:
	// true
	// hello, <nil>
}

// The iterator over messages ends with the connection. Its last error says how, unless both sides
// closed as they should.
func ExampleConn_Messages() {
	client, server := websockettest.Pipe()
	defer server.Close()
	go func() {
		defer client.Close()
		client.WriteMessage(websocket.TextMessage, []byte("hello"))
		client.WriteMessage(websocket.BinaryMessage, []byte{1, 2, 3})
		client.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
	}()
	for m, err := range server.Messages() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Type == websocket.TextMessage, len(m.Data))
	}
	fmt.Println("the end")
	// Output:
	// true 5
	// false 3
	// the end
}

// One buffer serves for all messages of a connection.
func ExampleConn_AppendMessage() {
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()
	for _, text := range []string{"no", "garbage", "here"} {
		client.WriteMessage(websocket.TextMessage, []byte(text))
	}

	var buf []byte
	for range 3 {
		_, p, err := server.AppendMessage(buf[:0])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s ", p)
		buf = p // which may have grown
	}
	// Output: no garbage here
}

// A message of any size goes through in pieces. The two ends need little memory for it.
func ExampleConn_NextWriter() {
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()

	go func() {
		w, err := client.NextWriter(websocket.BinaryMessage)
		if err != nil {
			log.Fatal(err)
		}
		for range 1000 {
			w.Write(make([]byte, 1000))
		}
		w.Close() // sends the last frame
	}()

	_, r, err := server.NextReader()
	if err != nil {
		log.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	fmt.Println(n, err)
	// Output: 1000000 <nil>
}

// Values go as JSON, one to a message.
func ExampleConn_WriteJSON() {
	type move struct {
		X, Y int
	}
	client, server := websockettest.Pipe()
	defer client.Close()
	defer server.Close()

	client.WriteJSON(move{3, 4})
	var m move
	err := server.ReadJSON(&m)
	fmt.Println(m, err)
	// Output: {3 4} <nil>
}

// Closing politely: the peer gets a code and a reason, and its answer is waited for.
func ExampleConn_Shutdown() {
	client, server := websockettest.Pipe()
	defer client.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, err := server.ReadMessage() // answers the close frame
		fmt.Println("server:", err)
		server.Close()
	}()

	err := client.Shutdown(context.Background(), websocket.CloseGoingAway, "the page was left")
	<-done
	fmt.Println("client:", err)
	// Output:
	// server: websocket: close 1001 (going away): the page was left
	// client: <nil>
}

// A client: it dials, says hello, and closes politely.
func ExampleDialer() {
	hs := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) {
		for m := range c.Messages() {
			c.WriteMessage(m.Type, append([]byte("you said "), m.Data...))
		}
	}})
	defer hs.Close()

	dialer := websocket.Dialer{HandshakeTimeout: 5 * time.Second, Compression: &websocket.Compression{}}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), http.Header{"Authorization": {"Bearer sesame"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.ReadMessage()
	fmt.Printf("%s, %v\n", p, err)
	fmt.Println(c.Shutdown(context.Background(), websocket.CloseNormalClosure, "bye"))
	// Output:
	// you said hello, <nil>
	// <nil>
}

// A client that stays connected. This one takes code 1000 for the end. A body without that
// break would be connected for as long as ctx lasts.
func ExampleDialer_Connect() {
	var served atomic.Int32
	hs := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) {
		if n := served.Add(1); n < 3 {
			c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "connection %d for %s", n, r.Header.Get("Authorization")))
			c.Close() // at once, as a server does that crashes
		}
	}})
	defer hs.Close()
	url, ctx := "ws"+strings.TrimPrefix(hs.URL, "http"), context.Background()

	tokens := 0
	dialer := websocket.Dialer{Retry: &websocket.Retry{
		FirstWait: 10 * time.Millisecond, // 5 s, if it is left out
		Header: func(_ context.Context, header http.Header) error {
			tokens++
			header.Set("Authorization", fmt.Sprint("token ", tokens))
			return nil
		},
		Waiting: func(err error, wait time.Duration) { fmt.Println("soon again:", err) },
	}}
	for c, err := range dialer.Connect(ctx, url, nil) {
		if err != nil {
			log.Fatal(err) // refused, or ctx has ended
		}
		var p []byte
		for err == nil {
			if _, p, err = c.ReadMessage(); err == nil {
				fmt.Printf("%s\n", p)
			}
		}
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			fmt.Println("done:", err)
			break
		}
	}
	// Output:
	// connection 1 for token 1
	// soon again: websocket: close 1006 (abnormal closure): unexpected EOF
	// connection 2 for token 2
	// soon again: websocket: close 1006 (abnormal closure): unexpected EOF
	// done: websocket: close 1000 (normal)
}

// A server that refuses gives the reason in its response.
func ExampleDialer_refused() {
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "members only", http.StatusForbidden)
	}))
	defer hs.Close()
	_, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err == websocket.ErrBadHandshake {
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s: %s", resp.Status, body)
	}
	// Output: 403 Forbidden: members only
}

// A Unix socket, by a dial function of one's own.
func ExampleDialer_unix() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "app.sock"))
	if err != nil {
		log.Fatal(err)
	}
	srv := &websocket.Server{OnMessage: func(c *websocket.Conn, messageType int, data []byte) {
		c.WriteMessage(messageType, bytes.ToUpper(data))
	}}
	go srv.Serve(l)
	defer srv.Close()

	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
		},
	}
	c, _, err := dialer.Dial("ws://localhost/events", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.WriteMessage(websocket.TextMessage, []byte("hello"))
	_, p, err := c.ReadMessage()
	fmt.Printf("%s, %v\n", p, err)
	// Output: HELLO, <nil>
}

// The cheapest server: the library reads, and calls OnMessage. On Linux an idle connection needs no
// goroutine.
func ExampleServer_onMessage() {
	srv := &websocket.Server{
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) {
			c.WriteMessage(messageType, data) // data is valid until OnMessage returns
		},
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()

	c, _, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.WriteMessage(websocket.TextMessage, []byte("hello"))
	_, p, err := c.ReadMessage()
	fmt.Printf("%s, %v\n", p, err)
	// Output: hello, <nil>
}

// A handler with something to do before and after its messages.
func ExampleConn_HandleMessages() {
	ended := make(chan error)
	srv := websockettest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, r *http.Request) {
		c.WriteMessage(websocket.TextMessage, []byte("say something"))
		ended <- c.HandleMessages(func(c *websocket.Conn, messageType int, data []byte) {
			c.WriteMessage(messageType, append([]byte("you said "), data...))
		})
	}})
	defer srv.Close()

	c, _, err := srv.Dialer().Dial(srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	c.WriteMessage(websocket.TextMessage, []byte("something"))
	for range 2 {
		_, p, _ := c.ReadMessage()
		fmt.Println(string(p))
	}
	go c.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
	fmt.Println(<-ended)
	// Output:
	// say something
	// you said something
	// websocket: close 1000 (normal)
}

// Metrics by a Trace: the number of connections, and bytes of payload.
func ExampleTrace() {
	var opened, received atomic.Int64
	closed := make(chan error)
	srv := websockettest.NewServer(&websocket.Server{
		Upgrader: websocket.Upgrader{Trace: &websocket.Trace{
			Handshake: func(c *websocket.Conn, r *http.Request, response []byte, err error) {
				if err == nil {
					opened.Add(1)
				}
			},
			Frame: func(c *websocket.Conn, f websocket.Frame) {
				if !f.Sent && f.Opcode < 8 { // no control frames
					received.Add(f.Length)
				}
			},
			Closed: func(c *websocket.Conn, err error) { closed <- err },
		}},
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) {},
	})
	defer srv.Close()

	c, _, err := srv.Dialer().Dial(srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	c.WriteMessage(websocket.TextMessage, []byte("hello"))
	go c.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
	fmt.Println(<-closed)
	fmt.Println(opened.Load(), "connection,", received.Load(), "bytes")
	// Output:
	// websocket: close 1000 (normal)
	// 1 connection, 5 bytes
}

// A logger is told of handshakes and ends, and of each frame at the level Debug.
func ExampleLogTrace() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "remote" || a.Key == "host" {
				return slog.Attr{} // to say the same at every run
			}
			return a
		},
	}))
	srv := &websocket.Server{
		Upgrader: websocket.Upgrader{Trace: websocket.LogTrace(logger)},
		Handler:  func(c *websocket.Conn, r *http.Request) { c.ReadMessage() },
	}
	ts := websockettest.NewServer(srv)
	c, _, err := ts.Dialer().Dial(ts.URL+"/chat", nil)
	if err != nil {
		log.Fatal(err)
	}
	c.Shutdown(context.Background(), websocket.CloseGoingAway, "")
	c.Close()
	ts.Close() // waits for the handlers
	// Output:
	// level=INFO msg="websocket: opened" path=/chat subprotocol=""
	// level=INFO msg="websocket: closed" cause="websocket: close 1001 (going away)"
}

// Both sides agree to compress. Small messages that resemble each other get much shorter.
func ExampleCompression() {
	srv := websockettest.NewServer(&websocket.Server{
		Upgrader: websocket.Upgrader{Compression: &websocket.Compression{}},
		Handler: func(c *websocket.Conn, r *http.Request) {
			for i := range 3 {
				c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"symbol":"ACME","price":17.%d,"currency":"EUR","exchange":"Exchange of Examples"}`, i))
			}
		},
	})
	defer srv.Close()

	dialer := srv.Dialer()
	dialer.Compression = &websocket.Compression{}
	dialer.Trace = &websocket.Trace{Frame: func(c *websocket.Conn, f websocket.Frame) {
		if !f.Sent && f.Opcode == websocket.TextMessage {
			fmt.Print(f.Length, " bytes on the wire: ")
		}
	}}
	c, _, err := dialer.Dial(srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for m, err := range c.Messages() {
		fmt.Println(string(m.Data), err)
	}
	// Output:
	// 76 bytes on the wire: {"symbol":"ACME","price":17.0,"currency":"EUR","exchange":"Exchange of Examples"} <nil>
	// 8 bytes on the wire: {"symbol":"ACME","price":17.1,"currency":"EUR","exchange":"Exchange of Examples"} <nil>
	// 8 bytes on the wire: {"symbol":"ACME","price":17.2,"currency":"EUR","exchange":"Exchange of Examples"} <nil>
}

// The error of a read describes the end.
func ExampleCloseError() {
	tell := func(err error) {
		var closed *websocket.CloseError
		var broken *websocket.ProtocolError
		switch {
		case websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway):
			fmt.Println("the peer is done")
		case errors.As(err, &closed):
			fmt.Println("the peer closed with code", closed.Code)
		case errors.As(err, &broken):
			fmt.Println("we closed with code", broken.Code)
		case errors.Is(err, net.ErrClosed):
			fmt.Println("we closed")
		}
	}
	tell(&websocket.CloseError{Code: 1001})
	tell(&websocket.CloseError{Code: 1006})
	tell(websocket.ErrReadLimit)
	tell(net.ErrClosed)
	// Output:
	// the peer is done
	// the peer closed with code 1006
	// we closed with code 1009
	// we closed
}

// A message to many members is encoded once. EnqueuePrepared does not wait for a member that reads
// slowly, so a slow one does not delay the others.
func ExamplePreparedMessage() {
	broadcast := func(members []*websocket.Conn, data []byte) error {
		pm, err := websocket.NewPreparedMessage(websocket.TextMessage, data)
		if err != nil {
			return err
		}
		for _, c := range members {
			if err := c.EnqueuePrepared(pm); err == websocket.ErrQueueFull {
				// The close frame goes out before the queued messages.
				c.Enqueue(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseTryAgainLater, "too slow"))
			}
		}
		return nil
	}
	fmt.Println(broadcast(nil, []byte("hello, all")))
	// Output: <nil>
}

// The server sends without waiting for a client that does not read yet. Nothing is
// lost, and the order is that of the calls.
func ExampleConn_Enqueue() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
		for i := range 3 {
			if err := c.Enqueue(websocket.TextMessage, fmt.Append(nil, "price ", i)); err != nil {
				return // ErrQueueFull, if the client is too far behind
			}
		}
		c.WriteMessage(websocket.TextMessage, []byte("the end")) // waits for its turn behind them
	}}
	go srv.Serve(l)
	defer srv.Close()

	c, _, err := new(websocket.Dialer).Dial("ws://"+l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for msg, err := range c.Messages() {
		fmt.Println(string(msg.Data), err)
	}
	// Output:
	// price 0 <nil>
	// price 1 <nil>
	// price 2 <nil>
	// the end <nil>
}

// A feed of samples, of which a slow reader misses some, in a hub of the program's own. The Trace
// counts them, together with those that a connection held when it ended.
func ExampleConn_ReportDropped() {
	var missed atomic.Int64
	srv := &websocket.Server{Upgrader: websocket.Upgrader{Trace: &websocket.Trace{
		Dropped: func(_ *websocket.Conn, messages, _ int) { missed.Add(int64(messages)) },
	}}}
	send := func(members []*websocket.Conn, pm *websocket.PreparedMessage) {
		for _, c := range members {
			if err := c.EnqueuePrepared(pm); err == websocket.ErrQueueFull {
				c.ReportDropped(1, pm.Len())
			}
		}
	}
	_, _ = srv, send
}

// How far away is the server? Another goroutine reads meanwhile, as it would anyway.
func ExampleConn_Ping() {
	hs := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) { c.ReadMessage() }})
	defer hs.Close()
	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	go func() {
		for m, err := range c.Messages() {
			if err == nil {
				log.Printf("%s", m.Data)
			}
		}
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rtt, err := c.Ping(ctx)
	fmt.Println(0 < rtt && rtt < 10*time.Second, err)
	// Output: true <nil>
}

// A tunnel: any protocol between two programs that only the web connects. Here it is lines
// of text. TLS, SSH or a multiplexer take the net.Conn just as well.
func ExampleConn_Stream() {
	hs := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
		tunnel := c.Stream()
		defer tunnel.Close()
		for lines := bufio.NewScanner(tunnel); lines.Scan(); {
			fmt.Fprintf(tunnel, "%s!\n", lines.Text())
		}
	}})
	defer hs.Close()
	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	tunnel := c.Stream()
	io.WriteString(tunnel, "hel")
	io.WriteString(tunnel, "lo\nand goodbye\n")
	for lines := bufio.NewReader(tunnel); ; {
		line, err := lines.ReadString('\n')
		fmt.Print(line)
		if err != nil || line == "and goodbye!\n" {
			break
		}
	}
	fmt.Println(tunnel.Close())
	// Output:
	// hello!
	// and goodbye!
	// <nil>
}

func ExampleFormatCloseMessage() {
	fmt.Printf("%q\n", websocket.FormatCloseMessage(websocket.CloseGoingAway, "back soon"))
	// Output: "\x03\xe9back soon"
}
