package main

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestTableMarkdown(t *testing.T) {
	raw := &server{name: "raw", raw: true}
	mine := &server{name: "mine", module: ours}
	good := &server{name: "good", module: "example.com/good"}
	slow := &server{name: "slow", module: "example.com/slow"}
	broken := &server{name: "broken", module: "example.com/broken"}
	table := &table{title: "Echo", columns: []string{"CPU, ns", "system calls", "allocations"}}
	nan := math.NaN()
	for _, round := range []float64{1, 2, 1.5} { // the second round was disturbed
		table.add(broken, sample{1, 1, 1}, errors.New("wrong answer"))
		table.add(slow, sample{4000 * round, nan, 12}, nil)
		table.add(good, sample{2000 * round, nan, 0}, nil)
		table.add(mine, sample{1100 * round, nan, 0}, nil)
		table.add(raw, sample{1000 * round, nan, 0}, nil)
	}
	want := `### Echo

| | CPU, ns | min … max | × raw | × best peer | allocations |
|---|---:|---:|---:|---:|---:|
| raw | 1,500 | 1,000 … 2,000 | 1.00 | 0.50 | 0 |
| **mine** | 1,650 | 1,100 … 2,200 | 1.10 | 0.55 | 0 |
| good | 3,000 | 2,000 … 4,000 | 2.00 | 1.00 | 0 |
| slow | 6,000 | 4,000 … 8,000 | 4.00 | 2.00 | 12.0 |
| broken | – | – | – | – | – |

broken failed: wrong answer
`
	if got := table.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Without a raw TCP server and without others there is no row to compare with.
func TestTableAlone(t *testing.T) {
	table := &table{title: "Idle", columns: []string{"RSS"}}
	table.add(&server{name: "mine", module: ours}, sample{3712}, nil)
	if got, want := table.markdown(), "| **mine** | 3,712 | 3,712 … 3,712 | – | – |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant an end of\n%s", got, want)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.004: "0", 0.25: "0.25", 9.994: "9.99", 9.996: "10.0", 31.04: "31.0", 99.96: "100", 999.6: "1,000",
		-1234: "-1,234", -123: "-123", 1254661: "1,254,661", math.NaN(): "–",
	} {
		if got := figure(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestEchoCaseString(t *testing.T) {
	for c, want := range map[echoCase]string{
		{1, 0, 1}:           "Echo: 1 connection, 0 B, 1 in flight",
		{1000, 1 << 10, 32}: "Echo: 1,000 connections, 1 KiB, 32 in flight",
		{64, 1 << 20, 1}:    "Echo: 64 connections, 1 MiB, 1 in flight",
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSelectServers(t *testing.T) {
	names := func(list string) string {
		selected, unknown := selectServers(servers, list)
		var s []string
		for _, v := range selected {
			s = append(s, v.name)
		}
		return strings.Join(s, " ") + " / " + strings.Join(unknown, " ")
	}
	for list, want := range map[string]string{
		"raw,gorilla":       "raw gorilla gorilla-tuned / ",
		"gorilla-tuned,gws": "gorilla-tuned gws gws-http / ",
		"plainsocket,ws":    "plainsocket-pull plainsocket-http plainsocket-upgrader plainsocket-onmessage plainsocket-goroutines plainsocket-events plainsocket-coalesce / ws",
	} {
		if got := names(list); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
	if all, _ := selectServers(servers, ""); len(all) != len(servers) {
		t.Errorf("no list selects %d of %d", len(all), len(servers))
	}
}
