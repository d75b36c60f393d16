package websocket

import (
	"net"
	"net/http"
	"net/url"
)

// Upgrade upgrades a request without looking at its origin.
//
// Deprecated: use [websocket.Upgrader.Upgrade], which refuses pages from other origins and answers the
// requests that it refuses. Upgrade leaves both to its caller. The sizes have no effect.
func Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header, readBufSize, writeBufSize int) (*Conn, error) {
	u := Upgrader{
		CheckOrigin: func(*http.Request) bool { return true },
		Error:       func(http.ResponseWriter, *http.Request, int, error) {},
	}
	return u.Upgrade(w, r, responseHeader)
}

// NewClient does a client's opening handshake on netConn, and closes netConn if that fails. If the
// URL is a wss URL, it does the TLS handshake first.
//
// Deprecated: use [websocket.Dialer.DialContext], with NetDialContext to provide the transport. The sizes
// have no effect.
func NewClient(netConn net.Conn, u *url.URL, requestHeader http.Header, readBufSize, writeBufSize int) (*Conn, *http.Response, error) {
	d := Dialer{
		NetDial:          func(string, string) (net.Conn, error) { return netConn, nil },
		HandshakeTimeout: -1,
	}
	c, resp, err := d.Dial(u.String(), requestHeader)
	if err != nil {
		netConn.Close() // Dial did not get to it if the URL is wrong
	}
	return c, resp, err
}

// ReadJSON calls c.ReadJSON(v).
//
// Deprecated: use [websocket.Conn.ReadJSON].
func ReadJSON(c *Conn, v any) error { return c.ReadJSON(v) }

// WriteJSON calls c.WriteJSON(v).
//
// Deprecated: use [websocket.Conn.WriteJSON].
func WriteJSON(c *Conn, v any) error { return c.WriteJSON(v) }
