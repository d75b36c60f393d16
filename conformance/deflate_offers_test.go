package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// An offerTest has a request's Sec-WebSocket-Extensions and the responses to it, for settings of 9,
// 12 and 15 bits and for 12 without takeover. A response of "" declines: the handshake succeeds
// without compression. Names are short, see longNames.
type offerTest struct{ offer, with9, with12, with15, without string }

var longNames = strings.NewReplacer("pmd", "permessage-deflate", "snct", "server_no_context_takeover",
	"cnct", "client_no_context_takeover", "smwb", "server_max_window_bits", "cmwb", "client_max_window_bits")

// offerTests follow RFC 7692 section 7.1. A window that is not 15 is always named. A client that
// cannot limit its own window is forbidden takeover instead, because its window would not fit. The
// response MUST NOT name the client's window if the client did not offer that.
var offerTests = []offerTest{
	{"pmd", "pmd; cnct; smwb=9", "pmd; cnct; smwb=12", "pmd", "pmd; snct; cnct; smwb=12"},
	{"pmd; cmwb", "pmd; smwb=9; cmwb=9", "pmd; smwb=12; cmwb=12", "pmd", "pmd; snct; cnct; smwb=12; cmwb=12"},
	{"pmd; cmwb=8", "pmd; smwb=9; cmwb=8", "pmd; smwb=12; cmwb=8", "pmd; cmwb=8", "pmd; snct; cnct; smwb=12; cmwb=8"},
	{"pmd; cmwb=10", "pmd; smwb=9; cmwb=9", "pmd; smwb=12; cmwb=10", "pmd; cmwb=10", "pmd; snct; cnct; smwb=12; cmwb=10"},
	{"pmd; cmwb=15", "pmd; smwb=9; cmwb=9", "pmd; smwb=12; cmwb=12", "pmd; cmwb=15", "pmd; snct; cnct; smwb=12; cmwb=12"},
	{"pmd; smwb=8", "pmd; cnct; smwb=8", "pmd; cnct; smwb=8", "pmd; smwb=8", "pmd; snct; cnct; smwb=8"},
	{"pmd; smwb=10", "pmd; cnct; smwb=9", "pmd; cnct; smwb=10", "pmd; smwb=10", "pmd; snct; cnct; smwb=10"},
	{"pmd; smwb=15", "pmd; cnct; smwb=9", "pmd; cnct; smwb=12", "pmd; smwb=15", "pmd; snct; cnct; smwb=12"},
	{"pmd; snct", "pmd; snct; cnct; smwb=9", "pmd; snct; cnct; smwb=12", "pmd; snct", "pmd; snct; cnct; smwb=12"},
	{"pmd; cnct", "pmd; cnct; smwb=9", "pmd; cnct; smwb=12", "pmd; cnct", "pmd; snct; cnct; smwb=12"},
	{"pmd; snct; cnct", "pmd; snct; cnct; smwb=9", "pmd; snct; cnct; smwb=12", "pmd; snct; cnct", "pmd; snct; cnct; smwb=12"},
	{"pmd; cmwb; smwb=10; cnct; snct", "pmd; snct; cnct; smwb=9; cmwb=9", "pmd; snct; cnct; smwb=10; cmwb=12", "pmd; snct; cnct; smwb=10", "pmd; snct; cnct; smwb=10; cmwb=12"},

	// The grammar of RFC 6455 section 9.1: white space, quoted values, several fields (a line break
	// stands for the next).
	{`pmd; cmwb="10"`, "pmd; smwb=9; cmwb=9", "pmd; smwb=12; cmwb=10", "pmd; cmwb=10", "pmd; snct; cnct; smwb=12; cmwb=10"},
	{`pmd; smwb="1\0"`, "pmd; cnct; smwb=9", "pmd; cnct; smwb=10", "pmd; smwb=10", "pmd; snct; cnct; smwb=10"},
	{"\tpmd ;cmwb ; snct", "pmd; snct; smwb=9; cmwb=9", "pmd; snct; smwb=12; cmwb=12", "pmd; snct", "pmd; snct; cnct; smwb=12; cmwb=12"},
	{",, pmd ,", "pmd; cnct; smwb=9", "pmd; cnct; smwb=12", "pmd", "pmd; snct; cnct; smwb=12"},
	{"foo\npmd; cmwb", "pmd; smwb=9; cmwb=9", "pmd; smwb=12; cmwb=12", "pmd", "pmd; snct; cnct; smwb=12; cmwb=12"},

	// The first offer that can be met is taken. The other extensions in the list do not matter.
	{"pmd; foo, pmd", "pmd; cnct; smwb=9", "pmd; cnct; smwb=12", "pmd", "pmd; snct; cnct; smwb=12"},
	{"pmd; smwb=7, pmd; smwb=10", "pmd; cnct; smwb=9", "pmd; cnct; smwb=10", "pmd; smwb=10", "pmd; snct; cnct; smwb=10"},
	{"pmd; snct, pmd", "pmd; snct; cnct; smwb=9", "pmd; snct; cnct; smwb=12", "pmd; snct", "pmd; snct; cnct; smwb=12"},
	{`foo; bar="a\b", pmd`, "pmd; cnct; smwb=9", "pmd; cnct; smwb=12", "pmd", "pmd; snct; cnct; smwb=12"},
	{"x-webkit-deflate-frame, pmd; cmwb", "pmd; smwb=9; cmwb=9", "pmd; smwb=12; cmwb=12", "pmd", "pmd; snct; cnct; smwb=12; cmwb=12"},

	// "A server MUST decline an extension negotiation offer for this extension if" a parameter is
	// not defined, has an invalid value, or comes twice (section 7.1). Values are 8 to 15 "without
	// leading zeroes".
	{offer: "pmd; cmwb=7"}, {offer: "pmd; cmwb=16"}, {offer: "pmd; cmwb=010"}, {offer: "pmd; cmwb=08"}, {offer: "pmd; cmwb=+10"},
	{offer: "pmd; cmwb=-10"}, {offer: "pmd; cmwb=10.0"}, {offer: "pmd; cmwb=0xA"}, {offer: "pmd; cmwb=abc"}, {offer: "pmd; cmwb="}, {offer: `pmd; cmwb=""`},
	{offer: `pmd; cmwb=" 10"`}, {offer: "pmd; cmwb=4294967306"}, {offer: "pmd; smwb"}, {offer: "pmd; smwb="}, {offer: "pmd; smwb=7"}, {offer: "pmd; smwb=16"},
	{offer: "pmd; smwb=09"}, {offer: "pmd; smwb=1"}, {offer: "pmd; snct=1"}, {offer: "pmd; snct=true"}, {offer: "pmd; cnct=true"}, {offer: `pmd; cnct=""`},
	{offer: "pmd; snct; snct"}, {offer: "pmd; cnct; cnct"}, {offer: "pmd; cmwb; cmwb"}, {offer: "pmd; cmwb; cmwb=10"}, {offer: "pmd; smwb=9; smwb=9"},
	{offer: "pmd; foo"}, {offer: "pmd; foo=bar"}, {offer: "pmd; cmwb; foo"}, {offer: "foo"}, {offer: "foo; cmwb"}, {offer: "pmd-x"}, {offer: "x-pmd"}, {offer: ""},

	// No list of extensions at all: no agreement, and no reason to refuse the connection.
	{offer: "pmd;;"}, {offer: "pmd;"}, {offer: ";pmd"}, {offer: "pmd; =10"}, {offer: `pmd; cmwb="10`}, {offer: "pmd pmd"}, {offer: "pmd; cmwb 10"},
	{offer: "pmd; cmwb = 10 10"}, {offer: "pmd/"}, {offer: "pmd, ("}, {offer: "(\npmd"},
	{offer: `foo; bar="a,b", pmd`}, // a quoted value must be a token too
}

// contextless returns the answer of EnableCompression alone: gorilla/websocket's answer, and the
// windows that the client named itself.
func (o offerTest) contextless() string {
	if o.with15 == "" {
		return ""
	}
	windows := strings.NewReplacer("pmd", "", "; snct", "", "; cnct", "").Replace(o.with15)
	return "pmd; snct; cnct" + windows
}

func TestConformanceDeflateOffers(t *testing.T) {
	t.Parallel()
	for _, setting := range []struct {
		name   string
		c      *websocket.Compression
		enable bool
		want   func(offerTest) string
	}{
		{"EnableCompression", nil, true, offerTest.contextless},
		{"EnableCompression beside Compression", &websocket.Compression{}, true, func(o offerTest) string { return o.with12 }},
		{"15 bits without takeover", &websocket.Compression{WindowBits: 15, NoContextTakeover: true}, false, offerTest.contextless},
		{"12 bits", &websocket.Compression{}, false, func(o offerTest) string { return o.with12 }},
		{"9 bits", &websocket.Compression{WindowBits: 9}, false, func(o offerTest) string { return o.with9 }},
		{"15 bits", &websocket.Compression{WindowBits: 15}, true, func(o offerTest) string { return o.with15 }},
		{"no takeover", &websocket.Compression{NoContextTakeover: true}, false, func(o offerTest) string { return o.without }},
		{"off", nil, false, func(offerTest) string { return "" }},
	} {
		for _, tg := range targets[:4] {
			t.Run(tg.name+", "+setting.name, func(t *testing.T) {
				s := tg.start(t, func(u *websocket.Upgrader) { u.Compression, u.EnableCompression = setting.c, setting.enable })
				for _, tt := range offerTests {
					s.tryOffer(t, longNames.Replace(tt.offer), longNames.Replace(setting.want(tt)))
				}
			})
		}
	}
}

// tryOffer makes an offer, compares the answer, and checks that both sides understand it alike.
func (s *server) tryOffer(t *testing.T, offer, want string) {
	t.Helper()
	p := s.connectRaw(t)
	defer p.nc.Close()
	var edits []string
	for field := range strings.SplitSeq(offer, "\n") {
		edits = append(edits, "+Sec-WebSocket-Extensions: "+field)
	}
	p.send(t, []byte(s.edited(edits)))
	resp, err := p.readResponse("GET")
	if err != nil || resp.status != 101 {
		t.Errorf("offer %q: status %d, %v", offer, resp.status, err)
		return
	}
	got := resp.header.Values("Sec-WebSocket-Extensions")
	if want == "" && got == nil {
		p.send(t, wire(frame{op: opText, payload: []byte("Hello")}, frame{op: opText, rsv: 4, payload: hello}))
		p.expect(t, frame{op: opText, payload: []byte("Hello")})
		p.expectFail(t, 1002) // RSV1 means nothing here
		return
	}
	if want == "" || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", []string{want}) {
		t.Errorf("offer %q: answer %q, want %q", offer, got, want)
		return
	}
	p.send(t, wire(frame{op: opText, rsv: 4, payload: hello}, frame{op: opPing}))
	p.expect(t, frame{op: opText, payload: []byte("Hello")}, frame{op: opPong}) // too short to be compressed
}
