package websocket

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// chatRequest is section 1.2's request.
const chatRequest = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Origin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"\r\n"

// headerEnd finds the end wherever the cut between two reads is. The bytes behind the header do not
// matter.
func TestHeaderEnd(t *testing.T) {
	for _, behind := range []string{"", "\r\n\r\n", "\x81\x85\x37\xfa"} {
		b := []byte(chatRequest + behind)
		for n := range len(b) + 1 {
			want := len(chatRequest)
			if n < want {
				want = 0
			}
			for searched := range min(n+1, len(chatRequest)) {
				if got := headerEnd(b[:n], searched); got != want {
					t.Fatalf("%d bytes, %d of them searched before: end at %d, want %d", n, searched, got, want)
				}
			}
		}
	}
	for _, no := range []string{"", "\r\n", "GET / HTTP/1.1\n", "\n\r", "\r\r\n"} {
		if got := headerEnd([]byte(no), 0); got != 0 {
			t.Errorf("%q ends at %d, want no end", no, got)
		}
	}
	for _, mixed := range []string{"a\n\r\n", "a\r\n\n"} { // the bytes behind are not looked at
		if got := headerEnd([]byte(mixed+"\r\n\r\n"), 0); got != len(mixed) {
			t.Errorf("%q ends at %d", mixed, got)
		}
	}
	// Lines that end without CR are refused at once. The server does not wait for CRLF until a
	// timeout.
	const typed = "GET / HTTP/1.1\nHost: x\n\n"
	if got := headerEnd([]byte(typed), 0); got != len(typed) {
		t.Errorf("%q ends at %d", typed, got)
	}
	if _, refusal := parseRequest([]byte(typed)); refusal == nil || refusal.Status != http.StatusBadRequest {
		t.Errorf("%q: %v, want 400", typed, refusal)
	}
}

func TestParseRequest(t *testing.T) {
	b := []byte(chatRequest)
	r, refusal := parseRequest(b)
	if refusal != nil {
		t.Fatal(refusal)
	}
	clear(b) // the request must not refer to the buffer
	if r.Method != "GET" || r.RequestURI != "/chat" || r.Proto != "HTTP/1.1" || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		t.Errorf("request line %s %s %s (%d.%d)", r.Method, r.RequestURI, r.Proto, r.ProtoMajor, r.ProtoMinor)
	}
	if r.URL.Path != "/chat" || r.Host != "server.example.com" || r.ContentLength != 0 || r.Body != http.NoBody {
		t.Errorf("path %q, host %q, length %d, body %v", r.URL.Path, r.Host, r.ContentLength, r.Body)
	}
	want := http.Header{
		"Upgrade":                {"websocket"},
		"Connection":             {"Upgrade"},
		"Sec-Websocket-Key":      {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Origin":                 {"http://example.com"},
		"Sec-Websocket-Protocol": {"chat, superchat"},
		"Sec-Websocket-Version":  {"13"},
	}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("header %q, want %q", r.Header, want)
	}
}

func TestParseRequestTargets(t *testing.T) {
	for _, tt := range []struct{ target, host, path, query string }{
		{"/", "example.com", "/", ""},
		{"/chat?room=1&x=%20", "example.com", "/chat", "room=1&x=%20"},
		{"/a%2Fb%20c", "example.com", "/a/b c", ""},
		{"/%C3%BC", "example.com", "/ü", ""},
		// The server must ignore the Host field, because the absolute form names the host already
		// (RFC 9112 section 3.2.2).
		{"http://other.example/chat?room=1", "other.example", "/chat", "room=1"},
		{"http://other.example:8080", "other.example:8080", "", ""},
	} {
		r, refusal := parseRequest([]byte("GET " + tt.target + " HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		if refusal != nil {
			t.Errorf("%s: %v", tt.target, refusal)
			continue
		}
		if r.Host != tt.host || r.URL.Path != tt.path || r.URL.RawQuery != tt.query || r.RequestURI != tt.target {
			t.Errorf("%s: host %q, path %q, query %q, URI %q", tt.target, r.Host, r.URL.Path, r.URL.RawQuery, r.RequestURI)
		}
	}
}

func TestParseRequestFields(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields string
		want   http.Header
	}{
		{"none but Host", "", http.Header{}},
		{"names in any case", "x-a: 1\r\nX-B: 2\r\n", http.Header{"X-A": {"1"}, "X-B": {"2"}}},
		{"white space around values", "A:1\r\nB: \t 2 \t\r\nC:\r\nD: \t\r\n", http.Header{"A": {"1"}, "B": {"2"}, "C": {""}, "D": {""}}},
		{"colons and spaces in values", "A: b: c  d\r\n", http.Header{"A": {"b: c  d"}}},
		{"bytes beyond ASCII", "A: \xff\xc3\xbc\r\n", http.Header{"A": {"\xff\xc3\xbc"}}},
		{"odd names", "!#$%&'*+-.^_`|~9: x\r\n", http.Header{"!#$%&'*+-.^_`|~9": {"x"}}},
		{"repeated fields, mixed", "A: 1\r\nB: 2\r\na: 3\r\nB: 4\r\nA: 5\r\n", http.Header{"A": {"1", "3", "5"}, "B": {"2", "4"}}},
	} {
		r, refusal := parseRequest([]byte("GET / HTTP/1.1\r\nHost: h\r\n" + tt.fields + "\r\n"))
		if refusal != nil {
			t.Errorf("%s: %v", tt.name, refusal)
		} else if !reflect.DeepEqual(r.Header, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, r.Header, tt.want)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	const line, host = "GET / HTTP/1.1\r\n", "Host: h\r\n"
	for _, tt := range []struct{ name, header, text string }{
		{"nothing", "\r\n\r\n", "malformed request line"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "malformed request line"},
		{"no target", "GET HTTP/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"no version", "GET /\r\n" + host + "\r\n", "malformed request line"},
		{"HTTP/0.9", "GET / \r\n" + host + "\r\n", "malformed request line"},
		{"another protocol", "GET / HTTPS/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"version in lower case", "GET / http/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"version with more digits", "GET / HTTP/1.10\r\n" + host + "\r\n", "malformed request line"},
		{"space behind the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", "malformed request line"},
		{"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"tabs", "GET\t/\tHTTP/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"method that is no token", "G(T / HTTP/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"empty method", " / HTTP/1.1\r\n" + host + "\r\n", "malformed request line"},
		{"bare LF behind the request line", "GET / HTTP/1.1\n" + host + "\r\n", "malformed request line"},
		{"target without slash", "GET chat HTTP/1.1\r\n" + host + "\r\n", "malformed request target"},
		{"target with a bad escape", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", "malformed request target"},
		{"target with NUL", "GET /\x00 HTTP/1.1\r\n" + host + "\r\n", "malformed request target"},
		{"target with CR", "GET /\r HTTP/1.1\r\n" + host + "\r\n", "malformed request target"},

		{"no fields", line + "\r\n", "one Host header field, not 0"},
		{"no Host", line + "A: 1\r\n\r\n", "one Host header field, not 0"},
		{"two Hosts", line + host + host + "\r\n", "one Host header field, not 2"},
		{"two Hosts, absolute form", "GET http://h/ HTTP/1.1\r\n" + host + host + "\r\n", "one Host header field, not 2"},
		{"no Host, absolute form", "GET http://h/ HTTP/1.1\r\nA: 1\r\n\r\n", "one Host header field, not 0"},

		{"folded line", line + host + "A: 1\r\n  2\r\n\r\n", "malformed header line"},
		{"line folded by a tab", line + host + "A: 1\r\n\tB: 2\r\n\r\n", "malformed header line"},
		{"first line folded", line + " " + host + "\r\n", "malformed header line"},
		{"space before the colon", line + host + "Upgrade : websocket\r\n\r\n", "malformed header line"},
		{"tab before the colon", line + host + "Upgrade\t: websocket\r\n\r\n", "malformed header line"},
		{"no colon", line + host + "Upgrade\r\n\r\n", "malformed header line"},
		{"no name", line + host + ": websocket\r\n\r\n", "malformed header line"},
		{"name that is no token", line + host + "A(b): 1\r\n\r\n", "malformed header line"},
		{"name beyond ASCII", line + host + "Ä: 1\r\n\r\n", "malformed header line"},
		{"bare LF", line + host + "A: 1\nB: 2\r\n\r\n", "malformed header line"},
		{"bare CR", line + host + "A: 1\rB: 2\r\n\r\n", "malformed header line"},
		{"CR at the end of a value", line + host + "A: 1\r\r\n\r\n", "malformed header line"},
		{"NUL", line + host + "A: \x00\r\n\r\n", "malformed header line"},
		{"escape character", line + host + "A: \x1b[31m\r\n\r\n", "malformed header line"},
		{"DEL", line + host + "A: \x7f\r\n\r\n", "malformed header line"},

		// "A server MUST respond with a 400 […] to any request message that contains […] a Host
		// header field with an invalid field value" (RFC 9112 section 3.2).
		{"Host with a space", line + "Host: a b\r\n\r\n", `Host header field is "a b", which names no host`},
		{"Host with a slash", line + "Host: a/b\r\n\r\n", `Host header field is "a/b", which names no host`},
		{"Host in quotes", line + "Host: \"a\"\r\n\r\n", `Host header field is "\"a\"", which names no host`},
		{"Host with a letter beyond ASCII", line + "Host: \u00fc\r\n\r\n", `Host header field is "ü", which names no host`},
		{"empty Host", line + "Host:\r\n\r\n", `Host header field is "", which names no host`},
		{"invalid Host, absolute form", "GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n", `Host header field is "a b", which names no host`},
		{"invalid host in the absolute form", "GET http://\"h\"/ HTTP/1.1\r\n" + host + "\r\n", `names the host "\"h\"", which is not one`},
	} {
		r, refusal := parseRequest([]byte(tt.header))
		if refusal == nil {
			t.Errorf("%s: accepted as %+v", tt.name, r)
			continue
		}
		if refusal.Status != 400 || !strings.Contains(refusal.message, tt.text) || len(refusal.message) > 500 {
			t.Errorf("%s: refused with %d %q, want 400 and %q", tt.name, refusal.Status, refusal.message, tt.text)
		}
	}
}

// A refusal quotes only a short part of the client's request.
func TestParseRequestQuotesLittle(t *testing.T) {
	long := strings.Repeat("x", 16000)
	for _, header := range []string{
		long + "\r\n\r\n",
		"GET " + long + " HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" + long + "\r\n\r\n",
	} {
		if _, refusal := parseRequest([]byte(header)); refusal == nil || len(refusal.message) > 200 {
			t.Errorf("%.40q…: refused with %.300v", header, refusal)
		}
	}
}

// A request that announces a body is parsed, and checkRequest refuses it.
func TestParseRequestBody(t *testing.T) {
	for _, tt := range []struct {
		fields string
		body   bool
	}{
		{"", false},
		{"Content-Length: 0\r\n", false},
		{"Content-Length: 5\r\n", true},
		{"Content-Length: -1\r\n", true},
		{"Content-Length: x\r\n", true},
		{"Content-Length:\r\n", true},
		{"content-length: 1\r\n", true},
		{"Content-Length: 5\r\nContent-Length: 0\r\n", true},
		{"Content-Length: 0\r\nContent-Length: 5\r\n", true},
		{"Content-Length: 0, 5\r\n", true},
		{"Transfer-Encoding: chunked\r\n", true},
		{"Transfer-Encoding: identity\r\n", true},
		{"Transfer-Encoding:\r\n", true},
		{"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", true},
	} {
		header := strings.TrimSuffix(chatRequest, "\r\n") + tt.fields + "\r\n"
		r, refusal := parseRequest([]byte(header))
		if refusal == nil {
			_, refusal = checkRequest(&r.Request)
		}
		if (refusal != nil) != tt.body {
			t.Errorf("%q: refused with %v, want so: %v", tt.fields, refusal, tt.body)
		}
	}
}

// A request that was reset is like a new one, whatever was parsed into it before.
func TestParsedRequestReset(t *testing.T) {
	headers := []string{
		chatRequest,
		"GET / HTTP/1.0\r\nHost: h\r\n\r\n",
		"POST http://other.example/x%20y?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n",
		"GET /b HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: x\r\n", 40) + "\r\n",
	}
	for _, first := range headers {
		for _, second := range headers {
			want := new(parsedRequest)
			if refusal := want.parse(strings.TrimSuffix(second, "\r\n\r\n")); refusal != nil {
				t.Fatal(refusal)
			}
			got := new(parsedRequest)
			if refusal := got.parse(strings.TrimSuffix(first, "\r\n\r\n")); refusal != nil {
				t.Fatal(refusal)
			}
			got.RemoteAddr = "192.0.2.1:80"
			got.reset()
			if refusal := got.parse(strings.TrimSuffix(second, "\r\n\r\n")); refusal != nil {
				t.Fatalf("%q after %q: %v", second, first, refusal)
			}
			if !reflect.DeepEqual(got.Request, want.Request) {
				t.Errorf("%q after %q:\n%+v, want\n%+v", second, first, got.Request, want.Request)
			}
		}
	}
}

// FuzzRequest compares with net/http. This parser refuses more, because it need not get along with
// old clients. If it accepts a request, net/http accepts it too, and understands the same, with
// these differences:
//
//   - Pragma: no-cache makes net/http add Cache-Control: no-cache.
//   - The target of CONNECT is a host and port for net/http. Here it is parsed like any other, and
//     checkRequest refuses the method.
//   - A body of any length has a negative ContentLength here. net/http parses the fields that
//     announce it, and refuses some.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(chatRequest))
	f.Add([]byte("GET http://example.com:80/a?b HTTP/1.0\r\nhost:\r\nA: 1\r\na:\t2 \r\n\r\nbehind"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nPragma: no-cache\r\nConnection: close\r\n\r\n"))
	f.Add([]byte("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Add([]byte("POST //x/%2e HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTrailer: A\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: h\r\n B: folded\r\nC : 1\nD\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := headerEnd(b, 0)
		if n == 0 {
			return
		}
		got, refusal := parseRequest(b[:n])
		if refusal != nil {
			if got != nil || refusal.Status != 400 {
				t.Errorf("%q: refused with %d and the request %v", b, refusal.Status, got)
			}
			return
		}
		if got.Method == http.MethodConnect || got.ContentLength != 0 {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[:n])))
		if err != nil {
			t.Fatalf("%q: accepted; net/http says %v", b[:n], err)
		}
		if want.Header.Get("Pragma") == "no-cache" && got.Header["Cache-Control"] == nil {
			want.Header.Del("Cache-Control")
		}
		compareRequests(t, &got.Request, want)
		got.recycle() // the next request must not find anything of this one
	})
}

func compareRequests(t *testing.T, got, want *http.Request) {
	t.Helper()
	if got.Method != want.Method || got.Proto != want.Proto || got.ProtoMajor != want.ProtoMajor || got.ProtoMinor != want.ProtoMinor {
		t.Errorf("%s %s (%d.%d); net/http has %s %s (%d.%d)", got.Method, got.Proto, got.ProtoMajor, got.ProtoMinor,
			want.Method, want.Proto, want.ProtoMajor, want.ProtoMinor)
	}
	if got.RequestURI != want.RequestURI || !reflect.DeepEqual(got.URL, want.URL) || got.Host != want.Host {
		t.Errorf("target %q (%#v), host %q; net/http has %q (%#v), %q", got.RequestURI, got.URL, got.Host,
			want.RequestURI, want.URL, want.Host)
	}
	if !maps.EqualFunc(got.Header, want.Header, slices.Equal[[]string]) {
		t.Errorf("fields %q; net/http has %q", got.Header, want.Header)
	}
	if want.ContentLength != 0 {
		t.Errorf("no body; net/http sees one of %d bytes", want.ContentLength)
	}
}

func TestRawResponse(t *testing.T) {
	for _, tt := range []struct {
		name       string
		write      func(w http.ResponseWriter)
		status     int
		body       string
		connection []string
	}{
		{"http.Error", func(w http.ResponseWriter) { http.Error(w, "no", http.StatusForbidden) }, http.StatusForbidden, "no\n", []string{"close"}},
		{"nothing", func(http.ResponseWriter) {}, 500, "", []string{"close"}},
		{"a body alone", func(w http.ResponseWriter) { io.WriteString(w, "a"); io.WriteString(w, "b") }, 200, "ab", []string{"close"}},
		{"two statuses", func(w http.ResponseWriter) { w.WriteHeader(426); w.WriteHeader(500) }, 426, "", []string{"close"}},
		{"Connection: Upgrade", func(w http.ResponseWriter) { w.Header().Set("Connection", "Upgrade"); w.WriteHeader(426) }, 426, "", []string{"Upgrade", "close"}},
		{"Connection: close", func(w http.ResponseWriter) { w.Header().Set("Connection", "Close"); w.WriteHeader(400) }, 400, "", []string{"Close"}},
	} {
		w := &rawResponse{header: make(http.Header)}
		tt.write(w)
		wire := w.bytes()
		rest := bufio.NewReader(bytes.NewReader(wire))
		resp, err := http.ReadResponse(rest, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != tt.status || string(body) != tt.body || resp.Proto != "HTTP/1.1" || rest.Buffered() > 0 {
			t.Errorf("%s: %s %s %q, %v, %d bytes more", tt.name, resp.Proto, resp.Status, body, err, rest.Buffered())
		}
		if !resp.Close || resp.ContentLength != int64(len(tt.body)) {
			t.Errorf("%s: close %v, length %d", tt.name, resp.Close, resp.ContentLength)
		}
		// net/http removes the field Connection, so look at the bytes.
		if fields := strings.Join(tt.connection, "\r\nConnection: "); !bytes.Contains(wire, []byte("\r\nConnection: "+fields+"\r\n")) ||
			bytes.Count(wire, []byte("\r\nConnection:")) != len(tt.connection) {
			t.Errorf("%s: Connection %q wanted in %q", tt.name, tt.connection, wire)
		}
	}
}

// canonicalName agrees with net/http about every name that is a token, and refuses all others.
func TestCanonicalName(t *testing.T) {
	const pool = "aZ-b9_- Q\x80"
	names := []string{"", "Host", "hOST", "Sec-WebSocket-Key", "sec-websocket-key", "X--Y", "-a-B", "ſ"}
	for a := range len(pool) {
		for b := range len(pool) {
			for c := range len(pool) {
				names = append(names, string([]byte{pool[a], pool[b], pool[c]}))
			}
		}
	}
	for _, name := range names {
		key, ok := canonicalName(name)
		if want := http.CanonicalHeaderKey(name); ok != isToken(name) || ok && key != want {
			t.Errorf("canonicalName(%q) = %q, %v, want %q, %v", name, key, ok, want, isToken(name))
		}
	}
}
