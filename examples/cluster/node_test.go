package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/examples/cluster/internal/drive"
)

// startNode starts a node by itself.
func startNode(t *testing.T, args ...string) *drive.Node {
	t.Helper()
	cluster := newCluster(t, 1, args...)
	startAll(t, cluster)
	return cluster[0]
}

func startAll(t *testing.T, cluster drive.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := cluster.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// A visitor is a client whose every message a test sees.
type visitor struct {
	*websocket.Conn
	t *testing.T
}

// visit connects, and says hello.
func visit(t *testing.T, n *drive.Node, name string) *visitor {
	t.Helper()
	return visitAs(t, n, name, rand.Text())
}

func visitAs(t *testing.T, n *drive.Node, name, secret string) *visitor {
	t.Helper()
	v := dial(t, n)
	v.ask(request{Type: "hello", Name: name, Client: secret})
	v.get("hello")
	return v
}

func dial(t *testing.T, n *drive.Node) *visitor {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial("ws://"+n.Addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return &visitor{c, t}
}

func (v *visitor) ask(req request) {
	v.t.Helper()
	if err := v.WriteJSON(req); err != nil {
		v.t.Fatal(err)
	}
}

// get returns the next answer of a kind. "here" may come at any time.
func (v *visitor) get(kind string) answer {
	v.t.Helper()
	for {
		var a answer
		if err := v.ReadJSON(&a); err != nil {
			v.t.Fatalf("waiting for %q: %v", kind, err)
		}
		switch a.Type {
		case kind:
			return a
		case "here":
		default:
			v.t.Fatalf("got %+v, want %q", a, kind)
		}
	}
}

// enter joins a room, and returns what was said there.
func (v *visitor) enter(req request) (events []event, live answer) {
	v.t.Helper()
	req.Type = "join"
	v.ask(req)
	for {
		var a answer
		if err := v.ReadJSON(&a); err != nil {
			v.t.Fatal(err)
		}
		switch a.Type {
		case "events":
			events = append(events, a.Events...)
		case "live":
			return events, a
		case "here", "reset":
		default:
			v.t.Fatalf("joining: %+v", a)
		}
	}
}

// say says something, and returns its number after it has come back.
func (v *visitor) say(room, id, text string) uint64 {
	v.t.Helper()
	v.ask(request{Type: "say", Room: room, ID: id, Text: text})
	var seq uint64
	for acked, heard := false, false; !acked || !heard; {
		var a answer
		if err := v.ReadJSON(&a); err != nil {
			v.t.Fatal(err)
		}
		switch a.Type {
		case "ack":
			acked, seq = true, a.Seq
		case "events":
			heard = heard || a.Events[0].Text == text
		case "here":
		default:
			v.t.Fatalf("saying %q: %+v", text, a)
		}
	}
	return seq
}

// What was acknowledged is repeated without effect. A client that comes back gets what is behind its
// number, once.
func TestRepeatAndResume(t *testing.T) {
	n := startNode(t)
	ann := visit(t, n, "Ann")
	ann.enter(request{Room: "tea"})
	first := ann.say("tea", "1", "one")
	ann.ask(request{Type: "say", Room: "tea", ID: "1", Text: "one"})
	if a := ann.get("ack"); a.Seq != first {
		t.Errorf("repeated: number %d, not %d", a.Seq, first)
	}
	ann.say("tea", "2", "two")

	bob := visit(t, n, "Bob")
	events, live := bob.enter(request{Room: "tea"})
	if len(events) != 2 || events[0].Text != "one" || events[0].Name != "Ann" || events[1].Prev != first || live.Seq != events[1].Seq {
		t.Errorf("a newcomer gets %+v, and is live at %d", events, live.Seq)
	}
	// The same id of another client is another message.
	bob.say("tea", "1", "three")

	eve := visit(t, n, "Eve")
	events, _ = eve.enter(request{Room: "tea", After: &first, Epoch: live.Epoch})
	if len(events) != 2 || events[0].Text != "two" || events[1].Text != "three" {
		t.Errorf("behind number %d there is %+v", first, events)
	}
	if events, _ := visit(t, n, "Zoe").enter(request{Room: "coffee"}); len(events) != 0 {
		t.Errorf("another room has %+v", events)
	}
}

// Whoever was in an empty room gets everything that was said since, and not the newest only.
func TestResumeFromAnEmptyRoom(t *testing.T) {
	n := startNode(t, "-rate", "1000000")
	_, live := visit(t, n, "Bob").enter(request{Room: "tea"})
	ann := visit(t, n, "Ann")
	ann.enter(request{Room: "tea"})
	const many = 3 * recentLength
	for i := range many {
		ann.say("tea", fmt.Sprint(i), fmt.Sprint(i))
	}
	zero := uint64(0)
	events, _ := visit(t, n, "Bob").enter(request{Room: "tea", After: &zero, Epoch: live.Epoch})
	if len(events) != many || events[0].Text != "0" {
		t.Errorf("%d messages, from %q on", len(events), events[0].Text)
	}
}

// A client whose number is not in the history any more is told so. So is one from another life of
// the stream, and one with a number that never was.
func TestResetIsSaid(t *testing.T) {
	n := startNode(t, "-rate", "1000000")
	ann := visit(t, n, "Ann")
	_, live := ann.enter(request{Room: "tea"})
	first := ann.say("tea", "first", "first")
	for i := range historyLength {
		ann.say("tea", fmt.Sprint(i), fmt.Sprint(i))
	}
	zero, never := uint64(0), uint64(1<<40)
	for name, req := range map[string]request{
		"too old":        {After: &first, Epoch: live.Epoch},
		"from the start": {After: &zero, Epoch: live.Epoch},
		"another epoch":  {After: &first, Epoch: "x"},
		"never was":      {After: &never, Epoch: live.Epoch},
	} {
		v := visit(t, n, "Bob")
		req.Type, req.Room = "join", "tea"
		v.ask(req)
		if a := v.get("reset"); a.Room != "tea" {
			t.Errorf("%s: %+v", name, a)
		}
		events := v.get("events").Events
		if len(events) < recentLength || events[len(events)-1].Text != fmt.Sprint(historyLength-1) {
			t.Errorf("%s: after the reset come %d messages", name, len(events))
		}
		v.get("live")
	}
}

// Members of a node that is killed disappear by themselves. A client that comes back is the same
// member.
func TestPresenceEndsWithTheNode(t *testing.T) {
	cluster := newCluster(t, 1, "-dir", t.TempDir(), "-presence-ttl", "2s")
	startAll(t, cluster)
	n := cluster[0]
	ann, bob := visit(t, n, "Ann"), visitAs(t, n, "Bob", "bobs-secret-of-16-letters")
	ann.enter(request{Room: "tea"})
	bob.enter(request{Room: "tea"})
	ann.seeHere(2)
	visitAs(t, n, "Bob", "bobs-secret-of-16-letters").enter(request{Room: "tea"})
	visit(t, n, "Eve").enter(request{Room: "tea"})
	ann.seeHere(3)
	bob.Close() // the newer connection has taken the place of this one
	n.Kill()
	startAll(t, cluster)
	late := visit(t, n, "Zoe")
	late.enter(request{Room: "tea"})
	late.seeHere(4)
	late.seeHere(1)
	other := visit(t, n, "Kim")
	other.enter(request{Room: "tea"})
	late.seeHere(2)
	other.ask(request{Type: "leave", Room: "tea"})
	late.seeHere(1)
}

// seeHere waits until there are so many members.
func (v *visitor) seeHere(count int) {
	v.t.Helper()
	for {
		var a answer
		if err := v.ReadJSON(&a); err != nil {
			v.t.Fatalf("waiting for %d members: %v", count, err)
		}
		if a.Type == "here" && a.Count == count {
			return
		}
	}
}

func TestMistakes(t *testing.T) {
	n := startNode(t, "-rooms", "tea,staff:secret")
	v := dial(t, n)
	wrong := func(req request, want string) {
		t.Helper()
		v.ask(req)
		if a := v.get("error"); !strings.Contains(a.Text, want) || a.Again {
			t.Errorf("%+v: %+v, want %q", req, a, want)
		}
	}
	wrong(request{Type: "join", Room: "tea"}, "hello first")
	wrong(request{Type: "hello", Name: "\x00 ", Client: rand.Text()}, "name is empty")
	wrong(request{Type: "hello", Name: strings.Repeat("ü", 21), Client: rand.Text()}, "21 characters")
	wrong(request{Type: "hello", Name: "Ann", Client: "short"}, "16 to 64")
	v.ask(request{Type: "hello", Name: "Ann", Client: rand.Text()})
	v.get("hello")
	wrong(request{Type: "what"}, "no such request")
	wrong(request{Type: "say", Room: "tea", ID: "1", Text: "x"}, "not in this room")
	for _, room := range []string{"", ">", "*", "a.b", "a b", "é", strings.Repeat("x", 33)} {
		wrong(request{Type: "join", Room: room}, "letters, digits")
	}
	wrong(request{Type: "join", Room: "coffee"}, "no such room")
	wrong(request{Type: "join", Room: "staff"}, "no such room, or the key is wrong")
	wrong(request{Type: "join", Room: "staff", Key: "guess"}, "no such room, or the key is wrong")
	v.enter(request{Room: "staff", Key: "secret"})

	v = visit(t, n, "Ann") // with a new budget
	v.enter(request{Room: "tea"})
	wrong(request{Type: "join", Room: "tea"}, "are in this room")
	wrong(request{Type: "say", Room: "tea", ID: "", Text: "x"}, "id must have")
	wrong(request{Type: "say", Room: "tea", ID: "a.b", Text: "x"}, "id must have")
	wrong(request{Type: "say", Room: "tea", ID: "1", Text: " \x07"}, "text is empty")
	wrong(request{Type: "say", Room: "tea", ID: "1", Text: strings.Repeat("x", longestText+1)}, "1001 characters")
	v.say("tea", "1", strings.Repeat("ü", longestText))
	v.WriteMessage(websocket.TextMessage, []byte("not JSON"))
	if a := v.get("error"); !strings.Contains(a.Text, "not understood") {
		t.Errorf("%+v", a)
	}
	v.WriteMessage(websocket.TextMessage, make([]byte, readLimit+1))
	if _, _, err := v.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("a message of %d bytes: %v", readLimit+1, err)
	}
}

// Who asks too much is asked to wait, and closed in the end.
func TestFlood(t *testing.T) {
	n := startNode(t)
	v := visit(t, n, "Ann")
	v.enter(request{Room: "tea"})
	go func() {
		for {
			if v.WriteJSON(request{Type: "ping"}) != nil {
				return
			}
		}
	}()
	refused := 0
	for {
		_, data, err := v.ReadMessage()
		if err != nil {
			if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) || refused < mostRefused {
				t.Errorf("after %d refusals: %v", refused, err)
			}
			return
		}
		var a answer
		if json.Unmarshal(data, &a); a.Type == "error" && a.Again {
			refused++
		}
	}
}

// A node that ends refuses newcomers, tells load balancers, and sends its clients away with 1012.
func TestDrain(t *testing.T) {
	n := startNode(t, "-drain-delay", "2s", "-spread", "100ms")
	v := visit(t, n, "Ann")
	v.enter(request{Room: "tea"})
	ended := make(chan struct{})
	go func() {
		n.Stop()
		close(ended)
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get("http://" + n.Addr + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusServiceUnavailable {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the node is still ready")
		}
	}
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+n.Addr+"/ws", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a newcomer: %v", err)
	}
	for {
		if _, _, err := v.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
				t.Errorf("the client is sent away with %v", err)
			}
			break
		}
	}
	<-ended
}

// Pages of the other nodes may connect, and others may not.
func TestOrigins(t *testing.T) {
	n := startNode(t)
	for origin, want := range map[string]bool{"http://" + n.Addr: true, "http://evil.example": false} {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+n.Addr+"/ws", http.Header{"Origin": {origin}})
		if (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
		if c != nil {
			c.Close()
		}
	}
}

func TestFlags(t *testing.T) {
	for line, want := range map[string]string{
		"-cluster localhost:1":                           "belong together",
		"-cluster localhost:1 -join localhost:1":         "needs -dir",
		"-cluster 10.0.0.1:1 -join 10.0.0.1:1 -dir x":    "CLUSTER_SECRET",
		"-nats x -cluster localhost:1 -join localhost:1": "of its own",
		"-rooms a.b":          "no name",
		"-addr nonsense":      "missing port",
		"-presence-ttl 10ms":  "at least 1s",
		"what":                "no flag",
		"-rooms tea,staff:xy": "",
	} {
		_, _, _, err := parseFlags(strings.Fields(line))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
