// Command cluster is rooms over several machines: NATS connects the nodes, and JetStream keeps what
// was said. No message is lost, and none comes twice, if nodes are killed or restarted.
//
//	go run .            # one node, with its own broker
//	go run . -demo 3    # three nodes, on three ports
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	cfg, demoNodes, withParent, err := parseFlags(os.Args[1:])
	if err == flag.ErrHelp {
		return
	}
	if err == nil {
		ctx, stop := untilSignal(withParent)
		defer stop()
		if demoNodes > 0 {
			err = demo(ctx, demoNodes, cfg)
		} else {
			err = runNode(ctx, cfg)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// untilSignal returns a context that ends with Ctrl-C or SIGTERM. A second signal ends the program
// at once. A node of a demo ends with its parent, which holds its standard input open.
func untilSignal(withParent bool) (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if withParent {
		signal.Ignore(os.Interrupt) // the terminal sends it to parent and children
		signals = signals[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	if !withParent {
		return ctx, stop
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// A config has a node's settings.
type config struct {
	addr       string
	peers      []string // the addresses of all nodes' pages
	doors      doors
	rate       float64
	spread     time.Duration
	drainDelay time.Duration
	broker     brokerConfig
	same       []string // flags that a demo's nodes get too
}

func parseFlags(args []string) (cfg config, demoNodes int, withParent bool, err error) {
	var peers, rooms string
	var verbose bool
	b := &cfg.broker
	f := flag.NewFlagSet("cluster", flag.ContinueOnError)
	f.StringVar(&cfg.addr, "addr", "localhost:8080", "serve the page on this `host:port`")
	f.IntVar(&demoNodes, "demo", 0, "run `n` nodes here, on the port of -addr and those after it")
	f.StringVar(&b.name, "name", "", "this node's `name` (default: made from the port)")
	f.StringVar(&peers, "peers", "", "addresses of all nodes as browsers see them, `http://…,http://…`: a page goes to the next one when its node is gone")
	f.StringVar(&rooms, "rooms", "", "the rooms that exist, `tea,staff:secret`: staff needs a key (default: every room, without keys)")
	f.Float64Var(&cfg.rate, "rate", defaultRate, "`requests` a second and connection")
	f.StringVar(&b.dir, "dir", "", "keep the history in this `directory` (default: in memory)")
	f.StringVar(&b.cluster, "cluster", "", "`host:port` for the brokers of other nodes")
	f.StringVar(&b.join, "join", "", "form a cluster of the nodes with these -cluster `addresses`, of which this is one; $CLUSTER_SECRET is their password")
	f.StringVar(&b.url, "nats", "", "use the NATS servers at this `url`, such as tls://user:password@host:4222,…, and no embedded one")
	f.StringVar(&b.creds, "nats-creds", "", "`file` with credentials for -nats")
	f.StringVar(&b.ca, "nats-ca", "", "PEM `file` with the certificates that sign those of -nats")
	f.StringVar(&b.cert, "nats-cert", "", "PEM `file` with a certificate for -nats")
	f.StringVar(&b.key, "nats-key", "", "PEM `file` with its key")
	f.IntVar(&b.replicas, "replicas", 0, "keep this `number` of copies of the history (default: 3 with -nats or three nodes, else 1)")
	f.DurationVar(&b.audit, "audit", 2*time.Second, "compare each room with the stream once in this `time`")
	f.DurationVar(&b.presenceTTL, "presence-ttl", 10*time.Second, "show the members of a killed node for this `time`")
	f.DurationVar(&cfg.spread, "spread", time.Second, "at the end, send the pages away over this `time`")
	f.DurationVar(&cfg.drainDelay, "drain-delay", 0, "at the end, be unready for this `time` before anything else, for load balancers")
	f.BoolVar(&verbose, "v", false, "log more")
	f.BoolVar(&withParent, "with-parent", false, "end when standard input ends")
	if err = f.Parse(args); err != nil {
		return
	}
	if verbose {
		slog.SetLogLoggerLevel(slog.LevelDebug)
	}
	f.Visit(func(given *flag.Flag) {
		switch given.Name {
		case "rooms", "rate", "audit", "presence-ttl", "spread", "drain-delay", "v":
			cfg.same = append(cfg.same, "-"+given.Name+"="+given.Value.String())
		}
	})
	if f.NArg() > 0 {
		return cfg, 0, false, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	for peer := range strings.SplitSeq(peers, ",") {
		if peer = strings.TrimSuffix(strings.TrimSpace(peer), "/"); peer != "" {
			cfg.peers = append(cfg.peers, peer)
		}
	}
	b.secret = os.Getenv("CLUSTER_SECRET")
	if cfg.doors, err = parseDoors(rooms); err == nil && demoNodes == 0 {
		err = cfg.check()
	}
	return cfg, demoNodes, withParent, err
}

// check completes the settings of one node, and finds those that contradict each other.
func (cfg *config) check() error {
	b := &cfg.broker
	_, port, err := net.SplitHostPort(cfg.addr)
	if err != nil {
		return fmt.Errorf("-addr %s: %w", cfg.addr, err)
	}
	b.name = cmp.Or(b.name, "node-"+port)
	switch {
	case b.url != "" && (b.join != "" || b.cluster != ""):
		return fmt.Errorf("-nats has a cluster of its own: leave out -join and -cluster")
	case (b.join == "") != (b.cluster == ""):
		return fmt.Errorf("-cluster and -join belong together: this node's address for the others, and the list of all these addresses")
	case b.cluster != "" && b.dir == "":
		return fmt.Errorf("a node of a cluster needs -dir: one that came back without its files would have forgotten what it has promised to the others")
	case b.cluster != "" && b.secret == "" && !isLoopback(b.cluster):
		return fmt.Errorf("set $CLUSTER_SECRET: whoever reaches %s could become a node", b.cluster)
	case cfg.rate <= 0 || b.presenceTTL < time.Second || b.audit < 100*time.Millisecond:
		return fmt.Errorf("-rate must be more than 0, -presence-ttl at least 1s, and -audit at least 100ms")
	}
	return nil
}

func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
