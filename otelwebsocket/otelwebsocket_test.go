package otelwebsocket_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/otelwebsocket"
)

// Both sides count the same connection, down to the byte, whatever kind of server it has.
func TestConnections(t *testing.T) {
	pull := func(c *websocket.Conn, _ *http.Request) {
		for m := range c.Messages() {
			c.WriteMessage(m.Type, m.Data)
		}
	}
	servers := map[string]func(*testing.T, websocket.Upgrader) string{
		"OnMessage": func(t *testing.T, u websocket.Upgrader) string { return serve(t, echoServer(u)) },
		"Handler": func(t *testing.T, u websocket.Upgrader) string {
			return serve(t, &websocket.Server{Upgrader: u, Handler: pull})
		},
		"Server in net/http": func(t *testing.T, u websocket.Upgrader) string { return serveHTTP(t, echoServer(u)) },
		"Upgrader": func(t *testing.T, u websocket.Upgrader) string {
			return serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := u.Upgrade(w, r, nil); err == nil {
					defer c.Close()
					pull(c, r)
				}
			}))
		},
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			m := newMeter(t)
			url := start(t, websocket.Upgrader{Trace: m.ServerTrace(nil)})
			c := dial(t, &websocket.Dialer{Trace: m.ClientTrace(nil)}, url)
			m.expect(t, "websocket.server.", map[string]int64{"active_connections": 1, "handshakes": 1})
			m.expect(t, "websocket.client.", map[string]int64{"active_connections": 1, "handshakes": 1})

			for range 3 {
				echo(t, c, websocket.TextMessage, 10)
			}
			echo(t, c, websocket.BinaryMessage, 1000)
			c.Shutdown(context.Background(), websocket.CloseNormalClosure, "")

			// A client's frame has 4 bytes of masking key. A close frame has a code of 2 bytes.
			fromClient, fromServer := int64(3*(6+10)+8+1000+6+2), int64(3*(2+10)+4+1000+2+2)
			both := map[string]int64{
				"handshakes": 1,
				"connection.duration{websocket.close.code=1000}":                        1,
				"messages{network.io.direction=receive,websocket.message.type=text}":    3,
				"messages{network.io.direction=receive,websocket.message.type=binary}":  1,
				"messages{network.io.direction=transmit,websocket.message.type=text}":   3,
				"messages{network.io.direction=transmit,websocket.message.type=binary}": 1,
				"io{network.io.direction=receive}":                                      fromClient,
				"io{network.io.direction=transmit}":                                     fromServer,
			}
			m.expect(t, "websocket.server.", both)
			both["io{network.io.direction=receive}"], both["io{network.io.direction=transmit}"] = fromServer, fromClient
			m.expect(t, "websocket.client.", both)
		})
	}
}

// echo sends a message and reads it back.
func echo(t *testing.T, c *websocket.Conn, messageType, size int) {
	t.Helper()
	if err := c.WriteMessage(messageType, []byte(strings.Repeat("x", size))); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.ReadMessage(); err != nil || len(p) != size {
		t.Fatalf("a message of %d bytes came back with %d, %v", size, len(p), err)
	}
}

// A message counts once, in however many frames it comes. Bytes are those on the wire.
func TestFragmentsAndCompression(t *testing.T) {
	m := newMeter(t)
	url := serve(t, echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil), Compression: &websocket.Compression{}}))
	c := dial(t, &websocket.Dialer{Compression: &websocket.Compression{}}, url)
	const size = 200_000
	w, err := c.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	for range size / 1000 {
		w.Write([]byte(strings.Repeat("0123456789", 100)))
		c.WriteControl(websocket.PingMessage, nil, time.Time{})
	}
	w.Close()
	if _, p, err := c.ReadMessage(); len(p) != size || err != nil {
		t.Fatal(len(p), err)
	}
	values := m.values(t)
	for _, direction := range []string{"receive", "transmit"} {
		if n := values["websocket.server.messages{network.io.direction="+direction+",websocket.message.type=text}"]; n != 1 {
			t.Errorf("%s: %d messages, want 1", direction, n)
		}
		if n := values["websocket.server.io{network.io.direction="+direction+"}"]; n <= 0 || n > size/10 {
			t.Errorf("%s: %d bytes for a compressed message of %d", direction, n, size)
		}
	}
}

// The bytes that arrived count, not the length that a frame declares.
func TestDeclaredLength(t *testing.T) {
	m := newMeter(t)
	url := serve(t, echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil), ReadLimit: -1}))
	for range 3 { // together they would overflow
		nc := rawDial(t, url)
		nc.Write([]byte{0x82, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 'a', 'b', 'c'})
	}
	m.expect(t, "websocket.server.io", map[string]int64{"{network.io.direction=receive}": 3 * (14 + 3)})
}

// The program's own Trace is told of everything too, after the instruments.
func TestAlso(t *testing.T) {
	var called []string
	also := new(websocket.Trace)
	fields := reflect.ValueOf(also).Elem()
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		fields.Field(i).Set(reflect.MakeFunc(fields.Field(i).Type(), func([]reflect.Value) []reflect.Value {
			called = append(called, name)
			return nil
		}))
	}
	m := newMeter(t)
	trace := m.ServerTrace(also)
	client, server := new(websocket.Conn), new(websocket.Conn)
	trace.Handshake(nil, nil, nil, errors.New("failed"))
	trace.Frame(client, websocket.Frame{Opcode: websocket.TextMessage, Header: []byte{0x81, 0}})
	trace.Payload(client, false, []byte("x"))
	trace.Dropped(server, 1, 2)
	trace.Closed(server, errors.New("ended"))
	if want := []string{"Handshake", "Frame", "Payload", "Dropped", "Closed"}; !slices.Equal(called, want) || len(want) != fields.NumField() {
		t.Errorf("called were %q, and a Trace has %d fields", called, fields.NumField())
	}
	m.expect(t, "websocket.server.", map[string]int64{
		"handshakes{error.type=_OTHER}":                                      1,
		"messages{network.io.direction=receive,websocket.message.type=text}": 1,
		"io{network.io.direction=receive}":                                   3,
		"dropped.messages":                                                   1,
		"dropped.size":                                                       2,
	})
}

// Each function of the instruments' Trace works if the program's Trace has only the others.
func TestAlsoInPart(t *testing.T) {
	m := newMeter(t)
	trace := m.ServerTrace(new(websocket.Trace))
	fields := reflect.ValueOf(trace).Elem()
	for i := range fields.NumField() {
		if fields.Field(i).IsNil() {
			t.Errorf("%s is nil", fields.Type().Field(i).Name)
		}
	}
}

// Traces with the same attributes count together, and are one: a program may make one for each call
// of Dial.
func TestAttributes(t *testing.T) {
	m := newMeter(t)
	chat, feed := attribute.String("http.route", "/chat"), attribute.String("http.route", "/feed")
	first, again := m.ClientTrace(nil, chat), m.ClientTrace(nil, chat)
	if first != again || first == m.ClientTrace(nil, feed) || first == m.ServerTrace(nil, chat) {
		t.Error("there is not one Trace for each side and its attributes")
	}
	url := serve(t, echoServer(websocket.Upgrader{}))
	dial(t, &websocket.Dialer{Trace: m.ClientTrace(nil, chat)}, url)
	dial(t, &websocket.Dialer{Trace: m.ClientTrace(new(websocket.Trace), chat)}, url)
	c := dial(t, &websocket.Dialer{Trace: m.ClientTrace(nil, feed)}, url)
	echo(t, c, websocket.TextMessage, 3)
	m.expect(t, "websocket.client.", map[string]int64{
		"active_connections{http.route=/chat}": 2,
		"active_connections{http.route=/feed}": 1,
		"handshakes{http.route=/chat}":         2,
		"handshakes{http.route=/feed}":         1,
		"messages{http.route=/feed,network.io.direction=transmit,websocket.message.type=text}": 1,
		"messages{http.route=/feed,network.io.direction=receive,websocket.message.type=text}":  1,
		"io{http.route=/feed,network.io.direction=transmit}":                                   9,
		"io{http.route=/feed,network.io.direction=receive}":                                    5,
	})
}

// With zero Options the global MeterProvider has the instruments, also if the program sets that
// later. Nothing is lost meanwhile.
func TestGlobalProvider(t *testing.T) {
	if globalIsSet {
		t.Skip("package otel hands instruments over to the first global MeterProvider only")
	}
	globalIsSet = true
	in, err := otelwebsocket.New(otelwebsocket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	c := dial(t, &websocket.Dialer{Trace: in.ClientTrace(nil)}, serve(t, echoServer(websocket.Upgrader{})))
	echo(t, c, websocket.TextMessage, 3)
	reader := sdk.NewManualReader()
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	m := meter{in, reader}
	m.expect(t, "websocket.client.messages", map[string]int64{
		"{network.io.direction=transmit,websocket.message.type=text}": 1,
		"{network.io.direction=receive,websocket.message.type=text}":  1,
	})
	in.Close()
	m.expect(t, "websocket.client.messages", map[string]int64{})
}

var globalIsSet bool // by an earlier run of TestGlobalProvider

// A connection that ends in the moment of its opening is not counted as open for ever.
func TestEarlyEnds(t *testing.T) {
	m := newMeter(t)
	var wg sync.WaitGroup
	const rounds = 100
	for range rounds {
		srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil)})
		url := serve(t, srv)
		wg.Go(func() {
			if c, _, err := (&websocket.Dialer{Trace: m.ClientTrace(nil)}).Dial(url, nil); err == nil {
				defer c.Close()
				c.ReadMessage()
			}
		})
		wg.Go(func() { srv.Close() })
	}
	wg.Wait()
	m.expect(t, "websocket.server.active", map[string]int64{})
	m.expect(t, "websocket.client.active", map[string]int64{})
	values := m.values(t)
	for _, side := range []string{"server", "client"} {
		ended := int64(0)
		for name, n := range values {
			if strings.HasPrefix(name, "websocket."+side+".connection.duration") {
				ended += n
			}
		}
		if opened := values["websocket."+side+".handshakes"]; ended != opened {
			t.Errorf("%s: %d connections were opened, and %d have ended", side, opened, ended)
		}
	}
}

// A message costs no allocation.
func TestAllocations(t *testing.T) {
	m := newMeter(t)
	c := endlessConn(t, m.ServerTrace(nil))
	message := make([]byte, 125)
	pm, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	for name, f := range map[string]func() error{
		"AppendMessage": func() (err error) {
			_, buf, err = c.AppendMessage(buf[:0])
			return err
		},
		"WriteMessage":         func() error { return c.WriteMessage(websocket.TextMessage, message) },
		"WritePreparedMessage": func() error { return c.WritePreparedMessage(pm) },
	} {
		if n := testing.AllocsPerRun(1000, func() { err = errors.Join(err, f()) }); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, %v; want 0", name, n, err)
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	m := newMeter(b)
	for name, trace := range map[string]*websocket.Trace{"no Trace": nil, "instruments": m.ServerTrace(nil)} {
		b.Run(name, func(b *testing.B) {
			c := endlessConn(b, trace)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				messageType, p, err := c.AppendMessage(buf[:0])
				if err != nil {
					b.Fatal(err)
				}
				c.WriteMessage(messageType, p)
				buf = p
			}
		})
	}
}

func BenchmarkOpenAndClose(b *testing.B) {
	trace := newMeter(b).ServerTrace(nil)
	c := new(websocket.Conn)
	err := &websocket.CloseError{Code: websocket.CloseGoingAway}
	b.ReportAllocs()
	for b.Loop() {
		trace.Handshake(c, nil, nil, nil)
		trace.Closed(c, err)
	}
}

func BenchmarkCollect(b *testing.B) {
	for _, n := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint(n, " connections"), func(b *testing.B) {
			m := newMeter(b)
			trace := m.ServerTrace(nil)
			conns := make([]websocket.Conn, n)
			for i := range conns {
				trace.Handshake(&conns[i], nil, nil, nil)
			}
			for b.Loop() {
				m.values(b)
			}
		})
	}
}
