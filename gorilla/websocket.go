// Package websocket has the names of github.com/gorilla/websocket v1.5.3, and Plainsocket behind
// them.
//
// A program that uses gorilla's package uses this one as soon as its go.mod says so. Its source
// and the sources of its dependencies stay as they are:
//
//	go mod edit -replace github.com/gorilla/websocket=CHECKOUT/gorilla -replace github.com/plainsocket/websocket=CHECKOUT
//	go mod tidy
//
// The types are aliases. A Conn of this package is a Conn of github.com/plainsocket/websocket,
// and a program may import both. That package documents all names. The functions in
// deprecated.go, which gorilla's package deprecates too, are only here.
//
// Package websocket is a module of its own because a replace directive puts a module in the place
// of a module. If the module of Plainsocket itself were put there, its packages could not find
// each other under their own paths.
package websocket

import (
	"io"
	"net/http"

	"github.com/plainsocket/websocket"
)

// The types.
type (
	BufferPool      = websocket.BufferPool
	CloseError      = websocket.CloseError
	Conn            = websocket.Conn
	Dialer          = websocket.Dialer
	HandshakeError  = websocket.HandshakeError
	PreparedMessage = websocket.PreparedMessage
	Upgrader        = websocket.Upgrader
)

// The types of messages.
const (
	TextMessage   = websocket.TextMessage
	BinaryMessage = websocket.BinaryMessage
	CloseMessage  = websocket.CloseMessage
	PingMessage   = websocket.PingMessage
	PongMessage   = websocket.PongMessage
)

// The close codes.
const (
	CloseNormalClosure           = websocket.CloseNormalClosure
	CloseGoingAway               = websocket.CloseGoingAway
	CloseProtocolError           = websocket.CloseProtocolError
	CloseUnsupportedData         = websocket.CloseUnsupportedData
	CloseNoStatusReceived        = websocket.CloseNoStatusReceived
	CloseAbnormalClosure         = websocket.CloseAbnormalClosure
	CloseInvalidFramePayloadData = websocket.CloseInvalidFramePayloadData
	ClosePolicyViolation         = websocket.ClosePolicyViolation
	CloseMessageTooBig           = websocket.CloseMessageTooBig
	CloseMandatoryExtension      = websocket.CloseMandatoryExtension
	CloseInternalServerErr       = websocket.CloseInternalServerErr
	CloseServiceRestart          = websocket.CloseServiceRestart
	CloseTryAgainLater           = websocket.CloseTryAgainLater
	CloseTLSHandshake            = websocket.CloseTLSHandshake
)

// DefaultDialer points to the Dialer that the variable of the same name in Plainsocket's package
// points to. A program that sets a field of that Dialer sets it for both packages. A program that
// assigns to the variable changes this package's only.
var DefaultDialer = websocket.DefaultDialer

// The errors, the same values as in Plainsocket's package.
var (
	ErrBadHandshake = websocket.ErrBadHandshake
	ErrCloseSent    = websocket.ErrCloseSent
	ErrReadLimit    = websocket.ErrReadLimit
)

// FormatCloseMessage calls [websocket.FormatCloseMessage].
func FormatCloseMessage(closeCode int, text string) []byte {
	return websocket.FormatCloseMessage(closeCode, text)
}

// IsCloseError calls [websocket.IsCloseError].
func IsCloseError(err error, codes ...int) bool {
	return websocket.IsCloseError(err, codes...)
}

// IsUnexpectedCloseError calls [websocket.IsUnexpectedCloseError].
func IsUnexpectedCloseError(err error, expectedCodes ...int) bool {
	return websocket.IsUnexpectedCloseError(err, expectedCodes...)
}

// IsWebSocketUpgrade calls [websocket.IsWebSocketUpgrade].
func IsWebSocketUpgrade(r *http.Request) bool {
	return websocket.IsWebSocketUpgrade(r)
}

// JoinMessages calls [websocket.JoinMessages].
func JoinMessages(c *Conn, term string) io.Reader {
	return websocket.JoinMessages(c, term)
}

// NewPreparedMessage calls [websocket.NewPreparedMessage].
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	return websocket.NewPreparedMessage(messageType, data)
}

// Subprotocols calls [websocket.Subprotocols].
func Subprotocols(r *http.Request) []string {
	return websocket.Subprotocols(r)
}
