// Package drive starts nodes as processes and connects clients to them, for the tests and for the
// measuring command.
package drive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build compiles the example into a directory, and returns the program's path.
func Build(dir, source string) (string, error) {
	program := filepath.Join(dir, "cluster")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return program, nil
}

// A Node is a process of the example.
type Node struct {
	Name string
	Addr string // host:port of its page

	program string
	args    []string
	cmd     *exec.Cmd
	exited  chan struct{}

	mu  sync.Mutex // guards out
	out bytes.Buffer
}

func (n *Node) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.Write(p)
}

// Output is what the node has printed, in all of its lives.
func (n *Node) Output() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.String()
}

// PID is the process's number.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Start starts the process. WaitReady waits for it.
func (n *Node) Start() error {
	n.cmd = exec.Command(n.program, n.args...)
	n.cmd.Stdout, n.cmd.Stderr = n, n
	n.exited = make(chan struct{})
	if err := n.cmd.Start(); err != nil {
		return err
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(n.cmd, n.exited)
	return nil
}

// WaitReady waits until the node takes connections.
func (n *Node) WaitReady(ctx context.Context) error {
	for {
		if _, err := n.Get(ctx, "/readyz"); err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-n.exited:
			return fmt.Errorf("node %s has ended:\n%s", n.Name, n.Output())
		case <-ctx.Done():
			return fmt.Errorf("node %s is not ready: %w\n%s", n.Name, ctx.Err(), n.Output())
		}
	}
}

var web = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Get asks the node for a page, and returns its body if the status is 200.
func (n *Node) Get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.Addr+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	return string(body), err
}

// Leads reports whether the node is the leader of the rooms' stream.
func (n *Node) Leads(ctx context.Context) bool {
	body, err := n.Get(ctx, "/metrics")
	return err == nil && strings.Contains(body, "\ncluster_leader 1\n")
}

// Kill ends the process as a power cut would.
func (n *Node) Kill() {
	n.cmd.Process.Kill()
	<-n.exited
}

// Stop has the node drain, and waits for its end.
func (n *Node) Stop() {
	n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.exited:
	case <-time.After(30 * time.Second):
		n.Kill()
	}
}

// A Cluster is some nodes that know each other.
type Cluster []*Node

// NewCluster prepares nodes on free ports of this machine. Their files are in dir. More arguments
// are the same for all.
func NewCluster(program, dir string, size int, args ...string) (Cluster, error) {
	ports, err := freePorts(2 * size)
	if err != nil {
		return nil, err
	}
	pages, brokers := ports[:size], ports[size:]
	peers := "http://" + strings.Join(pages, ",http://")
	var c Cluster
	for i := range size {
		name := fmt.Sprint("n", i+1)
		n := &Node{Name: name, Addr: pages[i], program: program}
		n.args = append([]string{"-name", name, "-addr", pages[i], "-peers", peers}, args...)
		if size > 1 {
			n.args = append(n.args, "-dir", filepath.Join(dir, name), "-cluster", brokers[i], "-join", strings.Join(brokers, ","))
		}
		c = append(c, n)
	}
	return c, nil
}

func freePorts(n int) (addrs []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}

// Start starts all nodes, and waits until they are ready.
func (c Cluster) Start(ctx context.Context) error {
	for _, n := range c {
		if err := n.Start(); err != nil {
			return err
		}
	}
	for _, n := range c {
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Kill ends all nodes.
func (c Cluster) Kill() {
	for _, n := range c {
		if n.cmd != nil {
			n.cmd.Process.Signal(os.Kill)
		}
	}
	for _, n := range c {
		if n.cmd != nil {
			<-n.exited
		}
	}
}

// Addrs are the addresses of the nodes.
func (c Cluster) Addrs() (list []string) {
	for _, n := range c {
		list = append(list, n.Addr)
	}
	return list
}

// Leader returns the index of the node that leads the rooms' stream. It waits for one.
func (c Cluster) Leader(ctx context.Context) (int, error) {
	for {
		for i, n := range c {
			if n.Leads(ctx) {
				return i, nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return 0, fmt.Errorf("no node leads: %w", ctx.Err())
		}
	}
}
