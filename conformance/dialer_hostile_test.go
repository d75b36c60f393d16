package conformance

// A Dialer and servers that answer in every way but the right one.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// A dialFunc is a NetDialContext.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// overPipe leads to serve through net.Pipe, in a goroutine that closes it in the end.
func overPipe(serve func(nc net.Conn)) dialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() { defer server.Close(); serve(server) }()
		return client, nil
	}
}

// overTCP is overPipe with a socket, which is read in another way.
func overTCP(serve func(nc net.Conn)) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		client, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		server, err := l.Accept()
		if err != nil {
			client.Close()
			return nil, err
		}
		go func() { defer server.Close(); serve(server) }()
		return client, nil
	}
}

// eachTransport runs f with either.
func eachTransport(t *testing.T, f func(t *testing.T, over func(func(net.Conn)) dialFunc)) {
	t.Run("pipe", func(t *testing.T) { f(t, overPipe) })
	t.Run("tcp", func(t *testing.T) { f(t, overTCP) })
}

// answering reads a request and writes an answer, in which ACCEPT stands for the right accept
// value, a line break for CR LF.
func answering(answer string) func(nc net.Conn) {
	return func(nc net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(nc))
		if err != nil {
			return
		}
		io.WriteString(nc, fillIn(answer, r))
	}
}

func fillIn(answer string, r *http.Request) string {
	return strings.NewReplacer("\n", "\r\n", "ACCEPT", acceptKey(r.Header.Get("Sec-WebSocket-Key"))).Replace(answer)
}

// agree is a good answer without its end, and agreed is a whole one.
const (
	agree  = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: ACCEPT\n"
	agreed = agree + "\n"
)

// dialResponses are answers, and the results of Dial for them. client_test.go has a list of answers
// that only says yes or no.
var dialResponses = []struct {
	name, answer string
	dialer       websocket.Dialer
	err          string // a part of the error, or "" for a connection
	status       int    // the status of the response that Dial returns, or 0 for no response
}{
	{"Connection twice", strings.Replace(agreed, "Connection:", "Connection: keep-alive\nConnection:", 1), websocket.Dialer{}, "", 101},
	{"odd case", strings.Replace(strings.ToLower(agree), "accept: accept", "ACCEPT: ACCEPT", 1) + "\n", websocket.Dialer{}, "HTTP", 0},
	{"odd case of fields", strings.NewReplacer("Upgrade: websocket", "uPGRADE: WebSocket", "Connection: Upgrade", "cONNECTION: uPGRADE").Replace(agreed), websocket.Dialer{}, "", 101},
	{"Upgrade twice", agree + "Upgrade: websocket\n\n", websocket.Dialer{}, "Upgrade", 101},
	{"Upgrade as a list", strings.Replace(agreed, "Upgrade: ", "Upgrade: h2c, ", 1), websocket.Dialer{}, "Upgrade", 101},
	{"Upgrade longer", strings.Replace(agreed, "websocket", "websockets", 1), websocket.Dialer{}, "Upgrade", 101},
	{"Connection longer", strings.Replace(agreed, "Connection: U", "Connection: X-U", 1), websocket.Dialer{}, "Connection", 101},
	{"a letter that only Unicode folds", strings.Replace(agreed, "websocket", "web\u017focket", 1), websocket.Dialer{}, "Upgrade", 101},
	{"accept twice", agree + "Sec-WebSocket-Accept: ACCEPT\n\n", websocket.Dialer{}, "Accept", 101},
	{"accept and another", agree + "Sec-WebSocket-Accept: x\n\n", websocket.Dialer{}, "Accept", 101},
	{"accept as a list", strings.Replace(agreed, "ACCEPT", "ACCEPT, ACCEPT", 1), websocket.Dialer{}, "Accept", 101},
	{"accept without its padding", strings.Replace(agreed, "ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", 1), websocket.Dialer{}, "Accept", 101},
	{"HTTP/2 in disguise", strings.Replace(agreed, "1.1", "2.0", 1), websocket.Dialer{}, "", 101},
	{"HTTP/1.0", strings.Replace(agreed, "1.1", "1.0", 1), websocket.Dialer{}, "HTTP/1.0", 101},

	{"subprotocol", agree + "Sec-WebSocket-Protocol: b\n\n", websocket.Dialer{Subprotocols: []string{"a", "b"}}, "", 101},
	{"no subprotocol", agreed, websocket.Dialer{Subprotocols: []string{"a", "b"}}, "", 101},
	{"another subprotocol", agree + "Sec-WebSocket-Protocol: c\n\n", websocket.Dialer{Subprotocols: []string{"a", "b"}}, `"c"`, 101},
	{"a subprotocol's case", agree + "Sec-WebSocket-Protocol: A\n\n", websocket.Dialer{Subprotocols: []string{"a", "b"}}, `"A"`, 101},
	{"two subprotocols", agree + "Sec-WebSocket-Protocol: a, b\n\n", websocket.Dialer{Subprotocols: []string{"a", "b"}}, "subprotocol", 101},
	{"two fields of subprotocols", agree + "Sec-WebSocket-Protocol: a\nSec-WebSocket-Protocol: a\n\n", websocket.Dialer{Subprotocols: []string{"a", "b"}}, "subprotocol", 101},
	{"an empty subprotocol", agree + "Sec-WebSocket-Protocol: \n\n", websocket.Dialer{}, "subprotocol", 101},

	{"extension", agree + "Sec-WebSocket-Extensions: permessage-deflate\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "", 101},
	{"extension with all parameters", agree + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "", 101},
	{"extension with quotes", agree + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=\"10\"\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "", 101},
	{"extension twice", agree + "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "extensions", 101},
	{"extension in two fields", agree + "Sec-WebSocket-Extensions: permessage-deflate\nSec-WebSocket-Extensions: permessage-deflate\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "extensions", 101},
	{"unknown extension", agree + "Sec-WebSocket-Extensions: permessage-bzip2\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "bzip2", 101},
	{"unknown parameter", agree + "Sec-WebSocket-Extensions: permessage-deflate; fast\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "fast", 101},
	{"parameter twice", agree + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_no_context_takeover\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "deflate", 101},
	{"parameter without its value", agree + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "deflate", 101},
	{"parameter with a value", agree + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover=1\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "deflate", 101},
	{"window of 7 bits", agree + "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "deflate", 101},
	{"window of 16 bits", agree + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=16\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "deflate", 101},
	{"window of 010 bits", agree + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=010\n\n", websocket.Dialer{Compression: &websocket.Compression{}}, "deflate", 101},
	{"larger window than asked for", agree + "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=11\n\n", websocket.Dialer{Compression: &websocket.Compression{WindowBits: 10}}, "deflate", 101},
	{"window without a bound, though asked for", agree + "Sec-WebSocket-Extensions: permessage-deflate\n\n", websocket.Dialer{Compression: &websocket.Compression{WindowBits: 10}}, "deflate", 101},
	{"takeover, though asked for none", agree + "Sec-WebSocket-Extensions: permessage-deflate\n\n", websocket.Dialer{Compression: &websocket.Compression{NoContextTakeover: true}}, "deflate", 101},

	{"100, 102, 103 before 101", "HTTP/1.1 100 Continue\n\nHTTP/1.1 102 Processing\n\nHTTP/1.1 103 Early Hints\nLink: </a>\n\n" + agreed, websocket.Dialer{}, "", 101},
	{"103 before a refusal", "HTTP/1.1 103 Early Hints\n\nHTTP/1.1 403 Forbidden\nContent-Length: 0\n\n", websocket.Dialer{}, "bad handshake", 403},
	{"103 and the end", "HTTP/1.1 103 Early Hints\n\n", websocket.Dialer{}, "unexpected EOF", 0},
	{"redirect", "HTTP/1.1 301 Moved\nLocation: ws://elsewhere.example/\nContent-Length: 0\n\n", websocket.Dialer{}, "bad handshake", 301},
	{"status of two digits", "HTTP/1.1 10 Switching Protocols\n\n", websocket.Dialer{}, "status", 0},
	{"status of four digits", "HTTP/1.1 1010 Switching Protocols\n\n", websocket.Dialer{}, "status", 0},
	{"mail", "220 mail.example ESMTP\n\n", websocket.Dialer{}, "malformed HTTP", 0},
	{"binary", strings.Repeat("\x00\xff", 100) + "\n\n", websocket.Dialer{}, "malformed HTTP", 0},
	{"binary, then silence", strings.Repeat("\x00\xff", 100), websocket.Dialer{}, "unexpected EOF", 0},
	{"no colon", agree + "Sec-WebSocket-Protocol\n\n", websocket.Dialer{}, "malformed", 0},
	{"space before the colon", strings.Replace(agreed, "Upgrade:", "Upgrade :", 1), websocket.Dialer{}, "Upgrade", 101},
	{"NUL in a value", agree + "X: \x00\n\n", websocket.Dialer{}, "malformed", 0},
	{"a length that is no number", "HTTP/1.1 403 Forbidden\nContent-Length: many\n\n", websocket.Dialer{}, "Content-Length", 0},
	{"an unknown coding", "HTTP/1.1 403 Forbidden\nTransfer-Encoding: x\n\n", websocket.Dialer{}, "transfer encoding", 0},
	{"TLS instead of plain text", "\x15\x03\x01\x00\x02\x02\x46", websocket.Dialer{}, "use wss://", 0},
}

func TestDialResponses(t *testing.T) {
	eachTransport(t, func(t *testing.T, over func(func(net.Conn)) dialFunc) {
		for _, tt := range dialResponses {
			d := tt.dialer
			d.NetDialContext = over(answering(tt.answer))
			c, resp, err := d.Dial("ws://example.com/", nil)
			if c != nil {
				c.Close()
			}
			if (c != nil) != (err == nil) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.err)
			}
			if (resp == nil) != (tt.status == 0) || resp != nil && resp.StatusCode != tt.status {
				t.Errorf("%s: response %+v, want status %d", tt.name, resp, tt.status)
			}
			if resp != nil && err != nil && (!errors.Is(err, websocket.ErrBadHandshake) || (err == websocket.ErrBadHandshake) != (tt.status != 101)) {
				t.Errorf("%s: %v, want ErrBadHandshake, bare only for other statuses than 101", tt.name, err)
			}
		}
	})
}

// A refusal's body comes along: its first KiB, and as much of that as comes within a second.
func TestDialRefusalBody(t *testing.T) {
	const kib = 1 << 10
	forever := func(nc net.Conn, s string, pause time.Duration) {
		for time.Sleep(pause); ; time.Sleep(pause) {
			if _, err := io.WriteString(nc, s); err != nil {
				return
			}
		}
	}
	silent := func(nc net.Conn) { io.Copy(io.Discard, nc) }
	for _, tt := range []struct {
		name, header, body string
		then               func(nc net.Conn) // nil: close
		want               string
		after              time.Duration
	}{
		{"with a length", "Content-Length: 4", "busy", silent, "busy", 0},
		{"up to the end", "X: y", "busy", nil, "busy", 0},
		{"in chunks", "Transfer-Encoding: chunked", "2\r\nbu\r\n2\r\nsy\r\n0\r\n\r\n", silent, "busy", 0},
		{"of 1 KiB", "Content-Length: 1024", strings.Repeat("x", kib), silent, strings.Repeat("x", kib), 0},
		{"of 1 KiB and a byte", "Content-Length: 1025", strings.Repeat("x", kib+1), silent, strings.Repeat("x", kib), 0},
		{"endless", "X: y", "", func(nc net.Conn) { forever(nc, "spam", 0) }, strings.Repeat("spam", kib/4), 0},
		{"endless in chunks", "Transfer-Encoding: chunked", "", func(nc net.Conn) { forever(nc, "4\r\nspam\r\n", 0) }, strings.Repeat("spam", kib/4), 0},
		{"shorter than announced", "Content-Length: 9", "busy", nil, "busy", 0},
		{"longer than announced", "Content-Length: 4", "busybody", nil, "busy", 0},
		{"broken chunks", "Transfer-Encoding: chunked", "4\r\nbusy\r\nx\r\n", silent, "busy", 0},
		{"that does not end", "Content-Length: 9", "busy", silent, "busy", time.Second},
		{"that does not begin", "X: y", "", silent, "", time.Second},
		{"slow", "X: y", "", func(nc net.Conn) { forever(nc, "z", 300*time.Millisecond) }, "zzz", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &websocket.Dialer{NetDialContext: overPipe(func(nc net.Conn) {
					answering("HTTP/1.1 503 Service Unavailable\n" + tt.header + "\n\n")(nc)
					io.WriteString(nc, tt.body)
					if tt.then != nil {
						tt.then(nc)
					}
				})}
				start := time.Now()
				_, resp, err := d.Dial("ws://example.com/", nil)
				if err != websocket.ErrBadHandshake || resp == nil || time.Since(start) != tt.after {
					t.Fatalf("Dial: %v, %v after %v, want ErrBadHandshake and a response after %v", resp, err, time.Since(start), tt.after)
				}
				if body, err := io.ReadAll(resp.Body); string(body) != tt.want || err != nil {
					t.Errorf("body %q, %v", body, err)
				}
				time.Sleep(time.Second) // a slow server finds out
			})
		})
	}
	for _, status := range []string{"204 No Content", "304 Not Modified"} { // have no body
		d := &websocket.Dialer{NetDialContext: overPipe(answering("HTTP/1.1 " + status + "\n\nHTTP/1.1 200 OK\n\n"))}
		_, resp, err := d.Dial("ws://example.com/", nil)
		if body, _ := io.ReadAll(resp.Body); err != websocket.ErrBadHandshake || len(body) != 0 {
			t.Errorf("%s: body %q, %v", status, body, err)
		}
	}
}

// A response may have 16 KiB of header, the responses before it included, and one that goes on is
// given up soon.
func TestDialHeaderLimit(t *testing.T) {
	const limit, hints = 16 << 10, "HTTP/1.1 103 Early Hints\n\n"
	size := func(s string) int { return len(fillIn(s, &http.Request{})) }
	padded := func(before string, n int) string {
		return before + agree + "X: " + strings.Repeat("x", n-size(before+agree+"X: \n\n")) + "\n\n"
	}
	eachTransport(t, func(t *testing.T, over func(func(net.Conn)) dialFunc) {
		for _, tt := range []struct {
			answer string
			ok     bool
		}{
			{padded("", limit), true}, {padded("", limit+1), false}, {padded(hints, limit), true}, {padded(hints, limit+1), false},
		} {
			d := websocket.Dialer{NetDialContext: over(answering(tt.answer + "\x81\x05hello"))}
			c, _, err := d.Dial("ws://example.com/", nil)
			if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "too large") {
				t.Errorf("a header of %d bytes, %.40q…: %v", size(tt.answer), tt.answer, err)
			}
			if err == nil {
				if _, p, err := c.ReadMessage(); string(p) != "hello" || err != nil {
					t.Errorf("the message behind %d bytes: %q, %v", size(tt.answer), p, err)
				}
				c.Close()
			}
		}
	})
	for _, unit := range []string{strings.Repeat("X: y\r\n", 20), strings.Repeat("x", 100), "HTTP/1.1 100 Continue\r\n\r\n", strings.Repeat("\x00", 100)} {
		written := make(chan int, 1)
		d := websocket.Dialer{NetDialContext: overPipe(func(nc net.Conn) {
			answering("HTTP/1.1 100 Continue\n")(nc)
			total := 0
			for n, err := 0, error(nil); err == nil; total += n {
				n, err = io.WriteString(nc, unit)
			}
			written <- total
		})}
		if _, _, err := d.Dial("ws://example.com/", nil); err == nil || !strings.Contains(err.Error(), "too large") && !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%.20q without end: %v", unit, err)
		}
		if n := <-written; n > 3*limit {
			t.Errorf("%.20q without end: %d bytes were read", unit, n)
		}
	}
}

// A response that is cut off at any byte is an unexpected end, by a FIN or, over TCP, a reset.
func TestDialCutResponse(t *testing.T) {
	for n, whole := 0, strings.ReplaceAll(agreed, "ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); n < len(whole); n++ {
		d := websocket.Dialer{NetDialContext: overPipe(answering(whole[:n]))}
		if c, resp, err := d.Dial("ws://example.com/", nil); c != nil || resp != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %q: %v, %v, %v", whole[:n], c, resp, err)
		}
	}
	for _, part := range []string{"", "HTTP/1.1 10", agree} {
		d := websocket.Dialer{NetDialContext: overTCP(func(nc net.Conn) {
			answering(part)(nc)
			nc.(*net.TCPConn).SetLinger(0)
		})}
		if c, resp, err := d.Dial("ws://example.com/", nil); c != nil || resp != nil || err == nil {
			t.Errorf("reset after %q: %v, %v, %v", part, c, resp, err)
		}
	}
}

// Frames that come in one write with the response are delivered, however many they are.
func TestDialGluedFrames(t *testing.T) {
	big := strings.Repeat("0123456789", 10_000)
	frames := "\x81\x00" + "\x89\x01p" + "\x82\x7f\x00\x00\x00\x00\x00\x01\x86\xa0" + big + "\x01\x01a\x80\x01b" + "\x88\x02\x03\xe8"
	eachTransport(t, func(t *testing.T, over func(func(net.Conn)) dialFunc) {
		d := websocket.Dialer{NetDialContext: over(func(nc net.Conn) {
			r, _ := http.ReadRequest(bufio.NewReader(nc))
			go io.WriteString(nc, fillIn(agreed, r)+frames)
			io.Copy(io.Discard, nc)
		})}
		c, _, err := d.Dial("ws://example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, want := range []string{"", big, "ab"} {
			if _, p, err := c.ReadMessage(); string(p) != want || err != nil {
				t.Errorf("read %.20q…, %v; want %.20q…", p, err, want)
			}
		}
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1000) {
			t.Errorf("the end: %v, want code 1000", err)
		}
	})
}

// "A recipient MAY recognize a single LF as a line terminator" (RFC 9112 section 2.2). One that
// does must do so everywhere.
func TestDialBareLF(t *testing.T) {
	for name, breaks := range map[string][2]string{"LF, LF": {"\n", "\n"}, "CR LF, LF": {"\r\n", "\n"}, "LF, CR LF": {"\n", "\r\n"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &websocket.Dialer{NetDialContext: overPipe(func(nc net.Conn) {
					r, _ := http.ReadRequest(bufio.NewReader(nc))
					io.WriteString(nc, strings.ReplaceAll(fillIn(agree, r), "\r\n", breaks[0])+breaks[1]+"\x81\x04\r\n\r\n")
					io.Copy(io.Discard, nc)
				})}
				c, _, err := d.Dial("ws://example.com/", nil)
				if err != nil {
					if isTimeout(err) {
						t.Error(err)
					}
					return
				}
				defer c.Close()
				c.SetReadDeadline(time.Now().Add(time.Second))
				if _, p, err := c.ReadMessage(); string(p) != "\r\n\r\n" || err != nil {
					t.Errorf("the message behind the response is %q, %v", p, err)
				}
			})
		})
	}
}

// A server must not mask (RFC 6455 section 5.1): the client closes with 1002, masked itself.
func TestDialMaskedFrames(t *testing.T) {
	eachTransport(t, func(t *testing.T, over func(func(net.Conn)) dialFunc) {
		answers := make(chan []byte, 1)
		d := websocket.Dialer{NetDialContext: over(func(nc net.Conn) {
			answering(agreed + "\x81\x82\x01\x02\x03\x04ii")(nc)
			b, _ := io.ReadAll(nc)
			answers <- b
		})}
		c, _, err := d.Dial("ws://example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); err == nil || !strings.Contains(fmt.Sprint(err), "1002") {
			t.Errorf("read: %v, want a ProtocolError with 1002", err)
		}
		c.Close()
		b := <-answers
		if len(b) < 8 || b[0] != 0x88 || b[1]&0x80 == 0 {
			t.Fatalf("the client answered %s, want a masked close frame", hex.EncodeToString(b))
		}
		if code := []byte{b[6] ^ b[2], b[7] ^ b[3]}; !bytes.Equal(code, []byte{0x03, 0xea}) {
			t.Errorf("the client closed with code %x, want 1002", code)
		}
	})
}
