package websocket

import (
	"net"
	"net/http"
	"net/url"
)

// Names that are here for programs written for gorilla/websocket. Each says
// what is better.

// Upgrade upgrades a request without looking at its origin.
//
// Deprecated: use [Upgrader.Upgrade], which refuses pages from other origins
// and answers requests that it refuses. Here both are left to the caller, and
// the sizes have no effect.
func Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header, readBufSize, writeBufSize int) (*Conn, error) {
	u := Upgrader{
		CheckOrigin: func(*http.Request) bool { return true },
		Error:       func(http.ResponseWriter, *http.Request, int, error) {},
	}
	return u.Upgrade(w, r, responseHeader)
}

// NewClient does a client's opening handshake on netConn, which it closes if
// that fails. For a wss URL it does the TLS handshake first.
//
// Deprecated: use [Dialer.DialContext], with NetDialContext to provide the
// transport. The sizes have no effect.
func NewClient(netConn net.Conn, u *url.URL, requestHeader http.Header, readBufSize, writeBufSize int) (*Conn, *http.Response, error) {
	d := Dialer{
		NetDial:          func(string, string) (net.Conn, error) { return netConn, nil },
		HandshakeTimeout: -1,
	}
	c, resp, err := d.Dial(u.String(), requestHeader)
	if err != nil {
		netConn.Close() // where there was no request yet
	}
	return c, resp, err
}

// UnderlyingConn returns the transport.
//
// Deprecated: use [Conn.NetConn], which is the same.
func (c *Conn) UnderlyingConn() net.Conn { return c.NetConn() }

// ReadJSON is c.ReadJSON(v).
//
// Deprecated: use [Conn.ReadJSON].
func ReadJSON(c *Conn, v any) error { return c.ReadJSON(v) }

// WriteJSON is c.WriteJSON(v).
//
// Deprecated: use [Conn.WriteJSON].
func WriteJSON(c *Conn, v any) error { return c.WriteJSON(v) }
