package conformance

// This file turns the case table, testdata/autobahn.tsv, into values. The file's head explains
// every column. It contains only facts about cases, and no other file repeats them.

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An autobahnCase is one row of the table.
type autobahnCase struct {
	id        string
	expected  string // in words, for the reader of a failure
	steps     []step
	ok        []event
	nonStrict []event // nil when the suite lists no second choice
	closer    string  // "fuzzer" or "peer"
	codes     []int
	clean     bool
}

// informational reports whether the suite records the outcome of c without judging it, because the
// RFC leaves it open.
func (c autobahnCase) informational() bool {
	return slices.Contains([]string{"7.1.6", "7.13.1", "7.13.2"}, c.id)
}

// closesItself reports whether a step of c sends a close frame, so that the fuzzer does not add its
// own.
func (c autobahnCase) closesItself() bool {
	return slices.ContainsFunc(c.steps, func(s step) bool { return s.verb == "C" })
}

// size returns the number of payload bytes that c sends.
func (c autobahnCase) size() (n int) {
	for _, s := range c.steps {
		n += s.times * s.data.n
	}
	return n
}

// A step is one action of the fuzzer. The verb decides which fields count.
type step struct {
	verb    string // F M H D C wait kill close, as in the table
	times   int
	op, rsv byte
	fin     bool
	data    patternBytes
	chop    int // F: bytes per write, 0 for all in one
	frag    int // M: bytes per frame, 0 for all in one
	length  int // H: the length announced
	sync    bool
	wait    time.Duration
	tag     string
}

// An event is something the fuzzer saw: a message, a pong, a wait that passed.
type event struct {
	kind string // text bin pong wait
	data patternBytes
}

func (e event) equal(f event) bool { return e.kind == f.kind && e.data.equal(f.data) }

func (e event) String() string { return fmt.Sprintf("%s(%v)", e.kind, e.data) }

// patternBytes is n bytes of a repeated pattern. The table's 16 MiB messages stay as short as they
// are written there.
type patternBytes struct {
	pattern []byte
	n       int
}

func literal[T string | []byte](b T) patternBytes { return patternBytes{[]byte(b), len(b)} }

func (o patternBytes) bytes() []byte {
	if o.n == len(o.pattern) {
		return o.pattern
	}
	return bytes.Repeat(o.pattern, o.n/len(o.pattern)+1)[:o.n]
}

// equal compares without spelling the pattern out: 16 MiB are compared by the kilobyte.
func (o patternBytes) equal(p patternBytes) bool {
	if o.n != p.n || o.n == 0 {
		return o.n == p.n
	}
	if len(o.pattern) < o.n {
		o, p = p, o
	}
	part := patternBytes{p.pattern, min(o.n, (1+4096/len(p.pattern))*len(p.pattern))}.bytes()
	for b := range slices.Chunk(o.bytes(), len(part)) {
		if !bytes.Equal(b, part[:len(b)]) {
			return false
		}
	}
	return true
}

func (o patternBytes) String() string {
	if o.n <= 40 {
		return hex.EncodeToString(o.bytes())
	}
	return fmt.Sprintf("%x... %d bytes", o.bytes()[:16], o.n)
}

func loadCases(t *testing.T) (cases []autobahnCase) {
	t.Helper()
	file, err := os.Open("testdata/autobahn.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "case\t") {
			continue
		}
		c, err := parseCase(strings.Split(line, "\t"))
		if err != nil {
			t.Fatalf("%.40q: %v", line, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

func parseCase(col []string) (c autobahnCase, err error) {
	if len(col) != 10 {
		return c, fmt.Errorf("%d columns", len(col))
	}
	c = autobahnCase{id: col[0], expected: col[2], closer: col[6], clean: col[8] == "yes"}
	if c.closer != "fuzzer" && c.closer != "peer" {
		return c, fmt.Errorf("closer %q", c.closer)
	}
	if c.steps, err = parseSteps(col[3]); err != nil {
		return c, err
	}
	if c.ok, err = parseEvents(col[4], c.steps); err != nil {
		return c, err
	}
	if col[5] != "" {
		if c.nonStrict, err = parseEvents(col[5], c.steps); err != nil {
			return c, err
		}
	}
	for code := range strings.SplitSeq(col[7], ",") {
		n, err := strconv.Atoi(code)
		if err != nil {
			return c, err
		}
		c.codes = append(c.codes, n)
	}
	return c, nil
}
