package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The program's output is what its README promises: frame boundaries, the ping
// between them, and memory that does not depend on the stream's size.
func TestRun(t *testing.T) {
	var b bytes.Buffer
	if err := run(&b, 64<<20); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	want := `/hello
  FIN 1  opcode  1 text              5 octets   81 05
  = "hello"

/fragments
  FIN 0  opcode  1 text              6 octets   01 06
  FIN 1  opcode  9 ping             12 octets   89 0c
  FIN 0  opcode  0 continuation     10 octets   00 0a
  FIN 1  opcode  0 continuation      5 octets   80 05
  = "and a happy new year!"

/stream
  FIN 0  opcode  2 binary        32754 octets   02 7e 7f f2
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("printed\n%s\nwant\n%s…", got, want)
	}
	m := regexp.MustCompile(`= (\d+) octets, SHA-256 ([0-9a-f]{8}).*; (\d+) KiB were allocated`).FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("no summary of the stream in\n%s", got)
	}
	// The sum is sha256sum's, of 64 MiB of zeros.
	if m[1] != fmt.Sprint(64<<20) || m[2] != "3b6a07d0" {
		t.Errorf("the stream arrived as %s octets with the sum %s", m[1], m[2])
	}
	if kib, _ := strconv.Atoi(m[3]); kib > 4<<10 {
		t.Errorf("streaming 64 MiB allocated %d KiB", kib)
	}
}
