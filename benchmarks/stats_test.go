package main

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{7}, 7}, {[]float64{1, 3}, 2}, {[]float64{1, 2, 9}, 2}, {[]float64{1, 2, 4, 9}, 3}} {
		if got := median(test.values); got != test.want {
			t.Errorf("the median of %v is %v, want %v", test.values, got, test.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

func TestColumn(t *testing.T) {
	samples := []sample{{3, 30}, nil, {1, math.NaN()}, {2}}
	if got := column(samples, 0); !slices.Equal(got, []float64{1, 2, 3}) {
		t.Errorf("first column: %v", got)
	}
	if got := column(samples, 1); !slices.Equal(got, []float64{30}) {
		t.Errorf("second column: %v", got)
	}
}

// A machine that was twice as slow in one round changes the medians, not the ratio.
func TestRatio(t *testing.T) {
	a := []sample{{10}, {40}, {20}, nil}
	b := []sample{{5}, {20}, {10}, {1}}
	if got := ratio(a, b); got != 2 {
		t.Errorf("ratio %v, want 2", got)
	}
	if got := ratio(a, nil); !math.IsNaN(got) {
		t.Errorf("a ratio to nothing: %v", got)
	}
}

func TestPercentile(t *testing.T) {
	sorted := make([]int64, 1000)
	for i := range sorted {
		sorted[i] = int64(i + 1)
	}
	for _, test := range []struct{ p, want float64 }{{0, 1}, {.5, 500}, {.99, 990}, {.999, 999}, {1, 1000}} {
		if got := percentile(sorted, test.p); got != test.want {
			t.Errorf("percentile %v is %v, want %v", test.p, got, test.want)
		}
	}
}
