package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// A heading names the subject of a part of the results file and the command that makes it again. It
// carries no date and nothing of the machine. Two runs with the same outcome must give the same
// text, so that a diff shows only changes in behaviour or versions.
type heading struct {
	subject, suite, goVersion, command string
}

const resultsIntro = `# Autobahn results

What each section of the Autobahn suite says about this library. Written by
` + "`autobahn/run.sh`" + `, which replaces the part that it has tested; see README.md for the words.
`

// partMark starts a part of the results file: one role, one way to serve.
const partMark = "\n## "

// updateResults puts one part into the results file and leaves the others as
// they are.
func updateResults(file string, h heading, rows []row, outcomes []outcome) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := replacePart(string(old), h.subject, part(h, rows, outcomes))
	return os.WriteFile(file, []byte(text), 0o644)
}

// replacePart returns the results file with body as the part called subject. The parts are sorted,
// so the order of the runs does not matter.
func replacePart(doc, subject, body string) string {
	parts := []string{subject + "\n" + body}
	for i, p := range strings.Split(doc, partMark) {
		if i > 0 && !strings.HasPrefix(p, subject+"\n") {
			parts = append(parts, strings.TrimRight(p, "\n")+"\n")
		}
	}
	slices.Sort(parts)
	return resultsIntro + partMark + strings.Join(parts, partMark)
}

// part is the body below the part's title.
func part(h heading, rows []row, outcomes []outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s; %s. Made again by `%s`.\n\n", h.suite, h.goVersion, h.command)
	b.WriteString("| section | cases | OK | informational | other |\n|---|--:|--:|--:|--:|\n")
	for _, r := range append(rows[:len(rows):len(rows)], total(rows)) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", r.name(), r.cases, r.ok, r.informational, r.other)
	}
	verdicts, ids := groupByVerdict(outcomes)
	for _, v := range verdicts {
		fmt.Fprintf(&b, "\n%s: %s.\n", v, strings.Join(ids[v], ", "))
	}
	return b.String()
}

// groupByVerdict lists the cases that are not OK, and the verdicts in the
// order in which they first occur.
func groupByVerdict(outcomes []outcome) (verdicts []string, ids map[string][]string) {
	ids = make(map[string][]string)
	for _, o := range outcomes {
		v := o.verdict()
		if v == wordOK {
			continue
		}
		if ids[v] == nil {
			verdicts = append(verdicts, v)
		}
		ids[v] = append(ids[v], o.ID)
	}
	return verdicts, ids
}
