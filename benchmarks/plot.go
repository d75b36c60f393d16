package main

// Bar charts in SVG, without a background: text and bars are readable on light
// and on dark pages.

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// A panel is one chart.
type panel struct {
	heading, unit string
	bars          []bar
}

type bar struct {
	name             string
	value, low, high float64
	ours             bool
}

const (
	plotMargin    = 12.0
	panelWidth    = 440.0
	labelWidth    = 164.0 // in front of the bars
	figureWidth   = 64.0  // behind them
	barHeight     = 13.0
	barStep       = 20.0
	headingHeight = 44.0
	panelGap      = 24.0
)

// The colours stand out by 3:1 or more, text by 4:1, on white and on GitHub's dark #0d1117 alike.
// Not every viewer tells an image the colour of the page around it.
const (
	textColour  = "#7a7a7a"
	oursColour  = "#c2571a"
	otherColour = "#5b7f9e"
)

// plot draws panels, two beside each other.
func plot(panels []panel) string {
	var body strings.Builder
	y := plotMargin
	for i := 0; i < len(panels); i += 2 {
		tallest := 0.0
		for k, p := range panels[i:min(i+2, len(panels))] {
			p.draw(&body, plotMargin+float64(k)*(panelWidth+panelGap), y)
			tallest = max(tallest, headingHeight+barStep*float64(len(p.bars)))
		}
		y += tallest + panelGap
	}
	width := plotMargin*2 + panelWidth*2 + panelGap
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="system-ui, sans-serif" font-size="12" fill="%s">
<title>CPU time per message and memory per connection</title>
%s</svg>
`, width, y, width, y, textColour, body.String())
}

// draw draws a panel with its upper left corner at x, y.
func (p panel) draw(b *strings.Builder, x, y float64) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="14" font-weight="600">%s</text>`+"\n", x, y+12, html.EscapeString(p.heading))
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s, median and range; less is better</text>`+"\n", x, y+29, html.EscapeString(p.unit))
	largest := 0.0
	for _, r := range p.bars {
		largest = max(largest, r.value)
	}
	scale := (panelWidth - labelWidth - figureWidth) / largest
	if largest == 0 {
		scale = 0
	}
	for i, r := range p.bars {
		r.draw(b, x, y+headingHeight+float64(i)*barStep, scale)
	}
}

func (r bar) draw(b *strings.Builder, x, y, scale float64) {
	colour, weight := otherColour, "400"
	if r.ours {
		colour, weight = oursColour, "600"
	}
	left, middle := x+labelWidth, y+barHeight/2
	width := math.Max(r.value*scale, 1)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end" font-weight="%s">%s</text>`, left-6, y+11, weight, html.EscapeString(r.name))
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, left, y, width, barHeight, colour)
	// The range may go far beyond the median. It is cut at the figures.
	end := math.Min(r.high*scale, panelWidth-labelWidth-figureWidth+8)
	fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="%s" stroke-width="1.5"/>`, left+r.low*scale, middle, left+math.Max(end, r.low*scale), textColour)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`+"\n", left+math.Max(width, end)+5, y+11, figure(r.value))
}
