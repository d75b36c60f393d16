package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// demo runs n nodes as processes of their own, so that one of them can be killed.
func demo(ctx context.Context, n int, cfg config) error {
	dir := cfg.broker.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "cluster-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	commands, err := demoCommands(n, cfg, dir)
	if err != nil {
		return err
	}
	secret := cmp.Or(cfg.broker.secret, rand.Text())
	var ended sync.WaitGroup
	for _, args := range commands {
		ended.Go(func() { runChild(ctx, args, "CLUSTER_SECRET="+secret) })
	}
	fmt.Printf("starting %d nodes; Ctrl-C ends them\n", n)
	ended.Wait()
	return nil
}

// demoCommands returns the arguments of each node.
func demoCommands(n int, cfg config, dir string) ([][]string, error) {
	host, portText, err := net.SplitHostPort(cfg.addr)
	port, err2 := strconv.Atoi(portText)
	if err != nil || err2 != nil || port == 0 {
		return nil, fmt.Errorf("-addr %s: -demo needs a host and the first port", cfg.addr)
	}
	var addrs, peers, clusters []string
	for i := range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free now
		if err != nil {
			return nil, err
		}
		ln.Close()
		clusters = append(clusters, ln.Addr().String())
		addrs = append(addrs, net.JoinHostPort(host, strconv.Itoa(port+i)))
		peers = append(peers, "http://"+addrs[i])
	}
	var commands [][]string
	for i := range n {
		name := fmt.Sprint("n", i+1)
		args := []string{"-addr", addrs[i], "-name", name, "-dir", filepath.Join(dir, name), "-peers", strings.Join(peers, ",")}
		args = append(args, cfg.same...)
		if n > 1 {
			args = append(args, "-cluster", clusters[i], "-join", strings.Join(clusters, ","))
		}
		commands = append(commands, args)
	}
	return commands, nil
}

// runChild runs a node until it ends, or ctx does. How it can be started again is printed if it was
// killed.
func runChild(ctx context.Context, args []string, env string) {
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return
	}
	cmd := exec.Command(program, append(args, "-with-parent")...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return
	}
	stop := context.AfterFunc(ctx, func() { stdin.(io.Closer).Close() })
	defer stop()
	if err := cmd.Wait(); ctx.Err() == nil {
		fmt.Printf("a node has ended (%v). To start it again, in another terminal:\n  %s %s %s\n", err, env, program, strings.Join(args, " "))
	}
}
