package evaluation

import (
	"maps"
	"slices"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// split parts the cases by one property.
type split struct {
	by    string
	names []string // in the report's order
	of    func(c *dataset.Case) int
}

// splits are the properties by which a report is parted: those that the data has, and in which its cases differ.
func splits(cases []dataset.Case, catalogue *Catalogue, p *popularities) []split {
	all := []split{byHistory()}
	if l := catalogue.Learnt; l != nil {
		all = append(all, split{"user", []string{"known", "new"}, func(c *dataset.Case) int { return oneIf(!l.knowsUser(c.User)) }},
			split{"item", []string{"known", "new"}, func(c *dataset.Case) int { return oneIf(l.Items[c.Targets[0]] == 0) }})
	}
	if p != nil {
		all = append(all, split{
			by: "first target", names: []string{head: "head", middle: "middle", tail: "tail", unseen: "without events"},
			of: func(c *dataset.Case) int { return int(p.part[c.Targets[0]]) },
		})
	}
	if slices.ContainsFunc(cases, func(c dataset.Case) bool { return c.Type != schemas.UnknownInteraction }) {
		all = append(all, byType())
	}
	if slices.ContainsFunc(cases, func(c dataset.Case) bool { return c.At != 0 }) {
		all = append(all, byTime(cases))
	}
	return slices.DeleteFunc(all, func(s split) bool { return s.parts(cases) < 2 })
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func byHistory() split {
	return split{
		by: "events before", names: []string{"0", "1 to 5", "6 to 20", "21 to 50", "51 to 200", "more"},
		of: func(c *dataset.Case) int {
			for i, most := range []int{0, 5, 20, 50, 200} {
				if len(c.History) <= most {
					return i
				}
			}
			return 5
		},
	}
}

// byType parts by what the user did with the first target.
func byType() split {
	s := split{by: "interaction", of: func(c *dataset.Case) int { return int(c.Type) }}
	for t := schemas.UnknownInteraction; t <= schemas.Hide; t++ {
		s.names = append(s.names, t.String())
	}
	return s
}

// mostPeriods is how many parts of time a reader can follow.
const mostPeriods = 26

// period is a length of time and how a moment's is called.
type period struct {
	by   string
	name func(t time.Time) string
}

var periods = []period{
	{"week of", func(t time.Time) string { return t.AddDate(0, 0, -(int(t.Weekday())+6)%7).Format(time.DateOnly) }}, // its Monday
	{"month", func(t time.Time) string { return t.Format("2006-01") }},
	{"year", func(t time.Time) string { return t.Format("2006") }},
}

func (p *period) of(c *dataset.Case) string { return p.name(time.UnixMilli(c.At).UTC()) }

// byTime parts by when the first target happened, in UTC: by week, or by the next longer period of which there are not too many.
func byTime(cases []dataset.Case) split {
	for i := range periods {
		p := &periods[i]
		places := map[string]int{}
		for at := range cases {
			places[p.of(&cases[at])] = 0
		}
		if len(places) > mostPeriods && i < len(periods)-1 {
			continue
		}
		names := slices.Sorted(maps.Keys(places))
		for place, name := range names {
			places[name] = place
		}
		return split{by: p.by, names: names, of: func(c *dataset.Case) int { return places[p.of(c)] }}
	}
	return split{}
}

// cases lists, for each name, which cases are of it.
func (s *split) cases(cases []dataset.Case) [][]int {
	parts := make([][]int, len(s.names))
	for i := range cases {
		at := s.of(&cases[i])
		parts[at] = append(parts[at], i)
	}
	return parts
}

// parts counts the names that have cases.
func (s *split) parts(cases []dataset.Case) int {
	return len(slices.DeleteFunc(s.cases(cases), func(of []int) bool { return len(of) == 0 }))
}
