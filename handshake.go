package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// The opening handshake, RFC 6455 section 4, as rules on requests and
// responses. A client asks an HTTP/1.1 server to turn the connection over:
//
//	GET /chat HTTP/1.1
//	Host: server.example.com
//	Upgrade: websocket
//	Connection: Upgrade
//	Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//	Sec-WebSocket-Version: 13
//
// and the server agrees, or answers as HTTP servers do when they refuse:
//
//	HTTP/1.1 101 Switching Protocols
//	Upgrade: websocket
//	Connection: Upgrade
//	Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//
// Key and accept prove nothing about who anybody is. They prove that the
// server read this request and speaks this protocol, so that a script cannot
// make some other server take a WebSocket's frames for its own protocol.

// acceptGUID is the string that the RFC chose because no other protocol has
// reason to use it.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// appendAccept appends the Sec-WebSocket-Accept value for a key: "concatenate
// this with the string […], take the SHA-1 hash of this, base64-encode"
// (section 4.2.2). The key counts as it was sent, not decoded.
func appendAccept(b []byte, key string) []byte {
	var in [len("dGhlIHNhbXBsZSBub25jZQ==") + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(in[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// isKey reports whether s is "a base64-encoded […] value that, when decoded,
// is 16 bytes in length" (section 4.2.1).
func isKey(s string) bool {
	var nonce [18]byte // what 24 characters decode to at most
	if len(s) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(nonce[:], []byte(s))
	return err == nil && n == 16
}

// A HandshakeError says why this side, a server, refused an opening handshake.
// Its text is what the client was told in the response's body, unless Status is
// 500: a failure of the server's own is no business of the client's.
type HandshakeError struct {
	Status  int // of the HTTP response, such as 403
	message string
	private bool          // the client is not told the message
	own     *admitRefusal // nil unless Upgrader.Admit refused
}

// An admitRefusal is what Upgrader.Admit refused with. It is behind a pointer
// because a HandshakeError can be compared.
type admitRefusal struct {
	err    error
	header http.Header
}

func (e HandshakeError) Error() string { return "websocket: " + e.message }

// Unwrap returns the error with which Upgrader.Admit refused, such as a
// *Refusal, and nil if a rule was broken.
func (e HandshakeError) Unwrap() error {
	if e.own == nil {
		return nil
	}
	return e.own.err
}

func refuse(status int, format string, args ...any) *HandshakeError {
	return &HandshakeError{Status: status, message: fmt.Sprintf(format, args...), private: status == http.StatusInternalServerError}
}

// IsWebSocketUpgrade reports whether r asks for an upgrade to WebSocket: a
// handler may serve such requests and ordinary ones under one path.
func IsWebSocketUpgrade(r *http.Request) bool {
	return hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket")
}

// Subprotocols returns the subprotocols that a client offers, the preferred
// one first (RFC 6455 section 1.9).
func Subprotocols(r *http.Request) []string {
	return slices.Collect(listElements(r.Header["Sec-Websocket-Protocol"]))
}

// checkRequest holds the rules of section 4.2.1. It returns the client's key.
//
// The order of the checks is that of usefulness: what a person who opened the
// address in a browser's window ought to read comes first.
func checkRequest(r *http.Request) (key string, refusal *HandshakeError) {
	h := r.Header
	switch {
	case r.ProtoMajor > 1:
		// HTTP/2 has neither Upgrade nor Connection (RFC 9113 section 8.2.2).
		return "", refuse(http.StatusHTTPVersionNotSupported,
			"the request came over %s; WebSocket connections are opened over HTTP/1.1 here", r.Proto)
	case !hasToken(h["Upgrade"], "websocket"):
		return "", refuse(http.StatusUpgradeRequired,
			"this is a WebSocket endpoint: the request has no 'Upgrade: websocket' header field")
	case !hasToken(h["Connection"], "upgrade"):
		// Proxies that were not told of WebSocket drop this hop-by-hop field.
		return "", refuse(http.StatusUpgradeRequired,
			"the request has no 'Connection: Upgrade' header field (a proxy in between must pass it on)")
	case r.Method != http.MethodGet:
		return "", refuse(http.StatusMethodNotAllowed, "the request's method is %s, not GET", r.Method)
	case !r.ProtoAtLeast(1, 1):
		return "", refuse(http.StatusBadRequest, "the request is %s, not HTTP/1.1", r.Proto)
	case len(h["Sec-Websocket-Version"]) != 1 || h["Sec-Websocket-Version"][0] != "13":
		return "", refuse(http.StatusUpgradeRequired,
			"the request has Sec-WebSocket-Version %q; this server speaks version 13", h["Sec-Websocket-Version"])
	case r.ContentLength != 0:
		// Octets behind the header belong to the WebSocket connection.
		return "", refuse(http.StatusBadRequest, "a request for an upgrade has no body")
	}
	if keys := h["Sec-Websocket-Key"]; len(keys) != 1 || !isKey(keys[0]) {
		return "", refuse(http.StatusBadRequest,
			"Sec-WebSocket-Key must be there once, and 16 octets in base64; got %q", keys)
	}
	for protocol := range listElements(h["Sec-Websocket-Protocol"]) {
		if !isSubprotocol(protocol) {
			return "", refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol holds %q, which is no subprotocol's name", protocol)
		}
	}
	return h["Sec-Websocket-Key"][0], nil
}

// isSubprotocol reports whether s may be a subprotocol's name: "characters in
// the range U+0021 to U+007E not including separator characters" (section 4.1).
// Of those only the comma separates anything here. The others are let pass, for
// the sake of such names as Kubernetes' "SPDY/3.1+portforward.k8s.io".
func isSubprotocol(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// chooseSubprotocol returns the first of the server's subprotocols that the
// client offered, or "" where they have none in common: the handshake then
// goes on without one, as section 4.2.2 has it, and the client decides.
func chooseSubprotocol(server []string, offered []string) string {
	for _, protocol := range server {
		for offer := range listElements(offered) {
			// Subprotocols compare with their case (section 11.5's registry).
			if offer == protocol {
				return protocol
			}
		}
	}
	return ""
}

// appendSwitching appends the response that agrees (section 4.2.2).
func appendSwitching(b []byte, key, subprotocol, extensions string, extra http.Header) []byte {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = appendAccept(b, key)
	b = append(b, "\r\n"...)
	if subprotocol != "" {
		b = append(b, "Sec-WebSocket-Protocol: "...)
		b = append(b, subprotocol...)
		b = append(b, "\r\n"...)
	}
	if extensions != "" {
		b = append(b, "Sec-WebSocket-Extensions: "...)
		b = append(b, extensions...)
		b = append(b, "\r\n"...)
	}
	for name, values := range extra {
		if !equalFold(name, "Sec-WebSocket-Protocol") { // the choice was made above
			b = appendField(b, name, values)
		}
	}
	return append(b, "\r\n"...)
}

// appendRequest appends a client's request, with the fields of r.Header and
// the names that section 4.1 gives them.
func appendRequest(b []byte, r *http.Request) []byte {
	b = append(b, "GET "+r.URL.RequestURI()+" HTTP/1.1\r\nHost: "+r.Host+"\r\n"...)
	own := []string{"Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"}
	for _, name := range own {
		b = appendField(b, name, r.Header[http.CanonicalHeaderKey(name)])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !slices.ContainsFunc(own, func(o string) bool { return equalFold(o, name) }) {
			b = appendField(b, name, r.Header[name])
		}
	}
	return append(b, "\r\n"...)
}

// checkResponse holds the rules of section 4.1 for what a server may answer to
// the request r, but for its extensions. It returns the subprotocol.
func checkResponse(resp *http.Response, r *http.Request) (subprotocol string, err error) {
	h, key := resp.Header, r.Header.Get("Sec-Websocket-Key")
	accept := string(appendAccept(nil, key))
	protocols := h["Sec-Websocket-Protocol"]
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return "", ErrBadHandshake
	case !resp.ProtoAtLeast(1, 1):
		return "", badHandshake("the response is %s, not HTTP/1.1", resp.Proto)
	case len(h["Upgrade"]) != 1 || !equalFold(h["Upgrade"][0], "websocket"):
		return "", badHandshake("the response has Upgrade %q, not \"websocket\"", h["Upgrade"])
	case !hasToken(h["Connection"], "upgrade"):
		return "", badHandshake("the response has Connection %q, not \"Upgrade\"", h["Connection"])
	case len(h["Sec-Websocket-Accept"]) != 1 || h["Sec-Websocket-Accept"][0] != accept:
		return "", badHandshake("the response has Sec-WebSocket-Accept %q, and the key asks for %q", h["Sec-Websocket-Accept"], accept)
	case len(protocols) == 0:
		return "", nil
	case len(protocols) == 1:
		for offer := range listElements(r.Header["Sec-Websocket-Protocol"]) {
			if offer == protocols[0] {
				return offer, nil
			}
		}
	}
	return "", badHandshake("the server chose subprotocol %q, which was not offered", protocols)
}

func badHandshake(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadHandshake}, args...)...)
}
