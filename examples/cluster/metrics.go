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
	report := func(value func() int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(value())
			return nil
		}
	}
	_, err1 := m.meter.Int64ObservableCounter("cluster.events", metric.WithUnit("{message}"),
		metric.WithDescription("Messages that the rooms of this node passed on."), metric.WithInt64Callback(report(h.counts.delivered.Load)))
	_, err2 := m.meter.Int64ObservableCounter("cluster.repaired", metric.WithUnit("{room}"),
		metric.WithDescription("Rooms that lacked messages and read them from the stream."), metric.WithInt64Callback(report(h.counts.repaired.Load)))
	_, err3 := m.meter.Int64ObservableCounter("cluster.resets", metric.WithUnit("{reset}"),
		metric.WithDescription("Times that somebody was told that messages are missing."), metric.WithInt64Callback(report(h.counts.resets.Load)))
	_, err4 := m.meter.Int64ObservableGauge("cluster.leader",
		metric.WithDescription("1 if this node's broker leads the rooms' stream."), metric.WithInt64Callback(report(h.broker.leads)))
	return errors.Join(err1, err2, err3, err4)
}
