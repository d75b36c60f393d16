package otelwebsocket_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/otelwebsocket"
)

// A meter is an SDK with instruments.
type meter struct {
	*otelwebsocket.Instruments
	reader *sdk.ManualReader
}

func newMeter(t testing.TB, closeCodes ...int) meter {
	t.Helper()
	reader := sdk.NewManualReader()
	in, err := otelwebsocket.New(otelwebsocket.Options{
		MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader)),
		CloseCodes:    closeCodes,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return meter{in, reader}
}

// values returns everything that the SDK collects, such as "websocket.server.io{network.io.direction=receive}".
// A histogram has its count. Zeros are left out.
func (m meter) values(t testing.TB) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]int64)
	add := func(name string, attrs attribute.Set, value int64) {
		if encoded := attrs.Encoded(attribute.DefaultEncoder()); encoded != "" {
			name += "{" + encoded + "}"
		}
		if value != 0 {
			values[name] = value
		}
	}
	for _, scope := range data.ScopeMetrics {
		for _, metric := range scope.Metrics {
			switch d := metric.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					add(metric.Name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					add(metric.Name, p.Attributes, int64(p.Count))
				}
			default:
				t.Errorf("%s has the type %T", metric.Name, d)
			}
		}
	}
	return values
}

// seconds returns the sum of a histogram.
func (m meter) seconds(t testing.TB, name string) (sum float64) {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if h, ok := metric.Data.(metricdata.Histogram[float64]); ok && metric.Name == name {
				for _, p := range h.DataPoints {
					sum += p.Sum
				}
			}
		}
	}
	return sum
}

// expect waits until the values with the prefix are those that are wanted.
func (m meter) expect(t testing.TB, prefix string, want map[string]int64) {
	t.Helper()
	var got map[string]int64
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got = make(map[string]int64)
		for name, value := range m.values(t) {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				got[rest] = value
			}
		}
		if maps.Equal(got, want) {
			return
		}
	}
	t.Errorf("%s…\n got: %s\nwant: %s", prefix, listing(got), listing(want))
}

func listing(values map[string]int64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "\n\t%s %d", name, values[name])
	}
	return b.String()
}

// serve starts a server on a listener of its own, and returns its URL.
func serve(t testing.TB, srv *websocket.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return "ws://" + l.Addr().String()
}

// serveHTTP starts a server of net/http's, and returns its URL.
func serveHTTP(t testing.TB, h http.Handler) string {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return "ws" + strings.TrimPrefix(ts.URL, "http")
}

func dial(t testing.TB, d *websocket.Dialer, url string) *websocket.Conn {
	t.Helper()
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// rawDial does an opening handshake by hand.
func rawDial(t testing.TB, url string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	io.WriteString(nc, goodRequest)
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return nc
}

const goodRequest = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// echoServer answers each message with itself.
func echoServer(u websocket.Upgrader) *websocket.Server {
	return &websocket.Server{
		Upgrader:  u,
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) },
	}
}

// An endless transport delivers the request of an opening handshake and then the same bytes for
// ever. What is written to it is gone.
type endless struct {
	net.Conn
	wire []byte
	pos  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.wire[e.pos:])
	e.pos = (e.pos + n) % len(e.wire)
	return n, nil
}
func (e *endless) Write(p []byte) (int, error)      { return len(p), nil }
func (e *endless) Close() error                     { return nil }
func (e *endless) SetDeadline(time.Time) error      { return nil }
func (e *endless) SetReadDeadline(time.Time) error  { return nil }
func (e *endless) SetWriteDeadline(time.Time) error { return nil }
func (e *endless) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

type hijackable struct {
	http.ResponseWriter
	nc net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// endlessConn is a server's connection to a peer that always sends the same message.
func endlessConn(t testing.TB, trace *websocket.Trace) *websocket.Conn {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(goodRequest)))
	if err != nil {
		t.Fatal(err)
	}
	message := append([]byte{0x82, 0x80 | 125, 0, 0, 0, 0}, make([]byte, 125)...)
	u := websocket.Upgrader{Trace: trace}
	c, err := u.Upgrade(hijackable{httptest.NewRecorder(), &endless{wire: bytes.Repeat(message, 8)}}, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
