package main

import (
	"fmt"
	"net/http"
)

// serveMetrics is the page that Prometheus reads: what the hub and its topics count.
func (n *node) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	if !n.ready.Load() {
		return
	}
	h := n.lobby.hub
	stats := h.topics.Stats()
	for _, m := range []struct {
		name, kind, help string
		value            int64
	}{
		{"cluster_leader", "gauge", "1 if this node's broker leads the rooms' stream.", h.broker.leads()},
		{"cluster_rooms", "gauge", "Rooms with a member on this node.", int64(stats.Topics)},
		{"cluster_members", "gauge", "Connections of this node that are in a room.", int64(stats.Members)},
		{"cluster_events_total", "counter", "Messages that this node's rooms passed on.", h.counts.delivered.Load()},
		{"cluster_deliveries_total", "counter", "Messages that members' connections accepted.", stats.Delivered},
		{"cluster_dropped_total", "counter", "Messages dropped for slow members.", stats.Dropped},
		{"cluster_closed_slow_total", "counter", "Members closed because they were slow.", stats.Closed},
		{"cluster_repaired_total", "counter", "Rooms that lacked messages and read them from the stream.", h.counts.repaired.Load()},
		{"cluster_resets_total", "counter", "Times that somebody was told that messages are missing.", h.counts.resets.Load()},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %d\n", m.name, m.help, m.name, m.kind, m.name, m.value)
	}
}
