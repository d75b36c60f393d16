package otelwebsocket

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/pubsub"
)

// ScopeName is the name of the meter that has all instruments.
const ScopeName = "github.com/plainsocket/websocket/otelwebsocket"

// Options are the settings of New. The zero value has the defaults.
type Options struct {
	// MeterProvider makes the instruments. Nil means the global one, otel.GetMeterProvider(). The
	// program may set that later than it calls New.
	MeterProvider metric.MeterProvider

	// CloseCodes are the close codes from 3000 to 4999 that websocket.close.code has as they are.
	// All others of them are "3xxx" or "4xxx": the peer chooses them, and each would be a further
	// time series. Codes below 3000 are defined by the protocol, and always shown as they are.
	CloseCodes []int
}

// Instruments count for any number of servers, upgraders, dialers and Topics. A program needs them
// once for each MeterProvider. Any number of goroutines may call the methods.
type Instruments struct {
	server, client sideInstruments
	pubsub         pubsubInstruments
	closeCodes     []int
	registration   metric.Registration

	mu        sync.Mutex // guards all below
	recorders map[recorderKey]*recorder
	topics    map[attribute.Distinct]*observedTopics
}

// New makes the instruments. The error is the MeterProvider's.
func New(o Options) (*Instruments, error) {
	provider := o.MeterProvider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m := maker{meter: provider.Meter(ScopeName)}
	in := &Instruments{
		server:     m.side("server"),
		client:     m.side("client"),
		pubsub:     m.pubsub(),
		closeCodes: slices.Clone(o.CloseCodes),
		recorders:  make(map[recorderKey]*recorder),
		topics:     make(map[attribute.Distinct]*observedTopics),
	}
	if m.err != nil {
		return nil, m.err
	}
	var err error
	in.registration, err = m.meter.RegisterCallback(in.observe, m.observables...)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Close ends the reports of all instruments but handshakes and connection.duration. Traces may still
// be called. A program that uses its instruments until it ends need not call Close.
func (in *Instruments) Close() error { return in.registration.Unregister() }

// ServerTrace returns a Trace for Servers and Upgraders. also, if not nil, is a Trace of the program's
// own, whose functions are called after the instruments': those that it has now, as later changes
// to its fields are not seen.
//
// The attributes are added to all instruments, to tell endpoints from one another: http.route, for
// instance. They must have few values. Traces with the same attributes count together.
func (in *Instruments) ServerTrace(also *websocket.Trace, attrs ...attribute.KeyValue) *websocket.Trace {
	return join(&in.recorder(&in.server, attrs).trace, also)
}

// ClientTrace is ServerTrace for Dialers.
func (in *Instruments) ClientTrace(also *websocket.Trace, attrs ...attribute.KeyValue) *websocket.Trace {
	return join(&in.recorder(&in.client, attrs).trace, also)
}

// ObserveTopics reports the Stats of t until Close. The attributes tell several Topics from one
// another, and must have few values. Topics with the same attributes are added up.
func (in *Instruments) ObserveTopics(t *pubsub.Topics, attrs ...attribute.KeyValue) {
	set := attribute.NewSet(attrs...)
	in.mu.Lock()
	defer in.mu.Unlock()
	o := in.topics[set.Equivalent()]
	if o == nil {
		o = &observedTopics{attrs: metric.WithAttributeSet(set)}
		in.topics[set.Equivalent()] = o
	}
	if !slices.Contains(o.list, t) {
		o.list = append(o.list, t)
	}
}

// A recorderKey names a recorder. The same Trace is made for the same key, so that a program may
// make one for each call of Dial.
type recorderKey struct {
	side  *sideInstruments
	attrs attribute.Distinct
}

func (in *Instruments) recorder(side *sideInstruments, attrs []attribute.KeyValue) *recorder {
	set := attribute.NewSet(attrs...)
	key := recorderKey{side, set.Equivalent()}
	in.mu.Lock()
	defer in.mu.Unlock()
	r := in.recorders[key]
	if r == nil {
		r = newRecorder(side, set, in.closeCode)
		in.recorders[key] = r
	}
	return r
}

// observe is called by the SDK when it collects.
func (in *Instruments) observe(_ context.Context, o metric.Observer) error {
	in.mu.Lock()
	recorders := make([]*recorder, 0, len(in.recorders))
	for _, r := range in.recorders {
		recorders = append(recorders, r)
	}
	topics := make([]observedTopics, 0, len(in.topics))
	for _, t := range in.topics {
		topics = append(topics, *t)
	}
	in.mu.Unlock()
	for _, r := range recorders {
		r.observe(o)
	}
	for _, t := range topics {
		in.pubsub.observe(o, t)
	}
	return nil
}

// closeCode returns the value of websocket.close.code.
func (in *Instruments) closeCode(code int) string {
	switch {
	case code < 3000 || slices.Contains(in.closeCodes, code):
		return strconv.Itoa(code)
	case code < 4000:
		return "3xxx"
	}
	return "4xxx"
}

// join returns a Trace that calls own's functions, and after each the one of also.
func join(own, also *websocket.Trace) *websocket.Trace {
	if also == nil {
		return own
	}
	t := *own
	if f := also.Handshake; f != nil {
		t.Handshake = func(c *websocket.Conn, r *http.Request, response []byte, err error) {
			own.Handshake(c, r, response, err)
			f(c, r, response, err)
		}
	}
	if f := also.Frame; f != nil {
		t.Frame = func(c *websocket.Conn, frame websocket.Frame) {
			own.Frame(c, frame)
			f(c, frame)
		}
	}
	if f := also.Payload; f != nil {
		t.Payload = func(c *websocket.Conn, sent bool, p []byte) {
			own.Payload(c, sent, p)
			f(c, sent, p)
		}
	}
	if f := also.Dropped; f != nil {
		t.Dropped = func(c *websocket.Conn, messages, bytes int) {
			own.Dropped(c, messages, bytes)
			f(c, messages, bytes)
		}
	}
	if f := also.Closed; f != nil {
		t.Closed = func(c *websocket.Conn, err error) {
			own.Closed(c, err)
			f(c, err)
		}
	}
	return &t
}
