package main

// The report has the servers, the machine, a guide to the figures, and the tables.

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// fewRounds is the largest number of rounds for measurements that take long or vary little.
const fewRounds = 3

type report struct {
	file    string
	servers []*server
	rounds  int
	length  time.Duration
	tables  []*table

	begin          time.Time
	took           time.Duration
	loads          [2]string // the machine's load average at the begin and at the end
	pinned         bool
	noTracepoint   error
	maxDescriptors int
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# WebSocket servers beside each other\n\nMade by `%s`; [README.md](README.md) says how, and what it does not say.\n\n",
		strings.Join(append([]string{"go run ."}, os.Args[1:]...), " "))
	r.writeMachine(&b)
	b.WriteString("![CPU time per message and memory per connection](" + r.plotFile() + ")\n\n## Who is measured\n\n| | version | how |\n|---|---|---|\n")
	for _, s := range r.servers {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.name, serverVersion(s), s.how)
	}
	b.WriteString("\n## What came out\n\nMedians, sorted; × is the median of the ratios within a round. Differences under 12 % are noise.\n")
	for _, t := range r.tables {
		if len(t.rows) > 0 {
			b.WriteString("\n" + t.markdown())
		}
	}
	return b.String()
}

// plotFile is plot.svg for RESULTS.md.
func (r *report) plotFile() string {
	if r.file == "RESULTS.md" {
		return "plot.svg"
	}
	return strings.ToLower(strings.TrimSuffix(r.file, ".md")) + ".svg"
}

func (r *report) writeMachine(b *strings.Builder) {
	fmt.Fprintf(b, "%s, %d CPUs, Linux %s, %s, %s. %d rounds of %v for each figure (idle, scale and wake at most %d), in %v; load average %s before, %s after.\n",
		cpuModel(), runtime.NumCPU(), firstLine("/proc/sys/kernel/osrelease"), runtime.Version(), r.begin.Format(time.DateOnly),
		r.rounds, r.length, fewRounds, r.took, r.loads[0], r.loads[1])
	if r.pinned {
		b.WriteString("Server and load generator are pinned to a CPU each; the server has GOMAXPROCS=1. ")
	} else {
		b.WriteString("Server and load generator were not pinned: there is one CPU only. ")
	}
	fmt.Fprintf(b, "A process may have %d files open.\n", r.maxDescriptors)
	if r.noTracepoint != nil {
		fmt.Fprintf(b, "System calls are left out: %v.\n", r.noTracepoint)
	}
	b.WriteString("\n")
}

func serverVersion(s *server) string {
	switch {
	case s.command != nil:
		return s.version
	case s.module == "":
		return runtime.Version()
	case s.module == ours:
		return "this"
	}
	return version(s.module)
}

func firstLine(file string) string {
	b, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// loadAverage returns the load average of the last minute. This program makes about 2 itself. More
// means that others disturbed it.
func loadAverage() string {
	one, _, _ := strings.Cut(firstLine("/proc/loadavg"), " ")
	return one
}

// panels are the plot's: the tables that say most.
func (r *report) panels() (panels []panel) {
	for _, p := range []struct{ title, heading, unit string }{
		{echoCase{64, 125, 1}.String(), "Echo of 125 B, 64 connections", "ns of CPU per message"},
		{echoCase{64, 125, 32}.String(), "The same, 32 messages in flight", "ns of CPU per message"},
		{echoCase{64, 16 << 10, 1}.String(), "Echo of 16 KiB, 64 connections", "ns of CPU per message"},
		{"Idle connections:", "An idle connection", "bytes of memory"},
	} {
		i := slices.IndexFunc(r.tables, func(t *table) bool { return strings.HasPrefix(t.title, p.title) })
		if i < 0 || len(r.tables[i].rows) == 0 {
			continue
		}
		panel := panel{heading: p.heading, unit: p.unit}
		for _, row := range r.tables[i].sorted() {
			if values := column(row.samples, 0); len(values) > 0 {
				panel.bars = append(panel.bars, bar{name: row.server.name, value: row.median(),
					low: values[0], high: values[len(values)-1], ours: row.server.module == ours})
			}
		}
		panels = append(panels, panel)
	}
	return panels
}
