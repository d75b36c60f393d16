package socks5

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
)

// RFC 1928 section 4 has three kinds of address. Addresses that none of them can hold are
// refused.
func TestRequest(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"192.0.2.1:80", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"},
		{"[2001:db8::1]:443", "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb"},
		{"example.com:65535", "\x05\x01\x00\x03\x0bexample.com\xff\xff"},
		{strings.Repeat("a", 255) + ":1", "\x05\x01\x00\x03\xff" + strings.Repeat("a", 255) + "\x00\x01"},
		{strings.Repeat("a", 256) + ":1", ""}, {"h:65536", ""}, {"h:-1", ""}, {"h:http", ""}, {"h", ""},
	} {
		got, err := appendRequest(nil, tt.addr)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%.20s: % x, %v; want % x", tt.addr, got, err, tt.want)
		}
	}
}

// Connect follows the conversation to its end and reads no byte more: the bytes behind the reply
// are the server's. A conversation that is cut short ends with io.ErrUnexpectedEOF.
func TestConnect(t *testing.T) {
	user := url.UserPassword("me", "secret")
	const connect, fine = "\x05\x01\x00\x03\x01h\x00\x50", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for _, tt := range []struct {
		name          string
		user          *url.Userinfo
		answers, sent string
		err           string
	}{
		{"no authentication", nil, "\x05\x00" + fine, "\x05\x01\x00" + connect, ""},
		{"not needed", user, "\x05\x00" + fine, "\x05\x02\x00\x02" + connect, ""},
		{"password", user, "\x05\x02\x01\x00" + fine, "\x05\x02\x00\x02\x01\x02me\x06secret" + connect, ""},
		{"bound to a name", nil, "\x05\x00\x05\x00\x00\x03\x03abc\x00\x00", "\x05\x01\x00" + connect, ""},
		{"bound to IPv6", nil, "\x05\x00\x05\x00\x00\x04" + strings.Repeat("\x00", 18), "\x05\x01\x00" + connect, ""},
		{"wrong password", user, "\x05\x02\x01\x01", "", "refused the user name"},
		{"password wanted", nil, "\x05\xff", "", "wants a user name"},
		{"password not asked for", nil, "\x05\x02", "", "no method"},
		{"other method", user, "\x05\x01", "", "no method"},
		{"HTTP", nil, "HT", "", "no SOCKS5 proxy"},
		{"refused", nil, "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "", "connection refused"},
		{"unknown refusal", nil, "\x05\x00\x05\x77\x00\x01\x00\x00\x00\x00\x00\x00", "", "0x77"},
		{"no version", nil, "\x05\x00\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00", "", "malformed"},
		{"no address type", nil, "\x05\x00\x05\x00\x00\x02\x00\x00\x00\x00\x00\x00", "", "malformed"},
	} {
		sent, rest, err := converse(tt.user, tt.answers+"rest")
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil || sent != tt.sent || rest != "rest" {
			t.Errorf("%s: sent %q, left %q, %v; want %q", tt.name, sent, rest, err, tt.sent)
		}
		for n := range tt.answers { // cut short anywhere
			if _, _, err := converse(tt.user, tt.answers[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, after %d bytes: %v, want io.ErrUnexpectedEOF", tt.name, n, err)
			}
		}
	}
	if _, _, err := converse(url.User(strings.Repeat("x", 256)), "\x05\x02"); err == nil {
		t.Error("a user name of 256 bytes: no error")
	}
}

// converse lets Connect ask a proxy that gives these answers for h:80.
func converse(user *url.Userinfo, answers string) (sent, rest string, err error) {
	in, out := strings.NewReader(answers), new(bytes.Buffer)
	err = Connect(&scriptedConn{Reader: in, Writer: out}, user, "h:80")
	left, _ := io.ReadAll(in)
	return out.String(), string(left), err
}

// A scriptedConn reads from a script, and keeps the bytes that are written to it.
type scriptedConn struct {
	net.Conn
	io.Reader
	io.Writer
}

func (c *scriptedConn) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c *scriptedConn) Write(p []byte) (int, error) { return c.Writer.Write(p) }
