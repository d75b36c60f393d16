package conformance

// The conformance test shows the package's behavior on the wire, seen from outside. The peer is
// written here by hand and shares nothing with the library, neither its frame codec nor its
// handshake, so that a mistake cannot cancel itself out. It is a client to the servers under test,
// and in client_test.go the server to the client under test.
//
// Part one runs the cases of the Autobahn test suite from testdata/autobahn.tsv. table_test.go
// reads the table, fuzzer_test.go takes a case's steps, and verdict_test.go judges the answers.
// Part two (strict_test.go and the files after it) goes on where the suite stops.

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// TestConformance runs every case of the table against both ways of serving, and against a client.
// NON-STRICT, which the suite lets pass, is a failure here.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, tg := range targets[:4] { // the others share their code with these
		t.Run(tg.name, func(t *testing.T) { runCases(t, tg.start(t, nil).tryConnect) })
	}
	t.Run("Dialer", func(t *testing.T) { runCases(t, startClient(t, websocket.Dialer{}).tryConnect) })
}

func runCases(t *testing.T, connect func() (*peer, error)) {
	for _, c := range loadCases(t) {
		t.Run(c.id, func(t *testing.T) {
			if testing.Short() && c.size() >= 16<<20 {
				t.Skip("16 MiB message")
			}
			t.Parallel()
			judge(t, c, run(c, connect))
		})
	}
}

// judge fails t unless o earns both of the suite's verdicts.
func judge(t *testing.T, c autobahnCase, o outcome) {
	t.Helper()
	if c.informational() {
		if !o.opened || o.droppedByMe || o.fault != nil {
			t.Errorf("the connection did not end by itself: %v", o)
		}
		return
	}
	if v := c.behavior(o); v != verdictOK {
		t.Errorf("behavior %s: %v\nwant events %v: %s", v, o, c.ok, c.expected)
	}
	if v := c.behaviorClose(o); v != verdictOK {
		t.Errorf("behaviorClose %s: %v\nwant %s to close, codes %v, clean %v: %s", v, o, c.closer, c.codes, c.clean, c.expected)
	}
}

// TestConformanceTable keeps the table whole. A case that is missing from it would never be run.
func TestConformanceTable(t *testing.T) {
	want := map[string]int{"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1}
	got, seen := make(map[string]int), make(map[string]bool)
	for _, c := range loadCases(t) {
		if seen[c.id] {
			t.Errorf("case %s appears twice", c.id)
		}
		seen[c.id] = true
		section, _, _ := strings.Cut(c.id, ".")
		got[section]++
	}
	for section, n := range want {
		if got[section] != n {
			t.Errorf("section %s has %d cases, the suite has %d", section, got[section], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("sections %v, want %v", got, want)
	}
}

// A target is one way in which the package serves connections, and one way in which a handler may
// read from them.
type target struct {
	name  string
	serve func(l net.Listener, configure func(*websocket.Upgrader), handle func(*websocket.Conn)) (stop func() error)
	echo  func(c *websocket.Conn) error // one message
}

var targets = func() []target {
	if http2Proxy != "" {
		return http2Targets
	}
	return http1Targets
}()

var http1Targets = []target{
	{"HandleMessages", serveServer, echoHandled},
	{"Upgrader", serveUpgrader, echoMessage},
	{"OnMessage, parked", serveOnMessage, nil},
	{"OnMessage, parked, net/http", serveOnMessageHTTP, nil},
	{"Server", serveServer, echoMessage},
	{"ServeHTTP", serveHandler, echoAppended},
	{"NextReader", serveServer, echoRead},
}

// serveServer is a Server that owns its listener.
func serveServer(l net.Listener, configure func(*websocket.Upgrader), handle func(*websocket.Conn)) func() error {
	srv := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) { handle(c) }}
	configure(&srv.Upgrader)
	go srv.Serve(l)
	return srv.Close
}

// serveUpgrader is an Upgrader in a handler of net/http.
func serveUpgrader(l net.Listener, configure func(*websocket.Upgrader), handle func(*websocket.Conn)) func() error {
	var u websocket.Upgrader
	configure(&u)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer c.Close()
		handle(c)
	})}
	go srv.Serve(l)
	return srv.Close
}

// serveHandler is a Server as a handler of net/http.
func serveHandler(l net.Listener, configure func(*websocket.Upgrader), handle func(*websocket.Conn)) func() error {
	ws := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) { handle(c) }}
	configure(&ws.Upgrader)
	srv := &http.Server{Handler: ws}
	go srv.Serve(l)
	return func() error {
		srv.Close()
		return ws.Close() // net/http forgets a connection once it is hijacked
	}
}

// serveOnMessage is a Server that calls OnMessage, and parks its connections after every message: see TestMain.
func serveOnMessage(l net.Listener, configure func(*websocket.Upgrader), _ func(*websocket.Conn)) func() error {
	srv := &websocket.Server{OnMessage: echoOnMessage}
	configure(&srv.Upgrader)
	go srv.Serve(l)
	return srv.Close
}

// serveOnMessageHTTP is the same as a handler of net/http.
func serveOnMessageHTTP(l net.Listener, configure func(*websocket.Upgrader), _ func(*websocket.Conn)) func() error {
	ws := &websocket.Server{OnMessage: echoOnMessage}
	configure(&ws.Upgrader)
	srv := &http.Server{Handler: ws}
	go srv.Serve(l)
	return func() error {
		srv.Close()
		return ws.Close()
	}
}

func echoOnMessage(c *websocket.Conn, messageType int, data []byte) {
	c.WriteMessage(messageType, data)
}

// A server is a running target.
type server struct {
	dial func() (net.Conn, error)
	addr string // the value of a client's Host field
}

// start serves tg on a loopback port until t ends. A nil configure leaves every option at its
// default.
func (tg target) start(t testing.TB, configure func(*websocket.Upgrader)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	tg.startOn(t, l, configure)
	return &server{addr: addr, dial: func() (net.Conn, error) { return net.Dial("tcp", addr) }}
}

func (tg target) startOn(t testing.TB, l net.Listener, configure func(*websocket.Upgrader)) {
	if configure == nil {
		configure = func(*websocket.Upgrader) {}
	}
	stop := tg.serve(l, configure, func(c *websocket.Conn) { tg.echoAll(t, c) })
	t.Cleanup(func() { stop() })
}

// forEachTarget runs f against a fresh server of every kind.
func forEachTarget(t *testing.T, configure func(*websocket.Upgrader), f func(*testing.T, *server)) {
	for _, tg := range targets {
		t.Run(tg.name, func(t *testing.T) { f(t, tg.start(t, configure)) })
	}
}

// echoAll sends every message back until the connection ends. It does not let a panic hide behind
// the recover of net/http. There it would look like a dropped connection, which many cases accept.
func (tg target) echoAll(t testing.TB, c *websocket.Conn) {
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("panic in the handler: %v", v)
			panic(v)
		}
	}()
	for tg.echo(c) == nil {
	}
}

func echoMessage(c *websocket.Conn) error {
	messageType, p, err := c.ReadMessage()
	if err != nil {
		return err
	}
	return c.WriteMessage(messageType, p)
}

// echoAppended reads behind something that must stay.
func echoAppended(c *websocket.Conn) error {
	const before = "keep"
	messageType, p, err := c.AppendMessage([]byte(before))
	if err != nil {
		return err
	}
	if string(p[:len(before)]) != before {
		panic("AppendMessage changed what was there")
	}
	return c.WriteMessage(messageType, p[len(before):])
}

// echoHandled is all messages at once.
func echoHandled(c *websocket.Conn) error { return c.HandleMessages(echoOnMessage) }

func echoRead(c *websocket.Conn) error {
	messageType, r, err := c.NextReader()
	if err != nil {
		return err
	}
	p, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return c.WriteMessage(messageType, p)
}
