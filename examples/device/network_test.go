package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
)

// A network lies between devices and their server, in memory. A real network does not fit into
// testing/synctest, where time passes at once if all goroutines wait.
type network struct {
	mu       sync.Mutex
	listener *pipeListener // nil while no server listens
	links    []*link
	dials    []time.Time // times of attempts to connect
}

// A link is one end of a connection.
type link struct {
	net.Conn
	deaf atomic.Bool // data sent from here gets lost
}

func (l *link) Write(b []byte) (int, error) {
	if l.deaf.Load() {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

type pipeListener struct {
	arrived chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{arrived: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.arrived:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// listen makes a server take the place of the one before.
func (n *network) listen() net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listener = newPipeListener()
	return n.listener
}

// dial is a Dialer's NetDialContext.
func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	device, server := net.Pipe()
	n.mu.Lock()
	n.dials = append(n.dials, time.Now())
	l := n.listener
	n.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	here, there := &link{Conn: device}, &link{Conn: server}
	select {
	case l.arrived <- there:
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, here, there) // the device's are even, the server's odd
	return here, nil
}

// cut breaks all connections, even in the middle of a message.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.Conn.Close()
	}
	n.links = nil
}

// lose makes the network swallow the data of one or both sides, from now on.
func (n *network) lose(fromDevices, fromServer bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, l := range n.links {
		l.deaf.Store(i%2 == 0 && fromDevices || i%2 == 1 && fromServer)
	}
}

func (n *network) dialTimes() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]time.Time(nil), n.dials...)
}

// A world is a network with a server, and devices that have certificates. Its
// functions are called in a synctest bubble, which at the end requires that all
// goroutines of the world have ended.
type world struct {
	t   *testing.T
	dir string
	network
	server   *server
	stop     func() error // stops the server, and returns the result of run
	stopping []func()     // stop everything else
}

func newWorld(t *testing.T, devices ...string) *world {
	t.Helper()
	w := &world{t: t, dir: makeTestCerts(t, devices...)}
	w.startServer()
	return w
}

func (w *world) startServer() {
	w.t.Helper()
	config, err := serverTLS(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := openRegistry(filepath.Join(w.dir, "reports.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = &server{registry: g, heartbeat: defaultHeartbeat, log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	l := w.listen()
	ended := make(chan error, 1)
	go func() { ended <- w.server.run(ctx, l, config, newPipeListener()) }()
	w.stop = func() error {
		cancel()
		return errors.Join(<-ended, g.close())
	}
}

// kill takes the server away without a word to its peers.
func (w *world) kill() {
	w.mu.Lock()
	w.listener.Close()
	w.listener = nil
	w.mu.Unlock()
	w.server.registry.close() // a report that it was about to count is not counted
	w.cut()
	w.stop()
}

// end stops the devices and the server.
func (w *world) end() {
	w.t.Helper()
	for _, stop := range w.stopping {
		stop()
	}
	if err := w.stop(); err != nil {
		w.t.Errorf("the server ended: %v", err)
	}
	settle()
}

// settle waits for connections that say goodbye: a Conn's Close may return before that, and
// TLS has a second for it.
func settle() { time.Sleep(3 * time.Second) }

func (w *world) dialer(name string) *websocket.Dialer {
	w.t.Helper()
	config, err := deviceTLS(w.dir, name)
	if err != nil {
		w.t.Fatal(err)
	}
	d := newDialer(0)
	d.TLSClientConfig, d.NetDialContext = config, w.dial
	return d
}

// start runs a device, which measures nothing by itself.
func (w *world) start(name string) (d *device, stop func() error) {
	w.t.Helper()
	d = w.device(name)
	return d, w.run(d)
}

func (w *world) device(name string) *device {
	w.t.Helper()
	return &device{
		url: "wss://localhost/", dialer: w.dialer(name), about: "a test's", every: 1000 * time.Hour,
		outbox: openTestOutbox(w.t, filepath.Join(w.dir, name+".outbox.jsonl")),
		log:    slog.New(slog.DiscardHandler),
	}
}

// run runs a device until the world ends, or until stop is called. stop returns the result of the
// device's run.
func (w *world) run(d *device) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	w.stopping = append(w.stopping, func() { stop() })
	return stop
}

// open is a connection of the test's own.
func (w *world) open(name string) *websocket.Conn {
	w.t.Helper()
	c, _, err := w.dialer(name).Dial("wss://localhost/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stopping = append(w.stopping, func() { c.Close() })
	return c
}

// connect is a connection of the test's own on which a device has registered.
func (w *world) connect(name, outbox string) *websocket.Conn {
	w.t.Helper()
	c := w.open(name)
	c.WriteJSON(message{Type: "register", Outbox: outbox})
	if m := w.read(c); m.Type != "welcome" {
		w.t.Fatalf("the server says %+v, not welcome", m)
	}
	return c
}

func (w *world) read(c *websocket.Conn) message {
	w.t.Helper()
	m, err := parse(c.ReadMessage())
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// see returns the page's view of a device.
func (w *world) see(name string) deviceView {
	synctest.Wait()
	v, _ := w.server.registry.view()
	for _, d := range v.Devices {
		if d.Name == name {
			return d
		}
	}
	return deviceView{}
}
