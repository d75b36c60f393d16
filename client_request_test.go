package websocket

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// URLs of RFC 6455 section 3, and the addresses that they lead to.
func TestParseURL(t *testing.T) {
	for _, tt := range []struct{ in, want, addr string }{
		{"ws://example.com", "http://example.com", "example.com:80"},
		{"wss://example.com/", "https://example.com/", "example.com:443"},
		{"WSS://Example.com:8443/a%20b?q=1", "https://Example.com:8443/a%20b?q=1", "Example.com:8443"},
		{"http://example.com/x", "http://example.com/x", "example.com:80"},
		{"https://example.com/x", "https://example.com/x", "example.com:443"},
		{"ws://[::1]/", "http://[::1]/", "[::1]:80"},
		{"ws://[fe80::1%25eth0]:81/", "http://[fe80::1%25eth0]:81/", "[fe80::1%eth0]:81"},
		{"ws://u:p@example.com/", "http://u:p@example.com/", "example.com:80"},
		{"", "", ""}, {"example.com", "", ""}, {"//example.com/", "", ""}, {"ftp://example.com/", "", ""},
		{"ws://", "", ""}, {"ws://:80/", "", ""}, {"ws:example.com", "", ""}, {"ws://example.com:port/", "", ""},
		{"ws://example.com/#", "", ""}, {"ws://example.com/#fragment", "", ""}, {"ws://exa mple.com/", "", ""},
	} {
		u, err := parseURL(tt.in)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: accepted as %v", tt.in, u)
			}
			continue
		}
		if err != nil || u.String() != tt.want || hostPort(u) != tt.addr {
			t.Errorf("%q: %v at %v, %v; want %s at %s", tt.in, u, hostPort(u), err, tt.want, tt.addr)
		}
	}
	if _, err := parseURL("tcp://user:secret@example.com/"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an error that tells the password, or none: %v", err)
	}
}

func TestWithoutZone(t *testing.T) {
	for in, want := range map[string]string{
		"example.com:80": "example.com:80", "[::1]:80": "[::1]:80", "[fe80::1%eth0]:80": "[fe80::1]:80", "[fe80::1%eth0]": "[fe80::1]",
	} {
		if got := withoutZone(in); got != want {
			t.Errorf("withoutZone(%q) = %q, want %q", in, got, want)
		}
	}
}

// requestText returns the request that d makes, with the key of the RFC's example.
func requestText(t *testing.T, d *Dialer, url string, extra http.Header) string {
	t.Helper()
	r, _, err := d.newRequest(url, extra)
	if err != nil {
		t.Fatal(err)
	}
	if key := r.Header.Get("Sec-Websocket-Key"); !isKey(key) {
		t.Errorf("the request has Sec-WebSocket-Key %q", key)
	}
	r.Header.Set("Sec-Websocket-Key", sampleKey)
	return string(appendRequest(nil, r))
}

// The request, byte by byte. The RFC demands no order of the fields, but the order is always the
// same.
func TestRequest(t *testing.T) {
	got := requestText(t, &Dialer{}, "ws://server.example.com/chat?room=1", nil)
	want := "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\nUser-Agent: Go-http-client/1.1\r\n\r\n"
	if got != want {
		t.Errorf("request %q, want %q", got, want)
	}

	jar, _ := cookiejar.New(nil)
	jar.SetCookies(&url.URL{Scheme: "https", Host: "[::1]:99"}, []*http.Cookie{{Name: "b", Value: "2", Secure: true}})
	d := &Dialer{Subprotocols: []string{"chat", "superchat"}, Compression: &Compression{}, Jar: jar}
	got = requestText(t, d, "wss://name:pass@[::1]:99", http.Header{
		"Cookie": {"a=1"}, "x-a": {"1", "2"}, "X-B": {"3"}, "Host": {"other.example"}, "User-Agent": {"me"},
	})
	want = "GET / HTTP/1.1\r\nHost: other.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, superchat\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nAuthorization: Basic bmFtZTpwYXNz\r\n" +
		"Cookie: a=1; b=2\r\nUser-Agent: me\r\nX-A: 1\r\nX-A: 2\r\nX-B: 3\r\n\r\n"
	if got != want {
		t.Errorf("request %q, want %q", got, want)
	}

	got = requestText(t, &Dialer{Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"}}, "ws://h/", http.Header{"User-Agent": {""}, "X-A": {" 1 "}})
	if !strings.Contains(got, "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\nX-A: 1\r\n\r\n") {
		t.Errorf("request %q", got)
	}

	// The caller's own fields count before the URL's user, and for subprotocols.
	got = requestText(t, &Dialer{}, "ws://name:pass@h/", http.Header{
		"authorization": {"Bearer x"}, "Sec-WebSocket-Protocol": {"chat"}, "User-Agent": {},
	})
	for _, line := range []string{"Authorization: Bearer x\r\n", "Sec-WebSocket-Protocol: chat\r\n"} {
		if strings.Count(got, line) != 1 || strings.Contains(got, "Basic") || strings.Contains(got, "User-Agent") {
			t.Errorf("request %q, want one %q", got, line)
		}
	}
}

// A URL is sent as a browser would send it. The bytes that must not stand in a request's target are
// encoded, and escapes stay as they are.
func TestRequestTarget(t *testing.T) {
	for url, want := range map[string]string{
		"ws://h":                              "/",
		"ws://h?":                             "/?",
		"ws://h/p?q=ü&f=\"x\"":                "/p?q=%C3%BC&f=%22x%22",
		"ws://h/?a b":                         "/?a%20b",
		"ws://h/?'<>'":                        "/?%27%3C%3E%27",
		"ws://h/?%20%c3%bc%zz%":               "/?%20%c3%bc%zz%",
		"ws://h/?!$&()*+,-./:;=?@[\\]^_`{|}~": "/?!$&()*+,-./:;=?@[\\]^_`{|}~",
		"ws://h/?\xff":                        "/?%FF",
		"ws://h/ü/\"x\"/a b":                  "/%C3%BC/%22x%22/a%20b",
		"ws://h/a%2Fb":                        "/a%2Fb",
		"ws://h/a%2Fb\"ü":                     "/a%2Fb%22%C3%BC",
		"ws://h/%c3%bc/%7Ex":                  "/%c3%bc/%7Ex",
		"ws://h/%2F<>^`{|}\\":                 "/%2F%3C%3E%5E%60%7B%7C%7D%5C",
		"ws://h/!$&'()*+,;=:@[]-._~":          "/!$&'()*+,;=:@[]-._~",
		"ws://h//x":                           "//x",
	} {
		got := requestText(t, &Dialer{}, url, nil)
		if line, _, _ := strings.Cut(got, "\r\n"); line != "GET "+want+" HTTP/1.1" {
			t.Errorf("%q: %q, want the target %q", url, line, want)
		}
	}
}

// A client that offers no subprotocol sends no field, because the list must not be empty.
func TestRequestWithoutSubprotocols(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   int // lines
	}{
		{[]string{""}, 0}, {[]string{}, 0}, {nil, 0}, {[]string{"", ""}, 0}, {[]string{" "}, 0}, {[]string{" ,,\t"}, 0},
		{[]string{"", "chat"}, 1}, {[]string{"chat", ",", "superchat"}, 2},
	} {
		extra := http.Header{"Sec-WebSocket-Protocol": tt.fields}
		got := requestText(t, &Dialer{}, "ws://h/", extra)
		if n := strings.Count(got, "Sec-WebSocket-Protocol:"); n != tt.want {
			t.Errorf("%q: %d lines in %q, want %d", tt.fields, n, got, tt.want)
		}
	}
	extra := http.Header{"Sec-Websocket-Protocol": {"", "a"}}
	requestText(t, &Dialer{}, "ws://h/", extra)
	if v := extra["Sec-Websocket-Protocol"]; len(v) != 2 || v[0] != "" || v[1] != "a" {
		t.Errorf("the caller's header became %q", extra)
	}
}

// The caller's header is not changed. Fields that must not be sent are refused.
func TestRequestRefused(t *testing.T) {
	extra := http.Header{"x-a": {"1"}}
	(&Dialer{}).newRequest("ws://h/", extra)
	//lint:ignore SA1008 as the caller wrote it
	if len(extra) != 1 || extra["x-a"][0] != "1" {
		t.Errorf("the caller's header became %v", extra)
	}
	for name, extra := range map[string]http.Header{
		"line break":      {"X-A": {"1\r\nX-B: 2"}},
		"line feed":       {"X-A": {"1\nX-B: 2"}},
		"NUL":             {"X-A": {"\x00"}},
		"name":            {"X A": {"1"}},
		"empty name":      {"": {"1"}},
		"own field":       {"upgrade": {"h2c"}},
		"own key":         {"Sec-WebSocket-Key": {sampleKey}},
		"own extensions":  {"Sec-Websocket-Extensions": {"x"}},
		"body":            {"Content-Length": {"1"}},
		"bad Host":        {"Host": {"a b"}},
		"bad subprotocol": {"Sec-Websocket-Protocol": {"a b"}},
		"twice":           {"Sec-Websocket-Protocol": {"a, b", "a"}},
	} {
		if r, _, err := (&Dialer{}).newRequest("ws://h/", extra); err == nil {
			t.Errorf("%s: %v became %q", name, extra, appendRequest(nil, r))
		}
	}
	d := &Dialer{Subprotocols: []string{"a"}}
	if _, _, err := d.newRequest("ws://h/", http.Header{"Sec-Websocket-Protocol": {"b"}}); err == nil {
		t.Error("Sec-WebSocket-Protocol beside Dialer.Subprotocols: no error")
	}
	d.Subprotocols = []string{"a\r\nb"}
	if _, _, err := d.newRequest("ws://h/", nil); err == nil {
		t.Error("a subprotocol with a line break: no error")
	}
}
