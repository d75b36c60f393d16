package websocket

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The request of a client's opening handshake: the fields that RFC 6455 section 4.1 asks for, and
// those that the caller adds.

// ownFields are the fields of section 4.1 that the handshake itself writes, and the fields that
// would announce a body.
var ownFields = []string{"Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions",
	"Sec-WebSocket-Accept", "Content-Length", "Transfer-Encoding"}

// newRequest returns the request, and the offers of compression that it holds.
func (d *Dialer) newRequest(urlStr string, extra http.Header) (*http.Request, []deflateOffer, error) {
	u, err := parseURL(urlStr)
	if err != nil {
		return nil, nil, err
	}
	reserved := ownFields
	if len(d.Subprotocols) > 0 {
		reserved = append(reserved[:len(reserved):len(reserved)], "Sec-WebSocket-Protocol")
	}
	if err := checkExtraHeader(extra, reserved...); err != nil {
		return nil, nil, err
	}
	r := &http.Request{
		Method: http.MethodGet, URL: u, Host: withoutZone(u.Host), Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	addExtraHeader(r, extra)
	if !isHost(r.Host) {
		return nil, nil, fmt.Errorf("websocket: %q cannot be the request's Host", r.Host)
	}
	d.addCredentials(r)
	if err := d.offerSubprotocols(r.Header); err != nil {
		return nil, nil, err
	}
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-Websocket-Key", newKey())
	r.Header.Set("Sec-Websocket-Version", "13")
	switch agent, ok := r.Header["User-Agent"]; {
	case !ok:
		r.Header.Set("User-Agent", "Go-http-client/1.1") // the default of net/http
	case strings.Join(agent, "") == "":
		delete(r.Header, "User-Agent") // as in net/http, an empty value removes the field
	}
	offers := d.offerDeflate()
	if len(offers) > 0 {
		r.Header.Set("Sec-Websocket-Extensions", formatOffers(offers))
	}
	if d.inBrowser() {
		if err := d.checkForBrowser(r, extra); err != nil {
			return nil, nil, err
		}
	}
	return r, offers, nil
}

// parseURL parses a ws or wss URL (RFC 6455 section 3). It returns the http or https URL of the
// same resource, which is the form that proxies and cookie jars know.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		err = wrong.Err // this error does not hold the URL, which may hold a password
	}
	if err != nil {
		return nil, fmt.Errorf("websocket: malformed URL: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fmt.Errorf("websocket: malformed URL: want a scheme of ws or wss, not %q", u.Scheme)
	}
	switch {
	case u.Hostname() == "":
		return nil, errors.New("websocket: malformed URL: it names no host")
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		// "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be
		// used on these URIs."
		return nil, fmt.Errorf("websocket: malformed URL %q: fragments are not allowed", u.Redacted())
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	u.RawQuery = percentEncode(u.RawQuery, queryEncoded)
	u.RawPath = percentEncode(u.RawPath, pathEncoded) // if "", package url encodes u.Path itself
	return u, nil
}

// The ASCII characters that browsers encode in the query and in the path of a URL, besides controls
// and the space (the URL Standard's special-query and path percent-encode sets). In a path, package
// url demands that a backslash and a vertical bar are encoded too.
const (
	queryEncoded = "\"#<>'"
	pathEncoded  = "\"#<>?^`{}\\|"
)

// percentEncode encodes the bytes of set, controls, spaces, and all bytes beyond ASCII. A percent
// sign stays, so that no byte is encoded twice.
func percentEncode(s, set string) string {
	const hex = "0123456789ABCDEF"
	var b []byte
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(set, c) >= 0 {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// withoutZone removes the zone of an IPv6 address, such as "%eth0". Only this machine knows its
// zones (RFC 6874 section 1).
func withoutZone(host string) string {
	before, rest, found := strings.Cut(host, "%")
	if _, port, ok := strings.Cut(rest, "]"); found && ok {
		return before + "]" + port
	}
	return host
}

// newKey returns a Sec-WebSocket-Key: "a nonce consisting of a randomly selected 16-byte value that
// has been base64-encoded" (section 4.1).
func newKey() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// addExtraHeader adds the caller's fields. Host has a field of its own in an http.Request.
func addExtraHeader(r *http.Request, extra http.Header) {
	for name, values := range extra {
		name = http.CanonicalHeaderKey(name)
		if name != "Host" {
			r.Header[name] = append(r.Header[name], values...)
		} else if len(values) > 0 {
			r.Host = values[0]
		}
	}
}

// addCredentials adds the URL's user name and password, and the jar's cookies.
func (d *Dialer) addCredentials(r *http.Request) {
	if user := r.URL.User; user != nil {
		r.URL.User = nil
		if r.Header["Authorization"] == nil {
			password, _ := user.Password()
			r.SetBasicAuth(user.Username(), password)
		}
	}
	if d.Jar != nil {
		if own := r.Header["Cookie"]; len(own) > 1 { // AddCookie uses the first only
			r.Header.Set("Cookie", strings.Join(own, "; "))
		}
		for _, cookie := range d.Jar.Cookies(r.URL) {
			r.AddCookie(cookie)
		}
	}
}

// offerSubprotocols adds d.Subprotocols to h, and checks all subprotocols in h: "The elements that
// comprise this value MUST […] all be unique strings" (section 4.1).
func (d *Dialer) offerSubprotocols(h http.Header) error {
	for _, protocol := range d.Subprotocols {
		if !isSubprotocol(protocol) {
			return fmt.Errorf("websocket: subprotocol %q cannot be offered", protocol)
		}
	}
	if len(d.Subprotocols) > 0 {
		h.Set("Sec-Websocket-Protocol", strings.Join(d.Subprotocols, ", "))
	}
	// The field's list must have at least one element. An empty field offers nothing, so it is left
	// out.
	offers := slices.DeleteFunc(h["Sec-Websocket-Protocol"], func(field string) bool {
		return strings.Trim(field, ", \t") == ""
	})
	if len(offers) == 0 {
		h.Del("Sec-Websocket-Protocol")
	} else {
		h["Sec-Websocket-Protocol"] = offers
	}
	seen := make(map[string]bool)
	for protocol := range listElements(h["Sec-Websocket-Protocol"]) {
		if !isSubprotocol(protocol) || seen[protocol] {
			return fmt.Errorf("websocket: subprotocol %q cannot be offered, or is offered twice", protocol)
		}
		seen[protocol] = true
	}
	return nil
}

// offerDeflate returns the offers of permessage-deflate, or none if it is off.
func (d *Dialer) offerDeflate() []deflateOffer {
	if want := compression(d.EnableCompression, d.Compression); want != nil {
		return want.offers()
	}
	return nil
}
