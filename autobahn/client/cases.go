package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A caseRange is a part of -cases: the numbers from first to last.
type caseRange struct {
	first, last int // 0 stands for the last case of the server
}

// parseRanges reads a comma-separated list of "7", "7-9" and "7-".
func parseRanges(s string) (ranges []caseRange, err error) {
	for part := range strings.SplitSeq(s, ",") {
		r, err := parseRange(part)
		if err != nil {
			return nil, fmt.Errorf("-cases %s: %q: %w", s, part, err)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

func parseRange(s string) (r caseRange, err error) {
	first, last, isRange := strings.Cut(s, "-")
	if r.first, err = parseNumber(first); err != nil {
		return r, err
	}
	switch {
	case !isRange:
		r.last = r.first
	case last != "":
		r.last, err = parseNumber(last)
		if err == nil && r.last < r.first {
			err = errors.New("it ends before it starts")
		}
	}
	return r, err
}

func parseNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, errors.New("want numbers from 1 on, as in 1-16,301,500-")
	}
	return n, nil
}

// numbersIn spells ranges out, in their order, for a server with count cases.
func numbersIn(ranges []caseRange, count int) (numbers []int, err error) {
	for _, r := range ranges {
		if most := max(r.first, r.last); most > count {
			return nil, fmt.Errorf("there is no case %d: the server has %d", most, count)
		}
		if r.last == 0 {
			r.last = count
		}
		for n := r.first; n <= r.last; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}
