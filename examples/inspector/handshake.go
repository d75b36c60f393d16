package main

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// guid is appended to the client's key (RFC 6455 section 1.3). Only WebSocket uses it, so a server
// that answers with its hash has understood.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// A handshake is an opening handshake: both sides as text, and the steps from Sec-WebSocket-Key to
// Sec-WebSocket-Accept.
type handshake struct {
	Request  string `json:"request"`
	Response string `json:"response"`
	Key      string `json:"key"`
	GUID     string `json:"guid"`
	SHA1     string `json:"sha1"`   // of key and GUID, in hex
	Accept   string `json:"accept"` // the same bytes in base64
	Error    string `json:"error,omitempty"`
}

// newHandshake describes the handshake that a Trace reports. The accept value is computed here,
// step by step, independently of the response. A test compares the two.
func newHandshake(r *http.Request, response []byte, err error) *handshake {
	h := &handshake{Response: string(response), GUID: guid}
	if r != nil {
		h.Request = requestText(r)
		h.Key = r.Header.Get("Sec-WebSocket-Key")
	}
	if err != nil {
		h.Error = err.Error()
	}
	sum := sha1.Sum([]byte(h.Key + guid))
	h.SHA1 = hex.EncodeToString(sum[:])
	h.Accept = base64.StdEncoding.EncodeToString(sum[:])
	return h
}

// requestText writes a request as it may have looked. net/http has forgotten
// the order of the fields and the case of their names.
func requestText(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Host)
	r.Header.Write(&b) // to a Builder it cannot fail
	return strings.ReplaceAll(b.String(), "Sec-Websocket-", "Sec-WebSocket-") + "\r\n"
}
