package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The broker is NATS with JetStream: in this process, or a cluster elsewhere. Everything that two
// nodes share is in it. This file starts it or connects to it, and makes the two streams.

// A brokerConfig says which broker a node has.
type brokerConfig struct {
	name    string // of this node, unique in the cluster
	dir     string // for files; "" means that history is in memory only
	cluster string // host:port for the other nodes; "" means that there are none
	join    string // the cluster addresses of all nodes, with commas between
	secret  string // that nodes show each other

	url   string // of a NATS cluster elsewhere; "" means an embedded broker
	creds string // file with a JWT and a key
	ca    string // file with the certificates that may have signed the broker's
	cert  string // file with this node's certificate for the broker
	key   string // file with its key

	replicas    int           // copies of what is said; 0 means 3 if there may be as many nodes, else 1
	audit       time.Duration // how often each room is compared with the stream
	presenceTTL time.Duration // how long a member is shown whose node is gone
}

// A broker is this node's connection to NATS.
type broker struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	embedded *server.Server // nil if NATS runs elsewhere
	tempDir  string         // removed at the end; "" if there is none
	config   brokerConfig
	replicas int
}

// startBroker starts the embedded broker, or begins to connect to the other one.
func startBroker(cfg brokerConfig) (*broker, error) {
	b := &broker{config: cfg, replicas: 1}
	var err error
	if cfg.url != "" {
		b.replicas = 3
		b.nc, err = nats.Connect(cfg.url, b.remoteOptions()...)
	} else {
		b.nc, err = b.startEmbedded()
	}
	if err != nil {
		b.stop()
		return nil, err
	}
	if cfg.replicas > 0 {
		b.replicas = cfg.replicas
	}
	b.js, err = jetstream.New(b.nc)
	return b, err
}

// remoteOptions are for a broker elsewhere. The connection comes back by itself, for ever, and
// notices after some seconds that the other side is silent.
func (b *broker) remoteOptions() []nats.Option {
	options := append(b.commonOptions(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2))
	if b.config.creds != "" {
		options = append(options, nats.UserCredentials(b.config.creds))
	}
	if b.config.ca != "" {
		options = append(options, nats.RootCAs(b.config.ca))
	}
	if b.config.cert != "" {
		options = append(options, nats.ClientCert(b.config.cert, b.config.key))
	}
	return options
}

func (b *broker) commonOptions() []nats.Option {
	return []nats.Option{nats.Name("cluster example " + b.config.name), nats.DrainTimeout(5 * time.Second)}
}

// startEmbedded starts NATS in this process, which reaches it through memory. It opens no port. Only
// a cluster has one, for the other nodes.
func (b *broker) startEmbedded() (*nats.Conn, error) {
	opts, err := b.embeddedOptions()
	if err != nil {
		return nil, err
	}
	if b.embedded, err = server.NewServer(opts); err != nil {
		return nil, err
	}
	b.embedded.SetLoggerV2(natsLog{b.config.name}, false, false, false)
	b.embedded.Start()
	if !b.embedded.ReadyForConnections(30 * time.Second) {
		return nil, errors.New("the embedded broker is not ready after 30 s: is the cluster's port in use?")
	}
	return nats.Connect("", append(b.commonOptions(), nats.InProcessServer(b.embedded), nats.MaxReconnects(-1),
		nats.UserInfo(opts.Username, opts.Password))...)
}

func (b *broker) embeddedOptions() (*server.Options, error) {
	dir := b.config.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "cluster-example-"); err != nil {
			return nil, err
		}
		b.tempDir = dir
	}
	opts := &server.Options{
		ServerName:             b.config.name,
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               dir,
		DisableJetStreamBanner: true,
		PingInterval:           2 * time.Second,
		MaxPingsOut:            2,
	}
	if b.config.cluster == "" {
		return opts, nil
	}
	return opts, b.addCluster(opts)
}

// addCluster has the embedded broker form a cluster with those of the other nodes.
func (b *broker) addCluster(opts *server.Options) error {
	host, portText, err := net.SplitHostPort(b.config.cluster)
	if err != nil {
		return fmt.Errorf("-cluster %s: %w", b.config.cluster, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("-cluster %s: the port is no number", b.config.cluster)
	}
	// NATS begins with its routes when it listens for clients. Here nobody knows the password.
	opts.DontListen, opts.Host, opts.Port = false, "127.0.0.1", server.RANDOM_PORT
	opts.Username, opts.Password = "this process", rand.Text()
	opts.Cluster = server.ClusterOpts{
		Name:         "cluster-example",
		Host:         cmp.Or(host, "0.0.0.0"),
		Port:         port,
		Username:     "node",
		Password:     b.config.secret,
		PingInterval: 2 * time.Second,
		MaxPingsOut:  2,
	}
	addresses := strings.Split(b.config.join, ",")
	if !slices.Contains(addresses, b.config.cluster) {
		addresses = append(addresses, b.config.cluster)
	}
	// The number of routes tells how many nodes elect the first leader. NATS skips the one to itself.
	for _, address := range addresses {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: address, User: url.UserPassword("node", b.config.secret)})
	}
	if len(addresses) >= 3 {
		b.replicas = 3
	}
	return nil
}

const (
	roomsStream   = "ROOMS"
	presenceKeys  = "presence" // the bucket
	historyLength = 1000       // messages that a room keeps
	dedupWindow   = 2 * time.Minute
)

func (b *broker) storage() jetstream.StorageType {
	if b.config.url == "" && b.config.dir == "" {
		return jetstream.MemoryStorage
	}
	return jetstream.FileStorage
}

// roomsConfig is the stream of all that is said. say.<room> is where it is published to, and
// room.<room> is where JetStream publishes it again, once it is stored, with its number and the
// number of the one before in this room.
func (b *broker) roomsConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              roomsStream,
		Subjects:          []string{"say.*"},
		MaxMsgsPerSubject: historyLength,
		MaxBytes:          1 << 30,
		MaxMsgSize:        16 << 10,
		Duplicates:        dedupWindow,
		AllowDirect:       true,
		Replicas:          b.replicas,
		Storage:           b.storage(),
		RePublish:         &jetstream.RePublish{Source: "say.*", Destination: "room.{{wildcard(1)}}"},
	}
}

// prepare waits until the streams are there. It returns the rooms' epoch, which tells the lives of
// the stream apart: numbers of one mean nothing in another.
func (b *broker) prepare(ctx context.Context) (epoch string, kv jetstream.KeyValue, err error) {
	err = b.retry(ctx, "making the streams", func(ctx context.Context) error {
		s, err := b.js.CreateOrUpdateStream(ctx, b.roomsConfig())
		if err != nil {
			if s, err = b.js.Stream(ctx, roomsStream); err != nil {
				return err
			}
		}
		epoch = strconv.FormatInt(s.CachedInfo().Created.UnixNano(), 36)
		kv, err = b.presenceBucket(ctx)
		return err
	})
	return epoch, kv, err
}

func (b *broker) presenceBucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:         presenceKeys,
		Replicas:       b.replicas,
		Storage:        b.storage(),
		LimitMarkerTTL: max(b.config.presenceTTL, time.Second),
	})
	if err != nil {
		return b.js.KeyValue(ctx, presenceKeys)
	}
	return kv, nil
}

// waitHealthy waits until the embedded broker has caught up with the others, so that the next node
// may be restarted.
func (b *broker) waitHealthy(ctx context.Context) error {
	if b.embedded == nil {
		return nil
	}
	return b.retry(ctx, "catching up with the cluster", func(context.Context) error {
		if h := b.embedded.Healthz(&server.HealthzOptions{}); h.StatusCode != 200 {
			return errors.New(h.Error)
		}
		return nil
	})
}

// leads returns 1 if the embedded broker is the leader of the rooms' stream, and 0 otherwise.
func (b *broker) leads() int64 {
	if b.embedded != nil && b.embedded.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, roomsStream) {
		return 1
	}
	return 0
}

// retry calls f until it succeeds.
func (b *broker) retry(ctx context.Context, doing string, f func(context.Context) error) error {
	for start := time.Now(); ; {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := f(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if time.Since(start) > 15*time.Second {
			slog.Warn("waiting for the broker", "node", b.config.name, "doing", doing, "error", err)
			start = time.Now()
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// stop ends the connection, after all that it was given is sent, and the embedded broker, which
// hands the leadership of its streams to others.
func (b *broker) stop() {
	if b.nc != nil {
		closed := make(chan struct{})
		b.nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
		if b.nc.Drain() == nil {
			select {
			case <-closed:
			case <-time.After(6 * time.Second):
			}
		}
		b.nc.Close()
	}
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
	if b.tempDir != "" {
		os.RemoveAll(b.tempDir)
	}
}

// natsLog passes on what the embedded broker has to say if it is in trouble.
type natsLog struct{ node string }

func (l natsLog) Noticef(format string, v ...any) { l.Warnf(format, v...) }
func (natsLog) Debugf(string, ...any)             {}
func (natsLog) Tracef(string, ...any)             {}

func (l natsLog) Warnf(format string, v ...any) {
	slog.Debug("broker: "+fmt.Sprintf(format, v...), "node", l.node)
}

func (l natsLog) Errorf(format string, v ...any) {
	slog.Warn("broker: "+fmt.Sprintf(format, v...), "node", l.node)
}

func (l natsLog) Fatalf(format string, v ...any) {
	slog.Error("broker: "+fmt.Sprintf(format, v...), "node", l.node)
}
