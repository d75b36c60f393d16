package websocket

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// The deprecated functions do the same as the methods, in one round trip through all of them.
func TestDeprecatedFunctions(t *testing.T) {
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, nil, 1024, 1024)
		if err != nil {
			if _, ok := err.(HandshakeError); !ok {
				t.Errorf("Upgrade: %T", err)
			}
			http.Error(w, "mine to answer", http.StatusTeapot)
			return
		}
		defer c.Close()
		var v any
		if err := ReadJSON(c, &v); err != nil {
			t.Error(err)
		}
		WriteJSON(c, v)
		io.Copy(io.Discard, c.NetConn())
	}))
	defer hs.Close()
	u, _ := url.Parse("ws" + strings.TrimPrefix(hs.URL, "http"))
	nc, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	c, resp, err := NewClient(nc, u, http.Header{"Origin": {"https://elsewhere.example"}}, 1024, 1024)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || c.NetConn() != nc {
		t.Fatal(c, resp, err)
	}
	defer c.Close()
	WriteJSON(c, []int{1, 2})
	var got []int
	if err := ReadJSON(c, &got); err != nil || len(got) != 2 || got[1] != 2 {
		t.Errorf("%v, %v", got, err)
	}

	resp, err = http.Get(hs.URL)
	if err != nil || resp.StatusCode != http.StatusTeapot {
		t.Errorf("a plain request: %v, %v; want the handler's own answer", resp, err)
	}
	resp.Body.Close()
}

// NewClient closes the transport that it could not use, for any reason.
func TestNewClientCloses(t *testing.T) {
	for _, s := range []string{"ftp://h/", "ws://h/"} {
		nc, peer := net.Pipe()
		peer.Close()
		u, _ := url.Parse(s)
		if _, _, err := NewClient(nc, u, nil, 0, 0); err == nil {
			t.Errorf("%s: no error", s)
		}
		if _, err := nc.Write([]byte("x")); err != io.ErrClosedPipe {
			t.Errorf("%s: the transport is left open (%v)", s, err)
		}
	}
}
