package main

import (
	"strconv"
	"strings"
)

// The cases of sections 12 and 13 take nearly all the time of a run, so a
// fair division needs a notion of theirs. These are milliseconds measured on
// one machine; only their proportions matter, and only for the balance.

// costOfStep is that of the cases N.x.1 to N.x.18: the messages
// grow from 16 octets to 128 KiB up to the tenth, the later ones repeat the
// larger sizes in fragments.
var costOfStep = [...]int{
	1200, 1200, 1300, 1300, 1500, 1700, 2000, 3000, 4300, 7000,
	1900, 2200, 3300, 4300, 8000, 7100, 7700, 6800,
}

// percentOfData says how much dearer the data of 12.2 to 12.5 is than the
// JSON of 12.1 and section 13: it shrinks less.
var percentOfData = map[string]int{"12.2": 250, "12.3": 260, "12.4": 140, "12.5": 170}

// costOfOther is that of a case with a small message, and costOfLarge that of one of
// section 9.
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
