package websocket

import (
	"net/http"
	"net/url"
	"strings"
)

// Which web pages may connect: RFC 6455 sections 4.2.2 and 10.2.
//
// A browser lets every page open a WebSocket to every host, and sends that host's cookies along. The
// same-origin policy does not apply, so a page at evil.example could use its visitor's session at
// bank.example. The browser only names the page's origin, in the Origin field. The server must refuse.

// checkOrigin applies the default rule: a page may connect to the host that it came from, by either
// scheme. Programs that are not browsers send no Origin and may connect. Refusing them would gain
// nothing, because they can send any Origin.
func checkOrigin(r *http.Request, allowed []string) *HandshakeError {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return nil
	}
	origin := origins[0]
	if len(origins) > 1 {
		return refuse(http.StatusForbidden, "the request has more than one Origin: %q", origins)
	}
	if originAllowed(origin, allowed) {
		return nil
	}
	// If the browser itself says how page and host are related, that decides. The browser knows the
	// address that the user sees, but a proxy on the way may have rewritten Host. Scripts cannot set
	// this field.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		if site == "same-origin" {
			return nil
		}
		return crossOrigin(r, origin, "the browser calls it "+site)
	}
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "":
		// Sandboxed iframes and file: pages send "null".
		return crossOrigin(r, origin, "it names no host")
	case !equalFold(withoutDefaultPort(u.Scheme, u.Host), withoutDefaultPort(u.Scheme, r.Host)):
		return crossOrigin(r, origin, "the hosts differ")
	}
	// The schemes are not compared. Only the first proxy knows whether the browser spoke TLS. r.TLS
	// tells of the last hop.
	return nil
}

// crossOrigin returns the refusal of a page from another origin, with the option to set.
func crossOrigin(r *http.Request, origin, why string) *HandshakeError {
	return refuse(http.StatusForbidden,
		"a page with Origin %q may not connect to Host %q: %s (to allow it, list the origin in AllowedOrigins)",
		origin, r.Host, why)
}

// originAllowed reports whether origin matches an element of allowed. An element is an origin, or
// "https://*.example.com" for every host below example.com.
func originAllowed(origin string, allowed []string) bool {
	for _, a := range allowed {
		if equalFold(a, origin) {
			return true
		}
		scheme, suffix, wild := strings.Cut(a, "://*.")
		if wild && underDomain(origin, scheme, suffix) {
			return true
		}
	}
	return false
}

// underDomain reports whether origin is scheme://LABELS.domain.
func underDomain(origin, scheme, domain string) bool {
	prefix, suffix := scheme+"://", "."+domain
	n := len(origin) - len(suffix)
	return n > len(prefix) &&
		equalFold(origin[:len(prefix)], prefix) &&
		equalFold(origin[n:], suffix) &&
		!strings.ContainsAny(origin[len(prefix):n], "/:@?#")
}

// withoutDefaultPort removes the port from host if it is the scheme's default.
func withoutDefaultPort(scheme, host string) string {
	switch strings.ToLower(scheme) {
	case "http", "ws":
		return strings.TrimSuffix(host, ":80")
	case "https", "wss":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}
