package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// TestMain runs all tests, and then looks for goroutines that they left behind.
// As a process of its own, with arguments in the environment, it is the program.
func TestMain(m *testing.M) {
	if args := os.Getenv("CHAT_TEST_ARGS"); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
		return
	}
	goroutines := runtime.NumGoroutine()
	code := m.Run()
	for deadline := time.Now().Add(10 * time.Second); code == 0 && runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", buf[:runtime.Stack(buf, true)])
			code = 1
		}
	}
	os.Exit(code)
}

// start runs the program on a free port until stop, which returns what run
// does. Here members may talk as fast as they like.
func start(t *testing.T) (addr string, stop func() error) {
	t.Helper()
	return startAt(t, 0)
}

func startAt(t *testing.T, pace time.Duration) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, ln, newChat(pace), 0)
		close(ended)
	}()
	stop = func() error {
		cancel()
		return <-ended
	}
	// Clients were closed before, by their own clean-up: nobody has to be waited for.
	t.Cleanup(func() { stop() })
	return ln.Addr().String(), stop
}

// A person is a client who has joined.
type person struct {
	*websocket.Conn
	t    *testing.T
	name string
}

func connect(t *testing.T, addr, room string) *person {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/ws/"+room, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	return &person{Conn: c, t: t}
}

// enter joins the lobby, and returns the person with the welcome.
func enter(t *testing.T, addr, name string) (*person, event) {
	t.Helper()
	return enterRoom(t, addr, "lobby", name)
}

func enterRoom(t *testing.T, addr, room, name string) (*person, event) {
	t.Helper()
	p := connect(t, addr, room)
	p.WriteJSON(request{Name: name})
	welcome := p.hear("welcome")
	p.name = welcome.Name
	return p, welcome
}

func (p *person) say(text string) {
	p.t.Helper()
	if err := p.WriteJSON(request{Text: text}); err != nil {
		p.t.Fatal(err)
	}
}

// hear returns the next event, which must be of this kind.
func (p *person) hear(kind string) (e event) {
	p.t.Helper()
	if err := p.ReadJSON(&e); err != nil {
		p.t.Fatalf("%s waits for %q: %v", p.name, kind, err)
	}
	if e.Kind != kind {
		p.t.Fatalf("%s hears %+v, want %q", p.name, e, kind)
	}
	return e
}

func TestConversation(t *testing.T) {
	addr, stop := start(t)
	ann, _ := enter(t, addr, "Ann")
	ann.say("anybody here?")
	ann.hear("said")

	bob, welcome := enter(t, addr, "  Bob\x00 ")
	if bob.name != "Bob" || fmt.Sprint(welcome.Members) != "[Ann Bob]" || len(welcome.History) != 1 || welcome.History[0].Text != "anybody here?" {
		t.Errorf("welcome: %+v", welcome)
	}
	if e := ann.hear("joined"); e.Name != "Bob" {
		t.Errorf("joined: %+v", e)
	}
	bob.say("<b>me</b>")
	for _, p := range []*person{ann, bob} {
		if e := p.hear("said"); e.Name != "Bob" || e.Text != "<b>me</b>" || e.Seq != 2 {
			t.Errorf("%s heard %+v", p.name, e)
		}
	}

	again, _ := enter(t, addr, "Bob")
	if again.name != "Bob (2)" {
		t.Errorf("a second Bob is called %q", again.name)
	}
	ann.hear("joined")
	again.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
	if e := ann.hear("left"); e.Name != "Bob (2)" {
		t.Errorf("left: %+v", e)
	}

	if err := stopAll(stop, ann, bob); err != nil {
		t.Error(err)
	}
}

// stopAll interrupts the server, and reads on, as a browser does.
func stopAll(stop func() error, people ...*person) error {
	for _, p := range people {
		go func() {
			for {
				if _, _, err := p.ReadMessage(); err != nil {
					return
				}
			}
		}()
	}
	return stop()
}

// What is wrong is said to who did it, and forgiven.
func TestMistakes(t *testing.T) {
	addr, _ := start(t)
	p := connect(t, addr, "lobby")
	for _, name := range []string{"", "  \t", "\u200b\u202e", strings.Repeat("x", longestName+1)} {
		p.WriteJSON(request{Name: name})
		p.hear("error")
	}
	p.WriteMessage(websocket.TextMessage, []byte("not JSON"))
	p.hear("error")
	p.WriteJSON(request{Name: strings.Repeat("ü", longestName)})
	p.hear("welcome")
	p.say(strings.Repeat("x", longestText+1))
	if e := p.hear("error"); !strings.Contains(e.Text, "501 characters") {
		t.Errorf("too long: %+v", e)
	}
	p.say("  ") // nothing
	p.say(strings.Repeat("ü", longestText))
	p.hear("said")
	p.WriteMessage(websocket.TextMessage, make([]byte, 9<<10))
	if _, _, err := p.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("9 KiB: %v, want 1009", err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	addr, _ := start(t)
	ann, _ := enter(t, addr, "Ann")
	for i := range historyLength + 10 {
		ann.say(fmt.Sprint(i))
		ann.hear("said")
	}
	_, welcome := enter(t, addr, "Bob")
	if n := len(welcome.History); n != historyLength || welcome.History[0].Text != "10" {
		t.Errorf("a newcomer gets %d lines, from %q on; want %d from 10 on", n, welcome.History[0].Text, historyLength)
	}
}

func TestRooms(t *testing.T) {
	addr, _ := start(t)
	ann, _ := enterRoom(t, addr, "tea", "Ann")
	bob, welcome := enterRoom(t, addr, "coffee", "Bob")
	if fmt.Sprint(welcome.Members) != "[Bob]" {
		t.Errorf("welcome: %+v", welcome)
	}
	ann.say("hello, tea")
	ann.hear("said")
	bob.say("hello, coffee")
	if e := bob.hear("said"); e.Text != "hello, coffee" || e.Seq != 1 {
		t.Errorf("coffee hears %+v", e)
	}
	if _, welcome := enterRoom(t, addr, "tea", "Eve"); len(welcome.History) != 1 || welcome.History[0].Text != "hello, tea" {
		t.Errorf("the history of tea: %+v", welcome.History)
	}
	for _, path := range []string{"/ws/no.room", "/no.room", "/ws/" + strings.Repeat("x", 21)} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A room is forgotten with its last member, with what was said in it.
func TestRoomIsForgotten(t *testing.T) {
	addr, _ := start(t)
	ann, first := enter(t, addr, "Ann")
	ann.say("hello")
	ann.hear("said")
	ann.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
	for range 1000 { // the server notices a little later
		p, welcome := enter(t, addr, "Ann")
		if p.Close(); welcome.Room != first.Room && len(welcome.History) == 0 {
			return
		}
	}
	t.Error("the room is still the same")
}

func TestTyping(t *testing.T) {
	addr, _ := start(t)
	ann, _ := enter(t, addr, "Ann")
	bob, _ := enter(t, addr, "Bob")
	ann.hear("joined")
	for range 3 { // others are told once
		ann.WriteJSON(request{Typing: true})
	}
	ann.say("hello")
	if e := bob.hear("typing"); e.Name != "Ann" {
		t.Errorf("%+v", e)
	}
	bob.hear("said")
}

func TestShutdownSays1012(t *testing.T) {
	addr, stop := start(t)
	ann, _ := enter(t, addr, "Ann")
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	if _, _, err := ann.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("at the server's end: %v, want 1012", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPage(t *testing.T) {
	addr, stop := start(t)
	for path, want := range map[string]string{"/": "script.js", "/tea": "script.js", "/script.js": "WebSocket", "/style.css": "#log", "/icon.svg": "<svg"} {
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
	http.DefaultClient.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The program itself, as it is started and ended from a terminal.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no process can be sent a signal")
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		program := exec.Command(os.Args[0])
		program.Env = append(os.Environ(), "CHAT_TEST_ARGS=-addr localhost:0")
		out, err := program.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		defer program.Process.Kill()
		line, err := bufio.NewReader(out).ReadString('\n')
		addr, ok := strings.CutPrefix(strings.TrimSpace(line), "open http://")
		if err != nil || !ok {
			t.Fatalf("printed %q, %v", line, err)
		}
		ann, _ := enter(t, addr, "Ann")
		program.Process.Signal(sig)
		if _, _, err := ann.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
			t.Errorf("after %v: %v, want 1012", sig, err)
		}
		if err := program.Wait(); err != nil {
			t.Errorf("after %v: %v", sig, err)
		}
	}
}
