package otelwebsocket

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/plainsocket/websocket/pubsub"
)

// observedTopics are the Topics that have the same attributes.
type observedTopics struct {
	attrs metric.MeasurementOption
	list  []*pubsub.Topics
}

// stats returns the sum of all.
func (t observedTopics) stats() (sum pubsub.Stats) {
	for _, topics := range t.list {
		s := topics.Stats()
		sum.Published += s.Published
		sum.Delivered += s.Delivered
		sum.Replaced += s.Replaced
		sum.Dropped += s.Dropped
		sum.Closed += s.Closed
		sum.Topics += s.Topics
		sum.Members += s.Members
		sum.Backlog += s.Backlog
	}
	return sum
}

// observe reports the stats of t.
func (p *pubsubInstruments) observe(o metric.Observer, t observedTopics) {
	s := t.stats()
	o.ObserveInt64(p.published, s.Published, t.attrs)
	o.ObserveInt64(p.delivered, s.Delivered, t.attrs)
	o.ObserveInt64(p.replaced, s.Replaced, t.attrs)
	o.ObserveInt64(p.dropped, s.Dropped, t.attrs)
	o.ObserveInt64(p.closed, s.Closed, t.attrs)
	o.ObserveInt64(p.topics, int64(s.Topics), t.attrs)
	o.ObserveInt64(p.members, int64(s.Members), t.attrs)
	o.ObserveInt64(p.backlog, s.Backlog, t.attrs)
}
