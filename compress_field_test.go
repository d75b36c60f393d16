package websocket

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// EnableCompression by itself is gorilla/websocket's field, and programs compare the very string
// that goes over the wire. Compression is this library's field.
func TestEnableCompressionNegotiatesAsGorilla(t *testing.T) {
	const gorilla = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, tt := range []struct {
		enable        bool
		c             *Compression
		offer, answer string
		takeover      bool
	}{
		{true, nil, gorilla, gorilla, false},
		{true, &Compression{}, "permessage-deflate; client_max_window_bits",
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", true},
		{false, &Compression{}, "permessage-deflate; client_max_window_bits",
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", true},
		{false, nil, "", "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var offer string
			var server *Conn
			srv := &Server{Handler: func(c *Conn, r *http.Request) {
				offer, server = strings.Join(r.Header["Sec-Websocket-Extensions"], "|"), c
				echo(c, r)
			}}
			srv.EnableCompression, srv.Compression = tt.enable, tt.c
			l := newListener()
			go srv.Serve(l)
			d := Dialer{EnableCompression: tt.enable, Compression: tt.c, NetDial: func(string, string) (net.Conn, error) {
				s, c := net.Pipe()
				l.conns <- s
				return c, nil
			}}
			c, resp, err := d.Dial("ws://a.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				large := strings.Repeat("hello ", 1000)
				go c.WriteMessage(TextMessage, []byte(large))
				if _, p, err := c.ReadMessage(); string(p) != large || err != nil {
					t.Errorf("echo: %.10q, %v", p, err)
				}
			}
			if answer := strings.Join(resp.Header["Sec-Websocket-Extensions"], "|"); offer != tt.offer || answer != tt.answer {
				t.Errorf("EnableCompression %v, Compression %v: offer %q, answer %q; want %q, %q", tt.enable, tt.c, offer, answer, tt.offer, tt.answer)
			}
			for _, conn := range []*Conn{c, server} {
				if d := conn.deflate; d != nil && (d.deflater != nil) != tt.takeover {
					t.Errorf("EnableCompression %v, Compression %v: a window is kept: %v, want %v", tt.enable, tt.c, d.deflater != nil, tt.takeover)
				}
			}
			srv.Close()
			c.Close()
		})
	}
}

// A browser's offer gets gorilla/websocket's answer too.
func TestEnableCompressionAnswers(t *testing.T) {
	const gorilla = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for offer, want := range map[string]string{
		"permessage-deflate":                         gorilla,
		"permessage-deflate; client_max_window_bits": gorilla,
		gorilla: gorilla,
		"permessage-deflate; server_max_window_bits=10": gorilla + "; server_max_window_bits=10",
		"x": "",
	} {
		if _, answer := agreeDeflate([]string{offer}, compression(true, nil)); answer != want {
			t.Errorf("offer %q: answer %q, want %q", offer, answer, want)
		}
	}
}
