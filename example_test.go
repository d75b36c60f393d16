package websocket

// These examples are of the package itself and lack its name before Dialer, Server and so on. If a
// test imported the package, go mod tidy would fail in a module whose replace directive puts this
// module in another's place.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"
)

// A whole echo server that ends politely on Ctrl-C: every client gets close
// code 1001, and the time to answer.
func ExampleServer() {
	srv := &Server{
		Addr: "localhost:8080",
		Handler: func(c *Conn, r *http.Request) {
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
	go func() {
		<-ctx.Done()
		srv.Shutdown(context.Background())
	}()
	if err := srv.ListenAndServe(); err != ErrServerClosed {
		log.Fatal(err)
	}
}

// A Server is an http.Handler: one path of a mux among others.
func ExampleServer_ServeHTTP() {
	ws := &Server{
		Upgrader: Upgrader{AllowedOrigins: []string{"https://app.example.com"}},
		Handler: func(c *Conn, r *http.Request) {
			c.WriteJSON(map[string]string{"room": r.FormValue("room")})
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the page") })
	log.Fatal(http.ListenAndServe("localhost:8080", mux))
}

// An Upgrader makes a connection within a handler, which has to close it.
func ExampleUpgrader_Upgrade() {
	upgrader := Upgrader{Subprotocols: []string{"chat.v2", "chat.v1"}}
	http.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
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
		c.WriteMessage(TextMessage, []byte("you speak "+c.Subprotocol()))
		c.Shutdown(r.Context(), CloseNormalClosure, "that was all")
	})
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

// Admit looks at each request before the response. It decides which clients may connect, sends a
// cookie along, and gives the handler the user's name.
func ExampleUpgrader_admit() {
	type userKey struct{}
	srv := &Server{Handler: func(c *Conn, r *http.Request) {
		c.WriteMessage(TextMessage, []byte("hello "+r.Context().Value(userKey{}).(string)))
	}}
	srv.Admit = func(r *http.Request, header http.Header) (*http.Request, error) {
		user, password, _ := r.BasicAuth()
		if user != "ann" || password != "sesame" {
			return nil, &Refusal{
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

	_, resp, err := DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%v: %s, %s, %s", err, resp.Status, resp.Header.Get("WWW-Authenticate"), body)

	c, resp, err := DefaultDialer.Dial("ws://ann:sesame@"+l.Addr().String(), nil)
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
	handler := func(c *Conn, r *http.Request) {
		for {
			c.SetReadDeadline(time.Now().Add(time.Minute))
			_, p, err := c.ReadMessage()
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				c.WriteMessage(TextMessage, []byte("still there?"))
			case err != nil:
				return
			default:
				log.Printf("%s", p)
			}
		}
	}
	_ = &Server{Handler: handler}
}

// A client: it dials, says hello, and closes politely.
func ExampleDialer() {
	hs := httptest.NewServer(&Server{Handler: func(c *Conn, r *http.Request) {
		for m := range c.Messages() {
			c.WriteMessage(m.Type, append([]byte("you said "), m.Data...))
		}
	}})
	defer hs.Close()

	dialer := Dialer{HandshakeTimeout: 5 * time.Second, Compression: &Compression{}}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), http.Header{"Authorization": {"Bearer sesame"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(TextMessage, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.ReadMessage()
	fmt.Printf("%s, %v\n", p, err)
	fmt.Println(c.Shutdown(context.Background(), CloseNormalClosure, "bye"))
	// Output:
	// you said hello, <nil>
	// <nil>
}

// A client that stays connected. This one takes code 1000 for the end. A body without that
// break would be connected for as long as ctx lasts.
func ExampleDialer_Connect() {
	var served atomic.Int32
	hs := httptest.NewServer(&Server{Handler: func(c *Conn, r *http.Request) {
		if n := served.Add(1); n < 3 {
			c.WriteMessage(TextMessage, fmt.Appendf(nil, "connection %d for %s", n, r.Header.Get("Authorization")))
			c.Close() // at once, as a server does that crashes
		}
	}})
	defer hs.Close()
	url, ctx := "ws"+strings.TrimPrefix(hs.URL, "http"), context.Background()

	tokens := 0
	dialer := Dialer{Retry: &Retry{
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
		if IsCloseError(err, CloseNormalClosure) {
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
	_, resp, err := DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
	if err == ErrBadHandshake {
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s: %s", resp.Status, body)
	}
	// Output: 403 Forbidden: members only
}

// A Unix socket, by a dial function of one's own.
func ExampleDialer_unix() {
	dialer := Dialer{
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", "/run/app.sock")
		},
	}
	c, _, err := dialer.Dial("ws://localhost/events", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
}

// The cheapest server: the library reads, and calls OnMessage.
func ExampleServer_onMessage() {
	srv := &Server{
		Addr: "localhost:8080",
		OnMessage: func(c *Conn, messageType int, data []byte) {
			c.WriteMessage(messageType, data) // data is valid until OnMessage returns
		},
	}
	log.Fatal(srv.ListenAndServe())
}

// A handler with something to do before and after its messages.
func ExampleConn_HandleMessages() {
	handler := func(c *Conn, r *http.Request) {
		log.Print("hello, ", c.RemoteAddr())
		err := c.HandleMessages(func(c *Conn, messageType int, data []byte) {
			c.WriteMessage(messageType, data)
		})
		log.Print(c.RemoteAddr(), " left: ", err)
	}
	_ = &Server{Handler: handler}
}

// Metrics by a Trace: the number of connections, and bytes of payload.
func ExampleTrace() {
	var open, received atomic.Int64
	trace := &Trace{
		Handshake: func(c *Conn, r *http.Request, response []byte, err error) {
			if err == nil {
				open.Add(1)
			}
		},
		Frame: func(c *Conn, f Frame) {
			if !f.Sent {
				received.Add(f.Length)
			}
		},
		Closed: func(*Conn, error) { open.Add(-1) },
	}
	_ = &Server{Upgrader: Upgrader{Trace: trace}}
}

// The error of a read describes the end.
func ExampleCloseError() {
	tell := func(err error) {
		var closed *CloseError
		var broken *ProtocolError
		switch {
		case IsCloseError(err, CloseNormalClosure, CloseGoingAway):
			fmt.Println("the peer is done")
		case errors.As(err, &closed):
			fmt.Println("the peer closed with code", closed.Code)
		case errors.As(err, &broken):
			fmt.Println("we closed with code", broken.Code)
		case errors.Is(err, net.ErrClosed):
			fmt.Println("we closed")
		}
	}
	tell(&CloseError{Code: 1001})
	tell(&CloseError{Code: 1006})
	tell(ErrReadLimit)
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
	broadcast := func(members []*Conn, data []byte) error {
		pm, err := NewPreparedMessage(TextMessage, data)
		if err != nil {
			return err
		}
		for _, c := range members {
			if err := c.EnqueuePrepared(pm); err == ErrQueueFull {
				// The close frame goes out before the queued messages.
				c.Enqueue(CloseMessage, FormatCloseMessage(CloseTryAgainLater, "too slow"))
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
	srv := &Server{Handler: func(c *Conn, _ *http.Request) {
		for i := range 3 {
			if err := c.Enqueue(TextMessage, fmt.Append(nil, "price ", i)); err != nil {
				return // ErrQueueFull, if the client is too far behind
			}
		}
		c.WriteMessage(TextMessage, []byte("the end")) // waits for its turn behind them
	}}
	go srv.Serve(l)
	defer srv.Close()

	c, _, err := new(Dialer).Dial("ws://"+l.Addr().String(), nil)
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
	srv := &Server{Upgrader: Upgrader{Trace: &Trace{
		Dropped: func(_ *Conn, messages, _ int) { missed.Add(int64(messages)) },
	}}}
	send := func(members []*Conn, pm *PreparedMessage) {
		for _, c := range members {
			if err := c.EnqueuePrepared(pm); err == ErrQueueFull {
				c.ReportDropped(1, pm.Len())
			}
		}
	}
	_, _ = srv, send
}

// How far away is the server? Another goroutine reads meanwhile, as it would anyway.
func ExampleConn_Ping() {
	hs := httptest.NewServer(&Server{Handler: func(c *Conn, _ *http.Request) { c.ReadMessage() }})
	defer hs.Close()
	c, _, err := DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
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
	hs := httptest.NewServer(&Server{Handler: func(c *Conn, _ *http.Request) {
		tunnel := c.Stream()
		defer tunnel.Close()
		for lines := bufio.NewScanner(tunnel); lines.Scan(); {
			fmt.Fprintf(tunnel, "%s!\n", lines.Text())
		}
	}})
	defer hs.Close()
	c, _, err := DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http"), nil)
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
	fmt.Printf("%q\n", FormatCloseMessage(CloseGoingAway, "back soon"))
	// Output: "\x03\xe9back soon"
}
