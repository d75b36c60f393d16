package websocket

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The key and its accept value in sections 1.3 and 4.2.2.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func TestAccept(t *testing.T) {
	for _, tt := range []struct{ key, want string }{
		{sampleKey, sampleAccept},
		{"w4v7O6xFTi36lq3RNcgctw==", "Oy4NRAQ13jhfONC7bP8dTKb4PTU="},
	} {
		if got := appendAccept([]byte("before "), tt.key); string(got) != "before "+tt.want {
			t.Errorf("accept of %s = %q, want %q behind what was there", tt.key, got, tt.want)
		}
	}
}

// Section 4.2.1: 16 bytes in base64 are 22 characters and two of padding.
func TestIsKey(t *testing.T) {
	for _, tt := range []struct {
		key  string
		want bool
	}{
		{sampleKey, true},
		{"AAAAAAAAAAAAAAAAAAAAAA==", true},
		{"////////////////////+w==", true},
		{"", false},
		{"AAAAAAAAAAAAAAAAAAAA", false},             // 15 bytes
		{"AAAAAAAAAAAAAAAAAAAAAAA=", false},         // 17
		{"AAAAAAAAAAAAAAAAAAAAAAAA", false},         // 18
		{"AAAAAAAAAAAAAAAAAAAAAA", false},           // no padding
		{"AAAAAAAAAAAAAAAAAAAAAA=", false},          // half of it
		{"AAAAAAAAAAAAAAAAAAAAAA==\n", false},       //
		{"AAAAAAAAAAAAAAAAAAAA\r\n==", false},       // 24 characters, which base64 decodes to 15 bytes
		{"AAAAAAAAAAAAAAAAAAAAAA==AAAA", false},     //
		{"AAAAAAAAAAAAAAAAAAAA_-==", false},         // base64 for URLs
		{"AAAAAAAAAAAAAAAAAAAA A==", false},         //
		{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false}, // 24 bytes
		{"not base64 at all, is it", false},         // of the right length
	} {
		if got := isKey(tt.key); got != tt.want {
			t.Errorf("isKey(%q) = %v, want %v", tt.key, got, tt.want)
		}
	}
}

// upgradeRequest returns section 1.2's request as net/http presents it.
func upgradeRequest() *http.Request {
	return &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "server.example.com",
		Header: http.Header{
			"Upgrade":               {"websocket"},
			"Connection":            {"Upgrade"},
			"Sec-Websocket-Key":     {sampleKey},
			"Sec-Websocket-Version": {"13"},
			"Origin":                {"http://example.com"},
		},
	}
}

// setField returns a change to a request. Without values it deletes the field.
func setField(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header[name] = values
		if values == nil {
			delete(r.Header, name)
		}
	}
}

func TestCheckRequestAccepts(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"the example":               func(*http.Request) {},
		"lists and cases":           setField("Connection", "keep-alive, UPGRADE"),
		"repeated Connection":       setField("Connection", "keep-alive", "upgrade"),
		"several upgrades":          setField("Upgrade", "h2c, WebSocket"),
		"subprotocols":              setField("Sec-Websocket-Protocol", "chat, superchat", "soap"),
		"subprotocols, empty":       setField("Sec-Websocket-Protocol", ""),
		"extensions":                setField("Sec-Websocket-Extensions", "permessage-deflate; client_max_window_bits"),
		"a later version of HTTP/1": func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.2", 2 },
		"no Origin":                 setField("Origin"),
	} {
		r := upgradeRequest()
		change(r)
		if key, refusal := checkRequest(r); refusal != nil || key != sampleKey {
			t.Errorf("%s: key %q, refused with %v", name, key, refusal)
		}
	}
}

func TestCheckRequestRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		status int
		text   string
	}{
		{"no Upgrade", setField("Upgrade"), 426, "no 'Upgrade: websocket'"},
		{"another Upgrade", setField("Upgrade", "h2c"), 426, "no 'Upgrade: websocket'"},
		{"Upgrade that contains it", setField("Upgrade", "websocket2"), 426, "no 'Upgrade: websocket'"},
		{"no Connection", setField("Connection"), 426, "no 'Connection: Upgrade'"},
		{"another Connection", setField("Connection", "keep-alive"), 426, "no 'Connection: Upgrade'"},
		{"POST", func(r *http.Request) { r.Method = http.MethodPost }, 405, "POST"},
		{"get", func(r *http.Request) { r.Method = "get" }, 405, "get"},
		{"HEAD", func(r *http.Request) { r.Method = http.MethodHead }, 405, "HEAD"},
		{"HTTP/1.0", func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }, 400, "HTTP/1.0"},
		{"no version", setField("Sec-Websocket-Version"), 426, "version 13"},
		{"version 8", setField("Sec-Websocket-Version", "8"), 426, `["8"]: this server speaks version 13`},
		{"version 013", setField("Sec-Websocket-Version", "013"), 426, "version 13"},
		{"versions in a list", setField("Sec-Websocket-Version", "13, 8"), 426, "version 13"},
		{"versions in two fields", setField("Sec-Websocket-Version", "13", "13"), 426, "version 13"},
		{"a body", func(r *http.Request) { r.ContentLength = 5 }, 400, "has no body"},
		{"a body of unknown length", func(r *http.Request) { r.ContentLength = -1 }, 400, "has no body"},
		{"no key", setField("Sec-Websocket-Key"), 400, "Sec-WebSocket-Key"},
		{"an empty key", setField("Sec-Websocket-Key", ""), 400, "Sec-WebSocket-Key"},
		{"a short key", setField("Sec-Websocket-Key", "AAAAAAAAAAAAAAAAAAAA"), 400, "AAAAAAAAAAAAAAAAAAAA"},
		{"two keys", setField("Sec-Websocket-Key", sampleKey, sampleKey), 400, "there once"},
		{"a subprotocol with a space", setField("Sec-Websocket-Protocol", "chat, super chat"), 400, `"super chat", which is not a subprotocol`},
		{"a subprotocol with CR", setField("Sec-Websocket-Protocol", "chat\rx"), 400, "which is not a subprotocol"},
	} {
		r := upgradeRequest()
		tt.change(r)
		key, refusal := checkRequest(r)
		if refusal == nil || key != "" {
			t.Errorf("%s: accepted, key %q", tt.name, key)
			continue
		}
		if refusal.Status != tt.status || !strings.Contains(refusal.message, tt.text) {
			t.Errorf("%s: refused with %d %q, want %d and %q", tt.name, refusal.Status, refusal.message, tt.status, tt.text)
		}
	}
}

// A person who opens the URL in a browser should read that it is a WebSocket endpoint, not that the
// seventh header field is missing.
func TestCheckRequestOrder(t *testing.T) {
	r := &http.Request{Method: http.MethodPost, Proto: "HTTP/1.0", ProtoMajor: 1, Header: http.Header{}, ContentLength: 5}
	if _, refusal := checkRequest(r); refusal == nil || !strings.Contains(refusal.Error(), "websocket: this is a WebSocket endpoint") {
		t.Errorf("refused with %v", refusal)
	}
}

func TestChooseSubprotocol(t *testing.T) {
	for _, tt := range []struct {
		name            string
		server, offered []string
		want            string
	}{
		{"neither has any", nil, nil, ""},
		{"the client has none", []string{"chat"}, nil, ""},
		{"the server has none", nil, []string{"chat"}, ""},
		{"nothing in common", []string{"chat"}, []string{"soap"}, ""},
		{"the server's preference counts", []string{"b", "a"}, []string{"a, b"}, "b"},
		{"over several fields", []string{"x", "c"}, []string{"a, b", "c"}, "c"},
		{"case counts", []string{"Chat"}, []string{"chat, CHAT"}, ""},
		{"a part is not enough", []string{"chat"}, []string{"chat2, superchat"}, ""},
		{"an empty one is never chosen", []string{"", "a"}, []string{", a"}, "a"},
		{"a list is not one", []string{"a, b"}, []string{"a, b"}, ""},
	} {
		if got := chooseSubprotocol(tt.server, tt.offered); got != tt.want {
			t.Errorf("%s: chose %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSubprotocols(t *testing.T) {
	for _, tt := range []struct{ fields, want []string }{
		{nil, nil},
		{[]string{"chat"}, []string{"chat"}},
		{[]string{"chat, superchat", " soap ,,"}, []string{"chat", "superchat", "soap"}},
	} {
		r := upgradeRequest()
		r.Header["Sec-Websocket-Protocol"] = tt.fields
		if got := Subprotocols(r); !slices.Equal(got, tt.want) {
			t.Errorf("Subprotocols of %q = %q, want %q", tt.fields, got, tt.want)
		}
	}
}

func TestIsWebSocketUpgrade(t *testing.T) {
	for _, tt := range []struct {
		connection, upgrade []string
		want                bool
	}{
		{[]string{"Upgrade"}, []string{"websocket"}, true},
		{[]string{"keep-alive", "upgrade"}, []string{"h2c, WebSocket"}, true},
		{[]string{"keep-alive"}, []string{"websocket"}, false},
		{[]string{"Upgrade"}, []string{"h2c"}, false},
		{nil, []string{"websocket"}, false},
		{[]string{"Upgrade"}, nil, false},
	} {
		// The other rules are checked by the handler that answers.
		r := &http.Request{Header: http.Header{"Connection": tt.connection, "Upgrade": tt.upgrade}}
		if got := IsWebSocketUpgrade(r); got != tt.want {
			t.Errorf("Connection %q, Upgrade %q: %v, want %v", tt.connection, tt.upgrade, got, tt.want)
		}
	}
}

func TestAppendSwitching(t *testing.T) {
	const start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + sampleAccept + "\r\n"
	for _, tt := range []struct {
		name        string
		subprotocol string
		extra       http.Header
		want        string
	}{
		{"plain", "", nil, start + "\r\n"},
		{"subprotocol", "chat", nil, start + "Sec-WebSocket-Protocol: chat\r\n\r\n"},
		{"cookies", "", http.Header{"Set-Cookie": {"a=1", "b=2"}}, start + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"},
		{"both", "chat", http.Header{"Set-Cookie": {"a=1"}}, start + "Sec-WebSocket-Protocol: chat\r\nSet-Cookie: a=1\r\n\r\n"},
		// The field "MUST NOT appear more than once in an HTTP response" (section 11.3.4), and it
		// names only the subprotocol that was agreed on.
		{"a subprotocol in the extra header", "", http.Header{"Sec-Websocket-Protocol": {"soap"}}, start + "\r\n"},
		{"the same, and one agreed on", "chat", http.Header{"Sec-Websocket-Protocol": {"soap"}}, start + "Sec-WebSocket-Protocol: chat\r\n\r\n"},
		{"the same, as the RFC writes it", "chat", http.Header{"Sec-WebSocket-Protocol": {"soap"}}, start + "Sec-WebSocket-Protocol: chat\r\n\r\n"},
	} {
		if got := appendSwitching(nil, sampleKey, tt.subprotocol, "", tt.extra); string(got) != tt.want {
			t.Errorf("%s: wrote %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestHandshakeError(t *testing.T) {
	var err error = *refuse(http.StatusForbidden, "no %s", "entry")
	if got := err.Error(); got != "websocket: no entry" {
		t.Errorf("reads %q", got)
	}
	if err.(HandshakeError).Status != 403 {
		t.Errorf("status %d, want 403", err.(HandshakeError).Status)
	}
	if inner := errors.Unwrap(err); inner != nil {
		t.Errorf("it wraps %v, but Admit was not asked", inner)
	}
}

// A HandshakeError can be compared and be a key of a map, with any error of Admit, so a program can
// count refusals.
func TestHandshakeErrorIsComparable(t *testing.T) {
	count := make(map[error]int)
	refusal := refusalOf(&Refusal{Status: 429, Header: http.Header{"Retry-After": {"3"}}})
	for _, e := range []*HandshakeError{refuse(403, "no"), refuse(403, "no"), refusal, refusal, refusalOf(errors.ErrUnsupported)} {
		count[*e]++
	}
	if len(count) != 3 || count[*refusal] != 2 {
		t.Errorf("counted %v", count)
	}
}

// Section 4.1: some responses are valid, and all others fail the handshake.
func TestCheckResponse(t *testing.T) {
	request := &http.Request{Header: http.Header{"Sec-Websocket-Key": {sampleKey}, "Sec-Websocket-Protocol": {"chat, Superchat", "soap"}}}
	for _, tt := range []struct {
		name   string
		change func(*http.Response)
		want   string // the subprotocol; "!" for a failure, "!!" for ErrBadHandshake itself
	}{
		{"as it should be", func(r *http.Response) {}, ""},
		{"odd case, longer list", func(r *http.Response) {
			r.Header["Upgrade"], r.Header["Connection"] = []string{"WebSocket"}, []string{"keep-alive", "x, upGRADE"}
		}, ""},
		{"subprotocol", func(r *http.Response) { r.Header.Set("Sec-Websocket-Protocol", "Superchat") }, "Superchat"},
		{"subprotocol of the second field", func(r *http.Response) { r.Header.Set("Sec-Websocket-Protocol", "soap") }, "soap"},
		{"other status", func(r *http.Response) { r.StatusCode = 200 }, "!!"},
		{"redirect", func(r *http.Response) { r.StatusCode = 302 }, "!!"},
		{"HTTP/1.0", func(r *http.Response) { r.ProtoMinor = 0 }, "!"},
		{"no Upgrade", func(r *http.Response) { delete(r.Header, "Upgrade") }, "!"},
		{"other Upgrade", func(r *http.Response) { r.Header.Set("Upgrade", "h2c") }, "!"},
		{"two Upgrades", func(r *http.Response) { r.Header.Add("Upgrade", "websocket") }, "!"},
		{"a list of Upgrades", func(r *http.Response) { r.Header.Set("Upgrade", "websocket, h2c") }, "!"},
		{"no Connection", func(r *http.Response) { delete(r.Header, "Connection") }, "!"},
		{"other Connection", func(r *http.Response) { r.Header.Set("Connection", "keep-alive") }, "!"},
		{"no accept", func(r *http.Response) { delete(r.Header, "Sec-Websocket-Accept") }, "!"},
		{"accept in other case", func(r *http.Response) { r.Header.Set("Sec-Websocket-Accept", strings.ToLower(sampleAccept)) }, "!"},
		{"the key for accept", func(r *http.Response) { r.Header.Set("Sec-Websocket-Accept", sampleKey) }, "!"},
		{"accept twice", func(r *http.Response) { r.Header.Add("Sec-Websocket-Accept", sampleAccept) }, "!"},
		{"subprotocol in other case", func(r *http.Response) { r.Header.Set("Sec-Websocket-Protocol", "superchat") }, "!"},
		{"other subprotocol", func(r *http.Response) { r.Header.Set("Sec-Websocket-Protocol", "mqtt") }, "!"},
		{"two subprotocols", func(r *http.Response) { r.Header["Sec-Websocket-Protocol"] = []string{"chat", "soap"} }, "!"},
		{"a list of subprotocols", func(r *http.Response) { r.Header.Set("Sec-Websocket-Protocol", "chat, soap") }, "!"},
		{"empty subprotocol", func(r *http.Response) { r.Header.Set("Sec-Websocket-Protocol", "") }, "!"},
	} {
		resp := &http.Response{StatusCode: 101, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {sampleAccept},
		}}
		tt.change(resp)
		subprotocol, err := checkResponse(resp, request)
		failed := strings.HasPrefix(tt.want, "!")
		if failed != (err != nil) || !failed && subprotocol != tt.want || failed && !errors.Is(err, ErrBadHandshake) ||
			tt.want == "!!" && err != ErrBadHandshake {
			t.Errorf("%s: %q, %v; want %q", tt.name, subprotocol, err, tt.want)
		}
	}
}
