package evaluation

import (
	"maps"
	"slices"
	"strconv"
)

// lastShown is how many items of a history a sample shows.
const lastShown = 10

// samples shows the cases whose lists were kept, in the order of the cases.
func (e *evaluation) samples() []Sample {
	var all []Sample
	for _, i := range slices.Sorted(maps.Keys(e.lists)) {
		c := &e.cases[i]
		earlier := max(0, len(c.History)-lastShown)
		s := Sample{
			User: nameOf(e.catalogue.Users, c.User), Earlier: earlier,
			History: e.titles(c.History[earlier:]), Targets: e.titles(c.Targets), List: []Listed{},
		}
		if len(e.ranks[i]) > 0 {
			s.Rank = int(e.ranks[i][0])
		}
		for _, item := range e.lists[i] {
			s.List = append(s.List, Listed{nameOf(e.catalogue.Titles, item), slices.Contains(c.Targets, item)})
		}
		all = append(all, s)
	}
	return all
}

func (e *evaluation) titles(items []int32) []string {
	titles := make([]string, len(items))
	for i, item := range items {
		titles[i] = nameOf(e.catalogue.Titles, item)
	}
	return titles
}

// nameOf is a name or, where there is none, the number, counted from 1 as in most files.
func nameOf(names []string, at int32) string {
	if int(at) < len(names) {
		return names[at]
	}
	return "#" + strconv.Itoa(int(at)+1)
}
