package main

import (
	"context"
	"errors"
	"net/http"

	registry "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/plainsocket/websocket/otelwebsocket"
)

// metrics are the figures of a node: the instruments of its connections and topics, and the counts
// of its hub. Prometheus reads them at /metrics. docs/metrics.md explains them.
type metrics struct {
	*otelwebsocket.Instruments
	meter metric.Meter
	page  http.Handler
}

func newMetrics() (*metrics, error) {
	all := registry.NewRegistry()
	all.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := prometheus.New(prometheus.WithRegisterer(all), prometheus.WithoutScopeInfo(), prometheus.WithoutTargetInfo())
	if err != nil {
		return nil, err
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(exporter))
	instruments, err := otelwebsocket.New(otelwebsocket.Options{MeterProvider: provider})
	if err != nil {
		return nil, err
	}
	return &metrics{instruments, provider.Meter("cluster"), promhttp.HandlerFor(all, promhttp.HandlerOpts{})}, nil
}

// watch adds the counts of a hub.
func (m *metrics) watch(h *hub) error {
	m.ObserveTopics(&h.topics)
	counter := func(name, unit, description string) (c metric.Int64ObservableCounter, err error) {
		return m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	}
	events, err := counter("cluster.events", "{message}", "Messages that the rooms of this node passed on.")
	repaired, err2 := counter("cluster.repaired", "{room}", "Rooms that lacked messages and read them from the stream.")
	resets, err3 := counter("cluster.resets", "{reset}", "Times that somebody was told that messages are missing.")
	_, err4 := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(events, h.counts.delivered.Load())
		o.ObserveInt64(repaired, h.counts.repaired.Load())
		o.ObserveInt64(resets, h.counts.resets.Load())
		return nil
	}, events, repaired, resets)
	return errors.Join(err, err2, err3, err4)
}
