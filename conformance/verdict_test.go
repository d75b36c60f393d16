package conformance

// This file has the suite's two verdicts on an outcome, and proof that they can be bad: each kind
// of faulty server earns its own.

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// An outcome holds the facts that the verdicts are about.
type outcome struct {
	events      []event
	opened      bool
	closeSent   bool  // by the fuzzer
	closedByMe  bool  // the fuzzer's close frame was sent before the other side's arrived
	closeGot    bool  // the other side's close frame arrived
	code        int   // the code in that close frame, or 1005 for none
	droppedByMe bool  // the other side left the TCP connection open too long
	fault       error // an error that is never allowed, in any case
}

func (o outcome) String() string {
	s := fmt.Sprintf("events %v", o.events)
	if len(s) > 1000 {
		s = fmt.Sprintf("%s... (%d events)", s[:1000], len(o.events))
	}
	if !o.opened {
		s = "never opened"
	}
	s += fmt.Sprintf(", closed by the fuzzer %v, close sent %v, got %v (code %d), TCP dropped by the fuzzer %v",
		o.closedByMe, o.closeSent, o.closeGot, o.code, o.droppedByMe)
	if o.fault != nil {
		s += ", fault: " + o.fault.Error()
	}
	return s
}

const (
	verdictOK        = "OK"
	verdictNonStrict = "NON-STRICT"
	verdictFailed    = "FAILED"
	verdictUnclean   = "UNCLEAN"
	verdictWrongCode = "WRONG CODE"
	verdictByClient  = "FAILED BY CLIENT"
)

// behavior judges the answers. The suite also turns it to FAILED in some cases in which
// behaviorClose is bad. That changes nothing, because a case must earn both here.
func (c autobahnCase) behavior(o outcome) string {
	switch {
	case !o.opened || o.fault != nil:
		return verdictFailed
	case slices.EqualFunc(o.events, c.ok, event.equal):
		return verdictOK
	case c.nonStrict != nil && slices.EqualFunc(o.events, c.nonStrict, event.equal):
		return verdictNonStrict
	}
	return verdictFailed
}

// behaviorClose judges the end of the connection. The first rule that applies decides. If a clean
// close is not required, a bare TCP drop passes, and so does a close frame without a code.
func (c autobahnCase) behaviorClose(o outcome) string {
	switch {
	case !o.opened || o.fault != nil || o.closedByMe != (c.closer == "fuzzer"):
		return verdictFailed
	case c.clean && !(o.closeSent && o.closeGot && !o.droppedByMe):
		return verdictUnclean
	case o.closeGot && o.code != 1005 && !slices.Contains(c.codes, o.code):
		return verdictWrongCode
	case o.droppedByMe:
		return verdictByClient
	}
	return verdictOK
}

// A script is a server, or a client, with fixed answers. It writes its n-th answer after it has
// read the fuzzer's n-th frame. After the last it drops TCP, or keeps it open.
type script struct {
	answers []string
	keep    bool
	client  bool // the fuzzer is the server
}

// TestConformanceFindsFaults runs cases of the table against servers and clients that are wrong in
// one way each.
func TestConformanceFindsFaults(t *testing.T) {
	t.Parallel()
	const hello = "\x81\x0dHello, world!"
	const close1000, close1002 = "\x88\x02\x03\xe8", "\x88\x02\x03\xea"
	// U+FFFE, and a close frame with 1000.
	const masked, maskedClose = "\x81\x83\x01\x02\x03\x04\xee\xbd\xbd", "\x88\x82\x05\x06\x07\x08\x06\xee"
	tests := []struct {
		name, id        string
		script          script
		behavior, close string
	}{
		{"good echo", "6.22.1", script{answers: []string{"\x81\x03\xef\xbf\xbe", close1000}}, verdictOK, verdictOK},
		{"good failure", "3.1", script{answers: []string{close1002}}, verdictOK, verdictOK},
		{"bare drop", "3.1", script{answers: []string{""}}, verdictOK, verdictOK},
		{"empty close", "3.1", script{answers: []string{"\x88\x00"}}, verdictOK, verdictOK},
		{"silence", "6.22.1", script{answers: []string{"", close1000}}, verdictFailed, verdictOK},
		{"silence instead of a close", "3.1", script{keep: true}, verdictOK, verdictFailed},
		{"other content", "6.22.1", script{answers: []string{"\x81\x03\xef\xbf\xbd", close1000}}, verdictFailed, verdictOK},
		{"other type", "6.22.1", script{answers: []string{"\x82\x03\xef\xbf\xbe", close1000}}, verdictFailed, verdictOK},
		{"echo twice", "6.22.1", script{answers: []string{"\x81\x03\xef\xbf\xbe\x81\x03\xef\xbf\xbe", close1000}}, verdictFailed, verdictOK},
		{"echo of a message that must fail", "3.1", script{answers: []string{hello + close1002}}, verdictFailed, verdictOK},
		{"failure before the echo", "3.2", script{answers: []string{close1002}}, verdictNonStrict, verdictOK},
		{"late failure", "6.4.1", script{answers: []string{"", "", "\x88\x02\x03\xef"}}, verdictNonStrict, verdictOK},
		{"early failure", "6.4.1", script{answers: []string{"\x88\x02\x03\xef"}}, verdictFailed, verdictOK},
		{"wrong code", "3.1", script{answers: []string{close1000}}, verdictOK, verdictWrongCode},
		{"wrong code back", "7.7.2", script{answers: []string{close1002}}, verdictOK, verdictWrongCode},
		{"server closes first", "6.22.1", script{answers: []string{close1000}}, verdictFailed, verdictFailed},
		{"no answer to the close", "6.22.1", script{answers: []string{"\x81\x03\xef\xbf\xbe", ""}}, verdictOK, verdictUnclean},
		{"TCP kept", "6.22.1", script{answers: []string{"\x81\x03\xef\xbf\xbe", close1000}, keep: true}, verdictOK, verdictUnclean},
		{"TCP kept after a failure", "3.1", script{answers: []string{close1002}, keep: true}, verdictOK, verdictByClient},
		{"pong after the close", "7.1.3", script{answers: []string{close1000 + "\x8a\x00"}}, verdictFailed, verdictFailed},
		{"masked echo", "6.1.1", script{answers: []string{"\x81\x80\x00\x00\x00\x00", close1000}}, verdictFailed, verdictFailed},
		{"long form of a short length", "6.1.1", script{answers: []string{"\x81\x7e\x00\x00", close1000}}, verdictFailed, verdictFailed},
		{"pong cut off", "2.2", script{answers: []string{"\x8a\x0dHello"}}, verdictFailed, verdictFailed},
		{"good client", "6.22.1", script{answers: []string{masked, maskedClose}, client: true}, verdictOK, verdictOK},
		{"good failing client", "3.1", script{answers: []string{"\x88\x82\x01\x02\x03\x04\x02\xe8"}, client: true}, verdictOK, verdictOK},
		{"client without a mask", "6.22.1", script{answers: []string{"\x81\x03\xef\xbf\xbe", maskedClose}, client: true}, verdictFailed, verdictFailed},
		{"client with one key for all", "6.22.1", script{answers: []string{masked, "\x88\x82\x01\x02\x03\x04\x02\xea"}, client: true}, verdictFailed, verdictFailed},
		{"client that keeps TCP", "6.22.1", script{answers: []string{masked, maskedClose}, client: true, keep: true}, verdictOK, verdictUnclean},
		{"client that goes on after its close", "6.22.1", script{answers: []string{masked, maskedClose + "\x8a\x80\x01\x02\x03\x04"}, client: true}, verdictFailed, verdictFailed},
		{"client that closes first", "6.22.1", script{answers: []string{maskedClose}, client: true}, verdictFailed, verdictFailed},
	}
	outcomes := make([]outcome, len(tests))
	var wg sync.WaitGroup
	for i, tt := range tests { // all at once: they mostly wait
		c, p := findCase(t, tt.id), tt.script.serve(t)
		wg.Go(func() { outcomes[i] = play(c, p, 500*time.Millisecond) })
	}
	wg.Wait()
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, o := findCase(t, tt.id), outcomes[i]
			if b, cl := c.behavior(o), c.behaviorClose(o); b != tt.behavior || cl != tt.close {
				t.Errorf("case %s: %s and %s, want %s and %s: %v", tt.id, b, cl, tt.behavior, tt.close, o)
			}
		})
	}
}

// TestConformanceNeverOpened shows the verdicts of a case for a server that refuses the handshake.
func TestConformanceNeverOpened(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	go srv.Serve(l)
	defer srv.Close()
	c := findCase(t, "7.1.3")
	s := &server{addr: l.Addr().String(), dial: func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }}
	if o := run(c, s.tryConnect); c.behavior(o) != verdictFailed || c.behaviorClose(o) != verdictFailed {
		t.Errorf("a 404 passes: %v", o)
	}
}

func findCase(t *testing.T, id string) autobahnCase {
	cases := loadCases(t)
	i := slices.IndexFunc(cases, func(c autobahnCase) bool { return c.id == id })
	if i < 0 {
		t.Fatalf("no case %s", id)
	}
	return cases[i]
}

// serve plays sc on one end of a TCP connection and returns the other. There is no handshake.
func (sc script) serve(t *testing.T) *peer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer l.Close()
		nc, err := l.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { nc.Close() })
		sc.answer(nc)
		if !sc.keep {
			nc.Close()
		}
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(nc, sc.client)
}

// answer reads the fuzzer's frames, which are all short here, and writes its answers.
func (sc script) answer(nc net.Conn) {
	br := bufio.NewReader(nc)
	for _, a := range sc.answers {
		h, err := br.Peek(2)
		if err != nil {
			return
		}
		br.Discard(2 + int(h[1]>>7*4) + int(h[1]&0x7f))
		nc.Write([]byte(a))
	}
}
