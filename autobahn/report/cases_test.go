package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// suite reads the list that run.sh hands to this command.
func suite(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("../cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	return parseList(string(data))
}

func TestListIsTheWholeSuite(t *testing.T) {
	ids := suite(t)
	if len(ids) != 517 {
		t.Errorf("%d cases, want the 517 of AutobahnTestSuite 25.10.1", len(ids))
	}
	if !slices.IsSortedFunc(ids, compareIDs) {
		t.Error("the list is not in the order in which the suite runs")
	}
	if len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("an id stands in the list twice")
	}
	for _, id := range informationalCases {
		if !slices.Contains(ids, id) {
			t.Errorf("the list has no %s", id)
		}
	}
	for _, id := range ids {
		if _, ok := sectionTitles[section(id)]; !ok {
			t.Errorf("%s: its section has no title", id)
		}
	}
}

// compareIDs compares numbers, not digits: 2.9 comes before 2.10.
func compareIDs(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, _ := strconv.Atoi(x)
		n, _ := strconv.Atoi(y)
		return cmp.Compare(m, n)
	})
}

func TestSelectCases(t *testing.T) {
	all := []string{"1.1.1", "1.1.2", "2.1", "2.10", "10.1.1", "12.1.1"}
	tests := []struct{ patterns, want string }{
		{"*", "1.1.1 1.1.2 2.1 2.10 10.1.1 12.1.1"},
		{"1.*", "1.1.1 1.1.2"},
		{"1*", "1.1.1 1.1.2 10.1.1 12.1.1"},
		{"2.1", "2.1"},
		{"10.*,2.*", "2.1 2.10 10.1.1"},
		{"2.*,2.1", "2.1 2.10"},
		{"*.1.1", "1.1.1 10.1.1 12.1.1"},
	}
	for _, tt := range tests {
		got, err := selectCases(all, tt.patterns)
		if err != nil {
			t.Errorf("%q: %v", tt.patterns, err)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%q selects %q, want %q", tt.patterns, s, tt.want)
		}
	}
}

func TestSelectCasesRefuses(t *testing.T) {
	for _, patterns := range []string{"", "8.*", "1.1", "1.*,", "1.* 2.*", "[", "1.*,2.2"} {
		if got, err := selectCases([]string{"1.1.1", "2.1"}, patterns); err == nil {
			t.Errorf("%q selects %q, want an error", patterns, got)
		}
	}
}

func TestSplit(t *testing.T) {
	ids := suite(t)
	for _, n := range []int{1, 2, 3, 8} {
		shards := split(ids, n)
		if len(shards) != n {
			t.Fatalf("%d shards, want %d", len(shards), n)
		}
		if !slices.Equal(slices.SortedFunc(slices.Values(slices.Concat(shards...)), compareIDs), ids) {
			t.Errorf("%d shards together are not the list", n)
		}
		var loads []int
		for _, s := range shards {
			if !slices.IsSortedFunc(s, compareIDs) {
				t.Errorf("%d shards: one is out of order", n)
			}
			load := 0
			for _, id := range s {
				load += cost(id)
			}
			loads = append(loads, load)
		}
		// The list has hundreds of cheap cases to fill the gaps with.
		if least, most := slices.Min(loads), slices.Max(loads); most-least > most/50 {
			t.Errorf("%d shards: loads %v are not alike", n, loads)
		}
	}
}

func TestSplitLeavesOutEmptyShards(t *testing.T) {
	if got := split([]string{"1.1.1", "2.1"}, 5); len(got) != 2 {
		t.Errorf("two cases make the shards %q, want two", got)
	}
}
