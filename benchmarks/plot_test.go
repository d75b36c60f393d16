package main

import (
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var testPanels = []panel{
	{heading: "Echo <small>", unit: "ns", bars: []bar{
		{name: "mine", value: 100, low: 90, high: 120, ours: true},
		{name: "R&D", value: 400, low: 300, high: 90000},
	}},
	{heading: "Idle", unit: "bytes", bars: []bar{{name: "mine", value: 0}}},
	{heading: "Third", unit: "ns"},
}

func TestPlotIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(plot(testPanels)))
	var text strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok {
			text.Write(c)
		}
	}
	for _, want := range []string{"Echo <small>", "R&D", "Third", "400"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text has no %q", want)
		}
	}
}

// Bars are as long as their values, and nothing is drawn outside.
func TestPlotLengths(t *testing.T) {
	svg := plot(testPanels)
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("something was divided by 0")
	}
	widths := numbers(t, svg, `<rect [^>]* width="([0-9.]+)"`)
	if len(widths) != 3 || math.Abs(widths[1]-4*widths[0]) > 0.3 {
		t.Errorf("the bars for 100, 400 and 0 are %v wide", widths)
	}
	right := plotMargin + panelWidth
	for _, end := range numbers(t, svg, `H([0-9.]+)`)[:2] {
		if end > right {
			t.Errorf("a range ends at %v, behind the panel's end at %v", end, right)
		}
	}
}

func numbers(t *testing.T, s, pattern string) (values []float64) {
	t.Helper()
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(s, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// WCAG 2.2 asks for 3:1 between graphics and their surroundings. Text this small should have 4:1 or
// more, on both kinds of page.
func TestPlotColours(t *testing.T) {
	for _, background := range []string{"#ffffff", "#0d1117"} {
		for colour, want := range map[string]float64{textColour: 4, oursColour: 3, otherColour: 3} {
			if got := contrast(t, colour, background); got < want {
				t.Errorf("%s on %s has a contrast of %.2f:1, want %v:1", colour, background, got, want)
			}
		}
	}
}

// contrast is WCAG's: the ratio of relative luminances.
func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(shift int) float64 {
		v := float64(rgb>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}
