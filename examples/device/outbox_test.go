package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func openTestOutbox(t testing.TB, file string) *outbox {
	t.Helper()
	o, err := openOutbox(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.close() })
	return o
}

// addReports makes n reports, with their number as temperature.
func addReports(t testing.TB, o *outbox, n int) {
	t.Helper()
	for range n {
		o.mu.Lock()
		next := o.last() + 1
		o.mu.Unlock()
		if err := o.add(time.Now(), float64(next)); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(reports []report) (n []uint64) {
	for _, r := range reports {
		n = append(n, r.Seq)
	}
	return n
}

func expectReports(t testing.TB, what string, got []report, want ...uint64) {
	t.Helper()
	if !slices.Equal(numbers(got), want) {
		t.Errorf("%s: reports %v, want %v", what, numbers(got), want)
	}
}

func TestOutbox(t *testing.T) {
	o := openTestOutbox(t, filepath.Join(t.TempDir(), "o"))
	expectReports(t, "new", o.after(0))
	addReports(t, o, 4)
	expectReports(t, "nothing sent", o.after(0), 1, 2, 3, 4)
	expectReports(t, "two sent", o.after(2), 3, 4)
	expectReports(t, "all sent", o.after(4))
	if err := o.acknowledge(2); err != nil {
		t.Error(err)
	}
	expectReports(t, "two acknowledged", o.after(0), 3, 4)
	if err := o.acknowledge(1); err != nil { // late, but no error
		t.Error(err)
	}
	expectReports(t, "one acknowledged again", o.after(0), 3, 4)
	if err := o.acknowledge(5); err == nil {
		t.Error("an acknowledgement of a report that was never made is no error")
	}
	expectReports(t, "nonsense acknowledged", o.after(0), 3, 4)
	if err := o.acknowledge(4); err != nil {
		t.Error(err)
	}
	expectReports(t, "all acknowledged", o.after(0))
	addReports(t, o, 1)
	expectReports(t, "one more", o.after(4), 5)
}

// A device that was killed has its reports, its numbers and its outbox's name.
func TestOutboxSurvives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "o")
	o := openTestOutbox(t, file)
	addReports(t, o, 3)
	o.acknowledge(2)
	addReports(t, o, 1) // writes down that two are acknowledged
	o.acknowledge(3)    // which is not written down
	o.close()

	again := openTestOutbox(t, file)
	if again.id != o.id {
		t.Errorf("the outbox is called %s, then %s", o.id, again.id)
	}
	expectReports(t, "opened again", again.after(0), 3, 4)
	again.acknowledge(3) // the server's welcome
	expectReports(t, "reminded", again.after(0), 4)
	if r := again.after(3)[0]; r.Celsius != 4 || !r.At.Equal(o.reports[0].At) {
		t.Errorf("report 4 is now %+v", r)
	}
	addReports(t, again, 1)
	expectReports(t, "going on", again.after(0), 4, 5)
}

// Old lines are removed in the end, and numbers go on nevertheless.
func TestOutboxIsTidied(t *testing.T) {
	file := filepath.Join(t.TempDir(), "o")
	o := openTestOutbox(t, file)
	addReports(t, o, 10)
	o.journal.size = tidySize + 1 // as if there had been more
	o.acknowledge(9)
	if o.journal.size == 0 {
		t.Fatal("the journal was cleared while a report was pending")
	}
	o.acknowledge(10)
	if info, err := os.Stat(file); err != nil || info.Size() != 0 {
		t.Fatalf("the journal was not cleared: %v, %v", info, err)
	}
	addReports(t, o, 1)
	o.close()
	again := openTestOutbox(t, file)
	expectReports(t, "opened again", again.after(0), 11)
	if again.id != o.id {
		t.Errorf("the outbox is called %s, then %s", o.id, again.id)
	}
}

// Two outboxes never have the same name: a lost one is not mistaken.
func TestOutboxNames(t *testing.T) {
	a := openTestOutbox(t, filepath.Join(t.TempDir(), "o"))
	b := openTestOutbox(t, filepath.Join(t.TempDir(), "o"))
	if a.id == b.id || a.id == "" {
		t.Errorf("two outboxes are called %q and %q", a.id, b.id)
	}
}
