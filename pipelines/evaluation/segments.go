package evaluation

import "github.com/freshet/freshet/pipelines/dataset"

// split parts the cases by one property.
type split struct {
	by    string
	names []string // in the report's order
	of    func(c *dataset.Case) int
}

// splits are the properties by which reports are parted.
func splits(p *popularities) []split {
	all := []split{{
		by: "events before", names: []string{"0", "1 to 5", "6 to 20", "21 to 50", "51 to 200", "more"},
		of: func(c *dataset.Case) int {
			for i, most := range []int{0, 5, 20, 50, 200} {
				if len(c.History) <= most {
					return i
				}
			}
			return 5
		},
	}}
	if p != nil {
		all = append(all, split{
			by: "first target", names: []string{head: "head", middle: "middle", tail: "tail", unseen: "without events"},
			of: func(c *dataset.Case) int { return int(p.part[c.Targets[0]]) },
		})
	}
	return all
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
