// Package websocket implements the WebSocket protocol, RFC 6455, for servers and clients, with
// nothing but the standard library.
//
// # Servers
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
// A [Server] accepts connections itself, or is an http.Handler in a mux. An [Upgrader] makes a
// [Conn] inside the program's own HTTP handler. [Upgrader.Admit] looks at each request before the
// response. It refuses a client, adds a cookie, or passes the user's name on.
//
// # Clients
//
// A client that sends one message and prints the answer:
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
// Applications see messages, text or binary. [Conn.ReadMessage] and [Conn.WriteMessage] move whole
// messages, [Conn.NextReader] and [Conn.NextWriter] move them as streams. On the wire a message is
// one or more frames (RFC 6455 section 5.4). Applications do not see frames.
//
// [Conn.Messages] is an iterator over the messages. [Conn.AppendMessage] reads into a buffer of the
// caller's, without an allocation. [Conn.ReadJSON] and [Conn.WriteJSON] move values.
//
// # Event mode
//
// With [Conn.HandleMessages] and [Server.OnMessage], the package reads, and calls a function for
// each message. That is the cheapest style for servers that answer messages. A small message costs
// one read and one write. If many messages come together, their answers go out together. With
// OnMessage an idle connection has no goroutine, on Linux without TLS. [Server.OnOpen] and
// [Server.OnClose] are its beginning and its end. [Conn.SetValue] and [Conn.Context] hold the
// program's own state.
//
// # Concurrency
//
// Any number of goroutines may call a Conn's methods. Messages are written whole, one after the
// other. Control frames are sent between the frames of a long message. The methods that read answer
// the control frames that arrive, so some goroutine has to read.
//
// # Slow peers, and sending to many
//
// A peer that does not read holds up those who write to it, and nobody else: reading goes on, and
// pings and close frames are still answered. [Conn.Enqueue] does not wait at all. The messages that
// a peer has not taken yet are bounded by [Upgrader.QueueLimit] and [Upgrader.QueueTimeout], and
// [Trace.Dropped] is told of those that were given up. A [PreparedMessage] is encoded once for many
// connections. Package pubsub sends a message to all members of a topic.
//
// # Deadlines and contexts
//
// If a deadline or a context ends a read, nothing is lost: the next read goes on from there, even
// in the middle of a frame. A write that ended before its first byte was sent can be repeated. If a
// part of a frame was sent, the connection cannot write again.
//
// # Closing, and noticing that a peer is gone
//
// [Conn.Shutdown] does the closing handshake: it sends a close frame, and waits for the peer's.
// [Conn.Close] closes at once. [Server.Shutdown] says goodbye to all connections, and
// [Server.ShutdownSpread] does so over a time. A Server pings peers that are silent, and gives up
// those that stay so. An Upgrader and a Dialer do that if [Upgrader.PingInterval] or
// [Dialer.PingInterval] is set. Bytes that a peer takes count as a sign of life, too.
//
// # Errors
//
// A [*CloseError] reports that the peer closed the connection, and its code. Code 1006 means that
// the transport ended without a close frame. A [*ProtocolError] reports the rule that the peer
// broke, and the code with which this side then closed. After a deadline has passed, errors.Is(err,
// os.ErrDeadlineExceeded) is true. After this side's own Close, errors.Is(err, net.ErrClosed) is
// true. A final error is returned by all further calls.
//
// # Compression
//
// permessage-deflate (RFC 7692) is used if [Compression] or EnableCompression turns it on, in an
// [Upgrader], [Server] or [Dialer], and the peer agrees. [Compression] has context takeover.
// EnableCompression is gorilla/websocket's field and has none.
//
// # Limits
//
// By default, a message may have 32 MiB and 65,536 fragments, an opening handshake may take 10 s
// and 16 KiB of header, and a closing handshake 5 s. Memory follows the bytes that arrived, never
// an announced length. A connection that waits holds no buffer.
//
// # Security
//
// Pages from other origins are refused unless [Upgrader.AllowedOrigins] or [Upgrader.CheckOrigin]
// allow them (RFC 6455 section 10.2). [Upgrader.Admit] decides for each request, for example by its
// cookies.
//
// # Logs and metrics
//
// A [Trace] has functions that are called for opening handshakes, for every frame, and for the end
// of a connection. [LogTrace] returns a Trace that logs.
//
// # In a browser
//
// Under GOOS=js, a Dialer uses the browser's WebSocket, and its connections are as everywhere. If
// the Dialer asks for something that a browser cannot do, such as fields in the request's header,
// Dial returns an error that satisfies errors.Is(err, [errors.ErrUnsupported]). A browser cannot
// send pings. Nor can it send close codes other than 1000 and 3000 to 4999: the other codes arrive
// with 3000 added to them, and 1001 arrives as 1000. A browser cannot make the server wait, so
// messages that are not read in time are the connection's end. With a NetDialContext the browser is
// not asked. docs/clients.md has the rest.
//
// # Programs written for gorilla/websocket
//
// The names are those of gorilla/websocket where it has one, and mean the same. Such programs run
// on this package without a change to their source, by the module in the directory gorilla.
// docs/migrating.md has the few differences.
//
// # Testing
//
// Package websockettest has connected pairs of connections, and servers, in memory.
//
// # Reading the source
//
// The files are meant to be read. docs/reading.md has the order, which begins with frame.go and
// mask.go.
package websocket
