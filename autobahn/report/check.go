package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// check prints the suite's results to w. Its error is errNotPassed if they are not good enough.
func check(w io.Writer, args []string) error {
	fs := flag.NewFlagSet("check", flag.ExitOnError)
	sel := selectionFlags(fs)
	var h heading
	fs.StringVar(&h.subject, "subject", "", "`title` of the server or client under test")
	fs.StringVar(&h.suite, "suite", "", "`name and version` of the suite")
	fs.StringVar(&h.command, "command", "", "`command` that makes these results again")
	results := fs.String("results", "", "`file` of results to bring up to date (default: no file is written)")
	fs.Parse(args)
	if fs.NArg() != 1 {
		return errors.New("check needs one directory")
	}
	h.goVersion = runtime.Version()
	cases, err := sel.cases()
	if err != nil {
		return err
	}
	outcomes, err := readOutcomes(fs.Arg(0), cases)
	if err != nil {
		return err
	}
	rows := tally(outcomes)
	if err := printOutcomes(w, rows, outcomes); err != nil {
		return err
	}
	if *results != "" {
		if err := updateResults(*results, h, rows, outcomes); err != nil {
			return err
		}
	}
	if total(rows).other > 0 {
		return errNotPassed
	}
	return nil
}

// A row counts the cases of one section by verdict.
type row struct {
	section                         string
	cases, ok, informational, other int
}

func (r *row) add(o outcome) {
	r.cases++
	switch v := o.verdict(); {
	case v == wordOK:
		r.ok++
	case v == wordInformational && slices.Contains(informationalCases, o.ID):
		r.informational++
	default:
		r.other++
	}
}

// tally makes one row a section, in the order of the cases.
func tally(outcomes []outcome) []row {
	var rows []row
	for _, o := range outcomes {
		s := section(o.ID)
		if len(rows) == 0 || rows[len(rows)-1].section != s {
			rows = append(rows, row{section: s})
		}
		rows[len(rows)-1].add(o)
	}
	return rows
}

func total(rows []row) row {
	t := row{section: "all"}
	for _, r := range rows {
		t.cases += r.cases
		t.ok += r.ok
		t.informational += r.informational
		t.other += r.other
	}
	return t
}

// sectionTitles names the subject of each section, because the number says nothing to a reader. The
// suite has no sections 8 and 11.
var sectionTitles = map[string]string{
	"1":   "frame lengths",
	"2":   "ping and pong",
	"3":   "reserved bits",
	"4":   "reserved opcodes",
	"5":   "fragmentation",
	"6":   "UTF-8",
	"7":   "closing handshake",
	"9":   "limits and performance",
	"10":  "automatic fragmentation",
	"12":  "compression, five kinds of data",
	"13":  "compression, parameters",
	"all": "",
}

func (r row) name() string {
	return strings.TrimSpace(r.section + " " + sectionTitles[r.section])
}

// printOutcomes writes the table that a person reads after a run, and below
// it each case that is not OK with the suite's own reasons.
func printOutcomes(w io.Writer, rows []row, outcomes []outcome) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "section\tcases\tOK\tinformational\tother")
	for _, r := range append(rows[:len(rows):len(rows)], total(rows)) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\n", r.name(), r.cases, r.ok, r.informational, r.other)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.verdict() == wordOK {
			continue
		}
		fmt.Fprintf(w, "%s: %s, close %s, %s\n", o.ID, o.Behavior, o.BehaviorClose, o.closeCode())
		if o.why != "" {
			fmt.Fprintf(w, "    %s\n", o.why)
		}
	}
	return nil
}
