package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestSpecs(t *testing.T) {
	const url = "ws://127.0.0.1:1/"
	written, printed := writeThree(t, "-url", url)
	for i, s := range written {
		if len(s.Servers) != 1 || s.Servers[0].URL != url || s.Servers[0].Agent == "" || s.URL != "" {
			t.Errorf("shard %d is %q and tests %+v, want %s", i+1, s.URL, s.Servers, url)
		}
	}
	if printed != "" {
		t.Errorf("prints %q", printed)
	}
}

func TestSpecsOfServers(t *testing.T) {
	written, printed := writeThree(t, "-fuzzingserver")
	var want strings.Builder
	urls := make(map[string]bool)
	for i, s := range written {
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != "ws" || u.Hostname() != "127.0.0.1" || s.Servers != nil {
			t.Errorf("shard %d is %q and tests %v", i+1, s.URL, s.Servers)
			continue
		}
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			t.Errorf("shard %d: the port is not free: %v", i+1, err)
			continue
		}
		l.Close()
		urls[s.URL] = true
		fmt.Fprintln(&want, s.OutDir, s.URL)
	}
	if len(urls) != 3 {
		t.Errorf("ports %v, want three", urls)
	}
	if printed != want.String() {
		t.Errorf("prints %q, want %q", printed, &want)
	}
}

// writeThree writes the specs of three shards, and checks the fields that do not depend on the
// role.
func writeThree(t *testing.T, role ...string) (written []spec, printed string) {
	t.Helper()
	dir := t.TempDir()
	var out strings.Builder
	args := slices.Concat([]string{"-list", "../cases.txt", "-cases", "2.*,9.*", "-shards", "3"}, role, []string{dir})
	if err := specs(&out, args); err != nil {
		t.Fatal(err)
	}
	var cases []string
	for shard := 1; shard <= 3; shard++ {
		sub := filepath.Join(dir, strconv.Itoa(shard))
		data, err := os.ReadFile(filepath.Join(sub, "spec.json"))
		if err != nil {
			t.Fatal(err)
		}
		var s spec
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		// Two processes that wrote into one directory would lose results.
		if s.OutDir != sub {
			t.Errorf("shard %d writes to %s, want %s", shard, s.OutDir, sub)
		}
		written = append(written, s)
		cases = append(cases, s.Cases...)
	}
	want, err := selectCases(suite(t), "2.*,9.*")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(cases, compareIDs)
	if !slices.Equal(cases, want) {
		t.Errorf("the shards run %q, want %q", cases, want)
	}
	return written, out.String()
}

func TestSpecsRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"-list", "../cases.txt", dir},
		{"-list", "../cases.txt", "-url", "ws://x/", "-fuzzingserver", dir},
		{"-list", "../cases.txt", "-fuzzingserver", "-shards", "0", dir},
		{"-list", "../cases.txt", "-url", "ws://x/", "-shards", "0", dir},
		{"-list", "../cases.txt", "-url", "ws://x/"},
		{"-list", "../none.txt", "-url", "ws://x/", dir},
		{"-list", "../cases.txt", "-url", "ws://x/", "-cases", "8.*", dir},
	} {
		if err := specs(io.Discard, args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
