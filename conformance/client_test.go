package conformance

// This file has the client under test, with the peer as its server. It has the helpers that tests
// of both roles need, and the tests of rules that only a client can break.

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
)

// A client dials each time that a test asks for a peer.
type client struct {
	t       testing.TB
	l       net.Listener
	dialer  websocket.Dialer
	echo    func(*websocket.Conn) error // one message
	running sync.WaitGroup
	keys    sync.Map // the keys of all handshakes
}

// startClient has d ready until t ends. All that it has dialed must have come to an end by then.
func startClient(t testing.TB, d websocket.Dialer) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, l: l, dialer: d, echo: echoMessage}
	t.Cleanup(func() {
		l.Close()
		ended := make(chan bool)
		go func() { c.running.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("a client goes on after its server is gone")
		}
	})
	return c
}

// open lets the client dial, and then echo until the connection ends. The handshake is left to the
// test.
func (c *client) open() (*peer, error) {
	return c.openTo(func(conn *websocket.Conn, err error) {
		if err != nil {
			c.t.Errorf("dial: %v", err)
			return
		}
		defer conn.Close()
		for c.echo(conn) == nil {
		}
	})
}

// openTo lets the client dial, and hands the result of Dial to handle.
func (c *client) openTo(handle func(*websocket.Conn, error)) (*peer, error) {
	c.running.Go(func() {
		conn, _, err := c.dialer.Dial("ws://"+c.l.Addr().String()+"/chat?x=1", nil)
		handle(conn, err)
	})
	nc, err := c.l.Accept()
	if err != nil {
		return nil, err
	}
	return newPeer(nc, true), nil
}

// openResult is openTo for tests of the handshake. It sends the result of Dial to result, and
// closes the connection.
func (c *client) openResult(t *testing.T) (p *peer, result <-chan error) {
	t.Helper()
	failed := make(chan error, 1)
	p = connected(t, func() (*peer, error) {
		return c.openTo(func(conn *websocket.Conn, err error) {
			if err == nil {
				conn.Close()
			}
			failed <- err
		})
	})
	return p, failed
}

func (c *client) tryConnect() (*peer, error) {
	p, err := c.open()
	if err != nil {
		return nil, err
	}
	r, err := c.readRequest(p)
	if err == nil && r.Header["Sec-Websocket-Extensions"] != nil {
		err = fmt.Errorf("compression is offered: %v", r.Header)
	}
	if err == nil {
		_, err = io.WriteString(p.nc, acceptance(r, ""))
	}
	if err != nil {
		p.nc.Close()
		return nil, err
	}
	return p, nil
}

func (c *client) connect(t testing.TB) *peer {
	t.Helper()
	return connected(t, c.tryConnect)
}

// readRequest reads the client's opening handshake, which must follow RFC 6455 §4.1.
func (c *client) readRequest(p *peer) (*http.Request, error) {
	r, err := http.ReadRequest(p.br)
	if err != nil {
		return nil, err
	}
	h := r.Header
	key, err := base64.StdEncoding.DecodeString(h.Get("Sec-WebSocket-Key"))
	_, again := c.keys.LoadOrStore(string(key), true)
	switch {
	case r.Method != http.MethodGet || r.RequestURI != "/chat?x=1" || !r.ProtoAtLeast(1, 1) || r.Host != c.l.Addr().String():
		return nil, fmt.Errorf("request %s %s %s, host %s", r.Method, r.RequestURI, r.Proto, r.Host)
	case !slices.Equal(h["Upgrade"], []string{"websocket"}) || !slices.Equal(h["Connection"], []string{"Upgrade"}):
		return nil, fmt.Errorf("request with Upgrade %q, Connection %q", h["Upgrade"], h["Connection"])
	case !slices.Equal(h["Sec-Websocket-Version"], []string{"13"}):
		return nil, fmt.Errorf("request with version %q", h["Sec-Websocket-Version"])
	case err != nil || len(key) != 16 || again:
		return nil, fmt.Errorf("request with key %q, used before %v: %v", h["Sec-Websocket-Key"], again, err)
	case h["Origin"] != nil || h["Sec-Websocket-Protocol"] != nil || r.ContentLength != 0 || p.br.Buffered() > 0:
		return nil, fmt.Errorf("request with data that no test asked for: %v, %d bytes behind it", h, p.br.Buffered())
	}
	return r, nil
}

// acceptance returns the good answer to r, written as the suite writes it, with the fields in more,
// each ending with CR LF.
func acceptance(r *http.Request, more string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nServer: conformance\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n" + more + "\r\n"
}

// connectDeflate takes the client's first offer, with demands of the server's own, such as
// client_max_window_bits=9.
func (c *client) connectDeflate(t testing.TB, demand string) *deflatePeer {
	t.Helper()
	p := &deflatePeer{peer: connected(t, c.open), sendBits: 15, receiveBits: 15, context: true}
	r, err := c.readRequest(p.peer)
	if err != nil {
		t.Fatal(err)
	}
	offer, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Extensions"), ",")
	answer := "permessage-deflate"
	for i, param := range strings.Split(offer, "; ") {
		switch {
		case i == 0 && param == answer, param == "client_no_context_takeover", param == "client_max_window_bits":
		case param == "server_no_context_takeover":
			answer += "; " + param
		case scan(param, "server_max_window_bits=%d", &p.sendBits) && p.sendBits >= 9 && p.sendBits <= 15:
			answer += "; " + param
		default:
			t.Fatalf("offer %q", offer)
		}
	}
	for param := range strings.SplitSeq(demand, "; ") {
		if param == "client_no_context_takeover" {
			p.context = false
		}
		scan(param, "client_max_window_bits=%d", &p.receiveBits)
		if param != "" {
			answer += "; " + param
		}
	}
	p.send(t, []byte(acceptance(r, "Sec-WebSocket-Extensions: "+answer+"\r\n")))
	return p
}

func scan(s, format string, n *int) bool {
	_, err := fmt.Sscanf(s, format, n)
	return err == nil
}

// TestConformanceMaskingKeys: "The masking key needs to be unpredictable" (RFC 6455 §5.3). The test
// checks that all keys differ and that no bit of them stands still, on frames of every kind and
// size.
func TestConformanceMaskingKeys(t *testing.T) {
	t.Parallel()
	c := startClient(t, websocket.Dialer{})
	c.echo = func(conn *websocket.Conn) error { // sent as several frames if the message is large
		messageType, r, err := conn.NextReader()
		if err != nil {
			return err
		}
		w, err := conn.NextWriter(messageType)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
		return w.Close()
	}
	p := c.connect(t)
	var keys []uint32
	read := func(op byte, want []byte) {
		t.Helper()
		var got []byte
		for more := true; more; op = opCont {
			f, err := p.read()
			if err != nil || f.op != op {
				t.Fatalf("opcode %d, %v, want %d", f.op, err, op)
			}
			keys = append(keys, uint32(p.key[0])<<24|uint32(p.key[1])<<16|uint32(p.key[2])<<8|uint32(p.key[3]))
			got, more = append(got, f.payload...), f.more
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes come back, and not the %d that were sent", len(got), len(want))
		}
	}
	for i := range 1000 {
		message := make([]byte, i%200)
		if i%20 == 0 {
			message = make([]byte, i*i/4) // up to 240 KB
		}
		ping := message[:min(len(message), 125)]
		p.send(t, p.wire(frame{op: opBin, payload: message}, frame{op: opPing, payload: ping}))
		read(opBin, message)
		read(opPong, ping)
	}
	p.send(t, p.wire(frame{op: opClose, payload: closePayload(1000, "")}))
	read(opClose, closePayload(1000, ""))

	set, total := [32]int{}, len(keys)
	for _, key := range keys {
		for ; key != 0; key &= key - 1 {
			set[bits.TrailingZeros32(key)]++
		}
	}
	slices.Sort(keys)
	// A pair may be chance: 1 run in 2,000 has one.
	if different := len(slices.Compact(keys)); different < total-1 {
		t.Errorf("%d masking keys in %d frames", different, total)
	}
	for bit, n := range set {
		if n < total*4/10 || n > total*6/10 { // nine standard deviations
			t.Errorf("bit %d is set in %d keys of %d", bit, n, total)
		}
	}
}

// TestConformanceClientGlued sends frames in the same segment as the response, as fast servers do,
// and cuts the bytes at every place.
func TestConformanceClientGlued(t *testing.T) {
	t.Parallel()
	c := startClient(t, websocket.Dialer{})
	whole := func(p *peer, r *http.Request) []byte {
		return append([]byte(acceptance(r, "")), p.wire(frame{op: opText, payload: []byte("Hello")}, frame{op: opBin, more: true, payload: []byte("a")},
			frame{op: opPing}, frame{op: opCont, payload: bytes.Repeat([]byte("a"), 130)}, frame{op: opClose, payload: closePayload(1001, "")})...)
	}
	for n, total := 1, 2; n < total; n++ {
		p := connected(t, c.open)
		r, err := c.readRequest(p)
		if err != nil {
			t.Fatal(err)
		}
		b := whole(p, r)
		total = len(b)
		p.send(t, b[:n])
		pause()
		p.send(t, b[n:])
		p.expect(t, frame{op: opText, payload: []byte("Hello")}, frame{op: opPong}, frame{op: opBin, payload: bytes.Repeat([]byte("a"), 131)})
		p.expectFail(t, 1001)
		p.nc.Close()
	}
}

// TestConformanceClientDeflate makes the demands that the suite's server makes in 13.1 to 13.7, to
// clients with every kind of setting. The client obeys, and does compress.
func TestConformanceClientDeflate(t *testing.T) {
	t.Parallel()
	demands := []string{"", "client_no_context_takeover", "client_max_window_bits=9", "client_max_window_bits=15",
		"client_max_window_bits=9; client_no_context_takeover", "client_max_window_bits=15; client_no_context_takeover"}
	for _, setting := range []websocket.Compression{
		{}, {Threshold: -1}, {WindowBits: 9, Threshold: -1}, {WindowBits: 15, Threshold: -1}, {NoContextTakeover: true, Threshold: -1},
	} {
		c := startClient(t, websocket.Dialer{Compression: &setting})
		for _, demand := range demands {
			for kind, corpus := range deflateCorpora() {
				if kind > 0 && demand != "" {
					break // the data and the demand have nothing to do with each other
				}
				t.Run(fmt.Sprintf("%+v, %q, 12.%d", setting, demand, kind+1), func(t *testing.T) {
					t.Parallel()
					p := c.connectDeflate(t, demand)
					defer p.nc.Close()
					for i, size := range [][2]int{{16, 0}, {256, 0}, {256, 100}, {8 << 10, 0}, {8 << 10, 256}, {32 << 10, 1 << 10}} {
						message := corpus.message(size[0], i)
						p.sendDeflated(t, corpus.opcode, message, size[1])
						p.expectInflated(t, corpus.opcode, message)
					}
					p.send(t, p.wire(frame{op: opClose, payload: closePayload(1000, "")}))
					p.expectFail(t, 1000)
				})
			}
		}
	}
}
