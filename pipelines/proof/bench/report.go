package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/freshet/freshet/services/terminal"
)

// Report is the outcome of one bench.
type Report struct {
	Bench   string   `json:"bench"`
	Machine Machine  `json:"machine"`
	Servers Servers  `json:"servers"`
	Load    []string `json:"load"`
	Rows    []Row    `json:"rows"`
	// Notes say what the figures need to be read rightly.
	Notes []string `json:"notes,omitempty"`
}

// Row is one measurement.
type Row struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	Ours Figure `json:"ours"`
	// Floor and Ratio are absent where there is nothing to compare with.
	Floor *Figure `json:"floor,omitempty"`
	// Ratio is ours by floor, repeat by repeat.
	Ratio *Figure `json:"ratio,omitempty"`
	Goal  *Goal   `json:"goal,omitempty"`
}

// Goal is what a ratio should be.
type Goal struct {
	// Is is "<=" or ">=".
	Is      string  `json:"is"`
	Bound   float64 `json:"bound"`
	Reached bool    `json:"reached"`
}

func atMost(bound float64) *Goal  { return &Goal{Is: "<=", Bound: bound} }
func atLeast(bound float64) *Goal { return &Goal{Is: ">=", Bound: bound} }

func (g *Goal) judge(ratio float64) {
	g.Reached = ratio <= g.Bound
	if g.Is == ">=" {
		g.Reached = ratio >= g.Bound
	}
}

// compare adds a row of a figure beside its floor; goal may be nil.
func (r *Report) compare(name, unit string, ours, floor []float64, goal *Goal) {
	row := Row{Name: name, Unit: unit, Ours: figureOf(ours)}
	below := figureOf(floor)
	row.Floor = &below
	ratios := make([]float64, min(len(ours), len(floor)))
	for i := range ratios {
		ratios[i] = ours[i] / floor[i]
	}
	ratio := figureOf(ratios)
	row.Ratio = &ratio
	if goal != nil {
		goal.judge(ratio.Median)
		row.Goal = goal
	}
	r.Rows = append(r.Rows, row)
}

// tell adds a row of a figure that has no floor.
func (r *Report) tell(name, unit string, values []float64) {
	r.Rows = append(r.Rows, Row{Name: name, Unit: unit, Ours: figureOf(values)})
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	if err := terminal.FprintJSON(w, r); err != nil {
		return fmt.Errorf("writing the report of bench %s: %w", r.Bench, err)
	}
	return nil
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	lines := []string{
		fmt.Sprintf("bench %s", r.Bench),
		"machine: " + r.Machine.String(),
		"servers: " + r.Servers.String(),
		"load:    " + strings.Join(r.Load, ", "),
	}
	if _, err := terminal.Fprintln(w, terminal.Block(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("writing the report of bench %s: %w", r.Bench, err)
	}
	t := terminal.NewTable(w, terminal.Row{"measured", "unit", "ours", "floor", "ours / floor", "goal", "reached"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 3, Align: text.AlignRight}, {Number: 4, Align: text.AlignRight}, {Number: 5, Align: text.AlignRight},
	})
	for i := range r.Rows {
		t.AppendRow(r.Rows[i].cells())
	}
	t.Render()
	for _, n := range r.Notes {
		if _, err := terminal.Fprintln(w, "-", n); err != nil {
			return fmt.Errorf("writing the report of bench %s: %w", r.Bench, err)
		}
	}
	return nil
}

func (row *Row) cells() terminal.Row {
	cells := terminal.Row{row.Name, row.Unit, row.Ours.String(), "", "", "", ""}
	if row.Floor != nil {
		cells[3], cells[4] = row.Floor.String(), row.Ratio.String()
	}
	if row.Goal != nil {
		cells[5], cells[6] = row.Goal.Is+" "+strconv.FormatFloat(row.Goal.Bound, 'g', -1, 64), "no"
		if row.Goal.Reached {
			cells[6] = "yes"
		}
	}
	return cells
}

// String is the median, with the spread where there were several repeats.
func (f Figure) String() string {
	if len(f.Repeats) < 2 {
		return short(f.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", short(f.Median), short(f.Min), short(f.Max))
}

// short renders a number with three significant digits or more.
func short(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return "-"
	case a >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}
