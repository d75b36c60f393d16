package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// serve starts a server for handler, and returns its URL.
func serve(t *testing.T, handler func(*websocket.Conn, *http.Request)) string {
	t.Helper()
	s := httptest.NewServer(&websocket.Server{
		Upgrader: websocket.Upgrader{Compression: &websocket.Compression{}, Subprotocols: []string{"v2", "v1"}},
		Handler:  handler,
	})
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http", "ws", 1)
}

func echo(c *websocket.Conn, _ *http.Request) {
	for m := range c.Messages() {
		c.WriteMessage(m.Type, m.Data)
	}
}

// result has the exit status and the outputs of a run.
type result struct {
	status         int
	stdout, stderr string
}

func runWith(stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	status := run(args, stdin, &stdout, &stderr)
	return result{status, stdout.String(), stderr.String()}
}

// runScript runs lines, with a short wait at their end.
func runScript(lines string, args ...string) result {
	return runWith(strings.NewReader(lines), append([]string{"-wait", "100ms"}, args...)...)
}

func (r result) expect(t *testing.T, status int, stdout string, stderrParts ...string) {
	t.Helper()
	if r.status != status || r.stdout != stdout {
		t.Errorf("status %d, stdout %q, want %d, %q; stderr %q", r.status, r.stdout, status, stdout, r.stderr)
	}
	for _, part := range stderrParts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("stderr %q, want %q in it", r.stderr, part)
		}
	}
	if len(stderrParts) == 0 && r.stderr != "" {
		t.Errorf("stderr %q, want nothing", r.stderr)
	}
}

func TestMessages(t *testing.T) {
	url := serve(t, echo)
	tests := []struct{ lines, stdout string }{
		{"hello\n", "hello\n"},
		{"hello", "hello\n"}, // the last line lacks its end
		{"hello\r\nβ 👋\n", "hello\nβ 👋\n"},
		{"\n", "\n"},
		{"", ""},
		{"//close 1000\n", "/close 1000\n"},
		{"/binary 00 ffF\n/", ""},
		{"/binary\n", "binary, 0 bytes\n"},
		{"/binary 41 ff00\n", "binary, 3 bytes\n00000000  41 ff 00                                          |A..|\n"},
		{"\x1b[2J\n", "\x1b[2J\n"}, // stdout is no terminal here
	}
	for _, tt := range tests {
		r := runScript(tt.lines, url)
		if tt.stdout == "" && tt.lines != "" {
			r.expect(t, exitUsage, "", "odd length hex string")
			continue
		}
		r.expect(t, exitOK, tt.stdout)
	}
}

func TestLargeMessages(t *testing.T) {
	url := serve(t, echo)
	long := strings.Repeat("0123456789", 1<<17)
	runScript(long+"\n"+long+"\n", "-wait", "500ms", url).expect(t, exitOK, long+"\n"+long+"\n")

	r := runScript("/binary "+strings.Repeat("41", dumped+1)+"\n", url)
	if lines := strings.Split(r.stdout, "\n"); lines[0] != "binary, 513 bytes" || len(lines) != 1+dumped/16+2 || lines[len(lines)-2] != "…" {
		t.Errorf("stdout %q", r.stdout)
	}
}

func TestPing(t *testing.T) {
	url := serve(t, echo)
	r := runScript("/ping\n/ping a b\n", url)
	var first, second string
	if n, err := fmt.Sscanf(r.stdout, "pong \"1\" after %s\npong \"a b\" after %s\n", &first, &second); n != 2 || r.status != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, s := range []string{first, second} {
		if d, err := time.ParseDuration(s); err != nil || d < 0 || d > time.Minute {
			t.Errorf("a pong takes %q", s)
		}
	}
	unasked := serve(t, func(c *websocket.Conn, _ *http.Request) {
		c.WriteControl(websocket.PongMessage, []byte("\x1b"), time.Time{})
	})
	runScript("", "-wait", "-1s", unasked).expect(t, exitOK, `pong "\x1b", unasked`+"\n")
}

func TestPings(t *testing.T) {
	var p pings
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	for i, payload := range []string{"", "x", "", "x"} {
		if got, want := p.sent(payload, at(i)), []string{"1", "x", "3", "x"}[i]; got != want {
			t.Errorf("ping %d has the payload %q, want %q", i, got, want)
		}
	}
	for _, tt := range []struct {
		payload string
		at      int
		took    time.Duration
	}{{"y", 10, -1}, {"x", 10, 9}, {"1", 10, -1}, {"x", 10, 7}, {"x", 10, -1}} {
		want := max(tt.took*time.Millisecond, -1)
		if got := p.answered(tt.payload, at(tt.at)); got != want {
			t.Errorf("pong %q took %v, want %v", tt.payload, got, want)
		}
	}
}

// The server's idea of how the client closed, for each way to do so.
func TestClosing(t *testing.T) {
	tests := []struct {
		lines string
		want  websocket.CloseError
	}{
		{"", websocket.CloseError{Code: 1000}},
		{"/close\nnot sent\n", websocket.CloseError{Code: 1000}},
		{"/close 4000\n", websocket.CloseError{Code: 4000}},
		{"/close  3001  see  you \n", websocket.CloseError{Code: 3001, Text: "see  you"}},
	}
	for _, tt := range tests {
		got := make(chan error, 1)
		url := serve(t, func(c *websocket.Conn, _ *http.Request) {
			_, p, err := c.ReadMessage()
			if err == nil {
				err = fmt.Errorf("message %q", p)
			}
			got <- err
		})
		runScript(tt.lines, url).expect(t, exitOK, "")
		if err := <-got; err.Error() != tt.want.Error() {
			t.Errorf("%q: the server sees %v, want %v", tt.lines, err, &tt.want)
		}
	}
}

// A wrong line ends a script, with code 1000.
func TestMistakes(t *testing.T) {
	got := make(chan error, 1)
	url := serve(t, func(c *websocket.Conn, r *http.Request) {
		_, _, err := c.ReadMessage()
		got <- err
	})
	for _, line := range []string{"/clsoe", "/", "/close x", "/close 1005", "/close 1006", "/close 1015", "/close 999", "/close 2000", "/close 5000",
		"/close 1000 " + strings.Repeat("x", 124), "/close 1000 \xff", "/binary 0", "/binary xy", "/ping " + strings.Repeat("x", 126), "\xff"} {
		r := runScript(line+"\nmore\n", url)
		if r.status != exitUsage || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: %+v, want status %d and one line", line, r, exitUsage)
		}
		if err := <-got; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("%q: the server sees %v", line, err)
		}
	}
}

// Every code that checkClose lets pass can be sent, and no other.
func TestCheckClose(t *testing.T) {
	for code := -1; code < 6000; code++ {
		payload := websocket.FormatCloseMessage(code, "")
		_, err := websocket.NewPreparedMessage(websocket.CloseMessage, payload)
		if sendable := err == nil && len(payload) > 0; sendable != (checkClose(code, "") == nil) {
			t.Errorf("code %d: %v, the library says %v", code, checkClose(code, ""), err)
		}
	}
}

// The way in which the server ends the connection decides the status.
func TestServerCloses(t *testing.T) {
	closeWith := func(code int, text string) func(*websocket.Conn, *http.Request) {
		return func(c *websocket.Conn, _ *http.Request) {
			c.WriteMessage(websocket.TextMessage, []byte("last words"))
			c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Time{})
			c.ReadMessage()
		}
	}
	tests := []struct {
		name    string
		handler func(*websocket.Conn, *http.Request)
		status  int
		stderr  []string
	}{
		{"1000", closeWith(1000, "done"), exitOK, nil},
		{"1001", closeWith(1001, ""), exitOK, nil},
		{"no code", closeWith(1005, ""), exitOK, nil},
		{"1011", closeWith(1011, "out of \x1b[31mcheese"), exitAbnormal, []string{"the server closed with code 1011, \"out of \\x1b[31mcheese\"\n"}},
		{"4000", closeWith(4000, ""), exitAbnormal, []string{"the server closed with code 4000\n"}},
		{"cut off", func(c *websocket.Conn, _ *http.Request) {
			c.WriteMessage(websocket.TextMessage, []byte("last words"))
			c.Close()
		}, exitAbnormal, []string{"1006"}},
		{"nonsense", func(c *websocket.Conn, _ *http.Request) {
			c.WriteMessage(websocket.TextMessage, []byte("last words"))
			c.NetConn().Write([]byte{0x83, 0})
			c.ReadMessage()
		}, exitAbnormal, []string{"websocket: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, tt.handler)
			stdin, w := io.Pipe() // has no end
			defer w.Close()
			runWith(stdin, url).expect(t, tt.status, "last words\n", tt.stderr...)
		})
	}
}

// The wait at the end of the input lasts as long as something comes, even a part of a message, and
// no longer.
func TestWait(t *testing.T) {
	countdown := serve(t, func(c *websocket.Conn, _ *http.Request) {
		for i := range 5 {
			time.Sleep(100 * time.Millisecond)
			c.WriteMessage(websocket.TextMessage, fmt.Append(nil, 4-i))
		}
		w, _ := c.NextWriter(websocket.TextMessage)
		for range 5 {
			w.Write(bytes.Repeat([]byte("."), 32<<10)) // a frame
			time.Sleep(100 * time.Millisecond)
		}
		w.Close()
		c.ReadMessage()
	})
	runWith(strings.NewReader(""), "-wait", "400ms", countdown).expect(t, exitOK, "4\n3\n2\n1\n0\n"+strings.Repeat(".", 5*32<<10)+"\n")
	runWith(strings.NewReader(""), "-wait", "0", serve(t, func(c *websocket.Conn, _ *http.Request) {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1000) {
			t.Errorf("the server reads %v", err)
		}
	})).expect(t, exitOK, "")
	runWith(strings.NewReader(""), "-wait", "-1s", serve(t, func(c *websocket.Conn, _ *http.Request) {
		time.Sleep(100 * time.Millisecond)
		c.WriteMessage(websocket.TextMessage, []byte("late"))
	})).expect(t, exitOK, "late\n")
}

// smallBuffers makes TCP take only little for a server that does not read.
func smallBuffers(c *websocket.Conn) {
	c.NetConn().(*net.TCPConn).SetReadBuffer(128 << 10)
	c.NetConn().(*net.TCPConn).SetWriteBuffer(128 << 10)
}

// A client that sends much still prints the messages that come. A server may write first, and only
// then read.
func TestBothSidesWrite(t *testing.T) {
	const n = 8
	url := serve(t, func(c *websocket.Conn, _ *http.Request) {
		smallBuffers(c)
		for range n {
			c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), 1<<20))
		}
		echo(c, nil)
	})
	lines := strings.Repeat(strings.Repeat("x", 1<<20)+"\n", n)
	r := runWith(strings.NewReader(lines), "-wait", "500ms", url)
	if r.stdout != lines+lines || r.status != exitOK {
		t.Errorf("status %d, %d bytes, want %d and %d; stderr %.100q", r.status, len(r.stdout), exitOK, 2*len(lines), r.stderr)
	}
}

// Ctrl-C ends run's context.
func TestInterrupt(t *testing.T) {
	got := make(chan error, 1)
	url := serve(t, func(c *websocket.Conn, _ *http.Request) {
		_, _, err := c.ReadMessage()
		got <- err
	})
	status, stderr := interruptSession(t, url, "")
	if err := <-got; !websocket.IsCloseError(err, websocket.CloseGoingAway) || status != exitOK || stderr != "" {
		t.Errorf("status %d, stderr %q, and the server sees %v", status, stderr, err)
	}
}

// It does so although the server does not read, and a message is stuck halfway.
func TestInterruptWhileWriting(t *testing.T) {
	release := make(chan bool)
	defer close(release)
	url := serve(t, func(c *websocket.Conn, _ *http.Request) {
		smallBuffers(c)
		<-release
	})
	status, stderr := interruptSession(t, url, strings.Repeat("x", 20<<20))
	if status != exitAbnormal || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, stderr %q, want %d and one line", status, stderr, exitAbnormal)
	}
}

func interruptSession(t *testing.T, url, line string) (status int, stderr string) {
	t.Helper()
	d := websocket.Dialer{CloseTimeout: 200 * time.Millisecond}
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stdin, keyboard := io.Pipe()
	defer keyboard.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		io.WriteString(keyboard, line)
		if line != "" {
			io.WriteString(keyboard, "\n")
		}
		time.Sleep(100 * time.Millisecond) // it is being sent
		interrupt()
	}()
	var out, errs bytes.Buffer
	s := newSession(c, &printer{stdout: &out, stderr: &errs}, time.Minute)
	status = s.run(ctx, stdin)
	return status, errs.String()
}

func TestHandshakeOptions(t *testing.T) {
	requests := make(chan *http.Request, 1)
	url := serve(t, func(_ *websocket.Conn, r *http.Request) { requests <- r })
	runScript("", "-header", "X-A: 1", "-header", "x-a:2", "-header", "Host: example.com", "-origin", "http://example.com",
		"-subprotocol", "v1", "-subprotocol", "v2", "-compress", url).expect(t, exitOK, "")
	r := <-requests
	for name, want := range map[string][]string{
		"X-A": {"1", "2"}, "Origin": {"http://example.com"}, "Sec-Websocket-Protocol": {"v1, v2"}, "Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"},
	} {
		if !slices.Equal(r.Header[name], want) {
			t.Errorf("%s %q, want %q", name, r.Header[name], want)
		}
	}
	if r.Host != "example.com" {
		t.Errorf("Host %q", r.Host)
	}
	runScript("", url).expect(t, exitOK, "")
	r = <-requests
	if r.Header["Sec-Websocket-Extensions"] != nil || r.Header["Sec-Websocket-Protocol"] != nil || r.Header["Origin"] != nil {
		t.Errorf("header %v, without having been asked for it", r.Header)
	}
}

func TestRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/liar":
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			http.Error(w, "members \x1b only\n"+strings.Repeat("more\n", 1000), http.StatusForbidden)
		}
	}))
	defer s.Close()
	runScript("hi\n", s.URL).expect(t, exitRefused, "", "403 Forbidden\nmembers \\x1b only\nmore\n")
	runScript("hi\n", s.URL+"/moved").expect(t, exitRefused, "", "302 Found, /elsewhere")
	runScript("hi\n", s.URL+"/empty").expect(t, exitRefused, "", "204 No Content\n")
	runScript("hi\n", s.URL+"/liar").expect(t, exitRefused, "", "Sec-WebSocket-Accept")
	if r := runScript("", s.URL); len(r.stderr) > 2000 {
		t.Errorf("the body is told in %d bytes", len(r.stderr))
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	runScript("hi\n", "ws://"+l.Addr().String()).expect(t, exitRefused, "", "refused")
	runScript("hi\n", "localhost:8080").expect(t, exitRefused, "", "ws or wss")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"ws://localhost", "-compress"}, {"-header", "no colon", "ws://localhost"}, {"-wait", "5", "ws://localhost"}, {"-unknown"}} {
		runScript("", args...).expect(t, exitUsage, "", "usage: client")
	}
	runWith(nil, "-help").expect(t, exitOK, "", "-subprotocol", "/binary HEX")
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(&websocket.Server{Handler: echo})
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the complaint of the client about the certificate
	s.TLS = &tls.Config{}
	s.StartTLS()
	defer s.Close()
	url := strings.Replace(s.URL, "https", "wss", 1)
	runScript("hi\n", url).expect(t, exitRefused, "", "certificate")
	runScript("hi\n", "-insecure", url).expect(t, exitOK, "hi\n")
}

func TestIsTerminal(t *testing.T) {
	open := func(name string) *os.File {
		f, err := os.Open(name)
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	if isTerminal(strings.NewReader("")) || isTerminal(open("main.go")) {
		t.Error("a file is a terminal")
	}
	if runtime.GOOS == "windows" {
		return // the other files are Unix's
	}
	if isTerminal(open(os.DevNull)) {
		t.Errorf("%s is a terminal", os.DevNull)
	}
	if !isTerminal(open("/dev/zero")) { // as near to one as can be had anywhere
		t.Error("a character device is no terminal")
	}
}

func TestGreeting(t *testing.T) {
	url := serve(t, echo)
	for want, d := range map[string]websocket.Dialer{
		"connected to " + url + "; ":                        {},
		"connected to " + url + ", subprotocol v1; ":        {Subprotocols: []string{"v1"}},
		"connected to " + url + ", permessage-deflate; ser": {Compression: &websocket.Compression{}},
	} {
		c, resp, err := d.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := greeting(url, c, resp); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Messages go in front of the prompt, which comes back behind them.
func TestPrinter(t *testing.T) {
	var all bytes.Buffer // one terminal
	p := &printer{stdout: &all, stderr: &all, prompts: true, safe: true}
	p.notice("connected")
	p.prompt()
	p.message(websocket.TextMessage, []byte("one"))
	p.pong("x", time.Millisecond)
	p.entered()
	p.failure("no \a")
	p.prompt()
	p.finish()
	p.notice("closed")
	const front = "\r\x1b[K"
	if want := "connected\n> " + front + "one\n> " + front + "pong \"x\" after 1ms\n> no \\x07\n> " + front + "closed\n"; all.String() != want {
		t.Errorf("the terminal shows %q, want %q", &all, want)
	}
}

// A mistake does not end the session of a user who types.
func TestSessionAtTerminal(t *testing.T) {
	c, _, err := websocket.DefaultDialer.Dial(serve(t, echo), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer // one terminal
	s := newSession(c, &printer{stdout: &all, stderr: &all, prompts: true, safe: true}, time.Minute)
	stdin, keyboard := io.Pipe()
	ended := make(chan int)
	go func() { ended <- s.run(t.Context(), stdin) }()
	io.WriteString(keyboard, "/clsoe\n")
	io.WriteString(keyboard, "a\x1b[2Jb\n")
	await(t, s.out, &all, `a\x1b`)
	io.WriteString(keyboard, "/help\n/close 4000 bye\n")
	if status := <-ended; status != exitOK {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{
		"> unknown command /clsoe, see /help", "a\\x1b[2Jb\n> ", "/ping [PAYLOAD]", "\n> closed with code 4000\n",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the terminal shows %q, want %q in it", &all, want)
		}
	}
}

// await waits until text has been printed.
func await(t *testing.T, p *printer, b *bytes.Buffer, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		found := strings.Contains(b.String(), text)
		p.mu.Unlock()
		if found {
			return
		}
	}
	t.Fatalf("%q has not been printed", text)
}
