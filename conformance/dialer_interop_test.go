package conformance

// This file tests a Dialer with good servers: TLS, names, cookies, passwords, transports of other
// kinds.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	neturl "net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// testTLS returns the settings of a server that has a certificate for names and addresses, and of a
// client that trusts it.
func testTLS(t testing.TB, names ...string) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

// serve runs a server on l, over TLS if it has a config, until t ends. It tells a client its
// request's header.
func serve(t *testing.T, l net.Listener, config *tls.Config) {
	t.Helper()
	srv := &websocket.Server{TLSConfig: config, Handler: func(c *websocket.Conn, r *http.Request) {
		r.Header.Set("Host", r.Host)
		c.WriteJSON(r.Header)
	}}
	if config != nil {
		go srv.ServeTLS(l, "", "")
	} else {
		go srv.Serve(l)
	}
	t.Cleanup(func() { srv.Close() })
}

// listen runs serve on a port of 127.0.0.1, and returns its address.
func listen(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, config)
	return l.Addr().String()
}

// told dials and returns the header that the server saw.
func told(t *testing.T, d *websocket.Dialer, url string, extra http.Header) (h http.Header) {
	t.Helper()
	c, _, err := d.Dial(url, extra)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ReadJSON(&h); err != nil {
		t.Fatal(err)
	}
	return h
}

// Certificates are checked against the URL's host or ServerName, and HTTP/1.1 is all that is asked
// for.
func TestDialTLS(t *testing.T) {
	server, client := testTLS(t, "127.0.0.1", "other.example")
	var protos []string
	server.NextProtos = []string{"h2", "http/1.1"}
	server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		protos = hello.SupportedProtos
		return nil, nil
	}
	addr := listen(t, server)

	client.NextProtos = []string{"h2"}
	d := &websocket.Dialer{TLSClientConfig: client}
	c, _, err := d.Dial("wss://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if state := c.NetConn().(*tls.Conn).ConnectionState(); state.NegotiatedProtocol != "http/1.1" || !slices.Equal(protos, []string{"http/1.1"}) {
		t.Errorf("asked for %q, got %q", protos, state.NegotiatedProtocol)
	}
	if client.ServerName != "" || !slices.Equal(client.NextProtos, []string{"h2"}) {
		t.Error("the caller's tls.Config was changed")
	}

	there := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	named := client.Clone()
	named.ServerName = "other.example"
	for _, tt := range []struct {
		name, url string
		config    *tls.Config
		good      func(error) bool
	}{
		{"a name", "wss://other.example", client, func(err error) bool { return err == nil }},
		{"ServerName", "wss://any.example", named, func(err error) bool { return err == nil }},
		{"wrong name", "wss://any.example", client, func(err error) bool { return errors.As(err, new(x509.HostnameError)) }},
		{"unknown authority", "wss://other.example", nil, func(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) }},
		{"unchecked", "wss://any.example", &tls.Config{InsecureSkipVerify: true}, func(err error) bool { return err == nil }},
	} {
		c, _, err := (&websocket.Dialer{TLSClientConfig: tt.config, NetDialContext: there}).Dial(tt.url, nil)
		if !tt.good(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			c.Close()
		}
	}
	d.NetDialContext = overTCP(serveSteps(says(5, "HTTP/1.1 400 Bad Request\r\n\r\n")))
	if _, _, err := d.Dial("wss://127.0.0.1", nil); !errors.As(err, new(tls.RecordHeaderError)) {
		t.Errorf("wss to a server of plain text: %v", err)
	}
	d.NetDialContext = there
	if _, _, err := d.Dial("ws://127.0.0.1", nil); err == nil || !strings.Contains(err.Error(), "TLS") && !strings.Contains(err.Error(), "bad handshake") {
		t.Errorf("ws to a server of TLS: %v", err)
	}
}

// NetDialTLSContext is used for all wss URLs, and Dial adds no TLS of its own to it.
func TestDialNetDialTLSContext(t *testing.T) {
	server, client := testTLS(t, "127.0.0.1")
	secure, plain := listen(t, server), listen(t, nil)
	var dialed []string
	d := &websocket.Dialer{
		NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed = append(dialed, "TLS "+network+" "+addr)
			return (&tls.Dialer{Config: client}).DialContext(ctx, network, addr)
		},
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialed = append(dialed, network+" "+addr)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		NetDial: func(string, string) (net.Conn, error) { return nil, errors.New("not before NetDialContext") },
	}
	told(t, d, "wss://"+secure, nil)
	told(t, d, "ws://"+plain, nil)
	if want := []string{"TLS tcp " + secure, "tcp " + plain}; !slices.Equal(dialed, want) {
		t.Errorf("dialed %q, want %q", dialed, want)
	}
	fails := func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
	for name, d := range map[string]websocket.Dialer{
		"NetDialContext": {NetDialContext: fails}, "NetDialTLSContext": {NetDialTLSContext: fails},
		"NetDial": {NetDial: func(string, string) (net.Conn, error) { return nil, io.EOF }},
		"Proxy":   {Proxy: func(*http.Request) (*neturl.URL, error) { return nil, io.EOF }},
	} {
		if _, _, err := d.Dial("wss://example.com/", nil); !errors.Is(err, io.EOF) {
			t.Errorf("%s failed, and Dial says %v", name, err)
		}
	}
}

// The request carries the client's data: cookies of the jar and the caller's, the URL's password,
// Host.
func TestDialRequestFields(t *testing.T) {
	addr := listen(t, nil)
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(&neturl.URL{Scheme: "http", Host: "example.com"}, []*http.Cookie{{Name: "jar", Value: "1"}})
	jar.SetCookies(&neturl.URL{Scheme: "https", Host: "example.com"}, []*http.Cookie{{Name: "secret", Value: "2", Secure: true}})
	there := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	with, without := &websocket.Dialer{Jar: jar, NetDialContext: there}, &websocket.Dialer{NetDialContext: there}
	for _, tt := range []struct {
		name  string
		d     *websocket.Dialer
		url   string
		extra http.Header
		field string
		want  string
	}{
		{"the jar's cookie", with, "ws://example.com", nil, "Cookie", "jar=1"},
		{"the caller's cookie", without, "ws://example.com", http.Header{"Cookie": {"own=3"}}, "Cookie", "own=3"},
		{"both", with, "ws://example.com", http.Header{"Cookie": {"own=3"}}, "Cookie", "own=3; jar=1"},
		{"two of the caller's", without, "ws://example.com", http.Header{"Cookie": {"own=3", "more=4"}}, "Cookie", "own=3|more=4"},
		{"password", without, "ws://user:p%40ss:w@example.com", nil, "Authorization", "Basic dXNlcjpwQHNzOnc="},
		{"user", without, "ws://user@example.com", nil, "Authorization", "Basic dXNlcjo="},
		{"the caller's authorization", without, "ws://user:pass@example.com", http.Header{"authorization": {"Bearer x"}}, "Authorization", "Bearer x"},
		{"Host", without, "ws://example.com", nil, "Host", "example.com"},
		{"Host with a port", without, "ws://Example.com:81", nil, "Host", "Example.com:81"},
		{"Host with an empty port", without, "ws://example.com:", nil, "Host", "example.com"},
		{"another Host", without, "ws://example.com", http.Header{"Host": {"other.example:1"}}, "Host", "other.example:1"},
		{"another host", without, "ws://example.com", http.Header{"host": {"other.example"}}, "Host", "other.example"},
		{"Origin", without, "ws://example.com", http.Header{"Origin": {"http://example.com"}}, "Origin", "http://example.com"},
		{"repeated", without, "ws://example.com", http.Header{"X": {"a", "", "b, c"}}, "X", "a||b, c"},
	} {
		if got := strings.Join(told(t, tt.d, tt.url, tt.extra)[tt.field], "|"); got != tt.want {
			t.Errorf("%s: %s %q, want %q", tt.name, tt.field, got, tt.want)
		}
	}
	got := told(t, with, "ws://example.com", http.Header{"Cookie": {"own=3", "more=4"}})["Cookie"]
	if all := strings.Join(got, "; "); all != "own=3; more=4; jar=1" {
		t.Errorf("two cookies of the caller's and the jar's: %q", got)
	}
}

// The request line has a method, a target and a version, for any URL.
func TestDialRequestLine(t *testing.T) {
	for url, want := range map[string]string{
		"ws://example.com": "/", "ws://example.com?a=b": "/?a=b", "ws://example.com/?": "/?", "ws://example.com//a/../b": "//a/../b",
		"ws://example.com/a b/é": "/a%20b/%C3%A9", "ws://example.com/%2f%C3%A9": "/%2f%C3%A9", "ws://example.com/?a b": "/?a%20b",
	} {
		got := ""
		d := &websocket.Dialer{NetDialContext: overPipe(func(nc net.Conn) { got = readHeader(nc) })}
		_, _, err := d.Dial(url, nil)
		if line, _, _ := strings.Cut(got, "\r\n"); line != "GET "+want+" HTTP/1.1" {
			t.Errorf("%s: request line %q (%v)", url, line, err)
		}
	}
}

// The jar takes the response's cookies, a refusal's too.
func TestDialJar(t *testing.T) {
	for _, status := range []string{"101 Switching Protocols", "403 Forbidden"} {
		jar, _ := cookiejar.New(nil)
		d := &websocket.Dialer{Jar: jar, NetDialContext: overPipe(answering(
			strings.Replace(agree, "101 Switching Protocols", status, 1) + "Set-Cookie: a=1; Path=/\nSet-Cookie: b=2; Secure\nSet-Cookie: c=3; Domain=other.example\n\n"))}
		if c, _, err := d.Dial("ws://example.com/x/y", nil); err == nil {
			c.Close()
		}
		var got []string
		for _, c := range jar.Cookies(&neturl.URL{Scheme: "https", Host: "example.com", Path: "/x/z"}) {
			got = append(got, c.String())
		}
		if slices.Sort(got); !slices.Equal(got, []string{"a=1", "b=2"}) {
			t.Errorf("after %s the jar has %q", status, got)
		}
	}
}

// Transports of other kinds: IPv6, Unix sockets.
func TestDialTransports(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Logf("IPv6: %v", err)
	} else {
		serve(t, l, nil)
		if host := told(t, &websocket.Dialer{}, "ws://"+l.Addr().String()+"/", nil).Get("Host"); host != l.Addr().String() {
			t.Errorf("IPv6: Host %q, want %q", host, l.Addr())
		}
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, nil)
	d := &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	if host := told(t, d, "ws://socket/", nil).Get("Host"); host != "socket" {
		t.Errorf("Unix socket: Host %q", host)
	}
}

// A URL that cannot be asked for is refused before anything is dialed, and no error contains a
// password.
func TestDialRefusesToAsk(t *testing.T) {
	d := &websocket.Dialer{NetDial: func(_, addr string) (net.Conn, error) { t.Errorf("%s was dialed", addr); return nil, io.EOF }}
	for _, url := range []string{
		"", "/", "example.com", "//u:secret@example.com/", "ftp://u:secret@example.com/", "WS", "ws:", "ws:///x", "ws://u:secret@/", "ws://u:secret@:80/", "ws:u:secret@example.com",
		"ws://u:secret@example.com/#", "ws://u:secret@example.com/#x", "ws://u:secret@exa mple.com/", "ws://u:secret@example.com:port/", "ws://u:secret@example.com/%zz",
		"ws://u:secret@[::1/", "ws://u:secret@example.com/\r\nX: y", "ws://u:secret@example.com\n/", "ws://u:secret@exam%0aple.com/", "ws://u:secret@example.com/\x7f", "ws://u:secret@bücher.example/",
	} {
		c, resp, err := d.Dial(url, nil)
		if c != nil || resp != nil || err == nil {
			t.Errorf("%q: %v, %v, %v", url, c, resp, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", url, err)
		}
	}
	for _, extra := range []http.Header{
		{"X": {"a\r\nY: b"}}, {"X": {"a", "b\n"}}, {"X": {"\x00"}}, {"X\r\nY": {"a"}}, {"X:": {"a"}}, {"": {"a"}}, {"X ": {"a"}}, {"Host": {"a\r\nY: b"}}, {"Host": {"a b"}}, {"Host": {"a/b"}},
		{"upgrade": {"h2c"}}, {"Connection": {"close"}}, {"sec-websocket-key": {"x"}}, {"Sec-Websocket-Version": {"8"}}, {"Sec-WebSocket-Extensions": {"x"}},
		{"Content-Length": {"5"}}, {"Transfer-Encoding": {"chunked"}}, {"Sec-Websocket-Protocol": {"a\r\nb"}}, {"Origin": {"http://a\r\n"}}, {"Cookie": {"a=b\r\nX: y"}},
	} {
		if c, _, err := d.Dial("ws://example.com/", extra); c != nil || err == nil {
			t.Errorf("%q: %v, %v", extra, c, err)
		}
	}
	for _, protocols := range [][]string{{""}, {"a b"}, {"a,b"}, {"a", "a"}, {"a\r\nb"}, {"é"}} {
		d := &websocket.Dialer{Subprotocols: protocols, NetDial: d.NetDial}
		if c, _, err := d.Dial("ws://example.com/", nil); c != nil || err == nil {
			t.Errorf("subprotocols %q: %v, %v", protocols, c, err)
		}
	}
}

// The hooks of an httptrace.ClientTrace are called in net/http's order.
func TestDialTrace(t *testing.T) {
	hs := httptest.NewUnstartedServer(&websocket.Server{Handler: func(*websocket.Conn, *http.Request) {}})
	var err error
	if hs.Listener, err = net.Listen("tcp", "localhost:0"); err != nil {
		t.Fatal(err)
	}
	server, client := testTLS(t, "localhost")
	hs.TLS = server
	hs.StartTLS()
	defer hs.Close()
	_, port, _ := net.SplitHostPort(hs.Listener.Addr().String())
	ofHTTP := traced(t, func(ctx context.Context) {
		r, _ := http.NewRequestWithContext(ctx, "GET", "https://localhost:"+port, nil)
		resp, err := (&http.Transport{TLSClientConfig: client, DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
	ofDial := traced(t, func(ctx context.Context) {
		c, _, err := (&websocket.Dialer{TLSClientConfig: client}).DialContext(ctx, "wss://localhost:"+port, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	if !slices.Equal(ofDial, ofHTTP) {
		t.Errorf("Dial called    %q,\nnet/http called %q", ofDial, ofHTTP)
	}
	hints := traced(t, func(ctx context.Context) {
		d := &websocket.Dialer{NetDialContext: overPipe(answering("HTTP/1.1 103 Early Hints\nLink: x\n\n" + agreed))}
		c, _, err := d.DialContext(ctx, "ws://example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	if want := []string{"GetConn", "GotConn", "WroteHeaders", "WroteRequest", "GotFirstResponseByte", "Got1xxResponse 103 x"}; !slices.Equal(hints, want) {
		t.Errorf("with a 103: %q, want %q", hints, want)
	}
}

// traced returns the hooks that f calls, each once in a row.
func traced(t *testing.T, f func(ctx context.Context)) (called []string) {
	var mu sync.Mutex
	note := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		called = append(called, name)
	}
	f(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:              func(string) { note("GetConn") },
		GotConn:              func(i httptrace.GotConnInfo) { note("GotConn") },
		GotFirstResponseByte: func() { note("GotFirstResponseByte") },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			note(fmt.Sprintf("Got1xxResponse %d %s", code, h.Get("Link")))
			return nil
		},
		DNSStart:          func(httptrace.DNSStartInfo) { note("DNSStart") },
		DNSDone:           func(httptrace.DNSDoneInfo) { note("DNSDone") },
		ConnectStart:      func(_, _ string) { note("ConnectStart") },
		ConnectDone:       func(_, _ string, _ error) { note("ConnectDone") },
		TLSHandshakeStart: func() { note("TLSHandshakeStart") },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { note("TLSHandshakeDone") },
		WroteHeaders:      func() { note("WroteHeaders") },
		WroteRequest:      func(httptrace.WroteRequestInfo) { note("WroteRequest") },
	}))
	mu.Lock()
	defer mu.Unlock()
	return slices.Compact(called)
}
