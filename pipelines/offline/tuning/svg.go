package tuning

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The picture's measures, in pixels.
const (
	panelWidth, panelHeight = 300, 190
	panelGap                = 58
	panelsInRow             = 3
	margin                  = 64
	headHeight              = 120
)

// rungColours go from the first rung, which has the most trials and says the least, to the last.
var rungColours = []string{"#9db2d0", "#7fa3c9", "#3f7fb5", "#1b5e9b", "#0b3c6f"}

const bestColour = "#d9480f"

// SVG draws the trials: one panel a parameter, validation's NDCG@10 above its values, the trials of later rungs darker, and the
// best marked. It needs nothing from outside.
func (o *Outcome) SVG() []byte {
	rows := max((len(o.Names)+panelsInRow-1)/panelsInRow, 1)
	columns := min(max(len(o.Names), 2), panelsInRow)
	width := 2*margin + columns*panelWidth + (columns-1)*panelGap
	height := headHeight + rows*(panelHeight+panelGap+10)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" `+
		`font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="11" fill="#495057">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<title>Trials of a search</title><rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	o.head(&b)
	y := o.yAxis()
	for i, name := range o.Names {
		left := margin + i%panelsInRow*(panelWidth+panelGap)
		top := headHeight + i/panelsInRow*(panelHeight+panelGap+10)
		o.panel(&b, name, float64(left), float64(top), y)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// head writes what is seen, the best, and the colours.
func (o *Outcome) head(b *strings.Builder) {
	line := "No trial is done."
	if len(o.Trials) > 0 {
		best := o.Trials[0]
		line = fmt.Sprintf("%d trainings. Best: trial %d, NDCG@10 %.4f, recall@10 %.4f after %d epochs.",
			len(o.Trials), best.Number, best.NDCG, best.Recall, best.Epochs)
	}
	fmt.Fprintf(b, `<text x="%d" y="34" font-size="17" font-weight="600" fill="#212529">NDCG@10 on validation by setting</text>`+"\n", margin)
	fmt.Fprintf(b, `<text x="%d" y="54" font-size="12">%s</text>`+"\n", margin, html.EscapeString(line))
	x := margin + 5
	entry := func(colour, text string) {
		fmt.Fprintf(b, `<circle cx="%d" cy="74" r="4.5" fill="%s"/><text x="%d" y="78">%s</text>`+"\n",
			x, colour, x+10, html.EscapeString(text))
		x += 26 + 6*len(text)
	}
	for i, rung := range o.Rungs {
		entry(o.colour(rung.Epochs), fmt.Sprintf("%d epochs (%d)", o.Rungs[i].Epochs, rung.Trials))
	}
	entry(bestColour, "best")
}

func (o *Outcome) colour(epochs int) string {
	for i, rung := range o.Rungs {
		if rung.Epochs == epochs {
			if len(o.Rungs) == 1 {
				return rungColours[2]
			}
			return rungColours[i*(len(rungColours)-1)/(len(o.Rungs)-1)]
		}
	}
	return rungColours[0]
}

// axis maps values to 0…1.
type axis struct {
	low, high float64
	log       bool
	among     []float64 // evenly spaced, where there are few values
}

func (a axis) at(v float64) float64 {
	if len(a.among) > 0 {
		i, _ := slices.BinarySearch(a.among, v)
		return (float64(i) + 0.5) / float64(len(a.among))
	}
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	if high <= low {
		return 0.5
	}
	return min(max((v-low)/(high-low), 0), 1)
}

func (a axis) ticks() []float64 {
	if len(a.among) > 0 {
		return a.among
	}
	const steps = 4
	var all []float64
	for i := range steps + 1 {
		share := float64(i) / steps
		v := a.low + share*(a.high-a.low)
		if a.log {
			v = a.low * math.Pow(a.high/a.low, share)
		}
		all = append(all, v)
	}
	return all
}

// yAxis spans the figures of all trials that say something.
func (o *Outcome) yAxis() axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, t := range o.Trials {
		low, high = min(low, t.NDCG), max(high, t.NDCG)
	}
	if low > high {
		low, high = 0, 1
	}
	room := max((high-low)*0.08, 1e-4)
	return axis{low: max(low-room, 0), high: high + room}
}

// xAxis spans a parameter's space, and the values beside it (trial 0 need not lie within).
func (o *Outcome) xAxis(name string) axis {
	p := o.space[name]
	a := axis{low: p.Min, high: p.Max, log: p.Log}
	if len(p.Values) > 0 {
		a.among = slices.Clone(p.Values)
	} else {
		for _, t := range o.Trials {
			a.low, a.high = min(a.low, t.Values[name]), max(a.high, t.Values[name])
		}
		a.log = a.log && a.low > 0
		return a
	}
	for _, t := range o.Trials {
		a.among = append(a.among, t.Values[name])
	}
	slices.Sort(a.among)
	a.among = slices.Compact(a.among)
	return a
}

func (o *Outcome) panel(b *strings.Builder, name string, left, top float64, y axis) {
	x := o.xAxis(name)
	fmt.Fprintf(b, `<g transform="translate(%.0f %.0f)">`+"\n", left, top)
	fmt.Fprintf(b, `<text y="-8" font-size="13" font-weight="600" fill="#212529">%s</text>`+"\n", html.EscapeString(name))
	for _, v := range y.ticks() {
		at := panelHeight * (1 - y.at(v))
		fmt.Fprintf(b, `<line x2="%d" y1="%.1f" y2="%.1f" stroke="#edf0f3"/>`, panelWidth, at, at)
		fmt.Fprintf(b, `<text x="-6" y="%.1f" text-anchor="end">%.3f</text>`+"\n", at+4, v)
	}
	for _, v := range x.ticks() {
		at := panelWidth * x.at(v)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#adb5bd"/>`, at, at, panelHeight, panelHeight+4)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", at, panelHeight+17, strconv.FormatFloat(v, 'g', 2, 64))
	}
	fmt.Fprintf(b, `<line x2="%d" y1="%d" y2="%d" stroke="#adb5bd"/>`+"\n", panelWidth, panelHeight, panelHeight)
	for i := len(o.Trials) - 1; i >= 0; i-- { // the best on top
		t := &o.Trials[i]
		colour, radius := o.colour(t.Epochs), 4.0
		if i == 0 {
			colour, radius = bestColour, 6
		}
		at := panelWidth * x.at(t.Values[name])
		if len(x.among) > 0 { // side by side, rather than one upon the other
			at += (math.Mod(float64(t.Number)*math.Phi, 1) - 0.5) * panelWidth / float64(len(x.among)) * 0.5
		}
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s" fill-opacity="0.85" stroke="#fff" stroke-width="0.8">`+
			`<title>trial %d, %d epochs: %s %s, NDCG@10 %.4f</title></circle>`+"\n",
			at, panelHeight*(1-y.at(t.NDCG)), radius, colour, t.Number, t.Epochs, html.EscapeString(name),
			strconv.FormatFloat(t.Values[name], 'g', 4, 64), t.NDCG)
	}
	b.WriteString("</g>\n")
}
