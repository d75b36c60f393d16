package main

// This file has the bytes that a connection of the load generator sends. They are composed before
// the clock runs.

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	kflate "github.com/klauspost/compress/flate"
)

// A script is a cycle of frames, sent again and again.
type script struct {
	wire     []byte
	ends     []int // the offsets in wire at which the frames end
	cycle    int   // number of frames in the cycle (the frames behind them repeat its beginning)
	inFlight int   // how many successive frames are always one slice of wire
	first    []byte
}

// newScript is a cycle of messages for connections that have up to inFlight of
// them under way.
func newScript(messages, frames [][]byte, inFlight int) *script {
	s := &script{cycle: len(frames), inFlight: inFlight, first: messages[0]}
	for i := range len(frames) + inFlight - 1 {
		s.wire = append(s.wire, frames[i%len(frames)]...)
		s.ends = append(s.ends, len(s.wire))
	}
	return s
}

// plainScript is one binary message. (Text would have to be checked for
// UTF-8, which not all servers do.)
func plainScript(size, inFlight int) *script {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = ' ' + byte(i*7%95)
	}
	return newScript([][]byte{payload}, [][]byte{appendClientFrame(nil, finBinary, payload)}, inFlight)
}

// frames returns up to inFlight successive frames from the i-th of the cycle on.
func (s *script) frames(i, k int) []byte {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.wire[start:s.ends[i+k-1]]
}

// agreement holds the parameters in a server's answer about permessage-deflate.
type agreement struct {
	compressed     bool
	serverTakeover bool
	clientTakeover bool
	clientBits     int // the window that this side may use
}

// parseAgreement reads Sec-WebSocket-Extensions of a response. The servers are known ones, so a
// forbidden answer is just an error.
func parseAgreement(header string) (a agreement, err error) {
	if header == "" {
		return a, nil
	}
	a = agreement{compressed: true, serverTakeover: true, clientTakeover: true, clientBits: 15}
	for i, param := range strings.Split(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		switch name {
		case "server_no_context_takeover":
			a.serverTakeover = false
		case "client_no_context_takeover":
			a.clientTakeover = false
		case "client_max_window_bits":
			_, err = fmt.Sscan(strings.Trim(value, `"`), &a.clientBits)
		case "server_max_window_bits":
		default:
			if i > 0 || name != "permessage-deflate" {
				err = fmt.Errorf("unknown extension %q", param)
			}
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// deflateScript is a cycle of compressed messages, as the agreement allows. The cycle is longer
// than any window, so that no message can be found whole among the earlier ones. Its beginning
// refers to nothing, so that it can follow its end.
func deflateScript(messages [][]byte, a agreement) (*script, error) {
	var out bytes.Buffer
	w, err := kflate.NewWriterWindow(&out, 1<<a.clientBits)
	if err != nil {
		return nil, err
	}
	var frames [][]byte
	for _, m := range messages {
		out.Reset()
		if !a.clientTakeover {
			w.Reset(&out)
		}
		w.Write(m)
		w.Flush()
		// RFC 7692 section 7.2.1: the empty block at the end is not sent.
		payload := bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
		frames = append(frames, appendClientFrame(nil, finText|rsv1, payload))
	}
	return newScript(messages, frames, 1), nil
}

// deflateCycle is the number of different messages that are compressed in turn: 64 KiB, twice the
// largest window.
const deflateCycle = 64

// inflate is the content of a message that refers to none before it.
func inflate(payload []byte) ([]byte, error) {
	tail := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff} // the end that was not sent, and an end of the stream
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), bytes.NewReader(tail))))
}

// jsonMessages are n messages of 1 KiB, as an application might send them:
// every one with the same names and other values.
func jsonMessages(n int) [][]byte {
	r := rand.New(rand.NewPCG(6455, 7692))
	words := strings.Fields("amber birch cedar delta ember fjord grove haven inlet jetty knoll lagoon meadow north ocean prairie quarry ridge slope tundra")
	word := func() string { return words[r.IntN(len(words))] }
	messages := make([][]byte, n)
	for i := range messages {
		var b bytes.Buffer
		fmt.Fprintf(&b, `{"seq":%d,"channel":"%s-%s","sensors":[`, 100000+i, word(), word())
		for b.Len() < 900 {
			fmt.Fprintf(&b, `{"id":"%08x","place":"%s %s","value":%.3f,"unit":"kPa","ok":%t},`,
				r.Uint32(), word(), word(), r.Float64()*1000, r.IntN(5) > 0)
		}
		fmt.Fprintf(&b, `{}],"note":"%s"}`, strings.Repeat(word()+" ", 40)[:1024-b.Len()-len(`{}],"note":""}`)])
		messages[i] = b.Bytes()
	}
	return messages
}
