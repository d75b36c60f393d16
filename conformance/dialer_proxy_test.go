package conformance

// A Dialer and proxies: HTTP, HTTPS and SOCKS5, honest and otherwise.

import (
	"bufio"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plainsocket/websocket"
)

// A serveStep is one step of a server. The last step waits for the end.
type serveStep = func(nc net.Conn) net.Conn

func serveSteps(steps ...serveStep) func(nc net.Conn) {
	return func(nc net.Conn) {
		for _, step := range steps {
			if nc = step(nc); nc == nil {
				return
			}
		}
		io.Copy(io.Discard, nc)
	}
}

// deaf reads nothing, so a writer over net.Pipe has to wait.
func deaf(nc net.Conn) net.Conn {
	nc.Write([]byte("x")) // blocks until the client closes, because it does not read now
	return nil
}

// says takes n bytes from the client, and answers.
func says(n int, answer string) serveStep {
	return func(nc net.Conn) net.Conn {
		if _, err := io.CopyN(io.Discard, nc, int64(n)); err != nil {
			return nil
		}
		if _, err := io.WriteString(nc, answer); err != nil {
			return nil
		}
		return nc
	}
}

// answers takes a request, and answers.
func answers(answer string) serveStep {
	return func(nc net.Conn) net.Conn {
		if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
			return nil
		}
		return says(0, answer)(nc)
	}
}

// startsTLS does a TLS handshake.
func startsTLS(config *tls.Config) serveStep {
	return func(nc net.Conn) net.Conn {
		tc := tls.Server(nc, config)
		if tc.Handshake() != nil {
			io.Copy(io.Discard, nc) // a client that broke it off still has to close
			return nil
		}
		return tc
	}
}

// through is a Dialer's Proxy.
func through(proxy string) func(*http.Request) (*url.URL, error) {
	return func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
}

// An HTTP proxy gets a request, and its answers lead to a connection or an error. Behind the proxy
// is a server that agrees.
func TestDialHTTPProxy(t *testing.T) {
	const connect, ok = "CONNECT example.com:80 HTTP/1.1\nHost: example.com:80\n", "HTTP/1.1 200 OK\n\n"
	for _, tt := range []struct {
		name, url, proxy string
		request, answer  string // a line break stands for CR LF, and no request means the one above
		err              string // a part of the error, or "" for a connection
	}{
		{"without a password", "ws://example.com/x", "http://proxy.example", connect, ok, ""},
		{"with a password", "ws://example.com/x", "http://user:p%40ss%0a@proxy.example:3128", connect + "Proxy-Authorization: Basic dXNlcjpwQHNzCg==\n", ok, ""},
		{"with a user name only", "ws://example.com/x", "http://user@proxy.example", connect + "Proxy-Authorization: Basic dXNlcjo=\n", ok, ""},
		{"the server's password is not the proxy's", "ws://u:p@example.com/x", "http://proxy.example", connect, ok, ""},
		{"to a port", "ws://example.com:8080/x", "http://proxy.example", strings.ReplaceAll(connect, ":80", ":8080"), ok, ""},
		{"to an IPv6 address", "ws://[2001:db8::1]/x", "http://proxy.example", strings.ReplaceAll(connect, "example.com", "[2001:db8::1]"), ok, ""},
		{"to an IPv6 address with a zone", "ws://[fe80::1%25eth0]/x", "http://proxy.example", strings.ReplaceAll(connect, "example.com", "[fe80::1]"), ok, ""},
		{"another host in the request", "ws://example.com/x", "http://[::1]:9", connect, ok, ""},

		{"HTTP/1.0", "ws://example.com/", "http://proxy.example", "", "HTTP/1.0 200 Connection established\n\n", ""},
		{"another 2xx", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 204 No Content\n\n", ""},
		{"no reason", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200\nVia: proxy\n\n", ""},
		// "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a
		// successful response to CONNECT" (RFC 9110 section 9.3.6).
		{"a length", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200 OK\nContent-Length: 10\n\n", ""},
		{"lengths that differ", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200 OK\nContent-Length: 10\nContent-Length: 11\n\n", ""},
		{"chunks", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", ""},
		{"an unknown coding", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200 OK\nTransfer-Encoding: x\n\n", ""},
		// "A client MUST be able to parse one or more 1xx responses received prior to a final
		// response" (section 15.2).
		{"a response before the response", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 103 Early Hints\n\n" + ok, ""},

		{"password wanted", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 407 Proxy Authentication Required\nContent-Length: 5\n\nlogin", "407 Proxy Authentication Required"},
		{"password refused", "ws://example.com/", "http://user:secret@proxy.example", connect + "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\n", "HTTP/1.1 407\n\n", "407"},
		{"no way", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 502 Bad Gateway\n\n", "502 Bad Gateway"},
		{"redirect", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 302 Found\nLocation: http://proxy.example/login\n\n", "302"},
		{"garbage", "ws://example.com/", "http://proxy.example", "", "\x05\xff\n\n", "malformed"},
		{"nothing", "ws://example.com/", "http://proxy.example", "", "", "unexpected EOF"},
		{"half an answer", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200 OK\nVia", "unexpected EOF"},
		{"an endless header", "ws://example.com/", "http://proxy.example", "", "HTTP/1.1 200 OK\n" + strings.Repeat("X: y\n", 10_000), "too large"},
		{"an endless line", "ws://example.com/", "http://proxy.example", "", strings.Repeat("x", 50_000), "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			d := &websocket.Dialer{Proxy: through(tt.proxy), NetDialContext: overPipe(func(nc net.Conn) {
				got = readHeader(nc)
				io.WriteString(nc, strings.ReplaceAll(tt.answer, "\n", "\r\n"))
				if tt.err == "" {
					answering(agreed + "\x81\x02hi")(nc)
				}
			})}
			c, resp, err := d.Dial(tt.url, nil)
			if want := strings.ReplaceAll(tt.request+"\n", "\n", "\r\n"); tt.request != "" && got != want {
				t.Errorf("the proxy was asked %q, want %q", got, want)
			}
			if tt.err != "" {
				if err == nil || resp != nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "proxy") || strings.Contains(err.Error(), "secret") {
					t.Errorf("Dial: %v, %v, want an error with %q", resp, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, p, err := c.ReadMessage(); string(p) != "hi" || err != nil {
				t.Errorf("behind the proxy: %q, %v", p, err)
			}
		})
	}
}

// readHeader reads up to an empty line, and nothing behind it.
func readHeader(r io.Reader) string {
	var b []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(b), "\r\n\r\n"); b = append(b, one...) {
		if _, err := r.Read(one); err != nil {
			break
		}
	}
	return string(b)
}

// Bytes right behind the proxy's answer are the server's.
func TestDialProxyGlued(t *testing.T) {
	for proxy, answers := range map[string][]serveStep{
		"http://proxy.example":   {answers("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 503 Full\r\nContent-Length: 4\r\n\r\nlate")},
		"socks5://proxy.example": {says(3, "\x05\x00"), says(18, "\x05\x00\x00\x03\x04name\x00\x50HTTP/1.1 503 Full\r\nContent-Length: 4\r\n\r\nlate")},
	} {
		d := &websocket.Dialer{Proxy: through(proxy), NetDialContext: overTCP(serveSteps(answers...))}
		_, resp, err := d.Dial("ws://example.com/", nil)
		if err != websocket.ErrBadHandshake || resp == nil || resp.StatusCode != 503 {
			t.Fatalf("%s: %v, %v", proxy, resp, err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "late" {
			t.Errorf("%s: body %q", proxy, body)
		}
	}
}

// These are SOCKS5 dialogues, byte by byte: "client > proxy" pairs in hexadecimal, and after them a
// server that agrees, or the end.
func TestDialSOCKS(t *testing.T) {
	const (
		name  = "0501000 30b 6578616d706c652e636f6d 0050" // example.com:80
		hello = "050100>0500"
		done  = ">05000001 00000000 0000"
	)
	long := strings.Repeat("u", 256)
	for _, tt := range []struct {
		name, url, proxy string
		script           string
		err              string // a part of the error, or "" for a connection
	}{
		{"a name", "ws://example.com/", "socks5://p.example", hello + ";" + name + done, ""},
		{"a name, with socks5h", "ws://example.com/", "socks5h://p.example", hello + ";" + name + done, ""},
		{"an IPv4 address", "ws://192.0.2.1:81/", "socks5://p.example", hello + ";05010001 c0000201 0051" + done, ""},
		{"an IPv6 address", "ws://[2001:db8::1]/", "socks5://p.example", hello + ";05010004 20010db8000000000000000000000001 0050" + done, ""},
		{"an IPv6 address with a zone", "ws://[fe80::1%25eth0]/", "socks5://p.example", hello + ";05010004 fe800000000000000000000000000001 0050" + done, ""},
		{"bound to an IPv6 address", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05000004 20010db8000000000000000000000001 0050", ""},
		{"bound to a name", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05000003 03616263 0050", ""},
		{"bound to an empty name", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05000003 00 0050", ""},
		{"a reserved byte", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">0500ff01 00000000 0000", ""},
		{"a password", "ws://example.com/", "socks5://me:pw@p.example", "05020002>0502;01 026d65 027077>0100;" + name + done, ""},
		{"a password that the proxy does not ask for", "ws://example.com/", "socks5://me:pw@p.example", "05020002>0500;" + name + done, ""},
		{"a user name only", "ws://example.com/", "socks5://me@p.example", "05020002>0502;01 026d65 00>0100;" + name + done, ""},

		{"password refused", "ws://example.com/", "socks5://me:pw@p.example", "05020002>0502;01 026d65 027077>01ff", "user name and password"},
		{"password wanted", "ws://example.com/", "socks5://p.example", "050100>05ff", "user name and password"},
		{"password demanded", "ws://example.com/", "socks5://p.example", "050100>0502", "authentication"},
		{"another method", "ws://example.com/", "socks5://me:pw@p.example", "05020002>0501", "authentication"},
		{"no method", "ws://example.com/", "socks5://me:pw@p.example", "05020002>05ff", "authentication"},
		{"no user name", "ws://example.com/", "socks5://:pw@p.example", "05020002>0502", "255"},
		{"a user name of 256 bytes", "ws://example.com/", "socks5://" + long + ":pw@p.example", "05020002>0502", "255"},
		{"a password of 256 bytes", "ws://example.com/", "socks5://me:" + long + "@p.example", "05020002>0502", "255"},
		{"a name of 256 bytes", "ws://" + long + "/", "socks5://p.example", "", "255"},
		{"SOCKS4", "ws://example.com/", "socks5://p.example", "050100>005b", "no SOCKS5 proxy"},
		{"HTTP", "ws://example.com/", "socks5://p.example", "050100>48545450", "no SOCKS5 proxy"},
		{"another version in the reply", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">04000001 00000000 0000", "malformed"},
		{"an unknown kind of address", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05000002 00000000 0000", "malformed"},
		{"failure", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05010001 00000000 0000", "general failure"},
		{"rules", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05020001 00000000 0000", "not allowed"},
		{"refused", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05050001 00000000 0000", "connection refused"},
		{"an error without a name", "ws://example.com/", "socks5://p.example", hello + ";" + name + ">05ff0001 00000000 0000", "0xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &websocket.Dialer{Proxy: through(tt.proxy), NetDialContext: overPipe(func(nc net.Conn) {
				if playSOCKS(t, nc, tt.script, 1<<10) && tt.err == "" {
					answering(agreed)(nc)
				}
			})}
			c, resp, err := d.Dial(tt.url, nil)
			if err == nil {
				c.Close()
			}
			if (err == nil) != (tt.err == "") || err != nil && (resp != nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "proxy p.example:1080")) {
				t.Errorf("Dial: %v, want an error with %q", err, tt.err)
			}
		})
	}
	// A proxy may end its side at any byte.
	for script, size := range map[string]int{
		"05020002>0500;" + name + done: 12, "05020002>0502;01 026d65 027077>0100;" + name + ">05000003 03616263 0050": 14,
	} {
		for n := range size {
			d := &websocket.Dialer{Proxy: through("socks5://me:pw@p.example"), NetDialContext: overPipe(func(nc net.Conn) { playSOCKS(t, nc, script, n) })}
			if c, _, err := d.Dial("ws://example.com/", nil); c != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of %s: %v, %v", n, script, c, err)
			}
		}
	}
}

// playSOCKS plays the proxy's part of script, and sends up to most bytes of it. It reports whether
// it came to the end.
func playSOCKS(t *testing.T, nc net.Conn, script string, most int) bool {
	for line := range strings.SplitSeq(strings.ReplaceAll(script, " ", ""), ";") {
		asked, answer, _ := strings.Cut(line, ">")
		want, err1 := hex.DecodeString(asked)
		reply, err2 := hex.DecodeString(answer)
		if err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v", line, err1, err2)
		}
		got := make([]byte, len(want))
		if n, err := io.ReadFull(nc, got); string(got) != string(want) {
			t.Errorf("the proxy was told % x, %v; want % x", got[:n], err, want)
			return false
		}
		if nc.Write(reply[:min(len(reply), most)]); most < len(reply) {
			return false
		}
		most -= len(reply)
	}
	return true
}

// Every kind of proxy leads to every kind of server, over real sockets. TLS is spoken with the
// server of the URL, for HTTP/1.1.
func TestDialProxyEndToEnd(t *testing.T) {
	serverTLS, client := testTLS(t, "proxy.example", "server.example")
	var mu sync.Mutex
	var hellos []string
	serverTLS.NextProtos = []string{"http/1.1"}
	serverTLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		hellos = append(hellos, fmt.Sprint(hello.ServerName, hello.SupportedProtos))
		return nil, nil
	}
	client.ServerName = "server.example" // and not the proxy's
	client.NextProtos = []string{"h2", "http/1.1"}
	srv := &websocket.Server{TLSConfig: serverTLS, Handler: func(c *websocket.Conn, _ *http.Request) {
		for m := range c.Messages() {
			c.WriteMessage(m.Type, m.Data)
		}
	}}
	defer srv.Close()
	for _, scheme := range []string{"ws", "wss"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if scheme == "ws" {
			go srv.Serve(l)
		} else {
			go srv.ServeTLS(l, "", "")
		}
		for _, proxy := range []string{"http", "https", "socks5", "socks5h"} {
			hellos = nil
			toProxy := overTCP(func(nc net.Conn) {
				if proxy == "https" {
					nc = tls.Server(nc, serverTLS)
				}
				if !forwardTo(nc, l.Addr()) {
					t.Errorf("%s through %s: the proxy was asked for something else", scheme, proxy)
				}
				nc.Close()
			})
			d := &websocket.Dialer{TLSClientConfig: client, Proxy: through(proxy + "://proxy.example"), NetDialContext: toProxy}
			c, _, err := d.Dial(scheme+"://server.example/", nil)
			if err != nil {
				t.Errorf("%s through %s: %v", scheme, proxy, err)
				continue
			}
			message := strings.Repeat("there and back ", 10_000)
			c.WriteMessage(websocket.TextMessage, []byte(message))
			if _, p, err := c.ReadMessage(); string(p) != message || err != nil {
				t.Errorf("%s through %s: an echo of %d bytes, %v", scheme, proxy, len(p), err)
			}
			if err := c.Shutdown(t.Context(), 1000, ""); err != nil {
				t.Errorf("%s through %s: Shutdown: %v", scheme, proxy, err)
			}
			var want []string
			if proxy == "https" {
				want = append(want, "proxy.example[http/1.1]")
			}
			if scheme == "wss" {
				want = append(want, "server.example[http/1.1]")
			}
			if !slices.Equal(hellos, want) {
				t.Errorf("%s through %s: TLS with %q, want %q", scheme, proxy, hellos, want)
			}
		}
	}
}

// forwardTo is a proxy for one connection to server.example, by CONNECT or SOCKS5.
func forwardTo(nc net.Conn, addr net.Addr) bool {
	first := make([]byte, 3)
	if _, err := io.ReadFull(nc, first); err != nil {
		return false
	}
	if string(first) == "CON" {
		if !strings.HasPrefix(readHeader(nc), "NECT server.example:") {
			return false
		}
		io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
	} else {
		io.WriteString(nc, "\x05\x00")
		request := make([]byte, 4+1+len("server.example")+2)
		if _, err := io.ReadFull(nc, request); err != nil || string(request[5:len(request)-2]) != "server.example" {
			return false
		}
		io.WriteString(nc, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	}
	server, err := net.Dial("tcp", addr.String())
	if err != nil {
		return false
	}
	defer server.Close()
	go func() {
		// The wrapper keeps net from using splice. net keeps its pipes, which look like a leak.
		io.Copy(struct{ io.Writer }{server}, nc)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(struct{ io.Writer }{nc}, server)
	return true
}

// ProxyFromEnvironment is asked with http and https URLs in the place of ws and wss.
func TestDialProxyFromEnvironment(t *testing.T) {
	if os.Getenv("PLAINSOCKET_DIALED") == "" { // net/http reads the environment once
		cmd := exec.Command(os.Args[0], "-test.run=^TestDialProxyFromEnvironment$", "-test.v")
		cmd.Env = append(os.Environ(), "PLAINSOCKET_DIALED=1", "HTTP_PROXY=http://one.example", "HTTPS_PROXY=socks5://two.example", "NO_PROXY=.direct.example")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDialProxyFromEnvironment") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for to, want := range map[string]string{
		"ws://example.com/": "one.example:80", "wss://example.com/": "two.example:1080",
		"ws://a.direct.example/": "a.direct.example:80", "wss://a.direct.example:99/": "a.direct.example:99",
	} {
		for _, d := range []websocket.Dialer{*websocket.DefaultDialer, {Proxy: http.ProxyFromEnvironment}} {
			dialed := ""
			d.NetDial = func(_, addr string) (net.Conn, error) { dialed = addr; return nil, io.EOF }
			if _, _, err := d.Dial(to, nil); !errors.Is(err, io.EOF) || dialed != want {
				t.Errorf("%s: %s was dialed, %v; want %s", to, dialed, err, want)
			}
		}
	}
}
