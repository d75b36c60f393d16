// Package websocket implements the WebSocket protocol, RFC 6455, for servers
// and clients, with nothing but the standard library.
//
// A server that answers every message with itself:
//
//	func main() {
//		srv := &websocket.Server{Addr: "localhost:8080", Handler: echo}
//		log.Fatal(srv.ListenAndServe())
//	}
//
//	func echo(c *websocket.Conn, r *http.Request) {
//		for {
//			messageType, p, err := c.ReadMessage()
//			if err != nil {
//				return // the Server does the closing handshake
//			}
//			if err := c.WriteMessage(messageType, p); err != nil {
//				return
//			}
//		}
//	}
//
// A [Server] accepts connections itself, or is an http.Handler in a mux. An
// [Upgrader] makes a [Conn] inside an HTTP handler of one's own.
//
// A client that says one thing and prints the answer:
//
//	c, _, err := websocket.DefaultDialer.Dial("wss://server.example/chat", nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer c.Close()
//	c.WriteMessage(websocket.TextMessage, []byte("hello"))
//	_, p, err := c.ReadMessage()
//	log.Printf("%s, %v", p, err)
//
// A [Dialer] has the settings of a client: proxies, TLS, subprotocols, cookies. Its
// method [Dialer.Connect] keeps a client connected. [Conn.Stream] is a net.Conn for other
// protocols.
//
// # Messages and frames
//
// Applications see messages, of text or of octets: [Conn.ReadMessage] and
// [Conn.WriteMessage] move them whole, [Conn.NextReader] and [Conn.NextWriter]
// as streams. On the wire a message is one frame or several (RFC 6455 section
// 5.4), which is nobody's business but this package's.
//
// [Conn.HandleMessages] and [Server.OnMessage] turn it round: the package reads,
// and calls a function for each message. That is the cheapest style, for
// servers that answer messages: a small one costs one read and one write, and
// answers to many that came together go out together. With OnMessage an idle
// connection has no goroutine, on Linux without TLS. [Server.OnOpen] and
// [Server.OnClose] are its beginning and its end, and [Conn.SetValue] and
// [Conn.Context] are for what the program knows of it.
//
// # Concurrency
//
// Any number of goroutines may call a Conn's methods. Messages are written
// whole, one after the other; control frames slip between the frames of a long
// one. Control frames that arrive are dealt with by whatever method reads, so
// some goroutine has to.
//
// # Deadlines and contexts
//
// A read that a deadline or a context ends has lost nothing: the next one goes
// on where it was, be it in the middle of a frame. A write that ended before
// its first octet can be repeated. Only a frame that was cut short is final.
//
// # Errors
//
// A [*CloseError] says that the peer closed, with which code; code 1006 that
// its transport ended without a close frame. A [*ProtocolError] says what the
// peer did wrong, and the code with which this side closed for it. Deadlines
// satisfy errors.Is(err, os.ErrDeadlineExceeded), errors after one's own Close
// satisfy errors.Is(err, net.ErrClosed). An error that is final is
// returned by all further calls.
//
// # Compression
//
// permessage-deflate (RFC 7692) is used if [Compression] or EnableCompression
// turn it on, in an [Upgrader], [Server] or [Dialer], and the peer agrees. The
// former has context takeover, the latter is gorilla/websocket's and has none.
//
// # Limits
//
// Unless told otherwise, a message may have 32 MiB and 65,536 fragments, an
// opening handshake 10 s and 16 KiB of header, a closing handshake 5 s. Memory
// follows the octets that arrived, never a length that was announced; a
// connection that waits holds no buffer.
//
// # Security
//
// Pages from other origins are refused unless [Upgrader.AllowedOrigins] or
// [Upgrader.CheckOrigin] allow them (RFC 6455 section 10.2). [Upgrader.Admit]
// says who may connect.
//
// # Logs and metrics
//
// A [Trace] is told of opening handshakes, of every frame, and of ends;
// [LogTrace] makes one that logs.
//
// # Reading the source
//
// The files are meant to be read, in this order: mask.go, frame.go, inbound.go,
// close.go, utf8.go, header.go, handshake.go, origin.go, conn.go, conn_read.go,
// conn_frames.go, conn_write.go, conn_close.go, server.go, upgrade.go,
// client.go, proxy.go; then conn_handle.go and conn_coalesce.go for speed,
// compress.go for compression, and the packages in internal for DEFLATE and SOCKS5.
package websocket
