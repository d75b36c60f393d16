package main

// The plan has the measurements, in rounds in which every server has its turn. A disturbance of the
// machine that lasts a while then affects all of them.

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A measurement fills one table.
type measurement struct {
	table
	rounds int // at most, or 0 for as many as there are
	takes  func(s *server) bool
	run    func(b *bench, s *server) (sample, error)
}

var kinds = []string{"echo", "broadcast", "idle", "scale", "wake", "handshake", "deflate", "latency"}

var usualEchoes = []echoCase{
	{1, 125, 1},
	{64, 125, 1}, {64, 1 << 10, 1}, {64, 16 << 10, 1}, {64, 1 << 20, 1},
	{64, 125, 32}, {64, 1 << 10, 32},
	{1000, 125, 1},
}

// fullEchoes are all combinations but those with more than 1 GiB under way.
func fullEchoes() (cases []echoCase) {
	for _, conns := range []int{1, 64, 1000} {
		for _, size := range []int{0, 125, 1 << 10, 16 << 10, 1 << 20} {
			for _, inFlight := range []int{1, 32} {
				if conns*size*inFlight <= 1<<30 {
					cases = append(cases, echoCase{conns, size, inFlight})
				}
			}
		}
	}
	return cases
}

// limited is n, or as many connections as this process may have.
func limited(n int) int { return min(n, descriptors()-100) }

// Which servers a measurement takes.
func every(s *server) bool       { return !s.pipelinedOnly }
func whole(s *server) bool       { return every(s) && !s.quietOnly }
func overTLS(s *server) bool     { return whole(s) && !s.noTLS }
func canDeflate(s *server) bool  { return whole(s) && s.deflate }
func canTakeOver(s *server) bool { return whole(s) && s.takeover }
func holdsMany(s *server) bool   { return whole(s) && s.holdsMany }
func pipelined(s *server) bool   { return whole(s) || s.pipelinedOnly }

// plan lists the measurements.
func plan(full bool) (plan []*measurement) {
	echoes := usualEchoes
	if full {
		echoes = fullEchoes()
	}
	for _, e := range echoes {
		takes := whole
		if e.inFlight > 1 {
			takes = pipelined
		}
		plan = append(plan, &measurement{table: table{kind: "echo", title: e.String(), columns: loadColumns}, takes: takes,
			run: func(b *bench, s *server) (sample, error) { return b.echo(s, e.conns, e.size, e.inFlight) }})
	}
	for _, n := range slices.Compact([]int{limited(1000), limited(10000)}) {
		plan = append(plan, &measurement{table: table{kind: "broadcast", columns: loadColumns,
			title: fmt.Sprintf("Broadcast of 125 B to %s connections, per delivery", count(n))}, takes: whole,
			run: func(b *bench, s *server) (sample, error) { return b.broadcast(s, n) }})
	}
	return slices.Concat(plan, idlePlan(full), scalePlan(full), otherPlan())
}

func idlePlan(full bool) []*measurement {
	many, some := limited(5000), limited(1500)
	if full {
		many, some = limited(18000), limited(5000)
	}
	idle := func(what string, j job, n int, takes func(s *server) bool) *measurement {
		return &measurement{table: table{kind: "idle", columns: idleColumns,
			title: fmt.Sprintf("Idle connections%s: %s of them, bytes for each", what, count(n))}, takes: takes, rounds: fewRounds,
			run: func(b *bench, s *server) (sample, error) { return b.idle(s, j, n) }}
	}
	return []*measurement{
		idle("", job{}, many, every),
		idle(" over TLS", job{TLS: true}, some, overTLS),
		idle(", compressed without context takeover", job{Deflate: true}, some, canDeflate),
		idle(", compressed with context takeover", job{Deflate: true, Takeover: true}, some, canTakeOver),
	}
}

// scalePlan holds as many connections as this machine allows, within reason.
func scalePlan(full bool) []*measurement {
	n := limited(20000)
	if full {
		n = limited(100000)
	}
	return []*measurement{{table: table{kind: "scale", columns: scaleColumns,
		title: fmt.Sprintf("%s connections, of which 1 %% send %d messages of 125 B a second each", count(n), activePace)},
		takes: holdsMany, rounds: fewRounds,
		run: func(b *bench, s *server) (sample, error) { return b.scale(s, n) }},
		{table: table{kind: "wake", title: fmt.Sprintf("A lone message of 125 B to one of %s idle connections, %d a second", count(n), lonePace),
			columns: loneColumns}, takes: holdsMany, rounds: fewRounds,
			run: func(b *bench, s *server) (sample, error) { return b.lone(s, n) }},
		{table: table{kind: "wake", title: fmt.Sprintf("A message of 125 B from all of %s idle connections at once", count(n)),
			columns: stormColumns}, takes: holdsMany, rounds: fewRounds,
			run: func(b *bench, s *server) (sample, error) { return b.storm(s, n) }}}
}

func otherPlan() []*measurement {
	deflate := func(takeover bool, what string, takes func(s *server) bool) *measurement {
		return &measurement{table: table{kind: "deflate", title: "Echo of 1 KiB of JSON, compressed " + what + ", 64 connections",
			columns: []string{"CPU, ns", "bytes sent", "allocations", "bytes allocated"}}, takes: takes,
			run: func(b *bench, s *server) (sample, error) { return b.deflate(s, takeover) }}
	}
	return []*measurement{
		{table: table{kind: "handshake", title: "Opening handshakes, 64 at a time, TCP's part included",
			columns: []string{"CPU, µs", "allocations", "bytes allocated"}}, takes: every,
			run: (*bench).handshakes},
		deflate(false, "without context takeover", canDeflate),
		deflate(true, "with context takeover", canTakeOver),
		{table: table{kind: "latency", title: "Latency at 20,000 messages of 125 B a second, 64 connections",
			columns: []string{"p50, µs", "p99, µs", "p99.9, µs", "CPU, ns"}}, takes: whole,
			run: func(b *bench, s *server) (sample, error) { return b.latency(s, 64, 125, 20000) }},
	}
}

// measureAll is the command without a name: all servers that are written in Go.
func measureAll(args []string) error {
	return measure(args, "RESULTS.md", servers, kinds)
}

// measure measures some kinds of work for some servers, of which flags choose, and writes file.
func measure(args []string, file string, servers []*server, kinds []string) error {
	flags := flag.NewFlagSet("benchmarks", flag.ExitOnError)
	only := flags.String("only", "", "measure only these, of "+strings.Join(kinds, ","))
	peers := flags.String("peers", "", "measure only these servers, such as raw,plainsocket,gorilla-tuned")
	rounds := flags.Int("rounds", 5, "how often each measurement is made")
	length := flags.Duration("time", 300*time.Millisecond, "how long each is")
	full := flags.Bool("full", false, "all combinations of the echo, and more idle connections")
	dir := flags.String("o", "", "`directory` for "+file+" and its plot (default: here, or nowhere if -only or -peers are given)")
	flags.Parse(args)
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown command %q", flags.Arg(0))
	}
	selected, unknown := selectServers(servers, *peers)
	chosen, wrong := selectKinds(plan(*full), kinds, *only)
	if len(unknown)+len(wrong) > 0 {
		return fmt.Errorf("there is no %s", strings.Join(append(unknown, wrong...), ", "))
	}
	if *dir == "" && *only == "" && *peers == "" {
		*dir = "."
	}
	r := newReport(file, selected, *rounds, *length)
	if err := pinLoad(); err != nil {
		return err
	}
	err := runRounds(chosen, selected, *rounds, *length)
	for _, m := range chosen {
		r.tables = append(r.tables, &m.table)
	}
	r.finish()
	return errors.Join(r.write(*dir), err)
}

// selectKinds returns the measurements that a comma-separated list of some kinds names. "" names
// those kinds.
func selectKinds(all []*measurement, kinds []string, list string) (chosen []*measurement, unknown []string) {
	names := kinds
	if list != "" {
		names = strings.Split(list, ",")
	}
	for _, n := range names {
		if !slices.Contains(kinds, n) {
			unknown = append(unknown, n)
		}
	}
	return slices.DeleteFunc(all, func(m *measurement) bool { return !slices.Contains(names, m.kind) }), unknown
}

// runRounds makes all measurements. A failure is in the tables, and an error at the end.
func runRounds(chosen []*measurement, selected []*server, rounds int, length time.Duration) error {
	failures := 0
	for round := range rounds {
		b := &bench{length: length, countSyscalls: round == 0}
		for _, m := range chosen {
			if m.rounds > 0 && round >= m.rounds {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, rounds, m.title)
			for i := range selected {
				s := selected[(i+round)%len(selected)] // another one begins in each round
				if !m.takes(s) {
					continue
				}
				v, err := m.run(b, s)
				if err != nil {
					failures++
					fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, err)
				}
				m.add(s, v, err)
			}
		}
	}
	if failures > 0 {
		return fmt.Errorf("measurements that failed: %d", failures)
	}
	return nil
}

func newReport(file string, servers []*server, rounds int, length time.Duration) *report {
	r := &report{file: file, servers: servers, rounds: rounds, length: length, begin: time.Now(), maxDescriptors: descriptors()}
	r.loads[0] = loadAverage()
	_, _, r.pinned = pins()
	_, r.noTracepoint = tracepoint()
	return r
}

func (r *report) finish() {
	r.took = time.Since(r.begin).Round(time.Second)
	r.loads[1] = loadAverage()
}

// write writes the report to a directory, or to the standard output if there is none.
func (r *report) write(dir string) error {
	if dir == "" {
		_, err := os.Stdout.WriteString(r.markdown())
		return err
	}
	return errors.Join(
		os.MkdirAll(dir, 0o777),
		os.WriteFile(filepath.Join(dir, r.file), []byte(r.markdown()), 0o666),
		os.WriteFile(filepath.Join(dir, r.plotFile()), []byte(plot(r.panels())), 0o666))
}
