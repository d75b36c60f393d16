package main

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

func parseList(text string) []string {
	return strings.Fields(text)
}

// selectCases returns the ids of all that match one of the comma-separated
// patterns, in the order of all. A star stands for anything, and a pattern
// means the whole id: "1.*" leaves 10.1.1 out. A pattern without a match is an error,
// because a misspelt one would otherwise pass with nothing run.
func selectCases(all []string, patterns string) ([]string, error) {
	chosen := make(map[string]bool)
	for pattern := range strings.SplitSeq(patterns, ",") {
		matched := false
		for _, id := range all {
			// A case id has no slash, so path.Match's star matches dots too.
			ok, err := path.Match(pattern, id)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", pattern, err)
			}
			if ok {
				chosen[id], matched = true, true
			}
		}
		if !matched {
			return nil, fmt.Errorf("no case matches %q", pattern)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return !chosen[id] }), nil
}

// section is the number before the first dot.
func section(id string) string {
	s, _, _ := strings.Cut(id, ".")
	return s
}

// split deals the cases to n shards so that their costs come out alike. It begins with the dearest
// case and gives each case to the shard with the least work. Shards that get nothing are left out.
// Inside a shard the cases are in the order given.
func split(cases []string, n int) [][]string {
	byCost := slices.Clone(cases)
	slices.SortStableFunc(byCost, func(a, b string) int { return cmp.Compare(cost(b), cost(a)) })
	shardOf := make(map[string]int, len(cases))
	load := make([]int, n)
	for _, id := range byCost {
		i := slices.Index(load, slices.Min(load))
		shardOf[id] = i
		load[i] += cost(id)
	}
	shards := make([][]string, n)
	for _, id := range cases {
		i := shardOf[id]
		shards[i] = append(shards[i], id)
	}
	return slices.DeleteFunc(shards, func(s []string) bool { return len(s) == 0 })
}
