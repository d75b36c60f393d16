package otelwebsocket_test

import (
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// What waits for a slow peer is seen while it waits, and what is dropped is counted, by the
// connection and by its Topics.
func TestQueueAndDrops(t *testing.T) {
	const size = 1 << 20
	m := newMeter(t)
	topics := &pubsub.Topics{Slow: func(*websocket.Conn, string, *websocket.PreparedMessage) pubsub.Verdict { return pubsub.DropNewest }}
	m.ObserveTopics(topics)
	srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil), QueueLimit: 2 * size, QueueTimeout: -1})
	srv.OnOpen = func(c *websocket.Conn, _ *http.Request) { topics.Subscribe(c, "feed") }
	nc := rawDial(t, serve(t, srv))
	m.expect(t, "websocket.pubsub.", map[string]int64{"topics": 1, "members": 1})

	pm, err := websocket.NewPreparedMessage(websocket.BinaryMessage, make([]byte, size))
	if err != nil {
		t.Fatal(err)
	}
	const published = 50 // more than the kernel holds
	for range published {
		topics.Publish("feed", pm)
	}
	m.expect(t, "websocket.server.queue.", map[string]int64{"messages": 2, "size": 2 * size})
	m.expect(t, "websocket.pubsub.backlog", map[string]int64{}) // all are handed over
	values := m.values(t)
	dropped := values["websocket.server.dropped.messages"]
	delivered := values["websocket.pubsub.delivered.messages"]
	if dropped == 0 || dropped+delivered != published || values["websocket.server.dropped.size"] != dropped*size ||
		values["websocket.pubsub.dropped.messages"] != dropped || values["websocket.pubsub.published.messages"] != published {
		t.Errorf("%d messages were published:%s", published, listing(values))
	}

	nc.Close() // the queue is dropped with the connection
	m.expect(t, "websocket.server.queue.", map[string]int64{})
	m.expect(t, "websocket.server.dropped.", map[string]int64{"messages": dropped + 2, "size": (dropped + 2) * size})
	m.expect(t, "websocket.pubsub.dropped", map[string]int64{".messages": dropped})
	m.expect(t, "websocket.pubsub.members", map[string]int64{})
}

// A slow member that is closed is seen, too.
func TestSlowMember(t *testing.T) {
	m := newMeter(t)
	topics := new(pubsub.Topics)
	m.ObserveTopics(topics)
	srv := echoServer(websocket.Upgrader{Trace: m.ServerTrace(nil), QueueLimit: 1})
	srv.OnOpen = func(c *websocket.Conn, _ *http.Request) { topics.Subscribe(c, "feed") }
	rawDial(t, serve(t, srv))
	m.expect(t, "websocket.pubsub.members", map[string]int64{"": 1})
	pm, err := websocket.NewPreparedMessage(websocket.BinaryMessage, make([]byte, 16<<20))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		topics.Publish("feed", pm)
	}
	m.expect(t, "websocket.pubsub.closed", map[string]int64{".members": 1})
	m.expect(t, "websocket.pubsub.members", map[string]int64{})
}

// Topics with the same attributes are added up, and each is counted once.
func TestTopicsAttributes(t *testing.T) {
	m := newMeter(t)
	rooms, more, feeds := new(pubsub.Topics), new(pubsub.Topics), new(pubsub.Topics)
	kind := func(s string) attribute.KeyValue { return attribute.String("kind", s) }
	m.ObserveTopics(rooms, kind("rooms"))
	m.ObserveTopics(rooms, kind("rooms"))
	m.ObserveTopics(more, kind("rooms"))
	m.ObserveTopics(feeds, kind("feeds"))
	pm, err := websocket.NewPreparedMessage(websocket.TextMessage, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, topics := range []*pubsub.Topics{rooms, more, feeds} {
		topics.Publish("nobody", pm)
	}
	m.expect(t, "websocket.pubsub.", map[string]int64{
		"published.messages{kind=rooms}": 2,
		"published.messages{kind=feeds}": 1,
	})
}
