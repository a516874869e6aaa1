package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"time"

	"github.com/freshet/freshet/pipelines/offline/description"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
)

//go:embed description.html
var descriptionMarkup string

// descriptionPage shares the definitions of charts with the page of a report.
var descriptionPage = template.Must(template.Must(page.Clone()).New("description").Parse(descriptionMarkup))

// descriptionView is what the template of a description shows.
type descriptionView struct {
	*description.Description
	Headline []string
	Tiles    []tile
	Charts   []*bars
}

// WriteDescription writes a first look at a data set as a page that needs nothing else.
func WriteDescription(w io.Writer, d *description.Description) error {
	v := &descriptionView{Description: d, Headline: descriptionHeadline(d)}
	v.Tiles = []tile{
		{"events", thousands(d.Events), fmt.Sprintf("%s choices", thousands(d.Choices))},
		{"users", thousands(d.Users), fmt.Sprintf("%s choices at the median", thousands(d.Median))},
		{"items", thousands(d.Items), fmt.Sprintf("%s with an event", thousands(d.Touched))},
		{"cases", thousands(d.Cases), fmt.Sprintf("%s of an item that is new", thousands(d.Cold))},
	}
	kinds, fields := make([]description.Bin, len(d.Kinds)), make([]description.Bin, len(d.Fields))
	for i, k := range d.Kinds {
		kinds[i] = description.Bin{Name: k.Name, N: k.Events}
	}
	for i, f := range d.Fields {
		fields[i] = description.Bin{Name: f.Name, N: f.Items}
	}
	v.Charts = []*bars{
		counted("parts", "What becomes of the events", "part", "events", d.Parts),
		counted("kinds", "What users did", "kind", "events", kinds),
		counted("lengths", "Users by how many choices they have", "choices", "users", d.Lengths),
		counted("popularity", "Items by how many choices they have", "choices", "items", d.Popularity),
		counted("fields", "What is known of the items", "field", "items", fields),
	}
	if len(d.OverTime) > 0 {
		v.Charts = append(v.Charts, counted("time", "Events over time", "from", "events", d.OverTime))
	}
	if err := descriptionPage.Execute(w, v); err != nil {
		return fmt.Errorf("writing a page: %w", err)
	}
	return nil
}

// descriptionHeadline is what a reader in a hurry should know.
func descriptionHeadline(d *description.Description) []string {
	red, yellow := 0, 0
	for _, m := range d.Marks {
		if m.Red {
			red++
		} else {
			yellow++
		}
	}
	said := "Nothing stands out that would make results on this data misleading."
	switch {
	case red > 0:
		said = fmt.Sprintf("Red marks: %d. Do not train on this data before they are fixed.", red)
	case yellow > 0:
		said = fmt.Sprintf("Before you trust results on this data, look at its marks: %d.", yellow)
	}
	lines := []string{said}
	if !d.From.IsZero() {
		lines = append(lines, fmt.Sprintf("From %s to %s, %s days.", d.From.Format("2 January 2006"), d.To.Format("2 January 2006"),
			thousands(int(d.To.Sub(d.From)/(24*time.Hour))+1)))
	}
	repeats := "such items are never targets, and stay out of the lists"
	if d.Repeats {
		repeats = "such items are targets too, and stay in the lists"
	}
	return append(lines, fmt.Sprintf("%.1f %% of the choices are of an item that the user had before: %s. The most popular hundredth of the "+
		"items has %.1f %% of the choices.", 100*d.RepeatShare, repeats, 100*d.Top))
}

// counted is a chart of how many there are of each.
func counted(id, title, what, of string, bins []description.Bin) *bars {
	c := &bars{
		ID: id, Title: title, Width: barsWidth, Left: strconv.Itoa(barsLeft), Desc: fmt.Sprintf("Bars of %s by %s.", of, what),
		Head: []string{what, of},
	}
	highest, total := 0, 0
	for _, b := range bins {
		highest, total = max(highest, b.N), total+b.N
	}
	x := c.scale(float64(max(highest, 1)))
	y := 8.0
	for _, b := range bins {
		value := evaluation.Metric{Mean: float64(b.N), Low: float64(b.N), High: float64(b.N)}
		drawn := newBar(seriesOf(0, of), x, y, value, fmt.Sprintf("%s: %s %s", b.Name, thousands(b.N), of))
		drawn.Value = thousands(b.N)
		c.Groups = append(c.Groups, group{Label: short(b.Name), Y: px(y + barHeight - 2), NoteY: px(y), Bars: []bar{drawn}})
		c.Table = append(c.Table, []string{b.Name, strconv.Itoa(b.N)})
		y += barHeight + groupSpace/2
	}
	c.end(y + groupSpace/2)
	return c
}
