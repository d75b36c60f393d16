package otelwebsocket

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// sideInstruments are the instruments of servers, or those of clients.
type sideInstruments struct {
	handshakes metric.Int64Counter
	duration   metric.Float64Histogram

	// The callback reports these.
	active          metric.Int64ObservableUpDownCounter
	messages        metric.Int64ObservableCounter
	io              metric.Int64ObservableCounter
	queueMessages   metric.Int64ObservableUpDownCounter
	queueSize       metric.Int64ObservableUpDownCounter
	droppedMessages metric.Int64ObservableCounter
	droppedSize     metric.Int64ObservableCounter
}

// pubsubInstruments report the fields of pubsub.Stats.
type pubsubInstruments struct {
	published, delivered, replaced, dropped, closed metric.Int64ObservableCounter
	topics, members, backlog                        metric.Int64ObservableUpDownCounter
}

// A maker makes instruments. It keeps the errors, and the instruments that a callback reports.
type maker struct {
	meter       metric.Meter
	observables []metric.Observable
	err         error
}

// side makes the instruments of the side with this name.
func (m *maker) side(name string) (s sideInstruments) {
	prefix := "websocket." + name + "."
	var err error
	s.handshakes, err = m.meter.Int64Counter(prefix+"handshakes",
		metric.WithUnit("{handshake}"), metric.WithDescription("Number of opening handshakes that have ended."))
	m.err = errors.Join(m.err, err)
	s.duration, err = m.meter.Float64Histogram(prefix+"connection.duration",
		metric.WithUnit("s"), metric.WithDescription("How long connections were open."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	m.err = errors.Join(m.err, err)
	s.active = m.upDown(prefix+"active_connections", "{connection}", "Number of connections that are open.")
	s.messages = m.counter(prefix+"messages", "{message}", "Number of text and binary messages.")
	s.io = m.counter(prefix+"io", "By", "Bytes of frames, with their headers.")
	s.queueMessages = m.upDown(prefix+"queue.messages", "{message}", "Number of messages that wait for slow peers.")
	s.queueSize = m.upDown(prefix+"queue.size", "By", "Bytes of payload that wait for slow peers.")
	s.droppedMessages = m.counter(prefix+"dropped.messages", "{message}", "Number of messages that were dropped for a peer.")
	s.droppedSize = m.counter(prefix+"dropped.size", "By", "Bytes of payload that were dropped for a peer.")
	return s
}

// durationBuckets are bounds in seconds. Some connections live for the time of one call, and others
// for days.
var durationBuckets = []float64{0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 7 * 24 * 3600}

func (m *maker) pubsub() pubsubInstruments {
	const prefix = "websocket.pubsub."
	return pubsubInstruments{
		published: m.counter(prefix+"published.messages", "{message}", "Number of messages that were published."),
		delivered: m.counter(prefix+"delivered.messages", "{message}", "Number of messages that a member's connection accepted."),
		replaced:  m.counter(prefix+"replaced.messages", "{message}", "Number of messages that a later one replaced for a member."),
		dropped:   m.counter(prefix+"dropped.messages", "{message}", "Number of messages that were dropped for a member."),
		closed:    m.counter(prefix+"closed.members", "{connection}", "Number of members that were closed because they were slow."),
		topics:    m.upDown(prefix+"topics", "{topic}", "Number of topics that have members."),
		members:   m.upDown(prefix+"members", "{connection}", "Number of connections that have a topic."),
		backlog:   m.upDown(prefix+"backlog", "By", "Bytes of messages that were not yet handed to all members."),
	}
}

func (m *maker) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.err = errors.Join(m.err, err)
	m.observables = append(m.observables, c)
	return c
}

func (m *maker) upDown(name, unit, description string) metric.Int64ObservableUpDownCounter {
	c, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.err = errors.Join(m.err, err)
	m.observables = append(m.observables, c)
	return c
}
