package main

// Tables in Markdown.

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A table has the results of one measurement for each server, round by round.
type table struct {
	kind, title string
	columns     []string // the names of a sample's values (spread and ratios are of the first)
	rows        []*row
}

type row struct {
	server  *server
	samples []sample // one for each round, or nil for a round that failed
	err     error    // the last failure
}

// add adds a round's sample.
func (t *table) add(s *server, v sample, err error) {
	r := t.row(func(r *row) bool { return r.server == s })
	if r == nil {
		r = &row{server: s}
		t.rows = append(t.rows, r)
	}
	if err != nil {
		r.err, v = err, nil
	}
	r.samples = append(r.samples, v)
}

func (t *table) row(is func(*row) bool) *row {
	if i := slices.IndexFunc(t.rows, is); i >= 0 {
		return t.rows[i]
	}
	return nil
}

func (r *row) median() float64 { return median(column(r.samples, 0)) }

// sorted returns the rows, the least first, those without any value last.
func (t *table) sorted() []*row {
	return slices.SortedStableFunc(slices.Values(t.rows), func(a, b *row) int {
		x, y := a.median(), b.median()
		switch {
		case x < y || !math.IsNaN(x) && math.IsNaN(y):
			return -1
		case x > y || math.IsNaN(x) && !math.IsNaN(y):
			return 1
		}
		return 0
	})
}

// floor returns the raw TCP server's row, and best the row of the best other library, or nil if
// there is none.
func (t *table) floor() *row { return t.row(func(r *row) bool { return r.server.raw }) }

func (t *table) best() *row {
	for _, r := range t.sorted() {
		if !r.server.raw && r.server.module != ours && !math.IsNaN(r.median()) {
			return r
		}
	}
	return nil
}

// markdown is the table, under its title.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.title)
	var more []int // the columns behind the first that have values
	for i := range t.columns[1:] {
		if slices.ContainsFunc(t.rows, func(r *row) bool { return len(column(r.samples, i+1)) > 0 }) {
			more = append(more, i+1)
		}
	}
	fmt.Fprintf(&b, "| | %s | min … max | × raw | × best peer", t.columns[0])
	for _, i := range more {
		fmt.Fprintf(&b, " | %s", t.columns[i])
	}
	fmt.Fprintf(&b, " |\n|---%s|\n", strings.Repeat("|---:", 4+len(more)))
	for _, r := range t.sorted() {
		b.WriteString(t.line(r, more))
	}
	for _, r := range t.rows {
		if r.err != nil {
			fmt.Fprintf(&b, "\n%s failed: %v\n", r.server.name, r.err)
		}
	}
	return b.String()
}

func (t *table) line(r *row, more []int) string {
	name := r.server.name
	if r.server.module == ours {
		name = "**" + name + "**"
	}
	cells := []string{name, figure(r.median()), spread(column(r.samples, 0)), t.times(r, t.floor()), t.times(r, t.best())}
	for _, i := range more {
		cells = append(cells, figure(median(column(r.samples, i))))
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// times returns the ratio of a row's value to another row's.
func (t *table) times(r, other *row) string {
	if other == nil {
		return missing
	}
	if v := ratio(r.samples, other.samples); !math.IsNaN(v) {
		return fmt.Sprintf("%.2f", v)
	}
	return missing
}

const missing = "–"

func spread(sorted []float64) string {
	if len(sorted) == 0 {
		return missing
	}
	return figure(sorted[0]) + " … " + figure(sorted[len(sorted)-1])
}

// figure is a number with the digits that say something.
func figure(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return missing
	case abs < 0.005:
		return "0"
	case abs < 9.995:
		return fmt.Sprintf("%.2f", v)
	case abs < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return count(int(math.Round(v)))
}

// count is a whole number with commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// byteSize returns a size in words.
func byteSize(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// An echoCase is a number of connections, a size, and the number of messages that each connection
// has under way.
type echoCase struct{ conns, size, inFlight int }

func (e echoCase) String() string {
	plural := "s"
	if e.conns == 1 {
		plural = ""
	}
	return fmt.Sprintf("Echo: %s connection%s, %s, %d in flight", count(e.conns), plural, byteSize(e.size), e.inFlight)
}
