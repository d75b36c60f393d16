package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/plainsocket/websocket"
)

// A node is one process: a page, a server and a broker. This file has its beginning and its end.
type node struct {
	config  config
	ready   atomic.Bool // it takes connections
	lobby   *lobby      // set before ready
	ws      *websocket.Server
	metrics *metrics
}

// goodbye bounds the end of a node, beside -spread and -drain-delay.
const goodbye = 10 * time.Second

// runNode runs a node until ctx ends.
func runNode(ctx context.Context, cfg config) error {
	ln, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return fmt.Errorf("%w\nIs another program using the port? Choose one with -addr localhost:8090", err)
	}
	m, err := newMetrics()
	if err != nil {
		return err
	}
	n := &node{config: cfg, metrics: m}
	n.ws = n.newServer()
	web := &http.Server{Handler: n.routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(ln) }()
	defer web.Close()

	b, err := startBroker(cfg.broker)
	if err != nil {
		return err
	}
	defer b.stop()
	running, stop := context.WithCancel(context.Background()) // ends when the connections have
	defer stop()
	switch err := n.start(ctx, running, b); {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	fmt.Printf("open http://%s (node %s, process %d)\n", openAddress(cfg.addr, ln), cfg.broker.name, os.Getpid())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return n.drain(web)
}

// openAddress is the address that a user opens: as in -addr, with the port that it became.
func openAddress(addr string, ln net.Listener) string {
	host, _, _ := net.SplitHostPort(addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// start waits for the broker, and then opens the doors.
func (n *node) start(ctx, running context.Context, b *broker) error {
	epoch, kv, err := b.prepare(ctx)
	if err == nil {
		err = b.waitHealthy(ctx)
	}
	if err != nil {
		return err
	}
	h := newHub(running, b, epoch)
	if err := n.metrics.watch(h); err != nil {
		return err
	}
	n.lobby = &lobby{
		hub:      h,
		presence: newPresence(h, kv, n.config.broker.presenceTTL),
		doors:    n.config.doors,
		node:     n.config.broker.name,
		nodes:    n.config.peers,
		rate:     n.config.rate,
	}
	n.ready.Store(true)
	return nil
}

// drain ends a node so that its clients notice little: load balancers send nobody new, the clients
// are sent away one after the other, what they have said is stored, and then the broker ends.
func (n *node) drain(web *http.Server) error {
	n.ready.Store(false)
	time.Sleep(n.config.drainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), n.config.spread+goodbye)
	defer cancel()
	return errors.Join(n.ws.Shutdown(ctx), web.Shutdown(ctx))
}
