// Command device shows a server that knows its clients by their certificates, and clients that lose
// nothing if the connection, or the server, goes away.
//
//	go run ./examples/device                     all in one: a server and three devices
//	go run ./examples/device certs               make certificates
//	go run ./examples/device server              in one terminal
//	go run ./examples/device device kitchen      in others, and on other machines
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	commands := map[string]func(context.Context, []string) error{
		"certs": certsCommand, "server": serverCommand, "device": deviceCommand,
	}
	command, args := demoCommand, os.Args[1:]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = commands[args[0]], args[1:]
	}
	if command == nil {
		fmt.Fprintf(os.Stderr, "no such command: %s; there are certs, server and device\n", os.Args[1])
		os.Exit(2)
	}
	if err := command(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	pageUsage    = "show the page on this `host:port`, which only this machine should reach"
	devicesUsage = "let devices connect on this `host:port` (port 0 takes a free one)"
	dirUsage     = "`directory` of certificates, keys, and files that have to survive"
)

func flags(usage string) *flag.FlagSet {
	f := flag.NewFlagSet(usage, flag.ExitOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: %s\n", usage)
		f.PrintDefaults()
	}
	return f
}

// noArguments is for a command that has flags only.
func noArguments(f *flag.FlagSet) error {
	if f.NArg() > 0 {
		return fmt.Errorf("%q is one argument too many (-h names the flags)", f.Arg(0))
	}
	return nil
}

func certsCommand(_ context.Context, args []string) error {
	f := flags("device certs [flags] [name of a device]...")
	dir := f.String("dir", "certs", dirUsage)
	hosts := f.String("hosts", "localhost,127.0.0.1,::1", "`names` and addresses by which devices reach the server")
	f.Parse(args)
	names := f.Args()
	if len(names) == 0 {
		names = []string{"kitchen", "cellar", "attic"}
	}
	if err := makeCerts(*dir, strings.Split(*hosts, ","), names); err != nil {
		return err
	}
	fmt.Printf("%s has certificates for the server and for %s.\nA device needs root.pem and its own two files; root-key.pem is for making more, and best kept elsewhere.\n",
		*dir, strings.Join(names, ", "))
	return nil
}

func serverCommand(ctx context.Context, args []string) error {
	f := flags("device server [flags]")
	addr := f.String("addr", "localhost:8080", pageUsage)
	devices := f.String("devices", "localhost:8443", devicesUsage)
	dir := f.String("dir", "certs", dirUsage)
	heartbeat := f.Duration("heartbeat", defaultHeartbeat, "how often a device has to say something")
	f.Parse(args)
	if err := noArguments(f); err != nil {
		return err
	}
	if *heartbeat < time.Millisecond {
		return errors.New("-heartbeat must be a millisecond at least")
	}
	return serve(ctx, *dir, *addr, *devices, *heartbeat, func(string) {})
}

// serve runs a server until ctx ends. When it listens, ready is called with the
// URL for devices.
func serve(ctx context.Context, dir, addr, devices string, heartbeat time.Duration, ready func(url string)) error {
	config, err := serverTLS(dir)
	if err != nil {
		return err
	}
	registry, err := openRegistry(filepath.Join(dir, "reports.jsonl"))
	if err != nil {
		return err
	}
	defer registry.close()
	page, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w\nIs another program using the port? Choose one with -addr localhost:8081", err)
	}
	defer page.Close()
	door, err := net.Listen("tcp", devices)
	if err != nil {
		return fmt.Errorf("%w\nIs another program using the port? Choose one with -devices localhost:8444", err)
	}
	url := "wss://" + listens(door, devices) + "/"
	fmt.Println("devices connect to", url)
	fmt.Println("open http://" + listens(page, addr))
	ready(url)
	s := &server{registry: registry, heartbeat: heartbeat, log: slog.Default()}
	return s.run(ctx, door, config, page)
}

// listens returns the address of l: the host as the user wrote it, the port as the system gave it.
func listens(l net.Listener, asked string) string {
	host, _, _ := net.SplitHostPort(asked)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(cmp.Or(host, "localhost"), port)
}

func deviceCommand(ctx context.Context, args []string) error {
	f := flags("device device [flags] name")
	dir := f.String("dir", "certs", dirUsage)
	url := f.String("url", "wss://localhost:8443/", "the server's `address`")
	every := f.Duration("every", 5*time.Second, "how often to measure")
	first := f.Duration("backoff", 5*time.Second, "the longest wait before the first attempt to connect again")
	f.Parse(args)
	switch {
	case f.NArg() == 0:
		return errors.New("which device? The name is that of a certificate: device kitchen")
	case f.NArg() > 1:
		return fmt.Errorf("one name, please, and %q is behind it; flags come before the name", f.Arg(1))
	}
	if *every <= 0 || *first <= 0 {
		return errors.New("-every and -backoff must be more than nothing")
	}
	return runDevice(ctx, *dir, *url, f.Arg(0), *every, *first)
}

func runDevice(ctx context.Context, dir, url, name string, every, first time.Duration) error {
	config, err := deviceTLS(dir, name)
	if err != nil {
		return err
	}
	box, err := openOutbox(filepath.Join(dir, name+".outbox.jsonl"))
	if err != nil {
		return err
	}
	defer box.close()
	dialer := newDialer(first)
	dialer.TLSClientConfig = config
	d := &device{
		url: url, dialer: dialer, outbox: box, about: "a thermometer", every: every,
		log: slog.Default().With("device", name),
	}
	return d.run(ctx)
}

// demoCommand runs a server and three devices, with certificates of their own,
// and leaves nothing behind.
func demoCommand(ctx context.Context, args []string) error {
	f := flags("device [flags], for all in one; or device certs, device server, device device, each of which has a -h")
	addr := f.String("addr", "localhost:8080", pageUsage)
	f.Parse(args)
	if err := noArguments(f); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "device")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	names := []string{"kitchen", "cellar", "attic"}
	if err := makeCerts(dir, []string{"localhost"}, names); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	errs := make([]error, len(names)+1)
	var running sync.WaitGroup
	errs[len(names)] = serve(ctx, dir, *addr, "localhost:0", defaultHeartbeat, func(url string) {
		for i, name := range names {
			running.Go(func() { errs[i] = runDevice(ctx, dir, url, name, time.Duration(i+1)*time.Second, 0) })
		}
	})
	stop()
	running.Wait()
	return errors.Join(errs...)
}
