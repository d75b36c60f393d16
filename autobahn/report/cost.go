package main

import (
	"strconv"
	"strings"
)

// The cases of sections 12 and 13 take nearly all the time of a run, so a fair division needs an
// estimate of their costs. The figures are milliseconds measured on one machine. Only their
// proportions matter, and only for the balance.

// costOfStep holds the costs of the cases N.x.1 to N.x.18. The messages grow from 16 bytes to 128
// KiB up to the tenth case. The later cases repeat the larger sizes in fragments.
var costOfStep = [...]int{
	1200, 1200, 1300, 1300, 1500, 1700, 2000, 3000, 4300, 7000,
	1900, 2200, 3300, 4300, 8000, 7100, 7700, 6800,
}

// percentOfData compares the data of 12.2 to 12.5 with the JSON of 12.1 and section 13. It costs
// more because it shrinks less.
var percentOfData = map[string]int{"12.2": 250, "12.3": 260, "12.4": 140, "12.5": 170}

// costOfOther is the cost of a case with a small message. costOfLarge is that of a case of section
// 9.
const (
	costOfOther = 30
	costOfLarge = 300
)

// cost estimates how long the suite takes for a case.
func cost(id string) int {
	switch section(id) {
	case "9":
		return costOfLarge
	case "12", "13":
		dot := strings.LastIndexByte(id, '.')
		group := id[:dot]
		step, err := strconv.Atoi(id[dot+1:])
		if err != nil || step < 1 || step > len(costOfStep) {
			return costOfOther
		}
		percent, ok := percentOfData[group]
		if !ok {
			percent = 100
		}
		return costOfStep[step-1] * percent / 100
	}
	return costOfOther
}
