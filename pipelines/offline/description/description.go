package description

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Description is what a data set is like. Shares are from 0 to 1.
type Description struct {
	Data  string `json:"data"`
	Split string `json:"split"` // for people
	// Events, Users and Items count all; Touched are items that some event is about.
	Events  int `json:"events"`
	Users   int `json:"users"`
	Items   int `json:"items"`
	Touched int `json:"touched"`
	// From and To are the first and the last event's times, zero where the data has none.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Kinds count the events by what they are to the user tower, and Fields the items by what is known of them.
	Kinds  []Kind  `json:"kinds"`
	Fields []Field `json:"fields"`
	// Choices are those that move a user tower. Repeated are of an item that the user had before, and RepeatShare is theirs; for both,
	// events on one item in direct succession are one. Tied have no order: a user's other choice was at the same moment.
	Choices     int     `json:"choices"`
	Repeated    int     `json:"repeated"`
	RepeatShare float64 `json:"repeat_share"`
	Tied        int     `json:"tied"`
	// Lengths are the users by how many choices they have, and Popularity the items by how many have chosen them, in bins that double.
	Lengths    []Bin `json:"lengths"`
	Popularity []Bin `json:"popularity"`
	Median     int   `json:"median_length"`
	Longest    int   `json:"longest"`
	// Top is the share of the choices that the most popular hundredth of the items has, First that of the most popular one.
	Top   float64 `json:"top_hundredth"`
	First float64 `json:"first"`
	// OverTime are the events by when they happened.
	OverTime []Bin `json:"over_time"`
	// Bots are users with as many events in a day as hardly a person has.
	Bots Bots `json:"bots"`
	// Parts is what becomes of the events, Cases what is asked; Cold cases ask for an item that nobody has chosen in what is learnt.
	Parts []Bin `json:"parts"`
	Cases int   `json:"cases"`
	Cold  int   `json:"cold"`
	// Repeats reports whether targets may be items that the user had before.
	Repeats bool `json:"repeats"`
	// Again counts rows that were left out, since their event_id had come before, and OffScale ratings that are outside of the scale
	// by which they are judged, and count as choices. Rated counts all ratings with a value.
	Again    int `json:"again"`
	Rated    int `json:"rated"`
	OffScale int `json:"off_scale"`
	// Overlap is that of the tables, nil where the data comes from none.
	Overlap *tables.Overlap `json:"overlap,omitempty"`
	Marks   []Mark          `json:"marks"`
}

// Kind is a type of events, and what a user tower makes of it.
type Kind struct {
	Name   string  `json:"name"`
	Events int     `json:"events"`
	Share  float64 `json:"share"`
	Read   string  `json:"read"`
}

// Field is something that is known of some items.
type Field struct {
	Name  string  `json:"name"`
	Items int     `json:"items"`
	Share float64 `json:"share"`
}

// Bin is a part of a whole.
type Bin struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// Bots are users who do more than people do.
type Bots struct {
	Users    int      `json:"users"`
	Events   int      `json:"events"`
	Share    float64  `json:"share"`
	Examples []string `json:"examples,omitempty"`
}

// botEvents in a day are more than people have. The busiest shoppers have some hundreds of views.
const botEvents = 1000

// OfDataset describes a data set and how it will be parted.
func OfDataset(d *dataset.Dataset, held *dataset.HoldOut, name, split string) *Description {
	s := newSurvey(name, split, len(d.Users), d.Items)
	for i := range d.Events {
		e := &d.Events[i]
		s.event(e, d.Kind(e))
		if e.Type == schemas.Rating && e.Value == e.Value {
			s.Rated++
			if d.Ratings.Highest > d.Ratings.Lowest && !d.Ratings.Holds(e.Value) {
				s.OffScale++
			}
		}
	}
	s.Again = int(d.Repeated)
	s.Events = len(d.Events)
	if n := len(d.Events); n > 0 {
		s.From, s.To = time.UnixMilli(d.Events[0].At).UTC(), time.UnixMilli(d.Events[n-1].At).UTC()
		s.overTime(d.Events)
	}
	s.bots(func(u int) string { return d.Users[u].ID })
	repeated, turns := d.RepeatedChoices()
	s.Repeated, s.RepeatShare = repeated, share(repeated, turns)
	p := held.Parts
	s.Parts = []Bin{{"training", p.Past}, {"test targets", p.Asked}, {"after the targets", p.Behind}, {"after the cut", p.Later}}
	s.Repeats = held.Repeats == dataset.AskRepeats
	s.cases(held.Cases, held.Past.Histories())
	if len(d.Binding) > 0 {
		var b tables.Binding
		if err := json.Unmarshal(d.Binding, &b); err == nil {
			s.Overlap = b.Overlap
		}
	}
	return s.finish(true)
}

// OfSequences describes a data set that knows no times, and has a protocol of its own.
func OfSequences(q *dataset.Sequences, name string) *Description {
	users := len(q.Known)
	for i := range q.Test {
		users = max(users, int(q.Test[i].User)+1)
	}
	s := newSurvey(name, "as published", users, q.Items)
	last := slices.Repeat([]int32{-1}, len(q.Items)) // who had the item last
	learnt := 0
	for _, row := range q.Train {
		learnt += len(row)
	}
	known, turns := 0, 0
	for u, row := range q.Known {
		known += len(row)
		for i, item := range row {
			s.choice(u, item)
			if i > 0 && row[i-1] == item {
				continue
			}
			turns++
			if last[item] == int32(u) {
				s.Repeated++
			}
			last[item] = int32(u)
		}
	}
	s.RepeatShare = share(s.Repeated, turns)
	asked := 0
	for i := range q.Test {
		asked += len(q.Test[i].Targets)
		for _, item := range q.Test[i].Targets {
			s.choice(int(q.Test[i].User), item)
		}
	}
	s.Events = known + asked
	s.kinds[schemas.View] = s.Events
	s.Parts = []Bin{{"training", learnt}, {"validation", max(0, known-learnt)}, {"test targets", asked}}
	s.Repeats = q.IncludeSeen
	s.cases(q.Test, q.Train)
	return s.finish(false)
}

// survey counts events as they come.
type survey struct {
	Description
	items   []schemas.ItemChange
	kinds   map[schemas.InteractionType]int
	lengths []int // choices of each user
	chosen  []int // of each item
	touched []bool
	events  []int // of each user
	// Of each user the day of the last event, how many events it had, and the most of any day.
	day, ofDay, most []int32
}

func newSurvey(name, split string, users int, items []schemas.ItemChange) *survey {
	return &survey{
		Description: Description{Data: name, Split: split, Users: users, Items: len(items)},
		items:       items, kinds: map[schemas.InteractionType]int{}, lengths: make([]int, users), chosen: make([]int, len(items)),
		touched: make([]bool, len(items)), events: make([]int, users), day: make([]int32, users), ofDay: make([]int32, users),
		most: make([]int32, users),
	}
}

func (s *survey) choice(user int, item int32) {
	s.Choices++
	s.lengths[user]++
	s.chosen[item]++
	s.touched[item] = true
}

const msADay = 24 * 60 * 60 * 1000

func (s *survey) event(e *dataset.Event, kind schemas.InteractionType) {
	s.kinds[kind]++
	s.touched[e.Item] = true
	s.events[e.User]++
	day := int32(e.At / msADay)
	if s.day[e.User] != day {
		s.day[e.User], s.ofDay[e.User] = day, 0
	}
	s.ofDay[e.User]++
	s.most[e.User] = max(s.most[e.User], s.ofDay[e.User])
	if towers.CountsForTaste(kind) {
		s.choice(int(e.User), e.Item)
		if e.Tied {
			s.Tied++
		}
	}
}

func (s *survey) bots(id func(user int) string) {
	for u, most := range s.most {
		if most < botEvents {
			continue
		}
		s.Bots.Users++
		s.Bots.Events += s.events[u]
		if len(s.Bots.Examples) < 3 {
			s.Bots.Examples = append(s.Bots.Examples, id(u))
		}
	}
	s.Bots.Share = share(s.Bots.Events, s.Events)
}

func share(n, of int) float64 { return float64(n) / float64(max(of, 1)) }

// cases counts what is asked, and what of it nobody has chosen in what is learnt.
func (s *survey) cases(cases []dataset.Case, learnt [][]int32) {
	known := make([]bool, len(s.items))
	for _, history := range learnt {
		for _, item := range history {
			known[item] = true
		}
	}
	s.Cases = len(cases)
	for i := range cases {
		if !known[cases[i].Targets[0]] {
			s.Cold++
		}
	}
}

// periods are what events are counted by over time: the longest that gives no more than mostPeriods.
var periods = []struct {
	ms     int64
	layout string
}{
	{60 * 60 * 1000, "2 Jan 15:04"}, {6 * 60 * 60 * 1000, "2 Jan 15:04"}, {msADay, "2 Jan 2006"}, {7 * msADay, "2 Jan 2006"},
	{28 * msADay, "2 Jan 2006"}, {91 * msADay, "Jan 2006"}, {365 * msADay, "2006"}, {3652 * msADay, "2006"},
}

const mostPeriods = 24

// overTime counts events, which are in the order of time.
func (s *survey) overTime(events []dataset.Event) {
	from, to := events[0].At, events[len(events)-1].At
	p := periods[len(periods)-1]
	for _, candidate := range periods {
		if (to-from)/candidate.ms < mostPeriods {
			p = candidate
			break
		}
	}
	for i := range events {
		at := int((events[i].At - from) / p.ms)
		for len(s.OverTime) <= at {
			begins := time.UnixMilli(from + int64(len(s.OverTime))*p.ms).UTC()
			s.OverTime = append(s.OverTime, Bin{Name: begins.Format(p.layout)})
		}
		s.OverTime[at].N++
	}
}

// finish counts what is left, and marks what stands out.
func (s *survey) finish(timed bool) *Description {
	for _, kind := range sortedKinds(s.kinds) {
		read := "not read"
		switch {
		case towers.CountsForTaste(kind):
			read = "a choice"
		case towers.TurnsDown(kind):
			read = "negative feedback"
		}
		name := kind.String()
		if !timed {
			name = "no type"
		}
		s.Kinds = append(s.Kinds, Kind{name, s.kinds[kind], share(s.kinds[kind], s.Events), read})
	}
	for _, touched := range s.touched {
		if touched {
			s.Touched++
		}
	}
	s.Fields = fieldsOf(s.items)
	s.Lengths, s.Popularity = doubling(s.lengths), doubling(s.chosen)
	sorted := slices.Sorted(slices.Values(s.lengths))
	if len(sorted) > 0 {
		s.Median, s.Longest = sorted[len(sorted)/2], sorted[len(sorted)-1]
	}
	slices.SortFunc(s.chosen, func(a, b int) int { return cmp.Compare(b, a) })
	top := 0
	for _, n := range s.chosen[:(len(s.chosen)+99)/100] {
		top += n
	}
	s.Top = share(top, s.Choices)
	if len(s.chosen) > 0 {
		s.First = share(s.chosen[0], s.Choices)
	}
	s.mark(timed)
	return &s.Description
}

func sortedKinds(counts map[schemas.InteractionType]int) []schemas.InteractionType {
	var kinds []schemas.InteractionType
	for kind := range counts {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b schemas.InteractionType) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return kinds
}

// doubling counts things by a size, in bins 0, 1, 2 to 3, 4 to 7, and so on.
func doubling(sizes []int) []Bin {
	var bins []Bin
	for _, n := range sizes {
		at := bits.Len(uint(n))
		for len(bins) <= at {
			low, high := 1<<max(len(bins)-1, 0), 1<<len(bins)-1
			switch len(bins) {
			case 0:
				bins = append(bins, Bin{Name: "0"})
			case 1:
				bins = append(bins, Bin{Name: "1"})
			default:
				bins = append(bins, Bin{Name: fmt.Sprintf("%d to %d", low, high)})
			}
		}
		bins[at].N++
	}
	for len(bins) > 1 && bins[0].N == 0 {
		bins = bins[1:]
	}
	return bins
}

// fieldsOf counts what is known of the items, beside their ids.
func fieldsOf(items []schemas.ItemChange) []Field {
	var fields []Field
	for _, f := range []struct {
		name string
		has  func(*schemas.ItemChange) bool
	}{
		{"title", func(i *schemas.ItemChange) bool { return i.Title != "" }},
		{"description", func(i *schemas.ItemChange) bool { return i.Description != "" }},
		{"categories", func(i *schemas.ItemChange) bool { return len(i.Categories) > 0 }},
		{"tags", func(i *schemas.ItemChange) bool { return len(i.Tags) > 0 }},
		{"brand", func(i *schemas.ItemChange) bool { return i.Brand != "" }},
		{"price", func(i *schemas.ItemChange) bool { return i.Price != nil }},
		{"published_at", func(i *schemas.ItemChange) bool { return !i.PublishedAt.IsZero() }},
		{"attributes", func(i *schemas.ItemChange) bool { return len(i.Attributes) > 0 }},
		{"not available", func(i *schemas.ItemChange) bool { return !i.Available }},
	} {
		n := 0
		for i := range items {
			if f.has(&items[i]) {
				n++
			}
		}
		fields = append(fields, Field{f.name, n, share(n, len(items))})
	}
	return fields
}

// has gives the share of the items of which a field is known.
func (d *Description) has(field string) float64 {
	for _, f := range d.Fields {
		if f.Name == field {
			return f.Share
		}
	}
	return math.NaN()
}
