package main

import (
	"slices"
	"strings"
	"testing"
)

const profile = `mode: atomic
github.com/plainsocket/websocket/mask.go:3.10,5.2 2 0
github.com/plainsocket/websocket/mask.go:3.10,5.2 2 7
github.com/plainsocket/websocket/mask.go:7.1,7.9 1 0
github.com/plainsocket/websocket/conn.go:9.1,12.2 3 1
example.com/other/file.go:1.1,2.2 5 0
`

// A block ran if one of the packages' tests ran it. Files of other modules do not count.
func TestReport(t *testing.T) {
	blocks, err := readProfile(strings.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file  string
		least float64
		ok    bool
		want  string
	}{
		{"mask.go", 67, false, "  mask.go                              not run: 7\nx: 2 of 3 statements in 1 files, 66.7 % (at least 67 %: too little)\n"},
		{"mask.go", 66, true, "  mask.go                              not run: 7\nx: 2 of 3 statements in 1 files, 66.7 % (at least 66 %: enough)\n"},
		{"conn.go", 100, true, "x: 3 of 3 statements in 1 files, 100.0 % (at least 100 %: enough)\n"},
	} {
		var out strings.Builder
		ok := report(&out, "x", tt.least, selected(blocks, func(file string) bool { return file == tt.file }))
		if ok != tt.ok || out.String() != tt.want {
			t.Errorf("%s, at least %g: %v,\n%swant %v,\n%s", tt.file, tt.least, ok, out.String(), tt.ok, tt.want)
		}
	}
}

func TestReadProfileRefuses(t *testing.T) {
	for _, text := range []string{"", "mode: set\n", "mode: set\nno colon\n", "mode: set\nfile.go:1.2\n", "mode: set\nexample.com/f.go:1.1,2.2 1 1\n"} {
		if blocks, err := readProfile(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v, want an error", text, blocks)
		}
	}
}

// The table of layers_test.go has the rules of frames and of the handshake in its pure rows, and no
// connection.
func TestPureFiles(t *testing.T) {
	names, err := pureFiles("../../layers_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"frame.go", "mask.go", "utf8.go", "close.go", "header.go", "handshake.go", "origin.go", "compress.go"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not pure", name)
		}
	}
	for _, name := range []string{"conn.go", "conn_read.go", "lock.go", "server.go"} {
		if slices.Contains(names, name) {
			t.Errorf("%s is pure", name)
		}
	}
}
