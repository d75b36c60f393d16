package pubsub_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

func TestSubscribe(t *testing.T) {
	var topics pubsub.Topics
	client, a := pair(t)
	_, b := pair(t)
	if topics.Len("x") != 0 || topics.Unsubscribe(a, "x") || len(slices.Collect(topics.Members("x"))) != 0 {
		t.Error("the zero value has members")
	}
	topics.Publish("x", prepare("nobody"))
	if !topics.Subscribe(a, "x") || topics.Subscribe(a, "x") || !topics.Subscribe(b, "x") || !topics.Subscribe(a, "") {
		t.Error("Subscribe does not say who was a member")
	}
	if n := topics.Len("x"); n != 2 {
		t.Errorf("%d members, want 2", n)
	}
	members := slices.Collect(topics.Members("x"))
	if len(members) != 2 || !slices.Contains(members, a) || !slices.Contains(members, b) {
		t.Errorf("members: %v", members)
	}
	if names := slices.Sorted(topics.Of(a)); !slices.Equal(names, []string{"", "x"}) {
		t.Errorf("topics: %q", names)
	}
	if !topics.Unsubscribe(a, "x") || topics.Unsubscribe(a, "x") || topics.Unsubscribe(a, "y") {
		t.Error("Unsubscribe does not say who was a member")
	}
	if names := slices.Collect(topics.Of(a)); len(names) != 1 || topics.Len("x") != 1 || topics.Len("") != 1 {
		t.Errorf("topics: %q", names)
	}
	topics.Publish("x", prepare("not for a"))
	topics.Publish("", prepare("for a"))
	wants(t, client, "for a")
	topics.Unsubscribe(a, "")
	topics.Unsubscribe(b, "x")
	if s := topics.Stats(); s.Topics != 0 || s.Members != 0 {
		t.Errorf("at the end: %+v", s)
	}
}

func TestPublishExcept(t *testing.T) {
	var topics pubsub.Topics
	clients, servers := make([]*websocket.Conn, 12), make([]*websocket.Conn, 12)
	for i := range clients {
		clients[i], servers[i] = pair(t)
		topics.Subscribe(servers[i], "x")
	}
	one, many := []*websocket.Conn{servers[0]}, servers[1:]
	topics.Publish("x", prepare("all but the first"), one...)
	one[0] = servers[5] // the slice is the caller's again
	topics.Publish("x", prepare("the first only"), slices.Clone(many)...)
	topics.Publish("x", prepare("end"))
	for i, c := range clients {
		want := "all but the first"
		if i == 0 {
			want = "the first only"
		}
		if got, err := collect(c); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%d got %q, %v", i, got, err)
		}
	}
}

func TestMembersMayChangeWhileTheyAreVisited(t *testing.T) {
	var topics pubsub.Topics
	for range 10 {
		_, c := pair(t)
		topics.Subscribe(c, "x")
	}
	n := 0
	for c := range topics.Members("x") {
		topics.Unsubscribe(c, "x")
		for other := range topics.Members("x") {
			topics.Unsubscribe(other, "x")
			break
		}
		n++
	}
	if n != 5 || topics.Len("x") != 0 {
		t.Errorf("visited %d, and %d are left", n, topics.Len("x"))
	}
}

// Two connections that get many messages of many publishers on two topics get all in one order, and
// those of one publisher in its own.
func TestOrder(t *testing.T) {
	var topics pubsub.Topics
	const members, publishers, messages = 5, 4, 200
	var clients []*websocket.Conn
	for range members {
		client, server := pair(t)
		topics.Subscribe(server, "x")
		topics.Subscribe(server, "y")
		clients = append(clients, client)
	}
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := range messages {
				topics.Publish("xy"[i%2:][:1], prepare(fmt.Sprintf("%d %d", p, i)))
			}
		})
	}
	go func() {
		publishing.Wait()
		topics.Publish("x", prepare("end"))
	}()
	var first []string
	for i, c := range clients {
		got, err := collect(c)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if !slices.Equal(got, first) {
			t.Errorf("member %d got another order", i)
		}
	}
	next := make([]int, publishers)
	for _, m := range first {
		var p, i int
		if fmt.Sscan(m, &p, &i); i != next[p] {
			t.Fatalf("%q comes, and %d is expected", m, next[p])
		}
		next[p]++
	}
	if len(first) != publishers*messages {
		t.Errorf("%d messages, want %d", len(first), publishers*messages)
	}
}

func TestAConnectionThatEndsLeaves(t *testing.T) {
	ends := map[string]func(client, server *websocket.Conn){
		"Close":            func(_, server *websocket.Conn) { server.Close() },
		"the peer's Close": func(client, _ *websocket.Conn) { client.Close() },
		"Shutdown": func(client, server *websocket.Conn) {
			go client.ReadMessage()
			server.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			closed := make(chan string, 2)
			topics := pubsub.Topics{Closed: func(topic string) { closed <- topic }}
			client, server := pair(t)
			topics.Subscribe(server, "x")
			topics.Subscribe(server, "y")
			end(client, server)
			if got := []string{<-closed, <-closed}; !slices.Contains(got, "x") || !slices.Contains(got, "y") {
				t.Errorf("closed: %q", got)
			}
			if s := topics.Stats(); s.Topics != 0 || s.Members != 0 {
				t.Errorf("after the end: %+v", s)
			}
			if topics.Subscribe(server, "x") {
				t.Error("a connection that has ended became a member")
			}
		})
	}
}

// Opened and Closed come in turn and never overlap, for each topic, whatever happens at the same
// time. At the end they have told how things are.
func TestOpenedAndClosedNeverOverlap(t *testing.T) {
	var mu sync.Mutex
	inside, open := make(map[string]bool), make(map[string]bool)
	var topics pubsub.Topics
	hook := func(opened bool) func(string) {
		return func(topic string) {
			mu.Lock()
			if inside[topic] {
				t.Errorf("%s: one call overlaps another", topic)
			}
			if open[topic] == opened {
				t.Errorf("%s: opened is %v twice", topic, opened)
			}
			inside[topic], open[topic] = true, opened
			mu.Unlock()
			topics.Publish(topic, prepare("from a hook"))
			time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
			mu.Lock()
			inside[topic] = false
			mu.Unlock()
		}
	}
	topics.Opened, topics.Closed = hook(true), hook(false)
	var wg sync.WaitGroup
	for range 8 {
		client, c := pair(t)
		go func() {
			for {
				if _, _, err := client.ReadMessage(); err != nil {
					return
				}
			}
		}()
		wg.Go(func() {
			for range 300 {
				topic := "abc"[rand.IntN(3):][:1]
				if rand.IntN(2) == 0 {
					topics.Subscribe(c, topic)
				} else {
					topics.Unsubscribe(c, topic)
				}
			}
			c.Close()
		})
	}
	wg.Wait()
	until(t, "everybody has left, and Closed has told so", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return topics.Stats().Topics == 0 && !slices.Contains(slices.Collect(maps.Values(open)), true) &&
			!slices.Contains(slices.Collect(maps.Values(inside)), true)
	})
}

func TestOpenedAndClosedMayUseTheTopic(t *testing.T) {
	var topics pubsub.Topics
	client, server := pair(t)
	var calls []string
	topics.Opened = func(topic string) {
		calls = append(calls, "opened "+topic)
		topics.Publish(topic, prepare("opened"))
		if topic == "x" {
			topics.Subscribe(server, "y")
			topics.Unsubscribe(server, "x")
		}
	}
	topics.Closed = func(topic string) {
		calls = append(calls, "closed "+topic)
		if topic == "x" && len(calls) < 5 {
			topics.Subscribe(server, "x")
		}
	}
	topics.Subscribe(server, "x")
	want := "opened x, opened y, closed x, opened x, closed x"
	if got := strings.Join(calls, ", "); got != want {
		t.Errorf("calls: %s; want %s", got, want)
	}
	wants(t, client, "opened", "opened", "opened")
}

func TestAHookThatPanics(t *testing.T) {
	var topics pubsub.Topics
	var closed atomic.Int32
	topics.Opened = func(string) { panic("Opened") }
	topics.Closed = func(string) { closed.Add(1) }
	_, server := pair(t)
	func() {
		defer func() { recover() }()
		topics.Subscribe(server, "x")
	}()
	if topics.Len("x") != 1 || !topics.Unsubscribe(server, "x") || closed.Load() != 1 || topics.Stats().Topics != 0 {
		t.Errorf("after a panic: %d members, Closed was called %d times", topics.Len("x"), closed.Load())
	}
}

// Nothing runs while nothing is published, and no goroutine belongs to a member.
func TestIdleTopicsHaveNoGoroutine(t *testing.T) {
	const n = 100
	var topics pubsub.Topics
	var clients, servers []*websocket.Conn
	for range n {
		client, server := pair(t)
		clients, servers = append(clients, client), append(servers, server)
	}
	before := runtime.NumGoroutine()
	for _, c := range servers {
		topics.Subscribe(c, "x")
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines for %d members", now-before, n)
	}
	topics.Publish("x", prepare("hello"))
	for _, c := range clients {
		wants(t, c, "hello")
	}
	if !settles(before) {
		t.Errorf("%d goroutines are left after a message", runtime.NumGoroutine()-before)
	}
}

// A member of one topic, whose connection has nothing else, costs less than 400 bytes.
func TestMemoryOfAMember(t *testing.T) {
	const n = 10_000
	var topics pubsub.Topics
	clients, servers := make([]*websocket.Conn, n), make([]*websocket.Conn, n)
	for i := range n {
		clients[i], servers[i] = pair(t)
	}
	before := settledHeap()
	for _, c := range servers {
		topics.Subscribe(c, "x")
	}
	one := settledHeap()
	for _, c := range servers {
		topics.Subscribe(c, "y")
	}
	two := settledHeap()
	t.Logf("%d bytes for a member, %d for its second topic", (one-before)/n, (two-one)/n)
	if member := (one - before) / n; member <= 0 || member > 400 {
		t.Errorf("a member costs %d bytes", member)
	}
	start := time.Now()
	topics.Publish("x", prepare("hello"))
	if held := time.Since(start); held > time.Second {
		t.Errorf("Publish took %v", held)
	}
	for _, c := range clients {
		wants(t, c, "hello")
	}
	for _, c := range servers {
		c.Close()
	}
	until(t, "all members have left", func() bool { return topics.Stats().Members == 0 })
}

// settledHeap returns the bytes of the heap that are in use, once earlier tests have left it.
func settledHeap() int {
	var m runtime.MemStats
	for before := uint64(0); ; before = m.HeapAlloc {
		runtime.GC()
		runtime.GC()
		if runtime.ReadMemStats(&m); before != 0 && m.HeapAlloc+64<<10 >= before {
			return int(m.HeapAlloc)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
