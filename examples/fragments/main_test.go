package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/plainsocket/websocket"
)

// The program's output is as its README promises: frame boundaries, the ping between them, and
// memory that does not depend on the stream's size.
func TestRun(t *testing.T) {
	var b bytes.Buffer
	if err := run(&b, io.LimitReader(zeros{}, 64<<20)); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	want := `/hello
  FIN 1  opcode  1 text              5 bytes   81 05
  = "hello"

/fragments
  FIN 0  opcode  1 text              6 bytes   01 06
  FIN 1  opcode  9 ping             12 bytes   89 0c
  FIN 0  opcode  0 continuation     10 bytes   00 0a
  FIN 1  opcode  0 continuation      5 bytes   80 05
  = "and a happy new year!"

/stream
  FIN 0  opcode  2 binary        32754 bytes   02 7e 7f f2
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("printed\n%s\nwant\n%s…", got, want)
	}
	m := regexp.MustCompile(`= (\d+) bytes, SHA-256 ([0-9a-f]{8}).*; (\d+) KiB were allocated`).FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("no summary of the stream in\n%s", got)
	}
	// The sum is sha256sum's, of 64 MiB of zeros.
	if m[1] != fmt.Sprint(64<<20) || m[2] != "3b6a07d0" {
		t.Errorf("the stream arrived as %s bytes with the sum %s", m[1], m[2])
	}
	if kib, _ := strconv.Atoi(m[3]); kib > 4<<10 {
		t.Errorf("streaming 64 MiB allocated %d KiB", kib)
	}
}

// summary returns the program's output for a stream.
func summary(t *testing.T, source io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	if err := run(&b, source); err != nil {
		t.Fatal(err)
	}
	_, stream, _ := strings.Cut(b.String(), "/stream\n")
	return stream
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, bytes.Repeat([]byte("0123456789"), 100_000), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The sum is sha256sum's. 1,000,000 bytes are 30 frames of 32754, and one more.
	got := summary(t, f)
	for _, want := range []string{"… 24 more\n", "FIN 1  opcode  0 continuation  17380 bytes", "= 1000000 bytes, SHA-256 ec21d64624228af3"} {
		if !strings.Contains(got, want) {
			t.Errorf("printed\n%s\nwithout %q", got, want)
		}
	}
}

func TestSmallStreams(t *testing.T) {
	for text, want := range map[string]string{
		"":  "  FIN 1  opcode  2 binary            0 bytes   82 00\n  = \"\"\n\n",
		"x": "  FIN 1  opcode  2 binary            1 bytes   82 01\n  = \"x\"\n\n",
	} {
		if got := summary(t, strings.NewReader(text)); got != want {
			t.Errorf("%q: printed\n%s\nwant\n%s", text, got, want)
		}
	}
}

// A stream may have more frames than a message has by default, as one of more than 2 GiB does. Here
// they are of one byte.
func TestAnyNumberOfFrames(t *testing.T) {
	const frames = 70_000
	srv := &websocket.Server{Handler: func(c *websocket.Conn, _ *http.Request) {
		w, err := c.NextWriter(websocket.BinaryMessage)
		for range frames {
			if err == nil {
				_, err = w.Write([]byte("x"))
			}
			if err == nil {
				err = w.(interface{ Flush() error }).Flush()
			}
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}}
	hs := httptest.NewServer(srv)
	defer hs.Close()
	defer srv.Shutdown(context.Background())
	var b bytes.Buffer
	if err := fetch(&b, "ws"+strings.TrimPrefix(hs.URL, "http")); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("= %d bytes", frames); !strings.Contains(b.String(), want) {
		t.Errorf("printed\n%s\nwithout %q", &b, want)
	}
}
