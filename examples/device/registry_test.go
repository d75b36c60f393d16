package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openTestRegistry(t *testing.T, file string) *registry {
	t.Helper()
	g, err := openRegistry(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.close() })
	return g
}

func expectCount(t *testing.T, g *registry, outbox string, seq, wantUpTo uint64) {
	t.Helper()
	upTo, err := g.count("kitchen", outbox, report{Seq: seq, Celsius: float64(seq)})
	if err != nil || upTo != wantUpTo {
		t.Errorf("report %d of %s: up to %d, %v; want up to %d", seq, outbox, upTo, err, wantUpTo)
	}
}

func TestRegistryCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r")
	g := openTestRegistry(t, file)
	for _, r := range []struct{ seq, upTo uint64 }{{1, 1}, {2, 2}, {1, 2}, {2, 2}, {3, 3}, {7, 7}, {4, 7}} {
		expectCount(t, g, "a", r.seq, r.upTo)
	}
	expectCount(t, g, "b", 1, 1)
	if d := g.device("kitchen"); d.reports != 5 || d.duplicates != 3 {
		t.Errorf("%d reports, %d duplicates; want 5 and 3", d.reports, d.duplicates)
	}
	g.close()

	again := openTestRegistry(t, file) // the server was killed
	expectCount(t, again, "a", 7, 7)
	expectCount(t, again, "b", 2, 2)
	if d := again.device("kitchen"); d.reports != 6 || d.duplicates != 1 {
		t.Errorf("after a restart: %d reports, %d duplicates; want 6 and 1", d.reports, d.duplicates)
	}
}

func TestRegistryDoesNotCountWhatItCannotKeep(t *testing.T) {
	g := openTestRegistry(t, filepath.Join(t.TempDir(), "r"))
	expectCount(t, g, "a", 1, 1)
	breakJournal(t, g.journal)
	if upTo, err := g.count("kitchen", "a", report{Seq: 2}); err == nil {
		t.Errorf("acknowledged up to %d", upTo)
	}
	if d := g.device("kitchen"); d.reports != 1 || d.upTo["a"] != 1 {
		t.Errorf("counted %d reports, up to %d", d.reports, d.upTo["a"])
	}
}

func TestRegistryShowsTheNewest(t *testing.T) {
	g := openTestRegistry(t, filepath.Join(t.TempDir(), "r"))
	for i := range recentReports + 5 {
		expectCount(t, g, "a", uint64(i+1), uint64(i+1))
	}
	g.mu.Lock()
	for i := range recentEvents + 5 {
		g.happened("kitchen", fmt.Sprint(i))
	}
	g.mu.Unlock()
	v, _ := g.view()
	if r := v.Devices[0].Recent; len(r) != recentReports || r[len(r)-1].Seq != recentReports+5 {
		t.Errorf("%d reports, the last is %+v", len(r), r[len(r)-1])
	}
	if e := v.Events; len(e) != recentEvents || e[len(e)-1].ID != recentEvents+5 {
		t.Errorf("%d events, the last is %+v", len(e), e[len(e)-1])
	}
}

func TestRegistrySaysWhatChanged(t *testing.T) {
	g := openTestRegistry(t, filepath.Join(t.TempDir(), "r"))
	for what, change := range map[string]func(){
		"a report":    func() { expectCount(t, g, "a", 1, 1) },
		"a duplicate": func() { expectCount(t, g, "a", 1, 1) },
		"a heartbeat": func() { g.hear("kitchen") },
	} {
		_, changed := g.view()
		select {
		case <-changed:
			t.Errorf("something changed before %s", what)
		default:
		}
		change()
		select {
		case <-changed:
		default:
			t.Errorf("%s changes nothing", what)
		}
	}
}

// A journal of something else is not taken for the registry's.
func TestRegistryRefusesOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r")
	if err := os.WriteFile(file, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openRegistry(file); err == nil || !strings.Contains(err.Error(), file+":1:") {
		t.Errorf("%v", err)
	}
}

// counted returns the reports of a device in the server's journal. It requires each report once, in
// order, from the first one on.
func counted(t *testing.T, dir, name string) (reports []report) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "reports.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var l registryLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if l.Device != name {
			continue
		}
		if l.Report.Seq != uint64(len(reports)+1) {
			t.Fatalf("%s: after report %d the server counted %+v", name, len(reports), l.Report)
		}
		reports = append(reports, l.Report)
	}
	return reports
}

// checkJournal requires that the server counted a device's n reports, each
// once, and with the temperature that addReports gave it.
func checkJournal(t *testing.T, dir, name string, n int) {
	t.Helper()
	reports := counted(t, dir, name)
	if len(reports) != n {
		t.Errorf("%s: the server counted %d reports, want %d", name, len(reports), n)
	}
	for _, r := range reports {
		if r.Celsius != float64(r.Seq) {
			t.Errorf("%s: the server counted %+v", name, r)
		}
	}
}
