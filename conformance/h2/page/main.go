// Page serves a page over TLS and HTTP/2 that opens a WebSocket, for a browser. tools/browser starts
// it, with GODEBUG=http2xconnect=1. The page shows whether the WebSocket went over HTTP/2, and over the
// TCP connection over which the page came.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/plainsocket/websocket"
)

const page = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>WebSocket over HTTP/2</title>
<p>This page came over %s from %s.
<p id="request">
<p id="echo">
<p id="closed">
<button id="close">Close</button>
<script>
const socket = new WebSocket("wss://" + location.host + "/ws", ["other", "echo"]);
socket.binaryType = "arraybuffer";
const text = "Grüße, 世界 ".repeat(5000), bytes = new Uint8Array(100000).fill(7);
let count = 0;
socket.onmessage = e => {
	if (count++ == 0) {
		document.querySelector("#request").textContent = e.data;
		socket.send(text);
		socket.send(bytes);
	} else if (typeof e.data == "string") {
		document.querySelector("#echo").textContent += e.data == text ? "text is the same. " : "text is wrong. ";
	} else {
		const same = e.data.byteLength == bytes.length && new Uint8Array(e.data).every(b => b == 7);
		document.querySelector("#echo").textContent += same ? "bytes are the same. " : "bytes are wrong. ";
	}
};
socket.onclose = e => document.querySelector("#closed").textContent = "closed " + e.code + " " + e.wasClean + " " + e.reason;
document.querySelector("#close").onclick = () => socket.close(4000, "enough");
</script>
`

func main() {
	addr := flag.String("addr", "localhost:0", "`address` to listen on")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	ws := &websocket.Server{
		Upgrader: websocket.Upgrader{Subprotocols: []string{"echo"}, Compression: &websocket.Compression{}},
		OnOpen: func(c *websocket.Conn, r *http.Request) {
			c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "%s %s from %s, subprotocol %s, extensions %s",
				r.Proto, r.Method, r.RemoteAddr, c.Subprotocol(), r.Header.Get("Sec-WebSocket-Extensions")))
		},
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) },
		OnClose:   func(c *websocket.Conn, err error) { log.Print("closed: ", err) },
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", ws) // no method: a pattern "GET /ws" would not match CONNECT
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, page, r.Proto, r.RemoteAddr)
	})
	hs := httptest.NewUnstartedServer(mux) // it has a certificate, if one that nobody trusts
	hs.Listener.Close()
	hs.Listener, hs.EnableHTTP2 = l, true
	hs.StartTLS()
	fmt.Printf("open https://%s/\n", l.Addr())
	select {}
}
