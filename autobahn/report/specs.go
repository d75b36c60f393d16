package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// agent is the name that the suite files the results under.
const agent = "plainsocket"

// A spec is the file that tells one wstest process its task. The suite's own files have more keys,
// which are optional.
type spec struct {
	OutDir  string   `json:"outdir"`
	URL     string   `json:"url,omitempty"`     // wstest's own address, if it is the server
	Servers []target `json:"servers,omitempty"` // the servers under test, if wstest is the client
	Cases   []string `json:"cases"`
}

// A target is the server under test. Without an agent the suite would file
// the results under the Server header of the response, which we do not send.
type target struct {
	Agent string `json:"agent"`
	URL   string `json:"url"`
}

// specs writes the specs. For those of servers it prints, a line for each,
// directory and URL to w.
func specs(w io.Writer, args []string) error {
	fs := flag.NewFlagSet("specs", flag.ExitOnError)
	sel := selectionFlags(fs)
	url := fs.String("url", "", "`URL` of the server under test")
	asServer := fs.Bool("fuzzingserver", false, "wstest is to be the server, on free ports of this machine")
	shards := fs.Int("shards", 2, "`number` of wstest processes to divide the cases among")
	fs.Parse(args)
	if (*url == "") != *asServer || *shards < 1 || fs.NArg() != 1 {
		return fmt.Errorf("specs needs -url or -fuzzingserver, at least one shard and one directory")
	}
	cases, err := sel.cases()
	if err != nil {
		return err
	}
	parts := split(cases, *shards)
	var ports []int
	if *asServer {
		if ports, err = freePorts(len(parts)); err != nil {
			return err
		}
	}
	for i, part := range parts {
		s := spec{OutDir: filepath.Join(fs.Arg(0), strconv.Itoa(i+1)), Cases: part}
		if *asServer {
			s.URL = fmt.Sprintf("ws://127.0.0.1:%d", ports[i])
			fmt.Fprintln(w, s.OutDir, s.URL)
		} else {
			s.Servers = []target{{Agent: agent, URL: *url}}
		}
		if err := writeSpec(s); err != nil {
			return err
		}
	}
	return nil
}

// freePorts returns n ports that are free. The suite cannot choose one by itself and report it.
// Until the suite listens another program may still take the port, and then the run fails.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // not before all are known, or one could come twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func writeSpec(s spec) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.OutDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.OutDir, "spec.json"), data, 0o644)
}
