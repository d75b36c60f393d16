package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// The opening handshake, RFC 6455 section 4, as rules on requests and responses.
//
// A WebSocket begins on the port and path of a web server. So a client asks in HTTP/1.1 to use the
// connection for another protocol:
//
//	GET /chat HTTP/1.1
//	Host: server.example.com
//	Upgrade: websocket
//	Connection: Upgrade
//	Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//	Sec-WebSocket-Version: 13
//
// and the server agrees, or refuses with an ordinary HTTP response:
//
//	HTTP/1.1 101 Switching Protocols
//	Upgrade: websocket
//	Connection: Upgrade
//	Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//
// Sec-WebSocket-Accept does not authenticate anyone. It proves that the server understood this
// request as WebSocket, so that a script cannot send frames to a server that takes them for another
// protocol.
//
// Why does the server hash the key, and not send it back as it is? A server that knows nothing of
// WebSocket but mirrors the fields of a request would pass. And why does the client choose a fresh
// key each time? A cache that replays an old 101 would pass if the answer were the same for all.
// Neither the mirror nor the cache can make the hash of a fresh key with a string that only a
// WebSocket server adds.

// acceptGUID is the string that a server adds to the key. Other protocols have no reason to use it.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// appendAccept appends the Sec-WebSocket-Accept value for a key: "concatenate this with the string
// […], take the SHA-1 hash of this, base64-encode" (section 4.2.2). The text of the key is hashed,
// not its 16 bytes.
func appendAccept(b []byte, key string) []byte {
	var in [len("dGhlIHNhbXBsZSBub25jZQ==") + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(in[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// isKey reports whether s is "a base64-encoded […] value that, when decoded, is 16 bytes in length"
// (section 4.2.1).
func isKey(s string) bool {
	var nonce [18]byte // 24 characters decode to at most 18 bytes
	if len(s) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(nonce[:], []byte(s))
	return err == nil && n == 16
}

// A HandshakeError reports why this side, a server, refused an opening handshake. The client got
// its text in the body of the response, unless Status is 500: the server's own failures are not
// shown to clients.
type HandshakeError struct {
	Status  int    // the status of the HTTP response, such as 403
	message string // the reason
	private bool   // the client does not get the message
	cause   *cause // nil if the client broke a rule
}

// A cause is an error of this side's own that refuses a handshake: the error of Upgrader.Admit, or
// a response header that must not be sent. HandshakeError holds a pointer to it because a
// HandshakeError can be compared, and a header cannot.
type cause struct {
	err    error
	header http.Header // the fields of a Refusal
}

// Error returns the reason for the refusal.
func (e HandshakeError) Error() string { return "websocket: " + e.message }

// Unwrap returns the error of Upgrader.Admit, such as a *Refusal, or the one of a response header
// that must not be sent. It returns nil if the client broke a rule.
func (e HandshakeError) Unwrap() error {
	if e.cause == nil {
		return nil
	}
	return e.cause.err
}

// refuse returns a refusal. Its message is private if status is 500.
func refuse(status int, format string, args ...any) *HandshakeError {
	return &HandshakeError{Status: status, message: fmt.Sprintf(format, args...), private: status == http.StatusInternalServerError}
}

// IsWebSocketUpgrade reports whether r asks for an upgrade to WebSocket. A handler can use it to
// serve such requests and ordinary ones under one path. Over HTTP/2 it reports whether r is an
// extended CONNECT for WebSocket.
func IsWebSocketUpgrade(r *http.Request) bool {
	if r.ProtoMajor > 1 {
		return isExtendedConnect(r) && r.Header.Get(connectProtocol) == "websocket"
	}
	return hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket")
}

// Subprotocols returns the subprotocols that a client offers, the preferred one first (RFC 6455
// section 1.9).
func Subprotocols(r *http.Request) []string {
	return slices.Collect(listElements(r.Header["Sec-Websocket-Protocol"]))
}

// checkRequest checks a request by the rules of section 4.2.1. It returns the client's key, or "" if
// the request came over HTTP/2.
//
// The checks are ordered so that a browser opened on this URL gets the most helpful message.
func checkRequest(r *http.Request) (key string, refusal *HandshakeError) {
	h := r.Header
	switch {
	case r.ProtoMajor > 1:
		return "", checkConnect(r)
	case !hasToken(h["Upgrade"], "websocket"):
		return "", refuse(http.StatusUpgradeRequired,
			"this is a WebSocket endpoint: the request has no 'Upgrade: websocket' header field")
	case !hasToken(h["Connection"], "upgrade"):
		// A proxy drops this hop-by-hop field unless it is configured for WebSocket.
		return "", refuse(http.StatusUpgradeRequired,
			"the request has no 'Connection: Upgrade' header field (a proxy in between must pass it on)")
	case r.Method != http.MethodGet:
		return "", refuse(http.StatusMethodNotAllowed, "the request's method is %s, not GET", r.Method)
	case !r.ProtoAtLeast(1, 1):
		return "", refuse(http.StatusBadRequest, "the request is %s, not HTTP/1.1", r.Proto)
	case len(h["Sec-Websocket-Version"]) != 1 || h["Sec-Websocket-Version"][0] != "13":
		return "", refuse(http.StatusUpgradeRequired,
			"the request has Sec-WebSocket-Version %q: this server speaks version 13", h["Sec-Websocket-Version"])
	case r.ContentLength != 0:
		// The bytes behind the header belong to the WebSocket connection.
		return "", refuse(http.StatusBadRequest, "a request for an upgrade has no body")
	}
	if keys := h["Sec-Websocket-Key"]; len(keys) != 1 || !isKey(keys[0]) {
		return "", refuse(http.StatusBadRequest,
			"Sec-WebSocket-Key must be there once, and hold 16 bytes in base64: got %q", keys)
	}
	if refusal := checkSubprotocols(h); refusal != nil {
		return "", refusal
	}
	return h["Sec-Websocket-Key"][0], nil
}

// checkSubprotocols refuses a request that offers something else than subprotocols.
func checkSubprotocols(h http.Header) *HandshakeError {
	for protocol := range listElements(h["Sec-Websocket-Protocol"]) {
		if !isSubprotocol(protocol) {
			return refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol holds %q, which is not a subprotocol's name", protocol)
		}
	}
	return nil
}

// connectProtocol is the name under which net/http has the pseudo-header field of an extended
// CONNECT. No other field's name has a colon.
const connectProtocol = ":protocol"

// isExtendedConnect reports whether r is an extended CONNECT (RFC 8441 section 4). net/http lets none
// through unless its switch is on.
func isExtendedConnect(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Method == http.MethodConnect && r.Header.Get(connectProtocol) != ""
}

// checkConnect checks a request over HTTP/2 by the rules of RFC 8441 section 5. There is no Upgrade
// and no Connection, and no key to be hashed: a server that does not know the protocol cannot agree
// by mistake.
func checkConnect(r *http.Request) *HandshakeError {
	version := r.Header["Sec-Websocket-Version"]
	switch {
	case !isExtendedConnect(r):
		return refuse(http.StatusHTTPVersionNotSupported,
			"the request came over %s and is no extended CONNECT (RFC 8441): WebSocket connections are opened over HTTP/1.1 here, "+
				"or over HTTP/2 if the server is started with GODEBUG=http2xconnect=1", r.Proto)
	case r.Header.Get(connectProtocol) != "websocket":
		return refuse(http.StatusNotImplemented, "the request's :protocol is %q: this server speaks \"websocket\"", r.Header[connectProtocol])
	case len(version) != 1 || version[0] != "13":
		// 426 would need the field Upgrade, which HTTP/2 does not have.
		return refuse(http.StatusBadRequest, "the request has Sec-WebSocket-Version %q: this server speaks version 13", version)
	case r.ContentLength >= 0:
		return refuse(http.StatusBadRequest, "the request's stream must stay open, without Content-Length and END_STREAM")
	}
	return checkSubprotocols(r.Header)
}

// isSubprotocol reports whether s may be a subprotocol's name: "characters in the range U+0021 to
// U+007E not including separator characters" (section 4.1). The only separator that this library
// needs is the comma. It allows the others, because names such as Kubernetes'
// "SPDY/3.1+portforward.k8s.io" hold them.
func isSubprotocol(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// chooseSubprotocol returns the first of the server's subprotocols that the client offered. If they
// have none in common it returns "". The handshake then goes on without a subprotocol (section
// 4.2.2), and the client decides whether it wants the connection.
func chooseSubprotocol(server []string, offered []string) string {
	for _, protocol := range server {
		for offer := range listElements(offered) {
			// The names of subprotocols are case-sensitive (the registry of section 11.5).
			if offer == protocol {
				return protocol
			}
		}
	}
	return ""
}

// appendSwitching appends the response of a server that agrees (section 4.2.2).
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
	return append(appendExtra(b, extra), "\r\n"...)
}

// appendExtra appends the application's own fields. It is not a part of appendSwitching, because
// ranging over a map takes 100 bytes of stack (see Upgrader.configure).
func appendExtra(b []byte, extra http.Header) []byte {
	for name, values := range extra {
		if !equalFold(name, "Sec-WebSocket-Protocol") { // appendSwitching has written the chosen one
			b = appendField(b, name, values)
		}
	}
	return b
}

// appendRequest appends a client's request, with the fields of r.Header. The names are written as
// section 4.1 writes them.
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

// checkResponse checks a server's response to r by the rules of section 4.1, except for its
// extensions. It returns the subprotocol.
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

// badHandshake returns an error that wraps ErrBadHandshake.
func badHandshake(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadHandshake}, args...)...)
}
