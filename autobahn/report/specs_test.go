package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestSpecs(t *testing.T) {
	dir := t.TempDir()
	const url = "ws://127.0.0.1:1/"
	if err := specs([]string{"-list", "../cases.txt", "-cases", "2.*,9.*", "-shards", "3", "-url", url, dir}); err != nil {
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
		if len(s.Servers) != 1 || s.Servers[0].URL != url || s.Servers[0].Agent == "" {
			t.Errorf("shard %d tests %+v, want %s", shard, s.Servers, url)
		}
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
}

func TestSpecsRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"-list", "../cases.txt", dir},
		{"-list", "../cases.txt", "-url", "ws://x/", "-shards", "0", dir},
		{"-list", "../cases.txt", "-url", "ws://x/"},
		{"-list", "../none.txt", "-url", "ws://x/", dir},
		{"-list", "../cases.txt", "-url", "ws://x/", "-cases", "8.*", dir},
	} {
		if err := specs(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
