package tables

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// pivoted is a table of properties as a table of items, in memory.
type pivoted struct {
	names []string
	keys  []string // in the order in which they first came
	// values are those of each key, a property after the other; the newest time of any stands last, where there are times.
	values map[string][]columnar.Cell
	at     int
	places []int
}

// mostPivoted bounds the items.
const mostPivoted = 20_000_000

// pivot reads all rows.
func (s *source) pivot(p *Pivot, has []string) (*pivoted, error) {
	t := &pivoted{names: append([]string{p.Key}, p.Keep...), values: map[string][]columnar.Cell{}, at: -1}
	columns := []string{p.Key, p.Name, p.Value}
	if p.Since != "" {
		columns = append(columns, p.Since)
		t.names = append(t.names, p.Since)
	}
	for _, c := range columns {
		if !slices.Contains(has, c) {
			return nil, fmt.Errorf("reading %s: pivot: there is no column %q: it has %s", s.name(), c, shown(has))
		}
	}
	s.columns = columns
	since := map[string][]float64{}
	kept := make([]bool, len(p.Keep)) // which properties some row has
	err := s.each(context.Background(), func(r *reader) error {
		key, err := textOf(r.cell(0))
		if err != nil {
			return fmt.Errorf("reading %s: column %s is %w", r.place(), p.Key, err)
		}
		name, err := textOf(r.cell(1))
		if err != nil {
			return fmt.Errorf("reading %s: column %s is %w", r.place(), p.Name, err)
		}
		values, known := t.values[key]
		if !known {
			if len(t.keys) == mostPivoted {
				return fmt.Errorf("reading %s: it has more than %d items", r.place(), mostPivoted)
			}
			values = make([]columnar.Cell, len(t.names)-1)
			for i := range values {
				values[i] = textCell("")
			}
			since[key] = slices.Repeat([]float64{-1 << 62}, len(values))
			t.keys, t.values[key] = append(t.keys, key), values
		}
		newest := since[key]
		when := 0.0
		if p.Since != "" {
			v := scalar(r.cell(3))
			number, _, _, ok := numberIn(&v)
			if when = number; !ok {
				return fmt.Errorf("reading %s: column %s is %w", r.place(), p.Since, bad(r.cell(3), "give a number since 1970"))
			}
			if last := len(values) - 1; when > newest[last] {
				newest[last], values[last] = when, clone(r.cell(3))
			}
		}
		if i := slices.Index(p.Keep, name); i >= 0 && when >= newest[i] {
			newest[i], values[i], kept[i] = when, clone(r.cell(2)), true
		}
		return nil
	})
	for i, property := range p.Keep {
		if err == nil && !kept[i] {
			err = fmt.Errorf("reading %s: pivot: no row has the property %q", s.name(), property)
		}
	}
	return t, err
}

func clone(c *columnar.Cell) columnar.Cell {
	copied := columnar.Cell{Shape: c.Shape}
	for _, v := range c.Values {
		v.Text = slices.Clone(v.Text)
		copied.Values = append(copied.Values, v)
	}
	return copied
}

// again is the table from its beginning.
func (t *pivoted) again() *pivoted {
	another := *t
	another.at, another.places = -1, nil
	return &another
}

func (t *pivoted) Columns() []string { return t.names }

func (t *pivoted) Notes() []string { return nil }

func (t *pivoted) Begin(places []int) error {
	t.places = slices.Clone(places)
	return nil
}

func (t *pivoted) Next() (bool, error) {
	t.at++
	return t.at < len(t.keys), nil
}

func (t *pivoted) Cell(i int) *columnar.Cell {
	key := t.keys[t.at]
	if t.places[i] == 0 {
		c := textCell(key)
		return &c
	}
	return &t.values[key][t.places[i]-1]
}

func (t *pivoted) Place() string {
	if t.at < len(t.keys) {
		return "item " + t.keys[t.at]
	}
	return "items"
}

func (*pivoted) Close() {}
