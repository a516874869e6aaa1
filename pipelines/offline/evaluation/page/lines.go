package page

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/evaluation"
)

// series is a scorer or a metric in a chart, told apart by colour, dashes and the shape of its marks.
type series struct {
	Name string
	// Style picks colour and dashes, Mark is the path of its mark around the origin.
	Style int
	Mark  string
	// Fill picks how bars are filled: solid, hatched, outlined.
	Fill int
	at   int
}

// shapes of marks: circle, square, triangle, diamond, cross, plus, triangle downwards, bar.
var shapes = []string{
	"M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z", "M-3.5,-3.5h7v7h-7z", "M0,-4.5L4.5,3.5L-4.5,3.5z", "M0,-5L5,0L0,5L-5,0z",
	"M-4,-4L4,4M-4,4L4,-4", "M0,-5V5M-5,0H5", "M0,4.5L4.5,-3.5L-4.5,-3.5z", "M-5,-1.5h10v3h-10z",
}

func seriesOf(at int, name string) series {
	return series{Name: name, Style: at % len(shapes), Mark: shapes[at%len(shapes)], at: at}
}

// lines is a chart of lines with intervals.
type lines struct {
	ID, Title, Desc        string
	Width, Height          int
	Left, Right, Top, Base string // of the plot
	XLabel                 string
	X, Y                   []tick
	Lines                  []line
	// Head and Table are the same figures for who cannot see the chart.
	Head  []string
	Table [][]string
}

type tick struct{ At, Label string }

type line struct {
	series
	Label        string
	Points, Band string
	Marks        []mark
	LabelX       string
	LabelY       string
	labelAt      float64
}

// mark is a point of a line; Low and High are where its interval ends.
type mark struct{ X, Y, Low, High, Tip string }

// plot is where in a chart values lie.
type plot struct{ left, right, top, base, most float64 }

func (p plot) y(v float64) float64 { return p.base - (p.base-p.top)*v/p.most }

// px is a coordinate to a tenth of a unit, which is less than anybody sees.
func px(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}

// steps are round values from 0 to the highest or a little beyond, some four to six of them.
func steps(highest float64) (values []float64, decimals int) {
	if highest <= 0 {
		highest = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(highest/4)))
	for _, wider := range []float64{1, 2, 5, 10} {
		if highest/(step*wider) <= 6 {
			step *= wider
			break
		}
	}
	for i := 0; ; i++ {
		values = append(values, float64(i)*step)
		if values[i] >= highest-1e-12 {
			return values, max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
		}
	}
}

// axis makes the ticks of the vertical axis and the plot below them.
func (c *lines) axis(highest float64) plot {
	c.Width, c.Height = 800, 380
	p := plot{left: 48, right: 600, top: 16, base: 330}
	values, decimals := steps(highest)
	p.most = values[len(values)-1]
	for _, v := range values {
		c.Y = append(c.Y, tick{px(p.y(v)), strconv.FormatFloat(v, 'f', decimals, 64)})
	}
	c.Left, c.Right, c.Top, c.Base = px(p.left), px(p.right), px(p.top), px(p.base)
	return p
}

// recallByK has a line for each scorer.
func recallByK(r *evaluation.Report) *lines {
	if len(r.Scorers[0].At) < 2 {
		return nil
	}
	c := &lines{
		ID: "by-k", Title: "Recall by length of the list",
		Desc:   "A line for each scorer: recall over the number of items shown, with 95 % intervals. " + ranked(r),
		XLabel: "items in the list (k)", Head: []string{"scorer"},
	}
	highest := 0.0
	for i := range r.Scorers {
		highest = max(highest, r.Scorers[i].At[len(r.Scorers[i].At)-1].Recall.High)
	}
	p := c.axis(highest)
	at := r.Scorers[0].At
	from, to := math.Log(float64(at[0].K)), math.Log(float64(at[len(at)-1].K))
	x := func(k int) float64 { return p.left + 8 + (p.right-p.left-8)*(math.Log(float64(k))-from)/(to-from) }
	for _, a := range at {
		c.X = append(c.X, tick{px(x(a.K)), strconv.Itoa(a.K)})
		c.Head = append(c.Head, "recall@"+strconv.Itoa(a.K))
	}
	for i := range r.Scorers {
		s := &r.Scorers[i]
		cells := []string{s.Name}
		var values []point
		for _, a := range s.At {
			values = append(values, point{x(a.K), a.Recall, fmt.Sprintf("%s: recall@%d %s", s.Name, a.K, a.Recall)})
			cells = append(cells, a.Recall.String())
		}
		c.Lines = append(c.Lines, p.line(seriesOf(i, s.Name), values))
		c.Table = append(c.Table, cells)
	}
	spread(c.Lines, p.top+4, p.base)
	slices.Reverse(c.Lines) // the model is drawn last, over the others
	return c
}

func ranked(r *evaluation.Report) string {
	m, best := &r.Scorers[0], bestBaseline(r)
	if best == nil {
		return fmt.Sprintf("%s has recall@%d %s.", m.Name, r.K, four(m.Recall.Mean))
	}
	return fmt.Sprintf("At %d, %s has %s and %s, the best baseline, %s.", r.K, m.Name, four(m.Recall.Mean), best.Name, four(best.Recall.Mean))
}

type point struct {
	x float64
	evaluation.Metric
	tip string
}

func (p plot) line(s series, points []point) line {
	l := line{series: s, Label: short(s.Name)}
	var there, back []string
	for _, at := range points {
		x, y := px(at.x), p.y(at.Mean)
		l.Points += x + "," + px(y) + " "
		there, back = append(there, x+","+px(p.y(at.High))), append(back, x+","+px(p.y(at.Low)))
		l.Marks = append(l.Marks, mark{x, px(y), px(p.y(at.Low)), px(p.y(at.High)), at.tip})
		l.labelAt, l.LabelX = y, px(at.x+12)
	}
	slices.Reverse(back)
	l.Points, l.Band = strings.TrimSpace(l.Points), strings.Join(append(there, back...), " ")
	return l
}

// spread moves labels apart that would cover each other, within the plot.
func spread(all []line, top, base float64) {
	const apart = 17
	order := make([]*line, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	slices.SortStableFunc(order, func(a, b *line) int { return int(math.Copysign(1, a.labelAt-b.labelAt)) })
	at := top - apart
	for _, l := range order {
		l.labelAt = max(l.labelAt, at+apart)
		at = l.labelAt
	}
	at = base + apart
	for _, l := range slices.Backward(order) {
		l.labelAt = min(l.labelAt, at-apart)
		at = l.labelAt
		l.LabelY = px(l.labelAt + 4)
	}
}

// overRuns shows how the first scorer did in each run, nil where there are fewer than two.
func overRuns(r *evaluation.Report, past []evaluation.Past) *lines {
	type run struct {
		evaluation.Past
		evaluation.Metrics
	}
	var runs []run
	highest := 0.0
	for _, p := range past {
		if at := slices.IndexFunc(p.Of, func(a evaluation.AtK) bool { return a.K == r.K }); at >= 0 {
			runs = append(runs, run{p, p.Of[at].Metrics})
			highest = max(highest, p.Of[at].Recall.High, p.Of[at].NDCG.High)
		}
	}
	if len(runs) < 2 {
		return nil
	}
	c := &lines{
		ID: "over-runs", Title: fmt.Sprintf("Over %d runs", len(runs)), XLabel: "run, oldest first",
		Desc: "Recall and NDCG of the measured model in each kept run of the same protocol, with 95 % intervals.",
		Head: []string{"run", "model", fmt.Sprintf("recall@%d", r.K), fmt.Sprintf("NDCG@%d", r.K)},
	}
	p := c.axis(highest)
	var recall, ndcg []point
	for i, run := range runs {
		x := p.left + 30 + (p.right-p.left-50)*float64(i)/float64(len(runs)-1)
		if each := (len(runs) + 7) / 8; i%each == 0 {
			c.X = append(c.X, tick{px(x), run.At.Format("2 Jan 15:04")})
		}
		recall = append(recall, point{x, run.Recall, fmt.Sprintf("%s: recall@%d %s", run.Name, r.K, run.Recall)})
		ndcg = append(ndcg, point{x, run.NDCG, fmt.Sprintf("%s: NDCG@%d %s", run.Name, r.K, run.NDCG)})
		c.Table = append(c.Table, []string{run.Name, run.Model, run.Recall.String(), run.NDCG.String()})
	}
	c.Lines = []line{
		p.line(seriesOf(0, fmt.Sprintf("recall@%d", r.K)), recall), p.line(seriesOf(1, fmt.Sprintf("NDCG@%d", r.K)), ndcg),
	}
	spread(c.Lines, p.top+4, p.base)
	return c
}

// fewest is how many cases a part of time has at the least to be drawn; below that, intervals are as wide as the chart.
const fewest = 10

// byTime shows the segments from one to another, which follow each other in time; nil where fewer than two can be drawn.
func byTime(r *evaluation.Report, shown []series, from, to int) *lines {
	of := func(s series, at int) *evaluation.Segment { return &r.Scorers[s.at].Segments[at] }
	by := r.Scorers[0].Segments[from].By
	c := &lines{
		ID: "by-time", Title: "By " + heading(by), XLabel: by, Head: []string{by, "cases"},
		Desc: fmt.Sprintf("A line for each scorer: NDCG@%d over time with 95 %% intervals. ", r.K) +
			fmt.Sprintf("Times with fewer than %d cases are in the table only.", fewest),
	}
	if by == "week of" {
		c.XLabel = "week, by its Monday"
	}
	var drawn []int
	highest := 0.0
	for at := from; at < to; at++ {
		cells := []string{of(shown[0], at).Name, strconv.Itoa(of(shown[0], at).Cases)}
		for _, s := range shown {
			cells = append(cells, of(s, at).NDCG.String())
		}
		c.Table = append(c.Table, cells)
		if of(shown[0], at).Cases >= fewest {
			drawn = append(drawn, at)
		}
	}
	for _, s := range shown {
		c.Head = append(c.Head, s.Name)
		for _, at := range drawn {
			highest = max(highest, of(s, at).NDCG.High)
		}
	}
	if len(drawn) < 2 {
		return nil
	}
	p := c.axis(highest)
	x := func(i int) float64 { return p.left + 30 + (p.right-p.left-60)*float64(i)/float64(len(drawn)-1) }
	for i, at := range drawn {
		if each := (len(drawn) + 5) / 6; i%each == 0 {
			c.X = append(c.X, tick{px(x(i)), of(shown[0], at).Name})
		}
	}
	for _, s := range shown {
		var points []point
		for i, at := range drawn {
			g := of(s, at)
			points = append(points, point{x(i), g.NDCG, fmt.Sprintf("%s, %s, %d cases: NDCG@%d %s", s.Name, g.Name, g.Cases, r.K, g.NDCG)})
		}
		c.Lines = append(c.Lines, p.line(s, points))
	}
	spread(c.Lines, p.top+4, p.base)
	slices.Reverse(c.Lines)
	return c
}

// short is a name as it fits beside a chart.
func short(name string) string {
	const most = 21
	if of := []rune(name); len(of) > most {
		return string(of[:most-1]) + "…"
	}
	return name
}
