package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plainsocket/websocket"
)

// Sections 12 and 13 of the suite are about permessage-deflate. The suite sends a thousand messages
// a case, from files of its own. This test sends a few, made of stand-ins for those files. More
// messages would show nothing new, because the second already refers to an earlier one. On the
// other hand, the suite checks neither the answer to its offers nor the windows that are used, and
// this test does.

// deflateSizes has, for case N of every subsection, a message's length and the size of its
// fragments, in compressed bytes.
var deflateSizes = [18][2]int{
	{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0}, {64 << 10, 0}, {128 << 10, 0},
	{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256},
	{128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
}

const plainOffer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"

// deflateOffers are the offers of section 13's subsections.
var deflateOffers = []string{
	plainOffer,
	plainOffer + "; server_no_context_takeover",
	plainOffer + "; server_max_window_bits=9",
	plainOffer + "; server_max_window_bits=15",
	plainOffer + "; server_no_context_takeover; server_max_window_bits=9",
	plainOffer + "; server_no_context_takeover; server_max_window_bits=15",
	plainOffer + "; server_no_context_takeover; server_max_window_bits=9, " + plainOffer + "; server_no_context_takeover, " + plainOffer,
}

func TestConformanceDeflate(t *testing.T) {
	t.Parallel()
	settings := map[string]websocket.Compression{
		"12 bits": {Threshold: -1}, "9 bits": {WindowBits: 9, Threshold: -1}, "15 bits": {WindowBits: 15, Threshold: -1},
		"no takeover": {NoContextTakeover: true, Threshold: -1},
	}
	for _, tg := range targets {
		for name, c := range settings {
			if tg.name != "Server" && name != "12 bits" {
				continue // the way of serving and the setting have nothing to do with each other
			}
			t.Run(tg.name+", "+name, func(t *testing.T) {
				s := tg.start(t, func(u *websocket.Upgrader) { u.Compression = &c })
				longest := 128 << 10
				if testing.Short() || raceDetector() || name != "12 bits" {
					longest = 32 << 10
				}
				for kind, corpus := range deflateCorpora() {
					runDeflate(t, s, fmt.Sprintf("12.%d", kind+1), plainOffer, corpus, longest)
				}
				for i, offer := range deflateOffers {
					runDeflate(t, s, fmt.Sprintf("13.%d", i+1), offer, deflateCorpora()[0], longest)
				}
			})
		}
	}
}

// runDeflate runs the 18 cases of a subsection, as far as their messages are
// not longer than that.
func runDeflate(t *testing.T, s *server, section, offer string, corpus deflateCorpus, longest int) {
	for n, size := range deflateSizes {
		t.Run(fmt.Sprintf("%s.%d", section, n+1), func(t *testing.T) {
			if size[0] > longest {
				t.Skip("long messages")
			}
			t.Parallel()
			p := s.connectDeflate(t, offer)
			defer p.nc.Close()
			for i := range 2 {
				message := corpus.message(size[0], i)
				p.sendDeflated(t, corpus.opcode, message, size[1])
				p.expectInflated(t, corpus.opcode, message)
			}
			p.send(t, wire(frame{op: 8, payload: closePayload(1000, "")}))
			p.expectGoodbye(t)
		})
	}
}

// A deflatePeer is a peer that agreed on permessage-deflate.
type deflatePeer struct {
	*peer
	sendBits, receiveBits int
	context               bool   // the other side may refer to its earlier messages
	history               []byte // those
}

// connectDeflate makes an offer and checks the answer as RFC 7692 section 7.1
// has a client do.
func (s *server) connectDeflate(t testing.TB, offer string) *deflatePeer {
	t.Helper()
	p := &deflatePeer{peer: s.connectRaw(t), sendBits: 15, receiveBits: 15, context: true}
	request := strings.TrimSuffix(s.request(sampleKey), "\r\n") + "Sec-WebSocket-Extensions: " + offer + "\r\n\r\n"
	p.send(t, []byte(request))
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("offer %q: %v, %v", offer, resp, err)
	}
	answers := resp.Header["Sec-Websocket-Extensions"]
	if len(answers) != 1 {
		t.Fatalf("offer %q: answers %q", offer, answers)
	}
	first, _, _ := strings.Cut(offer, ",")
	seen := map[string]bool{}
	for i, param := range strings.Split(answers[0], "; ") {
		name, value, _ := strings.Cut(param, "=")
		bits, _ := strconv.Atoi(value)
		switch {
		case seen[name]:
			t.Errorf("offer %q: answer %q", offer, answers[0])
		case i == 0 && param == "permessage-deflate":
		case param == "server_no_context_takeover":
			p.context = false
		case param == "client_no_context_takeover":
		case name == "server_max_window_bits" && bits >= 8 && bits <= 15:
			p.receiveBits = bits
		case name == "client_max_window_bits" && bits >= 8 && bits <= 15:
			p.sendBits = bits
		default:
			t.Errorf("offer %q: answer %q", offer, answers[0])
		}
		seen[name] = true
	}
	// "A server accepts an extension negotiation offer with this parameter by including the
	// parameter in the response" (7.1.1.1). The same holds in 7.1.2.1.
	if strings.Contains(first, "server_no_context_takeover") && p.context {
		t.Errorf("offer %q: answer %q keeps the server's context", offer, answers[0])
	}
	if strings.Contains(first, "server_max_window_bits=9") && p.receiveBits > 9 {
		t.Errorf("offer %q: answer %q has a larger window", offer, answers[0])
	}
	return p
}

// sendDeflated sends a message in fragments. compress/flate's window is 32 KiB. For a smaller
// window the message is compressed in pieces of that size, and each piece refers to nothing but
// itself.
func (p *deflatePeer) sendDeflated(t testing.TB, op byte, message []byte, fragment int) {
	t.Helper()
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, 6)
	for piece := range slices.Chunk(message, 1<<p.sendBits) {
		w.Reset(&z)
		w.Write(piece)
		w.Flush()
	}
	data := bytes.TrimSuffix(z.Bytes(), []byte{0, 0, 0xff, 0xff})
	f := frame{op: op, rsv: 4, payload: data}
	if fragment == 0 {
		p.send(t, p.wire(f))
		return
	}
	var frames []frame
	for chunk := range slices.Chunk(data, fragment) {
		f.payload, f.more = chunk, true
		frames = append(frames, f)
		f = frame{op: 0}
	}
	p.send(t, p.wire(append(frames, f)...)) // the last is empty, as the suite often has it
}

// expectInflated reads a message and judges how it was compressed.
func (p *deflatePeer) expectInflated(t testing.TB, op byte, want []byte) {
	t.Helper()
	var data []byte
	compressed := false
	for first := true; ; first = false {
		f, err := p.readExtended()
		if err != nil {
			t.Fatal(err)
		}
		if first && f.op != op || !first && (f.op != 0 || f.rsv != 0) || f.rsv&^4 != 0 {
			t.Fatalf("frame with opcode %d and RSV %d, first %v", f.op, f.rsv, first)
		}
		if first {
			compressed = f.rsv == 4
		}
		data = append(data, f.payload...)
		if !f.more {
			break
		}
	}
	got := data
	if compressed {
		var z puff
		var err error
		if got, err = z.inflate(p.history, data); err != nil {
			t.Fatal(err)
		}
		if z.far > 1<<p.receiveBits || z.back && !p.context {
			t.Errorf("a distance of %d, into earlier messages %v: agreed were %d bits, context %v", z.far, z.back, p.receiveBits, p.context)
		}
		p.history = append(p.history, got...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("echo of %d bytes differs from the %d sent", len(got), len(want))
	}
}

// readExtended is readFrame for frames on which RSV1 may be set.
func (p *deflatePeer) readExtended() (f frame, err error) {
	b, err := p.br.Peek(1)
	if err != nil {
		return f, err
	}
	rsv := b[0] >> 4 & 7
	b[0] &^= 0x70 // readFrame is strict, and reads the byte that Peek returned
	f, err = p.readFrame()
	f.rsv = rsv
	return f, err
}

// expectGoodbye waits for the server's close frame.
func (p *deflatePeer) expectGoodbye(t *testing.T) {
	t.Helper()
	f, err := p.readExtended()
	if err != nil || f.op != 8 || f.rsv != 0 {
		t.Errorf("close: %+v, %v", f, err)
	}
}

// A deflateCorpus stands in for one of the suite's files.
type deflateCorpus struct {
	opcode byte
	text   []byte
}

// message returns the i-th message of n bytes. Text is cut between characters.
func (c deflateCorpus) message(n, i int) []byte {
	from := i * n % len(c.text)
	m := append(slices.Clone(c.text[from:]), bytes.Repeat(c.text, n/len(c.text)+1)...)[:n]
	if c.opcode == 1 {
		m = bytes.ToValidUTF8(m, []byte("?"))
	}
	return m
}

// deflateCorpora are like the suite's JSON, bitmap, German prose, HTML, and PDF.
var deflateCorpora = sync.OnceValue(func() []deflateCorpus {
	r := rand.New(rand.NewPCG(12, 13))
	var jsons, prose, html strings.Builder
	words := strings.Fields("der Zug fährt über die Brücke und hält nicht wo größere Städte lägen wenn es welche gäbe")
	for i := range 900 {
		fmt.Fprintf(&jsons, `{"id":%d,"guid":"%08x","isActive":%v,"balance":"$%d.%02d"},`, i, r.Uint32(), i%2 == 0, r.IntN(4000), r.IntN(100))
		fmt.Fprintf(&prose, "%s %s %s, ", words[r.IntN(len(words))], words[r.IntN(len(words))], words[r.IntN(len(words))])
		fmt.Fprintf(&html, `<li class="toc"><a href="#s%d">%s – %s</a></li>`+"\n", i, words[r.IntN(len(words))], words[r.IntN(len(words))])
	}
	bitmap, pdf := make([]byte, 60_000), make([]byte, 0, 60_000)
	for i := range bitmap {
		bitmap[i] = byte(i/256 + r.IntN(24))
	}
	for len(pdf) < 60_000 {
		noise := make([]byte, 2000)
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		pdf = append(fmt.Appendf(pdf, "%d 0 obj\n<< /Length 2000 >>\nstream\n", len(pdf)), noise...)
	}
	return []deflateCorpus{{1, []byte(jsons.String())}, {2, bitmap}, {2, []byte(prose.String())}, {1, []byte(html.String())}, {2, pdf}}
})

// TestConformanceDeflateStrict tries the rules that a client may break after it agreed on
// compression.
func TestConformanceDeflateStrict(t *testing.T) {
	t.Parallel()
	configure := func(u *websocket.Upgrader) {
		u.Compression, u.ReadLimit = &websocket.Compression{Threshold: -1}, 100_000
	}
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, 9)
	w.Write(make([]byte, 40<<20))
	w.Flush()
	for _, tt := range []struct {
		name   string
		frames []frame
		code   int
	}{
		{"RSV1 on a ping", []frame{{op: 9, rsv: 4}}, 1002},
		{"RSV1 on a pong", []frame{{op: 10, rsv: 4}}, 1002},
		{"RSV1 on a close", []frame{{op: 8, rsv: 4}}, 1002},
		{"RSV1 on a continuation", []frame{{op: 2, rsv: 4, more: true}, {op: 0, rsv: 4}}, 1002},
		{"RSV2", []frame{{op: 2, rsv: 2}}, 1002},
		{"RSV1 and RSV3", []frame{{op: 2, rsv: 5}}, 1002},
		{"corrupt data", []frame{{op: 2, rsv: 4, payload: []byte{0x07}}}, 1007},
		{"a distance before the start", []frame{{op: 2, rsv: 4, payload: []byte{0xf2, 0x00, 0x11, 0x00, 0x00}}}, 1007},
		{"text that is no UTF-8", []frame{{op: 1, rsv: 4, payload: []byte{0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00}}}, 1007},
		{"a bomb", []frame{{op: 2, rsv: 4, payload: bomb.Bytes()[:bomb.Len()-4]}}, 1009},
	} {
		forEachTarget(t, configure, func(t *testing.T, s *server) {
			p := s.connectDeflate(t, plainOffer)
			p.send(t, wire(tt.frames...))
			f, err := p.readExtended()
			if err != nil || f.op != 8 {
				t.Fatalf("%s: %+v, %v; want a close frame", tt.name, f, err)
			}
			if code, err := closeCode(f.payload); code != tt.code || err != nil {
				t.Errorf("%s: code %d, %v; want %d", tt.name, code, err, tt.code)
			}
		})
	}
	// Things that look odd and are right: blocks with BFINAL, empty messages, pings between
	// compressed fragments.
	forEachTarget(t, configure, func(t *testing.T, s *server) {
		p := s.connectDeflate(t, plainOffer)
		hello := []byte("Hello")
		for _, payload := range []string{"\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "\x00\x05\x00\xfa\xffHello\x00"} {
			p.send(t, wire(frame{op: 1, rsv: 4, payload: []byte(payload)}))
			p.expectInflated(t, 1, hello)
		}
		for _, payload := range []string{"\x00", "\x02\x00"} {
			p.send(t, wire(frame{op: 1, rsv: 4, payload: []byte(payload)}))
			p.expectInflated(t, 1, nil)
		}
		p.send(t, wire(frame{op: 1, rsv: 4, more: true, payload: []byte("\xf2\x48\xcd")}, frame{op: 9, payload: hello},
			frame{op: 0, payload: []byte("\xc9\xc9\x07\x00")}))
		if f, err := p.readExtended(); f.op != 10 || f.rsv != 0 || string(f.payload) != "Hello" || err != nil {
			t.Errorf("ping between fragments: %+v, %v", f, err)
		}
		p.expectInflated(t, 1, hello)
	})
}
