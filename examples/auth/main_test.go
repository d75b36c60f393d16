package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

const secret = "correct horse"

// start runs the program on a free port.
func start(t *testing.T, patience time.Duration) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, ln, &asker{account: newAccount("demo", secret), attempts: 3, patience: patience})
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// converse sends lines, and perhaps a close, and returns all that comes back, and how it ends.
func converse(t *testing.T, c *websocket.Conn, exit bool, lines ...string) (heard []string, end error) {
	t.Helper()
	defer c.Close()
	for _, line := range lines {
		c.WriteMessage(websocket.TextMessage, []byte(line))
	}
	if exit {
		c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "exit"))
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return heard, err
		}
		heard = append(heard, string(p))
	}
}

func TestAskedAfter(t *testing.T) {
	addr := start(t, time.Minute)
	const wrong = "wrong user name or password; attempts left: "
	for _, tt := range []struct {
		name  string
		lines []string
		heard string // joined
		code  int
	}{
		{"right at once", []string{"demo", secret, "hello", ""},
			"user name:|password:|welcome, demo|your submit context: hello|your submit context: ", 1000},
		{"wrong name, then right", []string{"root", secret, "demo", secret, "x"},
			"user name:|password:|" + wrong + "2|user name:|password:|welcome, demo|your submit context: x", 1000},
		{"three times wrong", []string{"demo", "", "demo", secret + "x", "demo", secret[1:], "demo", secret},
			"user name:|password:|" + wrong + "2|user name:|password:|" + wrong + "1|user name:|password:", 1008},
		{"leaves while asked", nil, "user name:", 1000},
		{"much too long", []string{strings.Repeat("x", 2000)}, "user name:", 1009},
	} {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/after", nil)
		if err != nil {
			t.Fatal(err)
		}
		heard, end := converse(t, c, tt.code == 1000, tt.lines...)
		if got := strings.Join(heard, "|"); got != tt.heard || !websocket.IsCloseError(end, tt.code) {
			t.Errorf("%s: heard %q and %v; want %q and %d", tt.name, got, end, tt.heard, tt.code)
		}
	}
}

func TestLoggingInTakesTooLong(t *testing.T) {
	addr := start(t, 50*time.Millisecond)
	c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/after", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue // the question
		}
		if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("no answer: %v, want 1008", err)
		}
		return
	}
}

// login posts the form, and returns the response.
func login(t *testing.T, client *http.Client, addr, name, password string, header http.Header) *http.Response {
	t.Helper()
	form := url.Values{"name": {name}, "password": {password}}
	r, _ := http.NewRequest(http.MethodPost, "http://"+addr+"/login", strings.NewReader(form.Encode()))
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func TestAskedBefore(t *testing.T) {
	addr := start(t, time.Minute)
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	defer client.CloseIdleConnections()
	dialer := websocket.Dialer{Jar: jar}
	refused := func(when string, header http.Header, status int) {
		t.Helper()
		_, resp, err := dialer.Dial("ws://"+addr+"/before", header)
		if err != websocket.ErrBadHandshake || resp.StatusCode != status {
			t.Errorf("%s: %v, %v; want status %d", when, resp, err, status)
		}
	}
	talks := func(when string, d *websocket.Dialer, header http.Header) {
		t.Helper()
		c, _, err := d.Dial("ws://"+addr+"/before", header)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			return
		}
		if heard, end := converse(t, c, true, "hello"); len(heard) != 1 || heard[0] != "your submit context: hello" || !websocket.IsCloseError(end, 1000) {
			t.Errorf("%s: %q, %v", when, heard, end)
		}
	}

	refused("without a session", nil, 401)
	refused("with a session of one's own", http.Header{"Cookie": {"session=AAAA"}}, 401)
	if resp := login(t, client, addr, "demo", "wrong", nil); resp.StatusCode != 401 || len(resp.Cookies()) != 0 {
		t.Errorf("wrong password: %s, %v", resp.Status, resp.Cookies())
	}
	if resp := login(t, client, addr, "demo", secret, http.Header{"Sec-Fetch-Site": {"cross-site"}}); resp.StatusCode != 403 {
		t.Errorf("login by another site's page: %s", resp.Status)
	}
	resp := login(t, client, addr, "demo", secret, nil)
	if len(resp.Cookies()) != 1 {
		t.Fatalf("right password: %s, %v", resp.Status, resp.Cookies())
	}
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || len(cookie.Value) < 26 {
		t.Errorf("cookie %v", cookie)
	}
	talks("with the cookie", &dialer, nil)
	talks("with the token", new(websocket.Dialer), http.Header{"Authorization": {"Bearer " + cookie.Value}})
	refused("from another site's page, cookie and all", http.Header{"Origin": {"https://evil.example"}}, 403)

	resp, err := client.Post("http://"+addr+"/logout", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	refused("after logging out", http.Header{"Authorization": {"Bearer " + cookie.Value}}, 401)
}

func TestSessionsEnd(t *testing.T) {
	d := &door{sessions: map[string]time.Time{"old": time.Now().Add(-time.Second), "new": time.Now().Add(time.Minute)}}
	if d.knows("old") || !d.knows("new") || d.knows("") || len(d.sessions) != 1 {
		t.Errorf("left: %v", d.sessions)
	}
}

func TestPage(t *testing.T) {
	addr := start(t, time.Minute)
	for path, want := range map[string]string{"/": "script.js", "/script.js": "WebSocket", "/style.css": "#log", "/icon.svg": "<svg"} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
}
