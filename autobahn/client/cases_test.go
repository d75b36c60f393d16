package main

import (
	"slices"
	"testing"
)

func TestNumbers(t *testing.T) {
	tests := []struct {
		cases string
		count int
		want  []int // nil if the server does not have that many cases
	}{
		{"1-", 3, []int{1, 2, 3}},
		{"2", 3, []int{2}},
		{"2-3", 3, []int{2, 3}},
		{"3-", 3, []int{3}},
		{"3-3,1", 3, []int{3, 1}},
		{"1-2,2-", 3, []int{1, 2, 2, 3}},
		{"4", 3, nil},
		{"4-", 3, nil},
		{"1-4", 3, nil},
		{"1-", 0, nil},
	}
	for _, tt := range tests {
		ranges, err := parseRanges(tt.cases)
		if err != nil {
			t.Errorf("%q: %v", tt.cases, err)
			continue
		}
		got, err := numbersIn(ranges, tt.count)
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.want == nil) {
			t.Errorf("%q of %d: %v, %v, want %v", tt.cases, tt.count, got, err, tt.want)
		}
	}
}

func TestParseRangesRefuses(t *testing.T) {
	for _, cases := range []string{"", "all", "0", "-3", "0-3", "3-2", "1,", ",1", "1-2-3", "1 2", "1.1.1", "1-x", "99999999999999999999"} {
		if ranges, err := parseRanges(cases); err == nil {
			t.Errorf("%q means %v, want an error", cases, ranges)
		}
	}
}
