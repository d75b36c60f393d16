package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// A spec is the file that tells one wstest process, as the fuzzing client,
// what to do. The suite's own file has more keys; what is left out here is
// optional there.
type spec struct {
	OutDir  string   `json:"outdir"`
	Servers []target `json:"servers"`
	Cases   []string `json:"cases"`
}

// A target is the server under test. Without an agent the suite would file
// the results under the Server header of the response, which we do not send.
type target struct {
	Agent string `json:"agent"`
	URL   string `json:"url"`
}

func specs(args []string) error {
	fs := flag.NewFlagSet("specs", flag.ExitOnError)
	sel := selectionFlags(fs)
	url := fs.String("url", "", "`URL` of the server under test")
	shards := fs.Int("shards", 2, "`number` of wstest processes to divide the cases among")
	fs.Parse(args)
	if *url == "" || *shards < 1 || fs.NArg() != 1 {
		return fmt.Errorf("specs needs -url, at least one shard and one directory")
	}
	cases, err := sel.cases()
	if err != nil {
		return err
	}
	for i, shard := range split(cases, *shards) {
		dir := filepath.Join(fs.Arg(0), strconv.Itoa(i+1))
		s := spec{OutDir: dir, Servers: []target{{Agent: "plainsocket", URL: *url}}, Cases: shard}
		if err := writeSpec(dir, s); err != nil {
			return err
		}
	}
	return nil
}

func writeSpec(dir string, s spec) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "spec.json"), data, 0o644)
}
