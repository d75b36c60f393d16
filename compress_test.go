package websocket

import (
	"cmp"
	"strings"
	"testing"
)

// shortNames are the abbreviations in the tables below, each before its long name.
var shortNames = []string{
	"pmd", "permessage-deflate",
	"snct", "server_no_context_takeover",
	"cnct", "client_no_context_takeover",
	"smwb", "server_max_window_bits",
	"cmwb", "client_max_window_bits",
}

func lengthen(s string) string { return strings.NewReplacer(shortNames...).Replace(s) }

func shorten(s string) string {
	var reversed []string
	for i := 0; i < len(shortNames); i += 2 {
		reversed = append(reversed, shortNames[i+1], shortNames[i])
	}
	return strings.NewReplacer(reversed...).Replace(s)
}

// The server's answers to the offers of RFC 7692 section 7.1, for settings of 12 and 15 bits, and
// without takeover. "" means that the server declines.
func TestAgreeDeflate(t *testing.T) {
	for _, tt := range []struct{ offer, with12, with15, without string }{
		{"", "", "", ""},
		{"pmd", "pmd; cnct; smwb=12", "pmd", "pmd; snct; cnct; smwb=12"},
		{"pmd; cmwb", "pmd; smwb=12; cmwb=12", "pmd", "pmd; snct; cnct; smwb=12; cmwb=12"},
		{"pmd; cmwb=8", "pmd; smwb=12; cmwb=8", "pmd; cmwb=8", "pmd; snct; cnct; smwb=12; cmwb=8"},
		{"pmd; cmwb=10", "pmd; smwb=12; cmwb=10", "pmd; cmwb=10", "pmd; snct; cnct; smwb=12; cmwb=10"},
		{`pmd; cmwb="10"`, "pmd; smwb=12; cmwb=10", "pmd; cmwb=10", "pmd; snct; cnct; smwb=12; cmwb=10"},
		{"pmd; cmwb=15", "pmd; smwb=12; cmwb=12", "pmd; cmwb=15", "pmd; snct; cnct; smwb=12; cmwb=12"},
		{"pmd; smwb=8", "pmd; cnct; smwb=8", "pmd; smwb=8", "pmd; snct; cnct; smwb=8"},
		{"pmd; smwb=10", "pmd; cnct; smwb=10", "pmd; smwb=10", "pmd; snct; cnct; smwb=10"},
		{"pmd; smwb=15", "pmd; cnct; smwb=12", "pmd; smwb=15", "pmd; snct; cnct; smwb=12"},
		{"pmd; snct", "pmd; snct; cnct; smwb=12", "pmd; snct", "pmd; snct; cnct; smwb=12"},
		{"pmd; cnct; cmwb", "pmd; cnct; smwb=12; cmwb=12", "pmd; cnct", "pmd; snct; cnct; smwb=12; cmwb=12"},
		{"pmd; snct; cnct", "pmd; snct; cnct; smwb=12", "pmd; snct; cnct", "pmd; snct; cnct; smwb=12"},
		// declined
		{"pmd; cmwb=7", "", "", ""}, {"pmd; cmwb=16", "", "", ""}, {"pmd; cmwb=010", "", "", ""},
		{"pmd; cmwb=08", "", "", ""}, {"pmd; cmwb=+10", "", "", ""}, {"pmd; cmwb=abc", "", "", ""}, {"pmd; cmwb=", "", "", ""},
		{"pmd; smwb", "", "", ""}, {"pmd; smwb=7", "", "", ""}, {"pmd; smwb=16", "", "", ""}, {"pmd; smwb=09", "", "", ""},
		{"pmd; snct=1", "", "", ""}, {"pmd; cnct=true", "", "", ""},
		{"pmd; cmwb; cmwb=10", "", "", ""}, {"pmd; snct; snct", "", "", ""}, {"pmd; smwb=9; smwb=9", "", "", ""},
		{"pmd; foo", "", "", ""}, {"pmd; foo=bar", "", "", ""}, {"PMD", "", "", ""}, {"pmd;;", "", "", ""},
		{"x-webkit-deflate-frame", "", "", ""}, {"foo; bar", "", "", ""},
		// the first offer that can be met
		{"pmd; foo, pmd; cmwb", "pmd; smwb=12; cmwb=12", "pmd", "pmd; snct; cnct; smwb=12; cmwb=12"},
		{"foo, pmd; snct", "pmd; snct; cnct; smwb=12", "pmd; snct", "pmd; snct; cnct; smwb=12"},
		{"pmd; smwb=9, pmd", "pmd; cnct; smwb=9", "pmd; smwb=9", "pmd; snct; cnct; smwb=9"},
		{"pmd, broken one", "", "", ""},
	} {
		for _, s := range []struct {
			want   Compression
			answer string
		}{
			{Compression{}, tt.with12},
			{Compression{WindowBits: 15}, tt.with15},
			{Compression{NoContextTakeover: true}, tt.without},
		} {
			p, got := agreeDeflate([]string{lengthen(tt.offer)}, &s.want)
			if shorten(got) != s.answer {
				t.Errorf("offer %q, %+v: answer %q, want %q", tt.offer, s.want, shorten(got), s.answer)
			}
			if got != "" {
				checkAgreed(t, tt.offer, got, p)
			}
		}
	}
}

// checkAgreed reads the answer as a client would, and compares it with the server's parameters.
func checkAgreed(t *testing.T, offer, answer string, p deflateParams) {
	t.Helper()
	list, ok := parseExtensions([]string{answer})
	if !ok || len(list) != 1 {
		t.Fatalf("offer %q: the answer %q is no single extension", offer, answer)
	}
	o, ok := parseDeflate(list[0])
	if !ok || o.clientBitsOpen {
		t.Fatalf("offer %q: the answer %q is invalid", offer, answer)
	}
	want := deflateParams{
		sendBits: cmp.Or(o.serverBits, 15), receiveBits: cmp.Or(o.clientBits, 15),
		sendTakeover: !o.serverNoContext, receiveTakeover: !o.clientNoContext,
	}
	if p != want {
		t.Errorf("offer %q: the server goes by %+v, but answered %q", offer, p, answer)
	}
}

func TestCompressionSettings(t *testing.T) {
	for _, tt := range []struct {
		c               Compression
		bits, threshold int
	}{
		{Compression{}, 12, 32},
		{Compression{NoContextTakeover: true}, 12, 512},
		{Compression{WindowBits: 8, Threshold: -1}, 9, -1},
		{Compression{WindowBits: 99, Threshold: 100, NoContextTakeover: true}, 15, 100},
	} {
		if tt.c.windowBits() != tt.bits || tt.c.threshold() != tt.threshold {
			t.Errorf("%+v: %d bits, threshold %d; want %d, %d", tt.c, tt.c.windowBits(), tt.c.threshold(), tt.bits, tt.threshold)
		}
	}
}

// A client accepts some answers to its offer, and must refuse the others.
func TestCheckDeflateAnswer(t *testing.T) {
	plain := deflateOffer{clientBitsOpen: true}
	both := deflateParams{15, 15, true, true}
	for _, tt := range []struct {
		offer  deflateOffer
		answer string
		agreed bool
		want   deflateParams
	}{
		{plain, "pmd", true, both},
		{plain, "pmd; cmwb=10", true, deflateParams{10, 15, true, true}},
		{plain, `pmd; cmwb="8"; smwb=9`, true, deflateParams{8, 9, true, true}},
		{plain, "pmd; snct; cnct", true, deflateParams{15, 15, false, false}}, // not asked for, and allowed
		{deflateOffer{serverBits: 10}, "pmd; smwb=9", true, deflateParams{15, 9, true, true}},
		{deflateOffer{serverNoContext: true}, "pmd; snct", true, deflateParams{15, 15, true, false}},
		{deflateOffer{clientBits: 12}, "pmd; cmwb=12", true, deflateParams{12, 15, true, true}},
		{plain, "", false, deflateParams{}},
	} {
		p, agreed, err := checkDeflateAnswer([]string{lengthen(tt.answer)}, []deflateOffer{tt.offer})
		if p != tt.want || agreed != tt.agreed || err != nil {
			t.Errorf("%+v, answer %q: %+v, %v, %v; want %+v", tt.offer, tt.answer, p, agreed, err, tt.want)
		}
	}
	for _, tt := range []struct {
		offer  deflateOffer
		answer string
	}{
		{plain, "foo"}, {plain, "pmd, foo"}, {plain, "pmd, pmd"}, {plain, "pmd;;"}, {plain, "PMD"},
		{plain, "pmd; foo"}, {plain, "pmd; snct; snct"}, {plain, "pmd; cmwb"}, {plain, "pmd; smwb"},
		{plain, "pmd; cmwb=7"}, {plain, "pmd; cmwb=16"}, {plain, "pmd; cmwb=09"}, {plain, "pmd; smwb=+9"},
		{plain, "pmd; snct=1"}, {plain, "pmd; cnct=true"},
		{deflateOffer{}, "pmd; cmwb=10"},
		{deflateOffer{clientBits: 10}, "pmd; cmwb=11"},
		{deflateOffer{serverBits: 10}, "pmd"}, {deflateOffer{serverBits: 10}, "pmd; smwb=11"},
		{deflateOffer{serverNoContext: true}, "pmd"},
	} {
		if p, agreed, err := checkDeflateAnswer([]string{lengthen(tt.answer)}, []deflateOffer{tt.offer}); err == nil || agreed {
			t.Errorf("%+v, answer %q: accepted as %+v", tt.offer, tt.answer, p)
		}
	}
}

// The offers that a client makes for its settings, and the result with our server.
func TestDeflateOffers(t *testing.T) {
	for _, tt := range []struct {
		c     Compression
		offer string
		want  deflateParams // the client's
	}{
		{Compression{}, "pmd; cmwb", deflateParams{12, 12, true, true}},
		{Compression{WindowBits: 15}, "pmd; cmwb", deflateParams{12, 12, true, true}},
		{Compression{WindowBits: 10}, "pmd; smwb=10; cmwb, pmd; snct; cmwb", deflateParams{10, 10, true, true}},
		{Compression{NoContextTakeover: true}, "pmd; snct; cnct; cmwb", deflateParams{12, 12, false, false}},
		{*withoutContext, "pmd; snct; cnct", deflateParams{15, 12, false, false}},
		{Compression{NoContextTakeover: true, WindowBits: 9}, "pmd; snct; cnct; smwb=9; cmwb, pmd; snct; cnct; cmwb",
			deflateParams{9, 9, false, false}},
	} {
		offers := tt.c.offers()
		if got := shorten(formatOffers(offers)); got != tt.offer {
			t.Errorf("%+v offers %q, want %q", tt.c, got, tt.offer)
		}
		_, answer := agreeDeflate([]string{formatOffers(offers)}, new(Compression))
		p, agreed, err := checkDeflateAnswer([]string{answer}, offers)
		if p = p.within(&tt.c); p != tt.want || !agreed || err != nil {
			t.Errorf("%+v and a server's %q: %+v, %v, %v; want %+v", tt.c, answer, p, agreed, err, tt.want)
		}
	}
	// gorilla/websocket's server gives this answer to all offers. The second offer allows it.
	if _, agreed, err := checkDeflateAnswer([]string{lengthen("pmd; snct; cnct")}, (&Compression{WindowBits: 9}).offers()); !agreed {
		t.Error(err)
	}
	if _, _, err := checkDeflateAnswer([]string{lengthen("pmd")}, nil); err == nil {
		t.Error("compression was accepted that was not offered")
	}
}
