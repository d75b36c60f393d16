// Package websockettest has WebSocket connections and servers in memory, for tests: no ports, no
// files, and nothing of the network's timing.
//
// [Pipe] returns the two ends of a connection. A [Server] runs any [http.Handler]: a
// [websocket.Server], a mux with a [websocket.Upgrader] somewhere in it, or one that misbehaves,
// for clients to be tested with.
//
// Everything works in the bubbles of package testing/synctest. Keepalive, timeouts and deadlines
// are tested there without waiting for them:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := websockettest.NewServer(handler)
//		defer srv.Close()
//		c := srv.Dial(t, "/")
//		c.SetReadDeadline(time.Now().Add(time.Hour))
//		_, _, err := c.ReadMessage() // if the handler says nothing, this takes no time
//		…
//
// Bytes that one end has sent and the other has not read yet wait in memory, up to 2 MiB in each
// direction. A write beyond that waits, as it does on a socket if the peer does not read. So one
// goroutine may write at one end, and then read at the other. (Over [net.Pipe] it could not,
// because a write there waits for a read.)
package websockettest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/plainsocket/websocket"
)

// Pipe returns both ends of a connection. Both have to be closed. Nothing else needs to be cleaned
// up. A [Server] makes connections with settings.
func Pipe() (client, server *websocket.Conn) {
	clientSide, serverSide := newConnPair(addrOfClient(0), addrOfServer)
	done := make(chan error)
	go func() {
		var err error
		server, err = upgrade(serverSide)
		done <- err
	}()
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return clientSide, nil }}
	client, _, err := d.Dial(serverURL, nil)
	if serverErr := <-done; err != nil || serverErr != nil {
		panic(fmt.Sprintf("websockettest: %v, %v", err, serverErr)) // the library failed to agree with itself
	}
	return client, server
}

// upgrade is the server's part of the opening handshake. It uses an Upgrader because that leaves
// nothing running. A websocket.Server would need a goroutine for the handler.
func upgrade(nc net.Conn) (*websocket.Conn, error) {
	rw := bufio.NewReadWriter(bufio.NewReader(nc), bufio.NewWriter(nc))
	r, err := http.ReadRequest(rw.Reader)
	if err != nil {
		return nil, err
	}
	return new(websocket.Upgrader).Upgrade(hijackable{nc: nc, rw: rw}, r, nil)
}

// hijackable is as much of an http.ResponseWriter as an Upgrader needs to agree.
type hijackable struct {
	http.ResponseWriter
	nc net.Conn
	rw *bufio.ReadWriter
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.nc, h.rw, nil }
