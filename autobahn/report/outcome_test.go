package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVerdict(t *testing.T) {
	tests := []struct{ behavior, behaviorClose, want string }{
		{"OK", "OK", "OK"},
		{"OK", "INFORMATIONAL", "INFORMATIONAL"},
		{"INFORMATIONAL", "OK", "INFORMATIONAL"},
		{"INFORMATIONAL", "INFORMATIONAL", "INFORMATIONAL"},
		{"NON-STRICT", "OK", "NON-STRICT"},
		{"UNIMPLEMENTED", "OK", "UNIMPLEMENTED"},
		{"FAILED", "OK", "FAILED"},
		{"FAILED", "UNCLEAN", "FAILED"},
		{"OK", "FAILED", "close: FAILED"},
		{"OK", "WRONG CODE", "close: WRONG CODE"},
		{"OK", "UNCLEAN", "close: UNCLEAN"},
		{"OK", "FAILED BY CLIENT", "close: FAILED BY CLIENT"},
		{"INFORMATIONAL", "UNCLEAN", "close: UNCLEAN"},
		{"", "", ""},
	}
	for _, tt := range tests {
		o := outcome{Behavior: tt.behavior, BehaviorClose: tt.behaviorClose}
		if got := o.verdict(); got != tt.want {
			t.Errorf("%q and close %q: %q, want %q", tt.behavior, tt.behaviorClose, got, tt.want)
		}
	}
}

// writeFiles makes a tree such as the shards leave behind.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadOutcomesJoinsTheShards(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"1/spec.json": "{}",
		"1/index.json": `{"a": {
			"1.1.1": {"behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000, "reportfile": "none.json"},
			"9.9.9": {"behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000, "reportfile": "none.json"}}}`,
		"2/spec.json": "{}",
		"2/index.json": `{"a": {
			"2.1": {"behavior": "OK", "behaviorClose": "UNCLEAN", "remoteCloseCode": null, "reportfile": "2_1.json"},
			"2.2": {"behavior": "FAILED", "behaviorClose": "OK", "remoteCloseCode": 1002, "reportfile": "2_2.json"}}}`,
		"2/2_2.json": `{"result": "Differs.", "resultClose": "Closed.", "remoteCloseReason": "masked"}`,
		"2/2_1.json": `{"result": "As expected.", "resultClose": "Not clean.", "remoteCloseReason": null}`,
	})
	got, err := readOutcomes(dir, []string{"1.1.1", "1.1.2", "2.1", "2.2"})
	if err != nil {
		t.Fatal(err)
	}
	// 9.9.9 was not asked for. 1.1.2 was, and no process ran it.
	want := []struct{ id, verdict, closeCode, why string }{
		{"1.1.1", "OK", "1000", ""},
		{"1.1.2", "NO RESULT", "no code", ""},
		{"2.1", "close: UNCLEAN", "no code", "As expected. Not clean."},
		{"2.2", "FAILED", "1002", `Differs. Closed. Our reason: "masked"`},
	}
	if len(got) != len(want) {
		t.Fatalf("%d outcomes, want %d", len(got), len(want))
	}
	for i, w := range want {
		o := got[i]
		if o.ID != w.id || o.verdict() != w.verdict || o.closeCode() != w.closeCode || o.why != w.why {
			t.Errorf("%s: %q, %q, %q; want %s: %q, %q, %q",
				o.ID, o.verdict(), o.closeCode(), o.why, w.id, w.verdict, w.closeCode, w.why)
		}
	}
}

// wstest writes "{}" and exits with 0 if no connection could be made, and writes nothing if it was
// stopped.
func TestReadOutcomesWithoutResults(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"refused": {"1/spec.json": "{}", "1/index.json": "{}"},
		"stopped": {"1/spec.json": "{}"},
		"no spec": {},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readOutcomes(writeFiles(t, files), []string{"1.1.1"})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].verdict() != wordMissing {
				t.Errorf("%+v, want 1.1.1 without a result", got)
			}
		})
	}
}

func TestReadOutcomesRefusesWhatItCannotRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"index is not JSON": {"1/spec.json": "{}", "1/index.json": "<html>"},
		"report is missing": {"1/spec.json": "{}", "1/index.json": `{"a": {"1.1.1": {"behavior": "FAILED", "reportfile": "x.json"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readOutcomes(writeFiles(t, files), []string{"1.1.1"}); err == nil {
				t.Errorf("%+v, want an error", got)
			}
		})
	}
}
