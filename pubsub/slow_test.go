package pubsub_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// A dropCount is a Trace's function that counts.
type dropCount struct{ messages, bytes atomic.Int64 }

func (d *dropCount) trace() *websocket.Trace {
	return &websocket.Trace{Dropped: func(_ *websocket.Conn, messages, bytes int) {
		d.messages.Add(int64(messages))
		d.bytes.Add(int64(bytes))
	}}
}

// size is how long the messages of these tests are: many of them fill the transport in memory,
// which holds 2 MiB.
const size = 64 << 10

// numbers returns the numbers of the messages, which began with them.
func numbers(texts []string) (n []int) {
	for _, text := range texts {
		var i int
		fmt.Sscanf(text, "%d", &i)
		n = append(n, i)
	}
	return n
}

// A member that reads nothing is closed with 1013, and leaves, while another one loses nothing. The
// peer finds the close frame behind what was sent before.
func TestSlowMemberIsClosed(t *testing.T) {
	var drops dropCount
	closed := make(chan string, 1)
	topics := pubsub.Topics{Closed: func(topic string) { closed <- topic }}
	slow, slowServer := served(t, websocket.Upgrader{QueueLimit: 4 * size, Trace: drops.trace()}, nil)
	healthy, healthyServer := pair(t)
	topics.Subscribe(slowServer, "x")
	topics.Subscribe(slowServer, "of the slow one")
	topics.Subscribe(healthyServer, "x")
	const n = 200
	published := 0 // while the slow one was a member
	for i := range n {
		text := long(fmt.Sprint(i, " "), size)
		if topics.Len("x") == 2 {
			published++
		}
		topics.Publish("x", prepare(text))
		wants(t, healthy, text)
		until(t, "all is handed over", func() bool { return topics.Stats().Backlog == 0 })
	}
	if topic := <-closed; topic != "of the slow one" || topics.Len("x") != 1 {
		t.Errorf("%q was closed, and x has %d members", topic, topics.Len("x"))
	}
	slow.SetReadDeadline(time.Now().Add(20 * time.Second))
	got := 0
	for {
		_, _, err := slow.ReadMessage()
		if err != nil {
			if !websocket.IsCloseError(err, websocket.CloseTryAgainLater) {
				t.Errorf("the slow one reads %v, want 1013", err)
			}
			break
		}
		got++
	}
	stats := topics.Stats()
	if stats.Closed != 1 || stats.Published != n || int(stats.Dropped) != published-got {
		t.Errorf("%+v, and the slow one got %d of %d messages", stats, got, published)
	}
	if drops.messages.Load() != stats.Dropped || drops.bytes.Load() != stats.Dropped*size {
		t.Errorf("the Trace knows of %d messages, %d bytes: %+v", drops.messages.Load(), drops.bytes.Load(), stats)
	}
}

// A member that is closed gets none of the messages that wait in its shard, and each is counted.
func TestMessagesForMembersThatEndAreCounted(t *testing.T) {
	for _, end := range []string{"slow", "closed", "its peer closed"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testMessagesForMembersThatEnd(t, end) })
		})
	}
}

func testMessagesForMembersThatEnd(t *testing.T, end string) {
	var drops dropCount
	asked, answer := make(chan bool), make(chan bool)
	topics := pubsub.Topics{Slow: func(*websocket.Conn, string, *websocket.PreparedMessage) pubsub.Verdict {
		asked <- true
		<-answer
		return pubsub.CloseSlow
	}}
	client, server := served(t, websocket.Upgrader{QueueLimit: 1, QueueTimeout: -1, Trace: drops.trace()}, nil)
	topics.Subscribe(server, "x")
	published := 0
	for held := false; !held; published++ {
		topics.Publish("x", prepare(long(fmt.Sprint(published), size)))
		synctest.Wait()
		select {
		case <-asked:
			held = true
		default:
		}
	}
	const more = 7 // in the shard, behind the one about which Slow is asked
	for range more {
		topics.Publish("x", prepare("hello"))
		published++
	}
	switch end {
	case "closed":
		server.Close()
	case "its peer closed":
		client.Close()
	}
	synctest.Wait()
	answer <- true
	got := 0
	for client.SetReadDeadline(time.Now().Add(time.Minute)); ; got++ {
		if _, _, err := client.ReadMessage(); err != nil {
			break
		}
	}
	synctest.Wait()
	if s := topics.Stats(); s.Dropped < more+1 || s.Backlog != 0 || end == "slow" && drops.messages.Load() != s.Dropped {
		t.Errorf("the Trace knows of %d: %+v", drops.messages.Load(), s)
	}
	// What a transport has taken, nobody knows to be lost when the peer is gone.
	if lost := int64(published - got); drops.messages.Load() != lost && end != "its peer closed" {
		t.Errorf("the Trace knows of %d messages, and %d did not arrive", drops.messages.Load(), lost)
	}
}

// A slow member whose peer never answers is cut off.
func TestSlowMemberThatDoesNotAnswerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topics pubsub.Topics
		_, server := served(t, websocket.Upgrader{QueueLimit: size, QueueTimeout: -1}, nil)
		topics.Subscribe(server, "x")
		for range 100 {
			topics.Publish("x", prepare(long("", size)))
		}
		synctest.Wait()
		start := time.Now()
		<-server.Context().Done()
		if d := time.Since(start); d > 6*time.Second || topics.Stats().Closed != 1 {
			t.Errorf("it was cut off after %v: %+v", d, topics.Stats())
		}
	})
}

func TestDropNewestAndOldest(t *testing.T) {
	for name, verdict := range map[string]pubsub.Verdict{"newest": pubsub.DropNewest, "oldest": pubsub.DropOldest} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testDrop(t, verdict) })
		})
	}
}

func testDrop(t *testing.T, verdict pubsub.Verdict) {
	var drops dropCount
	asked := 0
	client, server := served(t, websocket.Upgrader{QueueLimit: 10 * size, QueueTimeout: -1, Trace: drops.trace()}, nil)
	topics := pubsub.Topics{Slow: func(c *websocket.Conn, topic string, pm *websocket.PreparedMessage) pubsub.Verdict {
		asked++
		if c != server || topic != "x" || pm.Len() != size {
			t.Errorf("asked about %q, a message of %d bytes", topic, pm.Len())
		}
		return verdict
	}}
	topics.Subscribe(server, "x")
	const n = 100
	for i := range n {
		topics.Publish("x", prepare(long(fmt.Sprint(i, " "), size)))
		synctest.Wait()
	}
	got := make(chan []string)
	go func() {
		texts, err := collect(client)
		if err != nil {
			t.Error(err)
		}
		got <- texts
	}()
	synctest.Wait()
	topics.Publish("x", prepare("end"))
	received := numbers(<-got)
	dropped := n - len(received)
	if stats := topics.Stats(); int64(dropped) != stats.Dropped || int64(dropped) != drops.messages.Load() || drops.bytes.Load() != int64(dropped*size) {
		t.Errorf("%d were dropped, the Trace knows of %d: %+v", dropped, drops.messages.Load(), stats)
	}
	if dropped == 0 || asked != dropped || !slices.IsSorted(received) || received[0] != 0 {
		t.Errorf("asked %d times, received %v", asked, received)
	}
	if hasLast := slices.Contains(received, n-1); hasLast != (verdict == pubsub.DropOldest) {
		t.Errorf("received %v", received)
	}
}

// Of the messages with one key that wait, only the last is sent, in the place of the first.
func TestPublishLatest(t *testing.T) {
	var topics pubsub.Topics
	client, server := served(t, websocket.Upgrader{QueueLimit: 4 << 20, QueueTimeout: -1}, nil)
	topics.Subscribe(server, "x")
	topics.Subscribe(server, "y")
	for range 40 { // the transport is full behind these
		topics.Publish("x", prepare(long("filler", size)))
	}
	const n = 1000
	for i := range n {
		topics.PublishLatest("x", "a", prepare(fmt.Sprint("a", i)))
		topics.PublishLatest("x", "b", prepare(fmt.Sprint("b", i)))
		topics.PublishLatest("y", "a", prepare(fmt.Sprint("another topic's a", i)))
		if i == n/2 {
			topics.Publish("x", prepare("between"))
		}
	}
	topics.Publish("x", prepare("end"))
	until(t, "all is handed over", func() bool { return topics.Stats().Backlog == 0 })
	got, err := collect(client)
	if err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "filler") })
	want := []string{"a999", "b999", "another topic's a999", "between"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := topics.Stats(); s.Replaced != 3*(n-1) || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPublishLatestRefusesKeys(t *testing.T) {
	var topics pubsub.Topics
	client, server := pair(t)
	topics.Subscribe(server, "x")
	for _, key := range []any{nil, []int{1}, func() {}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a key of type %T is accepted", key)
				}
			}()
			topics.PublishLatest("x", key, prepare("hello"))
		}()
	}
	topics.PublishLatest("x", [2]int{1, 2}, prepare("hello"))
	wants(t, client, "hello")
}

// A control message is published too. That one has no key.
func TestPublishControl(t *testing.T) {
	var topics pubsub.Topics
	client, server := pair(t)
	topics.Subscribe(server, "x")
	pings := make(chan string, 2)
	client.SetPingHandler(func(data string) error { pings <- data; return nil })
	ping, _ := websocket.NewPreparedMessage(websocket.PingMessage, []byte("p"))
	goodbye, _ := websocket.NewPreparedMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "enough"))
	topics.PublishLatest("x", "key", ping)
	topics.Publish("x", goodbye)
	if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, 4000) || <-pings != "p" {
		t.Errorf("read %v", err)
	}
}

// Publish does not wait for a goroutine that sends, until more than Backlog waits. Then it is held
// for a second, and what it drops is counted.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, asked := make(chan bool), make(chan bool, 1)
		topics := pubsub.Topics{Backlog: 10_000, Slow: func(*websocket.Conn, string, *websocket.PreparedMessage) pubsub.Verdict {
			select {
			case asked <- true:
				<-stuck
			default:
			}
			return pubsub.DropNewest
		}}
		var drops dropCount
		client, server := served(t, websocket.Upgrader{QueueLimit: 1, QueueTimeout: -1, Trace: drops.trace()}, nil)
		_, other := served(t, websocket.Upgrader{QueueTimeout: -1, Trace: drops.trace()}, nil)
		topics.Subscribe(server, "x")
		fill := 0
		for ; len(asked) == 0; fill++ {
			topics.Publish("x", prepare(long(fmt.Sprint(fill), size)))
			synctest.Wait()
		}
		topics.Subscribe(other, "x")
		before, traced, bytes := topics.Stats(), drops.messages.Load(), drops.bytes.Load()
		start := time.Now()
		for topics.Stats().Backlog <= 10_000 {
			topics.Publish("x", prepare("waits"))
		}
		if held := time.Since(start); held > 0 {
			t.Errorf("publishers were held for %v", held)
		}
		calls := topics.Stats().Published
		topics.Publish("x", prepare("too much"), other)
		after := topics.Stats()
		if held := time.Since(start); held != time.Second || after.Dropped != before.Dropped+1 || after.Published != calls+1 {
			t.Errorf("held for %v, %+v, before %+v", held, after, before)
		}
		if n, b := drops.messages.Load()-traced, drops.bytes.Load()-bytes; n != 1 || b != int64(len("too much")) {
			t.Errorf("the Trace knows of %d messages, %d bytes", n, b)
		}
		published := make(chan bool)
		go func() {
			topics.Publish("x", prepare("end"))
			close(published)
		}()
		synctest.Wait()
		close(stuck)
		go func() {
			for {
				if _, _, err := client.ReadMessage(); err != nil {
					return
				}
			}
		}()
		<-published
		synctest.Wait()
		if held := time.Since(start); held != time.Second {
			t.Errorf("a publisher was held though there was room again, for %v", held)
		}
		if s := topics.Stats(); s.Backlog != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Compressed members get one frame for each setting. A message that was dropped is not in the
// window that later ones refer to: the peer could not inflate them.
func TestCompressedMembers(t *testing.T) {
	topics := pubsub.Topics{Slow: func(*websocket.Conn, string, *websocket.PreparedMessage) pubsub.Verdict { return pubsub.DropOldest }}
	compression := func(window int, takeover bool) *websocket.Compression {
		return &websocket.Compression{WindowBits: window, NoContextTakeover: !takeover}
	}
	for _, window := range []int{9, 15} {
		for _, takeover := range []bool{true, false} {
			t.Run(fmt.Sprintf("window %d, takeover %v", window, takeover), func(t *testing.T) {
				client, server := served(t, websocket.Upgrader{QueueLimit: 5 * size, QueueTimeout: -1, Compression: compression(window, takeover)},
					func(d *websocket.Dialer) { d.Compression = compression(window, takeover) })
				topics.Subscribe(server, "x")
				checkCompressed(t, &topics, client, server)
			})
		}
	}
}

func checkCompressed(t *testing.T, topics *pubsub.Topics, client, server *websocket.Conn) {
	before := topics.Stats().Dropped
	random := func(i int) string { // cannot be compressed much, and has much in common with the one before
		b := make([]byte, size)
		x := uint32(i/2 + 1)
		for j := range b {
			x = x*1664525 + 1013904223
			b[j] = ' ' + byte(x>>24)%90
		}
		return fmt.Sprint(i, " ", string(b))
	}
	const n = 120
	for i := range n {
		topics.Publish("x", prepare(random(i)))
		if i%10 == 0 {
			server.Enqueue(websocket.TextMessage, []byte(random(i))) // refers to what was sent before
		}
	}
	until(t, "all is handed over", func() bool { return topics.Stats().Backlog == 0 })
	var wg sync.WaitGroup
	var got []string
	wg.Go(func() {
		var err error
		if got, err = collect(client); err != nil {
			t.Error(err)
		}
	})
	until(t, "the queue is empty", func() bool { messages, _, _ := server.Queued(); return messages == 0 })
	topics.Publish("x", prepare("end"))
	wg.Wait()
	for _, text := range got {
		if i := numbers([]string{text})[0]; text != random(i) {
			t.Fatalf("message %d came in another form", i)
		}
	}
	if topics.Stats().Dropped == before || len(got) < 6 {
		t.Errorf("%d messages came, %d were dropped", len(got), topics.Stats().Dropped-before)
	}
}

// A Slow that ends its goroutine, as a test's FailNow does, holds up nobody else.
func TestSlowThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := pubsub.Topics{Slow: func(*websocket.Conn, string, *websocket.PreparedMessage) pubsub.Verdict {
			runtime.Goexit()
			panic("not reached")
		}}
		const n = 100
		var healthy []*websocket.Conn
		for i := range 9 {
			client, server := served(t, websocket.Upgrader{QueueLimit: size, QueueTimeout: -1}, nil)
			topics.Subscribe(server, "x")
			if i%3 != 0 { // the others read nothing
				healthy = append(healthy, client)
			}
		}
		for i := range n {
			text := long(fmt.Sprint(i, " "), size)
			topics.Publish("x", prepare(text))
			for _, c := range healthy {
				wants(t, c, text)
			}
			synctest.Wait()
		}
		if stats := topics.Stats(); stats.Backlog != 0 || stats.Delivered < n*int64(len(healthy)) {
			t.Errorf("%+v", stats)
		}
	})
}
