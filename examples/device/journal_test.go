package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// replayed opens a journal of numbers, and returns those in it.
func replayed(t testing.TB, file string) (j *journal, numbers []int) {
	t.Helper()
	j, err := openJournal(file, func(line []byte) error {
		var n int
		err := json.Unmarshal(line, &n)
		numbers = append(numbers, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.close() }) // if the test did not
	return j, numbers
}

func appendAll(t testing.TB, j *journal, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := j.append(n); err != nil {
			t.Fatal(err)
		}
	}
}

// A program may die at any byte of a line. The whole lines are there, the rest of the last is not,
// and a line appended then is whole.
func TestJournalCutAnywhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "j")
	j, _ := replayed(t, file)
	appendAll(t, j, 1, 22, 333)
	whole, err := os.ReadFile(file)
	if err != nil || string(whole) != "1\n22\n333\n" {
		t.Fatalf("%q, %v", whole, err)
	}
	for n := range len(whole) + 1 {
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := []int{1, 22, 333}[:strings.Count(string(whole[:n]), "\n")]
		j, got := replayed(t, cut)
		if !slices.Equal(got, want) {
			t.Errorf("cut to %q: %v, want %v", whole[:n], got, want)
		}
		appendAll(t, j, 4)
		j.close()
		if _, got = replayed(t, cut); !slices.Equal(got, append(slices.Clone(want), 4)) {
			t.Errorf("cut to %q, and one appended: %v", whole[:n], got)
		}
	}
}

func TestJournalClear(t *testing.T) {
	file := filepath.Join(t.TempDir(), "j")
	j, _ := replayed(t, file)
	appendAll(t, j, 1, 2)
	if err := j.clear(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, 3)
	j.close()
	if _, got := replayed(t, file); !slices.Equal(got, []int{3}) {
		t.Errorf("after clear: %v", got)
	}
}

// A write that fails is an error, and its line is not in the journal.
func TestJournalErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "j")
	j, _ := replayed(t, file)
	appendAll(t, j, 1)
	breakJournal(t, j)
	if err := j.append(2); err == nil {
		t.Error("an append that did not reach the file succeeded")
	}
	j.close()
	j, got := replayed(t, file)
	if !slices.Equal(got, []int{1}) {
		t.Errorf("%v", got)
	}
	j.close()

	if err := os.WriteFile(file, []byte("1\n\"two\"\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openJournal(file, func(line []byte) error { return json.Unmarshal(line, new(int)) })
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s:2:", file)) {
		t.Errorf("a line that is none of the journal's: %v", err)
	}
}

// Two programs that write to one journal would overwrite each other's lines.
func TestJournalIsLocked(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no lock here")
	}
	file := filepath.Join(t.TempDir(), "j")
	j, _ := replayed(t, file)
	if _, err := openJournal(file, nil); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("opened twice: %v", err)
	}
	j.close()
	replayed(t, file)
}
