package otelwebsocket_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	prometheusclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/otelwebsocket"
	"github.com/plainsocket/websocket/pubsub"
)

// docs/metrics.md shows this function.
func metricsPage(srv *websocket.Server, topics *pubsub.Topics, mux *http.ServeMux) error {
	exporter, err := prometheus.New() // go.opentelemetry.io/otel/exporters/prometheus
	if err != nil {
		return err
	}
	instruments, err := otelwebsocket.New(otelwebsocket.Options{
		MeterProvider: metric.NewMeterProvider(metric.WithReader(exporter)), // go.opentelemetry.io/otel/sdk/metric
	})
	if err != nil {
		return err
	}
	srv.Trace = instruments.ServerTrace(srv.Trace)
	instruments.ObserveTopics(topics)
	mux.Handle("/metrics", promhttp.Handler()) // github.com/prometheus/client_golang/prometheus/promhttp
	return nil
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// functionIn returns the source of a function.
func functionIn(source, name string) string {
	_, rest, _ := strings.Cut(source, "\nfunc "+name+"(")
	body, _, _ := strings.Cut(rest, "\n}\n")
	return "func " + name + "(" + body + "\n}\n"
}

// The function in docs/metrics.md works as it stands there, with the default registry.
func TestDocFunction(t *testing.T) {
	if f := functionIn(read(t, "doc_test.go"), "metricsPage"); !strings.Contains(read(t, "../docs/metrics.md"), f) {
		t.Errorf("docs/metrics.md has another text for metricsPage than doc_test.go:\n%s", f)
	}
	defer func(r prometheusclient.Registerer, g prometheusclient.Gatherer) {
		prometheusclient.DefaultRegisterer, prometheusclient.DefaultGatherer = r, g
	}(prometheusclient.DefaultRegisterer, prometheusclient.DefaultGatherer)
	registry := prometheusclient.NewRegistry()
	prometheusclient.DefaultRegisterer, prometheusclient.DefaultGatherer = registry, registry
	srv, mux := echoServer(websocket.Upgrader{}), http.NewServeMux()
	if err := metricsPage(srv, new(pubsub.Topics), mux); err != nil {
		t.Fatal(err)
	}
	echo(t, dial(t, new(websocket.Dialer), serve(t, srv)), websocket.TextMessage, 3)
	page := get(mux)
	for _, want := range []string{"\nwebsocket_server_active_connections{", "\nwebsocket_pubsub_topics{"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

func get(h http.Handler) (page string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	b, _ := io.ReadAll(w.Body)
	return string(b)
}

// busyPage returns the names of all instruments, and a page for Prometheus on which each has values
// and all attributes.
func busyPage(t *testing.T) (instruments []string, page string) {
	registry, reader := prometheusclient.NewRegistry(), metric.NewManualReader()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	in, err := otelwebsocket.New(otelwebsocket.Options{
		MeterProvider: metric.NewMeterProvider(metric.WithReader(exporter), metric.WithReader(reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	in.ObserveTopics(new(pubsub.Topics))
	for _, trace := range []*websocket.Trace{in.ServerTrace(nil), in.ClientTrace(nil)} {
		c := new(websocket.Conn)
		trace.Handshake(c, nil, nil, nil)
		trace.Closed(c, websocket.ErrPongTimeout)
		trace.Handshake(nil, nil, nil, websocket.HandshakeError{Status: http.StatusForbidden})
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		instruments = append(instruments, m.Name)
	}
	return instruments, get(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

// The pages name all instruments, and no others.
func TestDocInstruments(t *testing.T) {
	instruments, _ := busyPage(t)
	if len(instruments) != 9+9+8 {
		t.Errorf("there are %d instruments: %q", len(instruments), instruments)
	}
	want := make(map[string]bool)
	for _, name := range instruments {
		if !strings.HasPrefix(name, "websocket.client.") {
			want[name] = true
		}
	}
	for _, page := range []string{"doc.go", "../docs/metrics.md"} {
		got := make(map[string]bool)
		for _, name := range regexp.MustCompile(`websocket\.(server|pubsub)\.[a-z_.]*[a-z]`).FindAllString(read(t, page), -1) {
			got[name] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s has\n%q, want\n%q", page, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// Each name and label in docs/metrics.md is there for Prometheus to ask for.
func TestDocQueries(t *testing.T) {
	_, page := busyPage(t)
	doc := read(t, "../docs/metrics.md")
	names := regexp.MustCompile(`websocket_(server|client|pubsub)_[a-z_]+`).FindAllString(doc, -1)
	if len(names) < 40 {
		t.Errorf("found only %q", names)
	}
	for _, name := range names {
		if !strings.Contains(page, "\n"+name+"{") && !strings.Contains(page, "\n"+name+"_bucket{") {
			t.Errorf("the exporter has no %s", name)
		}
	}
	labels := regexp.MustCompile(`([a-z_]+)(?:=~|!=|=)"|by \(([a-z_]+)\)`).FindAllStringSubmatch(doc, -1)
	if len(labels) < 15 {
		t.Errorf("found only %q", labels)
	}
	for _, label := range labels {
		name := label[1] + label[2]
		if name != "instance" && !strings.Contains(page, name+`="`) { // instance is Prometheus' own
			t.Errorf("the exporter has no label %s", name)
		}
	}
}

// Each error.type that there is has an explanation.
func TestDocErrorTypes(t *testing.T) {
	doc := read(t, "../docs/metrics.md")
	types := regexp.MustCompile(`(?:return|errorType:|Status[A-Za-z]+:) +"([a-z_]+)"`).FindAllStringSubmatch(read(t, "outcome.go"), -1)
	if len(types) < 20 {
		t.Errorf("found only %q", types)
	}
	for _, match := range types {
		if !strings.Contains(doc, "`"+match[1]+"`") {
			t.Errorf("docs/metrics.md does not explain %s", match[1])
		}
	}
}
