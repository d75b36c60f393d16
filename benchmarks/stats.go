package main

// Medians, spreads and ratios.

import (
	"math"
	"slices"
)

// A sample is the result of one measurement, a value for each column of its table, or NaN for a
// missing value.
type sample []float64

// column returns the values of a column, of all samples that have it, sorted.
func column(samples []sample, i int) (values []float64) {
	for _, s := range samples {
		if i < len(s) && !math.IsNaN(s[i]) {
			values = append(values, s[i])
		}
	}
	slices.Sort(values)
	return values
}

// median returns the median of sorted values, or NaN if there are none.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratio returns the median over the rounds of a's first column divided by b's. A disturbance of the
// machine that is longer than a round affects both, so this is steadier than dividing the medians.
func ratio(a, b []sample) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if len(a[i]) > 0 && len(b[i]) > 0 {
			ratios = append(ratios, a[i][0]/b[i][0])
		}
	}
	slices.Sort(ratios)
	return median(ratios)
}

// percentile returns a percentile of sorted values, p between 0 and 1, by the nearest rank.
func percentile(sorted []int64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(p * float64(len(sorted))))
	return float64(sorted[max(rank, 1)-1])
}
