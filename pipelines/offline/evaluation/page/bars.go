package page

import (
	"fmt"
	"strconv"

	"github.com/freshet/freshet/pipelines/offline/evaluation"
)

// bars is a chart of horizontal bars in groups.
type bars struct {
	ID, Title, Desc string
	Width, Height   int
	Left, Base      string
	X               []tick
	Groups          []group
	Head            []string
	Table           [][]string
}

type group struct {
	Label, Note string
	Y, NoteY    string
	Bars        []bar
}

// bar is one bar; Low and High are where its interval ends, empty without one.
type bar struct {
	series
	X, Y, Width, Height string
	Middle, Low, High   string
	ValueX, ValueY      string
	Value, Tip          string
}

// Sizes of a chart of bars.
const (
	barsWidth  = 480
	barsLeft   = 128
	barsRight  = 424
	barHeight  = 11
	groupSpace = 14
)

// segments has a chart for each property by which the cases are parted: lines for time, which has many parts, and bars for all others.
func segments(r *evaluation.Report, shown []series) (charts []*bars, overTime *lines) {
	all := r.Scorers[0].Segments
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].By == all[from].By {
			to++
		}
		if by := all[from].By; by == "week of" || by == "month" || by == "year" {
			overTime = byTime(r, shown, from, to)
		} else {
			charts = append(charts, bySegment(r, shown, from, to))
		}
		from = to
	}
	return charts, overTime
}

// bySegment shows the segments from one to another of the scorers.
func bySegment(r *evaluation.Report, shown []series, from, to int) *bars {
	of := func(s series, at int) *evaluation.Segment { return &r.Scorers[s.at].Segments[at] }
	by := r.Scorers[0].Segments[from].By
	c := &bars{
		ID: "segment-" + strconv.Itoa(from), Title: "By " + heading(by), Width: barsWidth, Left: strconv.Itoa(barsLeft),
		Desc: fmt.Sprintf("Bars of NDCG@%d with 95 %% intervals for each part of the cases.", r.K), Head: []string{by, "cases"},
	}
	highest := 0.0
	for _, s := range shown {
		c.Head = append(c.Head, s.Name)
		for at := from; at < to; at++ {
			highest = max(highest, of(s, at).NDCG.High)
		}
	}
	x := c.scale(highest)
	y := 8.0
	for at := from; at < to; at++ {
		segment := of(shown[0], at)
		g := group{Label: segment.Name, Note: thousands(segment.Cases) + " cases"}
		cells := []string{segment.Name, strconv.Itoa(segment.Cases)}
		for _, s := range shown {
			m := of(s, at).NDCG
			g.Bars = append(g.Bars, newBar(s, x, y, m, fmt.Sprintf("%s, %s: NDCG@%d %s", s.Name, segment.Name, r.K, m)))
			cells = append(cells, m.String())
			y += barHeight + 2
		}
		middle := y - float64(len(shown)*(barHeight+2))/2
		g.Y, g.NoteY = px(middle-1), px(middle+12)
		c.Groups, c.Table = append(c.Groups, g), append(c.Table, cells)
		y += groupSpace
	}
	c.end(y)
	return c
}

func heading(by string) string {
	switch by {
	case "first target":
		return "popularity of the target"
	case "events before":
		return "length of the history"
	case "item":
		return "whether the target is new to the model"
	case "user":
		return "whether the user is new to the model"
	case "week of":
		return "week of the target"
	case "interaction":
		return "what the user did with the target"
	}
	return by + " of the target"
}

// scale makes the ticks, and returns where a value lies.
func (c *bars) scale(highest float64) func(v float64) float64 {
	values, decimals := steps(highest)
	most := values[len(values)-1]
	x := func(v float64) float64 { return barsLeft + (barsRight-barsLeft)*v/most }
	for _, v := range values {
		c.X = append(c.X, tick{px(x(v)), strconv.FormatFloat(v, 'f', decimals, 64)})
	}
	return x
}

func (c *bars) end(y float64) {
	c.Base = px(y - 6)
	c.Height = int(y) + 18
}

func newBar(s series, x func(float64) float64, y float64, m evaluation.Metric, tip string) bar {
	b := bar{
		series: s, X: strconv.Itoa(barsLeft), Y: px(y), Width: px(max(.5, x(m.Mean)-barsLeft)), Height: strconv.Itoa(barHeight),
		Middle: px(y + barHeight/2.), Value: strconv.FormatFloat(m.Mean, 'f', 3, 64), Tip: tip,
		ValueX: px(x(max(m.Mean, m.High)) + 6), ValueY: px(y + barHeight - 2),
	}
	if m.High > m.Low {
		b.Low, b.High = px(x(m.Low)), px(x(m.High))
	}
	return b
}

// waterfall shows how many hits are left after each stage, nil where that was not measured.
func waterfall(r *evaluation.Report) *bars {
	if len(r.Waterfall) == 0 {
		return nil
	}
	c := &bars{
		ID: "waterfall", Title: "Where hits are lost", Width: barsWidth, Left: strconv.Itoa(barsLeft),
		Desc: fmt.Sprintf("A bar for each stage: the share of cases that still have a target in the list of %d.", r.K),
		Head: []string{"stage", "hits", "share of cases", "lost"},
	}
	highest := 0.0
	for _, l := range r.Waterfall {
		highest = max(highest, l.Share)
	}
	x := c.scale(highest)
	y := 8.0
	for i, l := range r.Waterfall {
		lost := ""
		if i > 0 {
			lost = fmt.Sprintf("%+d", l.Hits-r.Waterfall[i-1].Hits)
		}
		note := thousands(l.Hits) + " hits"
		if lost != "" {
			note += ", " + lost
		}
		same := evaluation.Metric{Mean: l.Share, Low: l.Share, High: l.Share}
		s := seriesOf(0, l.Stage)
		c.Groups = append(c.Groups, group{
			Label: short(l.Stage), Note: note, Y: px(y + 6), NoteY: px(y + 19),
			Bars: []bar{newBar(s, x, y+4, same, fmt.Sprintf("%s: %s, share %s", l.Stage, note, four(l.Share)))},
		})
		c.Table = append(c.Table, []string{l.Stage, strconv.Itoa(l.Hits), four(l.Share), lost})
		y += 2*barHeight + groupSpace
	}
	c.end(y)
	return c
}
