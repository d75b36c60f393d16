package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var someOutcomes = []outcome{
	{ID: "1.1.1", Behavior: "OK", BehaviorClose: "OK"},
	{ID: "1.1.2", Behavior: "FAILED", BehaviorClose: "OK", why: "Nothing came back. Closed."},
	{ID: "7.1.6", Behavior: "INFORMATIONAL", BehaviorClose: "INFORMATIONAL"},
	{ID: "12.1.1", Behavior: "UNIMPLEMENTED", BehaviorClose: "OK"},
	{ID: "12.1.2", Behavior: "UNIMPLEMENTED", BehaviorClose: "OK"},
}

func TestPrintOutcomes(t *testing.T) {
	const want = `section                            cases  OK  informational  other
1 frame lengths                    2      1   0              1
7 closing handshake                1      0   1              0
12 compression, five kinds of data  2     0   0              2
all                                5      1   1              3
1.1.2: FAILED, close OK, no code
    Nothing came back. Closed.
`
	var b strings.Builder
	if err := printOutcomes(&b, tally(someOutcomes), someOutcomes[:2]); err != nil {
		t.Fatal(err)
	}
	if squeeze(b.String()) != squeeze(want) {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// squeeze makes the width of the columns irrelevant.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// check decides whether a run of the suite has passed.
func TestCheck(t *testing.T) {
	const passed = `{"a": {
		"1.1.1": {"behavior": "OK", "behaviorClose": "OK", "reportfile": "why.json"},
		"7.1.6": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL", "reportfile": "why.json"}}}`
	tests := []struct {
		name, cases, index string
		want               error
	}{
		{"all there", "*", passed, nil},
		{"failed", "*", strings.Replace(passed, `"OK"`, `"NON-STRICT"`, 1), errNotPassed},
		{"informational, but a verdict is due", "*", strings.Replace(passed, `"OK"`, `"INFORMATIONAL"`, 1), errNotPassed},
		{"OK, and informational would do", "*", strings.ReplaceAll(passed, `"INFORMATIONAL"`, `"OK"`), nil},
		{"failed in closing", "*", strings.Replace(passed, `Close": "OK"`, `Close": "UNCLEAN"`, 1), errNotPassed},
		{"one missing", "*", strings.Replace(passed, "1.1.1", "1.1.2", 1), errNotPassed},
		{"nothing there", "*", "{}", errNotPassed},
		{"the missing one was not chosen", "7.*", strings.Replace(passed, "1.1.1", "1.1.2", 1), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := writeFiles(t, map[string]string{
				"cases.txt": "1.1.1\n7.1.6\n", "1/spec.json": "{}", "1/index.json": tt.index, "1/why.json": "{}",
			})
			results := filepath.Join(dir, "RESULTS.md")
			err := check(io.Discard, []string{"-list", filepath.Join(dir, "cases.txt"), "-cases", tt.cases,
				"-subject", "Server", "-results", results, dir})
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			text, err := os.ReadFile(results)
			if err != nil || !strings.Contains(string(text), "\n## Server\n") {
				t.Errorf("results: %v\n%s", err, text)
			}
		})
	}
}
