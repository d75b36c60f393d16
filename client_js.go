package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The client in a browser (GOOS=js). A page may not open TCP connections, so the browser does the
// opening handshake, and the script is told no more than that it is done, or that it failed.
// browser_js.go is the transport that the Conn then has.

// inBrowser reports whether d has to leave the connection to the browser. With a dial function of
// the program's it does not: everything is as on other systems.
func (d *Dialer) inBrowser() bool {
	return d.NetDialContext == nil && d.NetDial == nil && d.NetDialTLSContext == nil
}

// A browserError says what a browser cannot do, and what to do instead. It satisfies errors.Is(err,
// errors.ErrUnsupported).
type browserError string

func (e browserError) Error() string        { return "websocket: a browser " + string(e) }
func (e browserError) Is(target error) bool { return target == errors.ErrUnsupported }

// checkForBrowser returns an error if d or the request asks for something that a browser cannot do.
// It deletes those header fields of the request that the browser does not get.
func (d *Dialer) checkForBrowser(r *http.Request, extra http.Header) error {
	switch {
	case d.TLSClientConfig != nil:
		return browserError("decides on certificates by itself: leave TLSClientConfig nil, and give the server a certificate that the browser trusts")
	case d.Jar != nil:
		return browserError("has cookies of its own, and sends those of the server's site: leave Jar nil")
	case d.Compression != nil:
		return browserError("offers permessage-deflate by itself, with its own settings: leave Compression nil")
	case d.PingInterval > 0:
		return browserError("cannot send pings: leave PingInterval 0, and let the server ping, or send messages that it answers")
	case r.Host != withoutZone(r.URL.Host):
		return browserError("sends the URL's host: leave Host out of the request header")
	}
	if err := checkBrowserFields(r, extra); err != nil {
		return err
	}
	if d.Proxy == nil {
		return nil
	}
	proxy, err := d.Proxy(r)
	if err != nil {
		return fmt.Errorf("websocket: choosing a proxy: %w", err)
	}
	if proxy != nil {
		return browserError("uses the proxy of its own settings: leave Proxy nil")
	}
	return nil
}

// checkBrowserFields returns an error if the program has fields for the request. Subprotocols are
// the only ones that a browser takes.
func checkBrowserFields(r *http.Request, extra http.Header) error {
	names := make(map[string]bool)
	for name := range extra {
		names[http.CanonicalHeaderKey(name)] = true
	}
	if r.Header["Authorization"] != nil { // it may come from the URL
		names["Authorization"] = true
	}
	delete(names, "Sec-Websocket-Protocol")
	delete(names, "Host") // it is the URL's
	if len(names) > 0 {
		return browserError("cannot send header fields of the program's (" + strings.Join(slices.Sorted(maps.Keys(names)), ", ") +
			"): it sends Origin and cookies by itself; put a token into the URL's query, or into the first message")
	}
	maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return name != "Sec-Websocket-Protocol" })
	return nil
}

// openInBrowser has the browser open a connection.
func (d *Dialer) openInBrowser(ctx context.Context, r *http.Request) (*Conn, *http.Response, error) {
	offers := slices.Collect(listElements(r.Header["Sec-Websocket-Protocol"]))
	nc, err := newBrowserConn(r.URL, offers, cmp.Or(d.ReadLimit, defaultReadLimit))
	if err != nil {
		return nil, nil, err
	}
	if err := nc.awaitOpen(ctx); err != nil {
		nc.Close()
		return nil, nil, err
	}
	resp := &http.Response{
		Status: "101 Switching Protocols", StatusCode: http.StatusSwitchingProtocols,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, Request: r,
	}
	subprotocol := nc.ws.Get("protocol").String()
	if subprotocol != "" {
		resp.Header.Set("Sec-Websocket-Protocol", subprotocol)
	}
	c := newConn(nc, true)
	d.configure(c, subprotocol)
	d.begin(c, r, nil)
	return c, resp, nil
}
