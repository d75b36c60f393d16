package conformance

// This file tests the opening handshake over raw TCP (RFC 6455 §4.2). Each row is a request and the
// answer that must come back.

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// A handshakeTest is a good request with edits, and the response due.
//
// An edit "Name: value" replaces a header field, "+Name: value" adds one, "-Name" takes one away,
// "=line" is another request line. HOST in a value is the server's own address.
type handshakeTest struct {
	name   string
	edits  []string
	status []int    // any of these, if the RFCs leave the choice
	header []string // "Name: value" that the response must have, "-Name" for one that it must not have
	body   []string // substrings of the response's text
}

func edit(lines ...string) []string { return lines }

var refused426 = []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"}

var handshakeTests = []handshakeTest{
	{"as the suite sends it", nil, []int{101}, []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "-Sec-WebSocket-Protocol", "-Sec-WebSocket-Extensions", "-Content-Length", "-Transfer-Encoding"}, nil},
	{"another key", edit("Sec-WebSocket-Key: w4v7O6xFTi36lq3RNcgctw=="), []int{101}, []string{"Sec-WebSocket-Accept: Oy4NRAQ13jhfONC7bP8dTKb4PTU="}, nil},

	// §4.2.1 item 3 and RFC 9110 §15.5.22: a 426 names the protocol to upgrade to.
	{"no Upgrade", edit("-Upgrade"), []int{426}, refused426, []string{"Upgrade"}},
	{"other Upgrade", edit("Upgrade: h2c"), []int{426}, refused426, []string{"Upgrade"}},
	{"Upgrade to something longer", edit("Upgrade: websocket2"), []int{426}, refused426, nil},
	{"plain GET", edit("-Upgrade", "-Connection", "-Sec-WebSocket-Key", "-Sec-WebSocket-Version"), []int{426}, refused426, nil},
	{"no Connection", edit("-Connection"), []int{400, 426}, nil, []string{"Connection"}},
	{"other Connection", edit("Connection: keep-alive"), []int{400, 426}, nil, []string{"Connection"}},
	{"Connection with something longer", edit("Connection: upgrade-insecure"), []int{400, 426}, nil, []string{"Connection"}},

	// Both are lists of tokens in any case, over any number of fields (RFC 9110 §5.6.1, §7.6.1,
	// §7.8).
	{"lower case", edit("Upgrade: websocket", "Connection: upgrade"), []int{101}, nil, nil},
	{"upper case", edit("Upgrade: WEBSOCKET", "Connection: UPGRADE"), []int{101}, nil, nil},
	{"Connection as a list", edit("Connection: keep-alive, Upgrade"), []int{101}, nil, nil},
	{"Connection as a tight list", edit("Connection: keep-alive,upgrade"), []int{101}, nil, nil},
	{"Connection with empty elements", edit("Connection: ,,\tkeep-alive ,, Upgrade ,"), []int{101}, nil, nil},
	{"Connection repeated", edit("Connection: keep-alive", "+Connection: upgrade"), []int{101}, nil, nil},
	{"Upgrade as a list", edit("Upgrade: h2c, WebSocket"), []int{101}, []string{"Upgrade: websocket"}, nil},
	{"Upgrade repeated", edit("Upgrade: h2c", "+Upgrade: websocket"), []int{101}, []string{"Upgrade: websocket"}, nil},
	{"names in any case", edit("-Upgrade", "-Connection", "-Sec-WebSocket-Key", "+UPGRADE: websocket", "+connection: Upgrade", "+sEC-wEBSOCKET-kEY: "+sampleKey), []int{101}, []string{"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, nil},
	{"no space after the colons", edit("-Upgrade", "-Sec-WebSocket-Key", "+Upgrade:websocket", "+Sec-WebSocket-Key:"+sampleKey), []int{101}, nil, nil},

	// §4.2.2 and §4.4: only version 13, named in the answer.
	{"no version", edit("-Sec-WebSocket-Version"), []int{426}, refused426, []string{"Sec-WebSocket-Version", "13"}},
	{"version 8", edit("Sec-WebSocket-Version: 8"), []int{426}, refused426, []string{"8", "13"}},
	{"version 14", edit("Sec-WebSocket-Version: 14"), []int{426}, refused426, nil},
	{"version 013", edit("Sec-WebSocket-Version: 013"), []int{426}, refused426, nil},
	{"version empty", edit("Sec-WebSocket-Version:"), []int{426}, refused426, nil},
	{"version twice", edit("+Sec-WebSocket-Version: 13"), []int{400, 426}, nil, nil},
	{"version 8 and 13", edit("Sec-WebSocket-Version: 8", "+Sec-WebSocket-Version: 13"), []int{400, 426}, nil, nil},

	// §4.2.1 item 5: 16 bytes in base64, once.
	{"no key", edit("-Sec-WebSocket-Key"), []int{400}, []string{"-Sec-WebSocket-Accept"}, []string{"Sec-WebSocket-Key"}},
	{"key empty", edit("Sec-WebSocket-Key:"), []int{400}, nil, []string{"Sec-WebSocket-Key"}},
	{"key of 15 bytes", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), []int{400}, nil, []string{"Sec-WebSocket-Key"}},
	{"key of 17 bytes", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="), []int{400}, nil, []string{"Sec-WebSocket-Key"}},
	{"key of 18 bytes", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEy"), []int{400}, nil, nil},
	{"key of 32 bytes", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXRoZSBzYW1wbGUgbm9uY2U="), []int{400}, nil, nil},
	{"key without padding", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), []int{400}, nil, nil},
	{"key with half its padding", edit("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="), []int{400}, nil, nil},
	{"key and more", edit("Sec-WebSocket-Key: " + sampleKey + "a"), []int{400}, nil, nil},
	{"key in the other alphabet", edit("Sec-WebSocket-Key: __________________-_-w=="), []int{400}, nil, nil},
	{"key with a space", edit("Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ=="), []int{400}, nil, nil},
	{"key of 16 characters", edit("Sec-WebSocket-Key: the sample nonce"), []int{400}, nil, nil},
	{"key twice", edit("+Sec-WebSocket-Key: " + sampleKey), []int{400}, nil, []string{"Sec-WebSocket-Key"}},
	{"two keys", edit("+Sec-WebSocket-Key: w4v7O6xFTi36lq3RNcgctw=="), []int{400}, nil, nil},
	{"key as a list", edit("Sec-WebSocket-Key: " + sampleKey + ", w4v7O6xFTi36lq3RNcgctw=="), []int{400}, nil, nil},
	{"key with white space around", edit("Sec-WebSocket-Key:\t " + sampleKey + " \t"), []int{101}, []string{"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, nil},

	// §4.2.1 item 1: GET over HTTP/1.1. A 405 names the methods there are (RFC 9110 §15.5.6).
	{"POST", edit("=POST / HTTP/1.1", "+Content-Length: 0"), []int{405}, []string{"Allow: GET"}, []string{"POST"}},
	{"HEAD", edit("=HEAD / HTTP/1.1"), []int{405}, []string{"Allow: GET"}, nil},
	{"CONNECT", edit("=CONNECT HOST HTTP/1.1"), []int{400, 405}, nil, nil},
	{"get", edit("=get / HTTP/1.1"), []int{400, 405}, nil, nil},
	{"HTTP/1.0", edit("=GET / HTTP/1.0"), []int{400, 505}, nil, []string{"HTTP"}},
	{"HTTP/2.0", edit("=GET / HTTP/2.0"), []int{400, 505}, nil, nil},
	{"HTTP/0.9", edit("=GET /"), []int{400}, nil, nil},
	{"no HTTP", edit("=HELO example.com"), []int{400}, nil, nil},
	{"query", edit("=GET /chat?room=a%20b&x HTTP/1.1"), []int{101}, nil, nil},
	{"absolute form", edit("=GET http://HOST/chat HTTP/1.1"), []int{101}, nil, nil},
	{"space in the target", edit("=GET /a b HTTP/1.1"), []int{400}, nil, nil},

	// RFC 9112 §3.2, §5: the grammar of a request header.
	{"no Host", edit("-Host"), []int{400}, nil, nil},
	{"two Hosts", edit("+Host: b.example"), []int{400}, nil, nil},
	{"space before the colon", edit("+X-A : b"), []int{400}, nil, nil},
	{"no colon", edit("+X-A"), []int{400}, nil, nil},
	{"no name", edit("+: a"), []int{400}, nil, nil},
	{"NUL in a value", edit("+X-A: a\x00b"), []int{400}, nil, nil},
	{"CR in a value", edit("+X-A: a\rb"), []int{400}, nil, nil},
	{"name that is no token", edit("+X(A): b"), []int{400}, nil, nil},

	// §4.2.2 with §10.2: the clients that may connect. Programs send no Origin, and pages do.
	{"no Origin", edit("-Origin"), []int{101}, nil, nil},
	{"same origin", edit("+Origin: http://HOST"), []int{101}, nil, nil},
	{"same origin, browser's word", edit("+Origin: http://HOST", "+Sec-Fetch-Site: same-origin"), []int{101}, nil, nil},
	{"same origin, capitals", edit("Host: WS.Example", "+Origin: http://ws.example"), []int{101}, nil, nil},
	{"same origin, Host rewritten on the way", edit("+Origin: https://app.example", "+Sec-Fetch-Site: same-origin"), []int{101}, nil, nil},
	{"cross origin", edit("Host: ws.example", "+Origin: https://evil.example"), []int{403}, []string{"-Sec-WebSocket-Accept"}, []string{"https://evil.example", "ws.example"}},
	{"cross origin that looks alike", edit("Host: ws.example", "+Origin: http://ws.example.evil.example"), []int{403}, nil, []string{"evil.example"}},
	{"other port", edit("Host: ws.example:8080", "+Origin: http://ws.example:8081"), []int{403}, nil, []string{"8080", "8081"}},
	{"host below", edit("Host: ws.example", "+Origin: http://a.ws.example"), []int{403}, nil, nil},
	{"user name in front", edit("Host: ws.example", "+Origin: http://ws.example@evil.example"), []int{403}, nil, nil},
	{"origin null", edit("+Origin: null"), []int{403}, nil, []string{"null"}},
	{"origin malformed", edit("+Origin: http://%zz"), []int{403}, nil, nil},
	{"origin empty", edit("+Origin:"), []int{403}, nil, nil},
	{"two origins", edit("+Origin: http://HOST", "+Origin: https://evil.example"), []int{400, 403}, nil, nil},
	{"cross-site, browser's word", edit("+Origin: http://HOST", "+Sec-Fetch-Site: cross-site"), []int{403}, nil, []string{"cross-site"}},
	{"same-site, browser's word", edit("+Origin: https://other.example", "+Sec-Fetch-Site: same-site"), []int{403}, nil, []string{"https://other.example"}},

	// Offers that the server did not ask for get no answer (§4.2.2).
	{"subprotocols", edit("+Sec-WebSocket-Protocol: chat"), []int{101}, []string{"-Sec-WebSocket-Protocol"}, nil},
	{"subprotocol that is no token", edit("+Sec-WebSocket-Protocol: a b"), []int{101, 400}, []string{"-Sec-WebSocket-Protocol"}, nil},
	{"unknown extension", edit("+Sec-WebSocket-Extensions: bogus; a=1, other"), []int{101}, []string{"-Sec-WebSocket-Extensions"}, nil},
}

func TestConformanceHandshake(t *testing.T) { runHandshakes(t, nil, handshakeTests) }

// TestConformanceHandshakeSubprotocol: the server's first that the client offers too, compared with
// its case.
func TestConformanceHandshakeSubprotocol(t *testing.T) {
	runHandshakes(t, func(u *websocket.Upgrader) { u.Subprotocols = []string{"superchat", "chat", "v2.soap"} }, []handshakeTest{
		{"server's order", edit("+Sec-WebSocket-Protocol: chat, superchat"), []int{101}, []string{"Sec-WebSocket-Protocol: superchat"}, nil},
		{"repeated", edit("+Sec-WebSocket-Protocol: soap", "+Sec-WebSocket-Protocol: v2.soap,chat"), []int{101}, []string{"Sec-WebSocket-Protocol: chat"}, nil},
		{"one in common", edit("+Sec-WebSocket-Protocol: mqtt , v2.soap"), []int{101}, []string{"Sec-WebSocket-Protocol: v2.soap"}, nil},
		{"none in common", edit("+Sec-WebSocket-Protocol: mqtt, soap"), []int{101}, []string{"-Sec-WebSocket-Protocol"}, nil},
		{"other case", edit("+Sec-WebSocket-Protocol: Chat"), []int{101}, []string{"-Sec-WebSocket-Protocol"}, nil},
		{"none offered", nil, []int{101}, []string{"-Sec-WebSocket-Protocol"}, nil},
	})
}

// TestConformanceHandshakeAllowedOrigins: the list comes before everything else that is said about
// origins.
func TestConformanceHandshakeAllowedOrigins(t *testing.T) {
	origin := func(o string, more ...string) []string { return append(more, "Host: ws.example", "+Origin: "+o) }
	runHandshakes(t, func(u *websocket.Upgrader) {
		u.AllowedOrigins = []string{"https://app.example", "https://*.example.com"}
	}, []handshakeTest{
		{"listed", origin("https://app.example"), []int{101}, nil, nil},
		{"listed, capitals", origin("HTTPS://App.example"), []int{101}, nil, nil},
		{"listed, cross-site by the browser's word", origin("https://app.example", "+Sec-Fetch-Site: cross-site"), []int{101}, nil, nil},
		{"own", origin("http://ws.example"), []int{101}, nil, nil},
		{"below the wildcard", origin("https://a.example.com"), []int{101}, nil, nil},
		{"two below the wildcard", origin("https://a.b.example.com"), []int{101}, nil, nil},
		{"listed with another scheme", origin("http://app.example"), []int{403}, nil, nil},
		{"listed with a port", origin("https://app.example:8443"), []int{403}, nil, nil},
		{"wildcard with another scheme", origin("http://a.example.com"), []int{403}, nil, nil},
		{"only its ending", origin("https://evilexample.com"), []int{403}, nil, nil},
		{"only its beginning", origin("https://a.example.com.evil.example"), []int{403}, nil, nil},
		{"in a path", origin("https://evil.example/.example.com"), []int{403}, nil, nil},
		{"in a query", origin("https://evil.example?.example.com"), []int{403}, nil, nil},
		{"behind a user name", origin("https://a.example.com@evil.example"), []int{403}, nil, nil},
		{"null", origin("null"), []int{403}, nil, nil},
	})
}

// TestConformanceHandshakeCheckOrigin: the program's own rule decides about origins that are not in
// the list.
func TestConformanceHandshakeCheckOrigin(t *testing.T) {
	runHandshakes(t, func(u *websocket.Upgrader) {
		u.AllowedOrigins = []string{"https://app.example"}
		u.CheckOrigin = func(r *http.Request) bool { return r.Header.Get("X-Secret") == "open" }
	}, []handshakeTest{
		{"listed", edit("+Origin: https://app.example"), []int{101}, nil, nil},
		{"agreed to", edit("+Origin: https://other.example", "+X-Secret: open"), []int{101}, nil, nil},
		{"not agreed to", edit("+Origin: https://other.example"), []int{403}, nil, []string{"https://other.example"}},
		{"own, not agreed to", edit("+Origin: http://HOST"), []int{403}, nil, []string{"http://HOST"}},
	})
}

func runHandshakes(t *testing.T, configure func(*websocket.Upgrader), tests []handshakeTest) {
	forEachTarget(t, configure, func(t *testing.T, s *server) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) { s.tryHandshake(t, tt) })
		}
	})
}

func (s *server) tryHandshake(t *testing.T, tt handshakeTest) {
	p := s.connectRaw(t)
	request := s.edited(tt.edits)
	p.send(t, []byte(request))
	method, _, _ := strings.Cut(request, " ")
	resp, err := p.readResponse(method)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(tt.status, resp.status) {
		t.Errorf("status %d, want %v", resp.status, tt.status)
	}
	resp.checkHeader(t, tt.header)
	if resp.status == http.StatusSwitchingProtocols {
		p.send(t, wire(frame{op: opPing, payload: []byte("on")}))
		p.expect(t, frame{op: opPong, payload: []byte("on")})
		return
	}
	if resp.body == "" && method != http.MethodHead {
		t.Errorf("no body: want text that explains the refusal")
	}
	for _, word := range tt.body {
		if word = strings.ReplaceAll(word, "HOST", s.addr); !strings.Contains(resp.body, word) {
			t.Errorf("body %q does not say %q", resp.body, word)
		}
	}
}

// A response is read without net/http, which keeps Connection to itself.
type response struct {
	status int
	header textproto.MIMEHeader
	body   string
}

func (p *peer) readResponse(method string) (resp response, err error) {
	p.nc.SetReadDeadline(time.Now().Add(patience))
	r := textproto.NewReader(p.br)
	line, err := r.ReadLine()
	if err != nil {
		return resp, err
	}
	var minor int // net/http answers HTTP/1.0 with its like
	if _, err := fmt.Sscanf(line, "HTTP/1.%1d %3d ", &minor, &resp.status); err != nil {
		return resp, fmt.Errorf("status line %q: %w", line, err)
	}
	if resp.header, err = r.ReadMIMEHeader(); err != nil {
		return resp, err
	}
	if resp.status == http.StatusSwitchingProtocols || method == http.MethodHead {
		return resp, nil
	}
	body := io.Reader(p.br) // up to the end of the connection, or to its length: no client may be left waiting
	if n, err := strconv.ParseInt(resp.header.Get("Content-Length"), 10, 64); err == nil {
		body = io.LimitReader(body, n)
	}
	text, err := io.ReadAll(body)
	resp.body = string(text)
	return resp, err
}

// checkHeader looks for lines of a handshakeTest. Connection may hold more than is looked for.
func (r response) checkHeader(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		name, absent := strings.CutPrefix(name, "-")
		got := r.header.Values(name)
		switch {
		case absent && got == nil:
		case !absent && len(got) == 1 && got[0] == value:
		case name == "Connection" && slices.Contains(strings.Split(strings.Join(got, ", "), ", "), value):
		default:
			t.Errorf("%s: %q, want %q", name, got, line)
		}
	}
}

// edited is the good request with edits.
func (s *server) edited(edits []string) string {
	lines := strings.Split(strings.TrimSuffix(s.request(sampleKey), "\r\n\r\n"), "\r\n")
	for _, e := range edits {
		e = strings.ReplaceAll(e, "HOST", s.addr)
		name, _, _ := strings.Cut(strings.TrimLeft(e, "-"), ":")
		same := func(line string) bool { return strings.HasPrefix(line, name+":") }
		switch {
		case e[0] == '=':
			lines[0] = e[1:]
		case e[0] == '+':
			lines = append(lines, e[1:])
		case e[0] == '-':
			lines = slices.DeleteFunc(lines, same)
		default:
			lines[slices.IndexFunc(lines, same)] = e
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}
