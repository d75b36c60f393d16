package websocket

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

// originRequest returns a request to host with the given Origin fields.
func originRequest(host string, secure bool, origins ...string) *http.Request {
	r := &http.Request{Host: host, Header: http.Header{}}
	if secure {
		r.TLS = new(tls.ConnectionState)
	}
	if origins != nil {
		r.Header["Origin"] = origins
	}
	return r
}

func TestCheckOrigin(t *testing.T) {
	const differ, noHost = "the hosts differ", "it names no host"
	for _, tt := range []struct {
		name    string
		host    string
		secure  bool
		origins []string
		refused string // part of the reason, or "" if the page may connect
	}{
		{"not a browser", "example.com", false, nil, ""},
		{"same host", "example.com", false, []string{"http://example.com"}, ""},
		{"same host over TLS", "example.com", true, []string{"https://example.com"}, ""},
		{"same host in another case", "Example.COM", false, []string{"http://eXample.com"}, ""},
		{"same port", "example.com:8080", false, []string{"http://example.com:8080"}, ""},
		{"same IPv6 address", "[::1]:8080", false, []string{"http://[::1]:8080"}, ""},
		{"TLS ends at a proxy", "example.com", false, []string{"https://example.com"}, ""},
		{"default port in Host", "example.com:80", false, []string{"http://example.com"}, ""},
		{"default port in Origin", "example.com", false, []string{"http://example.com:80"}, ""},
		{"default port of TLS in Host", "example.com:443", true, []string{"https://example.com"}, ""},
		{"default port of TLS in Origin", "example.com", true, []string{"https://example.com:443"}, ""},
		{"default port behind an IPv6 address", "[::1]:443", true, []string{"https://[::1]"}, ""},

		{"another host", "example.com", false, []string{"http://evil.com"}, differ},
		{"a host below", "example.com", false, []string{"http://sub.example.com"}, differ},
		{"a host above", "sub.example.com", false, []string{"http://example.com"}, differ},
		{"a host that ends so", "example.com", false, []string{"http://notexample.com"}, differ},
		{"a host that begins so", "example.com", false, []string{"http://example.com.evil.com"}, differ},
		{"another port", "example.com:8080", false, []string{"http://example.com:8081"}, differ},
		{"port in Origin alone", "example.com", false, []string{"http://example.com:8080"}, differ},
		{"port in Host alone", "example.com:8080", false, []string{"http://example.com"}, differ},
		{"the other scheme's default port", "example.com:80", false, []string{"https://example.com"}, differ},
		{"the other scheme's default port, in Origin", "example.com", true, []string{"http://example.com:443"}, differ},
		{"a port that ends in 80", "example.com", false, []string{"http://example.com:8080"}, differ},
		{"the host as a user name", "example.com", false, []string{"http://example.com@evil.com"}, differ},
		{"the host in a path", "example.com", false, []string{"http://evil.com/example.com"}, differ},

		// A proxy may take http and speak TLS to this server, or take TLS and speak http.
		{"TLS begins at a proxy", "example.com", true, []string{"http://example.com"}, ""},
		{"TLS begins at a proxy, in capitals", "example.com", true, []string{"HTTP://example.com"}, ""},
		{"TLS begins at a proxy, default ports", "example.com:80", true, []string{"http://example.com"}, ""},
		{"TLS begins at a proxy, a port", "example.com:8080", true, []string{"http://example.com:8080"}, ""},
		{"TLS begins at a proxy, the backend's port", "example.com:443", true, []string{"http://example.com"}, differ},
		{"TLS ends at a proxy, default ports", "example.com:443", false, []string{"https://example.com"}, ""},
		{"a scheme without a default port", "example.com:80", false, []string{"app://example.com:80"}, ""},
		{"a scheme without a default port, a port in Host", "example.com:80", false, []string{"app://example.com"}, differ},
		{"TLS begins at a proxy, another host", "example.com", true, []string{"http://evil.com"}, differ},

		{"null", "example.com", false, []string{"null"}, noHost},
		{"empty", "example.com", false, []string{""}, noHost},
		{"empty, empty Host", "", false, []string{""}, noHost},
		{"null, Host of that name", "null", false, []string{"null"}, noHost},
		{"file", "example.com", false, []string{"file://"}, noHost},
		{"no URL", "example.com", false, []string{"http://exa mple.com"}, noHost},
		{"host without scheme", "example.com", false, []string{"example.com"}, noHost},

		{"two fields", "example.com", false, []string{"http://example.com", "http://example.com"}, "more than one Origin"},
		{"two fields, the second evil", "example.com", false, []string{"http://example.com", "http://evil.com"}, "more than one Origin"},
		{"a list", "example.com", false, []string{"http://example.com http://evil.com"}, noHost},
	} {
		refusal := checkOrigin(originRequest(tt.host, tt.secure, tt.origins...), nil)
		if refusal == nil {
			if tt.refused != "" {
				t.Errorf("%s: may connect", tt.name)
			}
			continue
		}
		if tt.refused == "" || refusal.Status != 403 || !strings.Contains(refusal.message, tt.refused) {
			t.Errorf("%s: refused with %d %q, want %q", tt.name, refusal.Status, refusal.message, tt.refused)
		}
	}
}

// Sec-Fetch-Site, by which the browser says how page and host are related, decides before the names
// of the hosts, and after the list of origins.
func TestCheckOriginSecFetchSite(t *testing.T) {
	for _, tt := range []struct {
		site, origin string
		allowed      []string
		want         bool
	}{
		{"same-origin", "https://example.com", nil, true},
		{"same-origin", "https://public.example", nil, true}, // a proxy has rewritten Host
		{"same-site", "https://example.com", nil, false},
		{"cross-site", "https://example.com", nil, false},
		{"none", "https://example.com", nil, false},
		{"SAME-ORIGIN", "https://public.example", nil, false}, // the token is in lower case
		{"cross-site", "https://partner.example", []string{"https://partner.example"}, true},
		{"cross-site", "https://a.partner.example", []string{"https://*.partner.example"}, true},
		{"cross-site", "https://evil.com", []string{"https://partner.example"}, false},
		{"", "https://example.com", nil, true},
		{"", "https://public.example", nil, false},
	} {
		r := originRequest("example.com", false, tt.origin)
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		refusal := checkOrigin(r, tt.allowed)
		if (refusal == nil) != tt.want {
			t.Errorf("Sec-Fetch-Site %q, Origin %q, allowed %q: refused with %v", tt.site, tt.origin, tt.allowed, refusal)
		}
		if tt.site != "" && refusal != nil && !strings.Contains(refusal.message, "the browser calls it "+tt.site) {
			t.Errorf("Sec-Fetch-Site %q: the reason does not say so: %q", tt.site, refusal.message)
		}
	}
}

// A refusal says why the origin was refused, and how to allow it.
func TestCheckOriginReason(t *testing.T) {
	refusal := checkOrigin(originRequest("internal:8080", false, "https://app.example.com"), nil)
	if refusal == nil {
		t.Fatal("may connect")
	}
	for _, want := range []string{`"https://app.example.com"`, `"internal:8080"`, "AllowedOrigins"} {
		if !strings.Contains(refusal.message, want) {
			t.Errorf("%q does not say %s", refusal.message, want)
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	for _, tt := range []struct {
		allowed string
		origin  string
		want    bool
	}{
		{"https://example.com", "https://example.com", true},
		{"https://example.com", "HTTPS://Example.com", true},
		{"https://example.com", "http://example.com", false},
		{"https://example.com", "https://example.com:8443", false},
		{"https://example.com", "https://sub.example.com", false},
		{"https://example.com", "https://example.com.evil.com", false},
		{"https://example.com", "https://example.co", false},
		{"https://example.com", "", false},
		{"null", "null", true},
		{"", "null", false},

		{"https://*.example.com", "https://a.example.com", true},
		{"https://*.example.com", "https://A.EXAMPLE.com", true},
		{"https://*.example.com", "https://a.b.example.com", true},
		{"https://*.example.com:8443", "https://a.example.com:8443", true},
		{"http://*.example.com", "http://a.example.com", true},

		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://.example.com", false},
		{"https://*.example.com", "http://a.example.com", false},
		{"https://*.example.com", "https://a.example.com:8443", false},
		{"https://*.example.com:8443", "https://a.example.com", false},
		{"https://*.example.com", "https://notexample.com", false},
		{"https://*.example.com", "https://a.notexample.com", false},
		{"https://*.example.com", "https://example.com.evil.com", false},
		{"https://*.example.com", "https://a.example.com.evil.com", false},
		{"https://*.example.com", "https://evil.com/.example.com", false},
		{"https://*.example.com", "https://evil.com?.example.com", false},
		{"https://*.example.com", "https://evil.com#.example.com", false},
		{"https://*.example.com", "https://evil.com:1.example.com", false},
		{"https://*.example.com", "https://user@.example.com", false},
		{"https://*.example.com", "https://https://a.example.com", false},
		{"https://*.example.com", "xhttps://a.example.com", false},
		{"https://*.example.com", "null", false},
		{"https://*.example.com", "", false},

		// There are no other wildcards.
		{"*", "https://example.com", false},
		{"https://*", "https://example.com", false},
		{"*://*.example.com", "https://a.example.com", false},
		{"https://a*.example.com", "https://ab.example.com", false},
		{"https://example.*", "https://example.com", false},
		{"*.example.com", "https://a.example.com", false},
	} {
		if got := originAllowed(tt.origin, []string{"https://first.example", tt.allowed}); got != tt.want {
			t.Errorf("%q allows %q: %v, want %v", tt.allowed, tt.origin, got, tt.want)
		}
	}
	if originAllowed("https://example.com", nil) {
		t.Error("no origins are listed, and one is allowed")
	}
}
