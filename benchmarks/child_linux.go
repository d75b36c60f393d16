package main

// This file is the server's process. Each measurement has a fresh one, of this same program, so
// that the one before leaves nothing in it. Both sides talk in lines: a command goes down, a
// reading comes back.

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
)

func newReading() reading {
	var m runtime.MemStats
	cpu := processCPU()
	runtime.ReadMemStats(&m)
	live := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(live)
	return reading{CPU: cpu, Mallocs: m.Mallocs, Bytes: m.TotalAlloc, Resident: residentMemory("self"),
		Heap: live[0].Value.Uint64(), Stack: live[1].Value.Uint64()}
}

// serveChild is the process: its arguments name the server and the job.
func serveChild(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("serve: for a child of the measuring process")
	}
	i := slices.IndexFunc(servers, func(s *server) bool { return s.name == args[0] })
	j := new(job)
	if err := json.Unmarshal([]byte(args[1]), j); err != nil || i < 0 {
		return fmt.Errorf("serve: %q %v", args[0], err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := ln.Addr().String()
	if j.TLS {
		config, err := newTLSConfig()
		if err != nil {
			return err
		}
		ln = tls.NewListener(ln, config)
	}
	if j.Broadcast {
		j.hub = new(hub)
	}
	failed := make(chan error, 1)
	go func() { failed <- servers[i].serve(ln, j) }()
	go func() { failed <- answer(j, os.Stdin, os.Stdout, addr) }()
	return <-failed
}

// answer answers the commands of the measuring process until it goes away.
func answer(j *job, in io.Reader, out io.Writer, addr string) error {
	fmt.Fprintln(out, addr)
	encoder := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var err error
		var n, times int
		switch line := lines.Text(); {
		case line == "collect":
			runtime.GC()
			debug.FreeOSMemory() // a second collection, and back to the system
		case strings.HasPrefix(line, "broadcast"):
			if _, err = fmt.Sscanf(line, "broadcast %d %d", &n, &times); err == nil {
				err = j.hub.broadcast(n, times)
			}
		}
		r := newReading()
		if err != nil {
			r.Error = err.Error()
		}
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

// A child is the measuring process's side.
type child struct {
	name     string
	addr     string
	external bool // another program, which prints its address and takes no commands

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

func childCommand(s *server, j job) ([]string, error) {
	if s.command != nil {
		return s.command, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	task, err := json.Marshal(j)
	return []string{exe, "serve", s.name, string(task)}, err
}

// startChild starts a server for a job, alone on its CPU if possible.
func startChild(s *server, j job) (*child, error) {
	args, err := childCommand(s, j)
	if err != nil {
		return nil, err
	}
	c := &child{name: s.name, external: s.command != nil, cmd: exec.Command(args[0], args[1:]...)}
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.cmd.Stderr = &c.stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err = startServer(c.cmd); err != nil {
		return nil, err
	}
	c.addr, err = c.out.ReadString('\n')
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("the server did not start: %v", err)
	}
	c.addr = strings.TrimSpace(c.addr)
	return c, nil
}

// command sends a command without waiting for its reading.
func (c *child) command(format string, args ...any) error {
	_, err := fmt.Fprintf(c.in, format+"\n", args...)
	return err
}

func (c *child) reading() (r reading, err error) {
	line, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err == nil && r.Error != "" {
		err = fmt.Errorf("the server: %s", r.Error)
	}
	return r, err
}

// read takes a reading. "collect" does so after a garbage collection.
func (c *child) read(command string) (reading, error) {
	if c.external {
		return externalReading(c.cmd.Process.Pid)
	}
	if err := c.command("%s", command); err != nil {
		return reading{}, err
	}
	return c.reading()
}

// stop ends the process, and shows its log. The log explains a failure, and costs nothing if the
// server did well.
func (c *child) stop() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
	c.in.Close()
	if log := c.stderr.String(); log != "" {
		fmt.Fprintf(os.Stderr, "%s logged %d bytes: %.400s\n", c.name, len(log), log)
	}
}
