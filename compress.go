package websocket

import (
	"cmp"
	"slices"
	"strconv"
)

// Agreeing on compression: the negotiation of permessage-deflate, RFC 7692 section 7.1.
//
// Both sides must know whether messages may be compressed, and how much memory that takes. A client
// offers one or several sets of parameters in its request. The server takes the first set that it
// can meet, and answers with the parameters that hold:
//
//	Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits
//
//	Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12
//
// Each direction has two parameters. The window is the distance over which a message may refer back
// to earlier bytes. Context takeover says whether a message may refer to earlier messages at all.
// Both sides keep the window in memory, the sender to find repetitions, the receiver to follow
// them.

// Compression asks for permessage-deflate (RFC 7692). If the peer agrees, messages are compressed
// whenever that makes them shorter. The zero value has context takeover in both directions, a
// window of 4 KiB, and a threshold of 32 bytes. (EnableCompression by itself is gorilla/websocket's
// field, and asks for Compression{WindowBits: 15, NoContextTakeover: true}.)
//
// If the peer agreed, an idle connection keeps at most this many more bytes, for both directions
// together:
//
//	WindowBits      9     10     11     12      13      14      15
//	bytes       2,600  3,800  7,100  13,800  27,100  53,700  90,600
//
// and some 400 with NoContextTakeover. Compressing takes some 60 KB and decompressing 7 KB while it
// runs, from a pool that all connections share.
type Compression struct {
	// WindowBits is the base-2 logarithm of the window's size, 9 to 15, for both directions: 0
	// means 12, which is 4 KiB. A larger window finds more repetitions. A peer may ask for a
	// smaller window. A peer that cannot limit its own window is asked not to keep it between
	// messages. But a Dialer with 0 leaves the window of the server's messages, and so the memory
	// for them, to the server.
	WindowBits int

	// NoContextTakeover lets no message refer to an earlier one. That costs no memory between
	// messages, but small messages hardly get shorter.
	NoContextTakeover bool

	// Threshold is the size in bytes of the smallest message that is compressed: 0 means 32, or 512
	// with NoContextTakeover. Less than 0 means that every message is compressed.
	Threshold int
}

// defaultWindowBits is the default of Compression.WindowBits.
const defaultWindowBits = 12

// withoutContext has the settings for EnableCompression by itself: gorilla/websocket's negotiation,
// and no memory between messages.
var withoutContext = &Compression{WindowBits: 15, NoContextTakeover: true}

// compression returns the settings that follow from the two fields of an Upgrader or Dialer, or nil
// for no compression.
func compression(enable bool, c *Compression) *Compression {
	if c == nil && enable {
		return withoutContext
	}
	return c
}

// windowBits returns the setting within its bounds. The lower bound is 9, because zlib cannot
// compress with a window of 2^8 bytes.
func (c *Compression) windowBits() int {
	return min(max(cmp.Or(c.WindowBits, defaultWindowBits), 9), 15)
}

// threshold returns the setting, or its default.
func (c *Compression) threshold() int {
	if c.Threshold == 0 && c.NoContextTakeover {
		return 512
	}
	return cmp.Or(c.Threshold, 32)
}

// deflateName is the extension's name.
const deflateName = "permessage-deflate"

// A deflateOffer holds the parameters of one element of the list, in an offer or in an answer.
type deflateOffer struct {
	serverNoContext, clientNoContext bool
	serverBits, clientBits           int  // 0 if the parameter is missing
	clientBitsOpen                   bool // client_max_window_bits without a value, in an offer
}

// parseDeflate parses the parameters of an offer or answer. It reports false if one of them is
// unknown, repeated, or has an invalid value. Section 7.1 tells a server to decline such an offer.
func parseDeflate(e extension) (o deflateOffer, ok bool) {
	for i, p := range e.params {
		for _, earlier := range e.params[:i] {
			if earlier.name == p.name {
				return o, false
			}
		}
		switch p.name {
		case "server_no_context_takeover":
			o.serverNoContext, ok = true, !p.hasValue
		case "client_no_context_takeover":
			o.clientNoContext, ok = true, !p.hasValue
		case "server_max_window_bits":
			o.serverBits, ok = parseWindowBits(p.value)
		case "client_max_window_bits":
			if !p.hasValue {
				o.clientBitsOpen, ok = true, true
			} else {
				o.clientBits, ok = parseWindowBits(p.value)
			}
		default:
			ok = false
		}
		if !ok {
			return o, false
		}
	}
	return o, true
}

// parseWindowBits parses "a decimal integer value without leading zeroes between 8 to 15,
// inclusive" (section 7.1.2).
func parseWindowBits(s string) (bits int, ok bool) {
	for bits = 8; bits <= 15; bits++ {
		if s == strconv.Itoa(bits) {
			return bits, true
		}
	}
	return 0, false
}

// deflateParams are the parameters that both sides agreed on, as one side sees them.
type deflateParams struct {
	sendBits, receiveBits         int
	sendTakeover, receiveTakeover bool
}

// agreeDeflate is a server's decision about the offers in a request. It returns the answer to send.
// If the server can take none of the offers, the answer is "" and the connection is not compressed.
func agreeDeflate(offers []string, want *Compression) (params deflateParams, answer string) {
	list, ok := parseExtensions(offers)
	if !ok {
		return params, ""
	}
	for _, e := range list {
		if e.name != deflateName {
			continue
		}
		if o, ok := parseDeflate(e); ok {
			return answerDeflate(o, want)
		}
	}
	return params, ""
}

// answerDeflate accepts an offer, and returns the answer to it.
func answerDeflate(o deflateOffer, want *Compression) (p deflateParams, answer string) {
	bits := want.windowBits()
	p = deflateParams{
		sendBits:        min(bits, cmp.Or(o.serverBits, 15)),
		receiveBits:     15,
		sendTakeover:    !o.serverNoContext && !want.NoContextTakeover,
		receiveTakeover: !o.clientNoContext && !want.NoContextTakeover,
	}
	switch {
	case o.clientBits != 0 || o.clientBitsOpen:
		p.receiveBits = min(bits, cmp.Or(o.clientBits, 15))
	case bits < 15:
		// "If a received extension negotiation offer doesn't have the client_max_window_bits
		// extension parameter, the corresponding response […] MUST NOT include" it (section
		// 7.1.2.2). So this client's window has 32 KiB. Forbidding it context takeover is the way
		// not to keep them.
		p.receiveTakeover = false
	}
	return p, string(p.append([]byte(deflateName), o))
}

// append appends the parameters of the answer to offer o.
func (p deflateParams) append(b []byte, o deflateOffer) []byte {
	if !p.sendTakeover {
		b = append(b, "; server_no_context_takeover"...)
	}
	if !p.receiveTakeover {
		b = append(b, "; client_no_context_takeover"...)
	}
	if p.sendBits < 15 || o.serverBits != 0 {
		b = strconv.AppendInt(append(b, "; server_max_window_bits="...), int64(p.sendBits), 10)
	}
	if p.receiveBits < 15 || o.clientBits != 0 {
		b = strconv.AppendInt(append(b, "; client_max_window_bits="...), int64(p.receiveBits), 10)
	}
	return b
}

// offers returns a client's offers, the preferred one first. The second offer is for a server that
// cannot limit its window to the size in the first: it must keep no window between messages. A
// client that keeps no window itself, and uses the largest, does not offer to limit it.
func (c *Compression) offers() []deflateOffer {
	first := deflateOffer{serverNoContext: c.NoContextTakeover, clientNoContext: c.NoContextTakeover}
	first.clientBitsOpen = !c.NoContextTakeover || c.windowBits() < 15
	if c.WindowBits == 0 || c.windowBits() == 15 {
		return []deflateOffer{first}
	}
	second := first
	second.serverNoContext = true
	first.serverBits = c.windowBits()
	return []deflateOffer{first, second}
}

// formatOffers returns the offers as the value of Sec-WebSocket-Extensions.
func formatOffers(offers []deflateOffer) string {
	var b []byte
	for i, o := range offers {
		if i > 0 {
			b = append(b, ", "...)
		}
		p := deflateParams{sendTakeover: !o.serverNoContext, receiveTakeover: !o.clientNoContext,
			sendBits: cmp.Or(o.serverBits, 15), receiveBits: cmp.Or(o.clientBits, 15)}
		b = p.append(append(b, deflateName...), o)
		if o.clientBitsOpen {
			b = append(b, "; client_max_window_bits"...)
		}
	}
	return string(b)
}

// checkDeflateAnswer checks a server's answer to a client's offers by the rules of sections 5.1 and
// 7.1. If the server answered nothing, agreed is false and the connection is not compressed. An
// error fails the opening handshake.
func checkDeflateAnswer(answers []string, offers []deflateOffer) (p deflateParams, agreed bool, err error) {
	list, ok := parseExtensions(answers)
	if !ok {
		return p, false, badHandshake("malformed Sec-WebSocket-Extensions %q", answers)
	}
	if len(list) == 0 {
		return p, false, nil
	}
	if len(list) > 1 || list[0].name != deflateName || len(offers) == 0 {
		return p, false, badHandshake("the server answered with extensions that were not offered: %q", answers)
	}
	o, ok := parseDeflate(list[0])
	if !ok || !slices.ContainsFunc(offers, o.answers) {
		return p, false, badHandshake("the server's permessage-deflate %q does not answer the offer %q", answers, formatOffers(offers))
	}
	return deflateParams{
		sendBits: cmp.Or(o.clientBits, 15), receiveBits: cmp.Or(o.serverBits, 15),
		sendTakeover: !o.clientNoContext, receiveTakeover: !o.serverNoContext,
	}, true, nil
}

// within returns p, limited for sending by this side's own settings, which may be less than the
// peer allows.
func (p deflateParams) within(want *Compression) deflateParams {
	p.sendBits = min(p.sendBits, want.windowBits())
	p.sendTakeover = p.sendTakeover && !want.NoContextTakeover
	return p
}

// answers reports whether o is a valid response to offer.
func (o deflateOffer) answers(offer deflateOffer) bool {
	switch {
	case o.clientBitsOpen: // "MUST have a value" in a response (7.1.2.2)
		return false
	case o.clientBits != 0 && !offer.clientBitsOpen && offer.clientBits == 0: // MUST NOT, if it is not in the offer
		return false
	case offer.clientBits != 0 && o.clientBits > offer.clientBits:
		return false
	case offer.serverBits != 0 && (o.serverBits == 0 || o.serverBits > offer.serverBits): // 7.1.2.1
		return false
	case offer.serverNoContext && !o.serverNoContext: // 7.1.1.1
		return false
	}
	return true
}
