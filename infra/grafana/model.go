package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Dashboard is what Grafana imports, as far as we use it.
type Dashboard struct {
	UID           string     `json:"uid"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	Tags          []string   `json:"tags"`
	SchemaVersion int        `json:"schemaVersion"`
	Editable      bool       `json:"editable"`
	Refresh       string     `json:"refresh"`
	Time          TimeRange  `json:"time"`
	Templating    Templating `json:"templating"`
	Panels        []Panel    `json:"panels"`
}

// TimeRange is what a dashboard shows at first.
type TimeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Templating holds the variables of a dashboard.
type Templating struct {
	List []Variable `json:"list"`
}

// Variable is chosen by who looks at a dashboard.
type Variable struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Type  string `json:"type"`
	Query string `json:"query"`
}

// Datasource refers to the variable that every dashboard has for it.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Panel is a chart, a number or the head of a row.
type Panel struct {
	ID          int          `json:"id"`
	Type        string       `json:"type"`
	Title       string       `json:"title"`
	Description string       `json:"description,omitempty"`
	Datasource  *Datasource  `json:"datasource,omitempty"`
	Grid        Grid         `json:"gridPos"`
	Fields      *FieldConfig `json:"fieldConfig,omitempty"`
	Options     any          `json:"options,omitempty"`
	Targets     []Target     `json:"targets,omitempty"`
	Collapsed   bool         `json:"collapsed,omitempty"`
}

// Grid is a panel's place: 24 columns, rows of some 30 pixels.
type Grid struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"w"`
	Height int `json:"h"`
}

// FieldConfig says how values are shown.
type FieldConfig struct {
	Defaults  FieldDefaults `json:"defaults"`
	Overrides []any         `json:"overrides"`
}

// FieldDefaults hold the unit of a panel.
type FieldDefaults struct {
	Unit       string     `json:"unit"`
	Min        *float64   `json:"min,omitempty"`
	Thresholds Thresholds `json:"thresholds"`
}

// Thresholds colour a number.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// Step is the colour from a value on; nil is the lowest.
type Step struct {
	Colour string   `json:"color"` //nolint:misspell // Grafana spells it so
	Value  *float64 `json:"value"`
}

// Target is a query.
type Target struct {
	RefID      string      `json:"refId"`
	Datasource *Datasource `json:"datasource"`
	Expression string      `json:"expr"`
	Legend     string      `json:"legendFormat"`
	Instant    bool        `json:"instant,omitempty"`
	Range      bool        `json:"range,omitempty"`
}

// The units of panels, in Grafana's words.
const (
	seconds = "s"
	count   = "short"
	perSec  = "cps"
	share   = "percentunit"
)

const schemaVersion = 39 // Grafana 11

var prometheus = &Datasource{Type: "prometheus", UID: "${datasource}"}

// query is an expression and its legend.
type query struct{ expression, legend string }

// graph is a time series of some queries.
func graph(title, unit, description string, queries ...query) Panel {
	p := newPanel("timeseries", title, unit, description, queries)
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "table", "placement": "bottom", "calcs": []string{"mean", "max"}, "showLegend": true},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	return p
}

// number is the value of now, red from bad on; where less is worse, red below good.
func number(title, unit, description string, steps []Step, q query) Panel {
	p := newPanel("stat", title, unit, description, []query{q})
	p.Fields.Defaults.Thresholds.Steps = steps
	p.Targets[0].Instant, p.Targets[0].Range = true, false
	p.Options = map[string]any{
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}}, "colorMode": "background", "graphMode": "none",
		"textMode": "value_and_name",
	}
	return p
}

func newPanel(kind, title, unit, description string, queries []query) Panel {
	zero := 0.0
	p := Panel{
		Type: kind, Title: title, Description: description, Datasource: prometheus,
		Fields: &FieldConfig{
			Defaults: FieldDefaults{
				Unit: unit, Min: &zero, Thresholds: Thresholds{Mode: "absolute", Steps: []Step{{Colour: "green"}}},
			},
			Overrides: []any{},
		},
	}
	for i, q := range queries {
		p.Targets = append(p.Targets, Target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expression: q.expression, Legend: q.legend, Range: true,
		})
	}
	return p
}

// redFrom and redBelow colour numbers.
func redFrom(bad float64) []Step  { return []Step{{Colour: "green"}, {Colour: "red", Value: &bad}} }
func redBelow(low float64) []Step { return []Step{{Colour: "red"}, {Colour: "green", Value: &low}} }

// row is a heading and the panels below it.
type row struct {
	title  string
	panels []Panel
}

const (
	gridColumns = 24
	graphWidth  = 8
	graphHeight = 8
	numWidth    = 4
	numHeight   = 4
)

// dashboard lays rows out from top to bottom, panels from left to right.
func dashboard(uid, title, description string, rows ...row) Dashboard {
	d := Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{"freshet"}, SchemaVersion: schemaVersion,
		Refresh: "30s", Time: TimeRange{From: "now-1h", To: "now"},
		Templating: Templating{List: []Variable{{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"}}},
	}
	y := 0
	add := func(p Panel, at Grid) {
		p.ID, p.Grid = len(d.Panels)+1, at
		d.Panels = append(d.Panels, p)
	}
	for _, r := range rows {
		add(Panel{Type: "row", Title: r.title}, Grid{Y: y, Width: gridColumns, Height: 1})
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			w, h := graphWidth, graphHeight
			if p.Type == "stat" {
				w, h = numWidth, numHeight
			}
			if x+w > gridColumns {
				x, y, height = 0, y+height, 0
			}
			add(p, Grid{X: x, Y: y, Width: w, Height: h})
			x, height = x+w, max(height, h)
		}
		y += height
	}
	return d
}

// encode writes a dashboard as its file has it.
func (d Dashboard) encode() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("encoding dashboard %s: %w", d.UID, err)
	}
	return out.Bytes(), nil
}
