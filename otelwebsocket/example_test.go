package otelwebsocket_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	prometheusclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/plainsocket/websocket"
	"github.com/plainsocket/websocket/otelwebsocket"
	"github.com/plainsocket/websocket/websockettest"
)

// A server whose instruments are a page for Prometheus.
func Example() {
	registry := prometheusclient.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithoutScopeInfo(), prometheus.WithoutTargetInfo())
	if err != nil {
		log.Fatal(err)
	}
	instruments, err := otelwebsocket.New(otelwebsocket.Options{
		MeterProvider: sdk.NewMeterProvider(sdk.WithReader(exporter)),
	})
	if err != nil {
		log.Fatal(err)
	}
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{}) // for /metrics

	srv := websockettest.NewServer(&websocket.Server{
		Upgrader:  websocket.Upgrader{Trace: instruments.ServerTrace(nil)},
		OnMessage: func(c *websocket.Conn, messageType int, data []byte) { c.WriteMessage(messageType, data) },
	})
	defer srv.Close()
	for _, text := range []string{"hello", "goodbye"} {
		c, _, err := srv.Dialer().Dial(srv.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		c.WriteMessage(websocket.TextMessage, []byte(text))
		c.ReadMessage()
		if text == "goodbye" {
			c.Shutdown(context.Background(), websocket.CloseNormalClosure, "")
		}
	}

	response := httptest.NewRecorder()
	page.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "websocket_") && !strings.Contains(line, "_bucket{") && !strings.Contains(line, "_sum{") {
			fmt.Println(line)
		}
	}
	// Output:
	// websocket_server_active_connections 1
	// websocket_server_connection_duration_seconds_count{websocket_close_code="1000"} 1
	// websocket_server_dropped_messages_total 0
	// websocket_server_dropped_size_bytes_total 0
	// websocket_server_handshakes_total 2
	// websocket_server_io_bytes_total{network_io_direction="receive"} 32
	// websocket_server_io_bytes_total{network_io_direction="transmit"} 20
	// websocket_server_messages_total{network_io_direction="receive",websocket_message_type="binary"} 0
	// websocket_server_messages_total{network_io_direction="receive",websocket_message_type="text"} 2
	// websocket_server_messages_total{network_io_direction="transmit",websocket_message_type="binary"} 0
	// websocket_server_messages_total{network_io_direction="transmit",websocket_message_type="text"} 2
	// websocket_server_queue_messages 0
	// websocket_server_queue_size_bytes 0
}
