package otelwebsocket

import (
	"context"
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/plainsocket/websocket"
)

const (
	received = iota
	sent
	directions
)

const (
	text = iota
	binary
	messageTypes
)

// A recorder counts for all connections of one side that have the same attributes. The functions of
// its Trace are called for each frame. So they only add to integers, which observe reads.
type recorder struct {
	side      *sideInstruments
	attrs     attribute.Set
	closeCode func(int) string
	trace     websocket.Trace
	open      openConns

	messages        [directions][messageTypes]atomic.Int64
	bytes           [directions]atomic.Int64
	droppedMessages atomic.Int64
	droppedBytes    atomic.Int64

	plain     metric.MeasurementOption // attrs alone
	typed     [directions][messageTypes]metric.MeasurementOption
	directed  [directions]metric.MeasurementOption
	outcomeMu sync.Mutex // guards outcomes
	outcomes  map[outcome]metric.MeasurementOption
}

func newRecorder(side *sideInstruments, attrs attribute.Set, closeCode func(int) string) *recorder {
	r := &recorder{side: side, attrs: attrs, closeCode: closeCode, outcomes: make(map[outcome]metric.MeasurementOption)}
	r.plain = r.with()
	for d, direction := range [directions]string{received: "receive", sent: "transmit"} {
		io := attribute.String("network.io.direction", direction)
		r.directed[d] = r.with(io)
		for t, messageType := range [messageTypes]string{text: "text", binary: "binary"} {
			r.typed[d][t] = r.with(io, attribute.String("websocket.message.type", messageType))
		}
	}
	r.trace = websocket.Trace{
		Handshake: r.handshake,
		Frame:     r.frame,
		Payload:   r.payload,
		Dropped:   r.dropped,
		Closed:    r.closed,
	}
	r.open.init()
	return r
}

// with returns the recorder's attributes and further ones. If both have a key, the further one
// counts.
func (r *recorder) with(further ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(r.attrs.ToSlice(), further...)...))
}

func (r *recorder) handshake(c *websocket.Conn, request *http.Request, _ []byte, err error) {
	ctx := context.Background()
	if request != nil {
		ctx = request.Context()
	}
	r.side.handshakes.Add(ctx, 1, r.option(handshakeOutcome(err)))
	if err == nil {
		r.open.add(c)
	}
}

func (r *recorder) frame(_ *websocket.Conn, f websocket.Frame) {
	d, n := received, int64(len(f.Header)) // what comes behind a received header is counted when it comes
	if f.Sent {
		d, n = sent, n+f.Length
	}
	r.bytes[d].Add(n)
	switch f.Opcode {
	case websocket.TextMessage:
		r.messages[d][text].Add(1)
	case websocket.BinaryMessage:
		r.messages[d][binary].Add(1)
	}
}

// payload counts the bytes that were received. The length in a header is only what the peer says.
func (r *recorder) payload(_ *websocket.Conn, wasSent bool, p []byte) {
	if !wasSent {
		r.bytes[received].Add(int64(len(p)))
	}
}

func (r *recorder) dropped(_ *websocket.Conn, messages, bytes int) {
	r.droppedMessages.Add(int64(messages))
	r.droppedBytes.Add(int64(bytes))
}

func (r *recorder) closed(c *websocket.Conn, err error) {
	if duration, ok := r.open.remove(c); ok {
		r.side.duration.Record(context.Background(), duration.Seconds(), r.option(closeOutcome(err, r.closeCode)))
	}
}

// option returns the attributes of an outcome. There are few outcomes, and each is made once.
func (r *recorder) option(o outcome) metric.MeasurementOption {
	r.outcomeMu.Lock()
	defer r.outcomeMu.Unlock()
	option := r.outcomes[o]
	if option == nil {
		option = r.with(o.attributes()...)
		r.outcomes[o] = option
	}
	return option
}

// observe reports what was counted.
func (r *recorder) observe(o metric.Observer) {
	open, waiting, waitingBytes := r.open.survey()
	o.ObserveInt64(r.side.active, open, r.plain)
	o.ObserveInt64(r.side.queueMessages, waiting, r.plain)
	o.ObserveInt64(r.side.queueSize, waitingBytes, r.plain)
	o.ObserveInt64(r.side.droppedMessages, r.droppedMessages.Load(), r.plain)
	o.ObserveInt64(r.side.droppedSize, r.droppedBytes.Load(), r.plain)
	for d := range directions {
		o.ObserveInt64(r.side.io, r.bytes[d].Load(), r.directed[d])
		for t := range messageTypes {
			o.ObserveInt64(r.side.messages, r.messages[d][t].Load(), r.typed[d][t])
		}
	}
}

// openConns are the connections that are open, and since when. They lie in shards, so that a survey
// of very many holds up no connection that opens or ends.
type openConns struct {
	epoch  time.Time // all times are counted from it
	seed   maphash.Seed
	shards [64]openShard
}

type openShard struct {
	mu    sync.Mutex // guards since
	since map[*websocket.Conn]time.Duration
}

func (o *openConns) init() {
	o.epoch, o.seed = time.Now(), maphash.MakeSeed()
	for i := range o.shards {
		o.shards[i].since = make(map[*websocket.Conn]time.Duration)
	}
}

func (o *openConns) shard(c *websocket.Conn) *openShard {
	return &o.shards[maphash.Comparable(o.seed, c)%uint64(len(o.shards))]
}

func (o *openConns) add(c *websocket.Conn) {
	s := o.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[c] = time.Since(o.epoch)
}

// remove returns for how long the connection was open.
func (o *openConns) remove(c *websocket.Conn) (duration time.Duration, ok bool) {
	s := o.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ok := s.since[c]
	delete(s.since, c)
	return time.Since(o.epoch) - since, ok
}

// survey returns how many connections are open, and the messages and bytes in their queues.
func (o *openConns) survey() (open, messages, bytes int64) {
	var conns []*websocket.Conn
	for i := range o.shards {
		conns = o.shards[i].appendTo(conns[:0])
		open += int64(len(conns))
		for _, c := range conns { // without the shard's lock, as Queued takes one of its own
			m, b, _ := c.Queued()
			messages += int64(m)
			bytes += int64(b)
		}
	}
	return open, messages, bytes
}

func (s *openShard) appendTo(conns []*websocket.Conn) []*websocket.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.since {
		conns = append(conns, c)
	}
	return conns
}
