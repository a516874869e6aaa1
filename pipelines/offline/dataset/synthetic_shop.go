package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/freshet/freshet/schemas"
)

// shop is the synthetic catalogue with what people go by.
type shop struct {
	items []schemas.ItemChange
	goods []good
	// shelves hold, for each department, its items and how they draw people.
	shelves []shelf
	names   []int // of lines, as positions in the pairs of words
	crowd   wheel // how all items draw people, whatever their taste
}

// good is what the catalogue does not say of an item.
type good struct {
	department int
	brand      string
	price      float64 // in units of what is typical for the department, as a logarithm
	next       int32   // the line's next item, -1 at its end
	published  int64   // ms
}

type shelf struct {
	items []int32
	pull  wheel
	// brands are the shelf's items by brand.
	brands map[string][]int32
}

func newShop(c SyntheticConfig) *shop {
	r := random(c.Seed, 2)
	s := &shop{shelves: make([]shelf, len(departments)), names: r.Perm(len(lineFirst) * len(lineSecond))}
	for line := 0; len(s.items) < c.Items; line++ {
		s.addLine(r, c, line)
	}
	rank := r.Perm(len(s.items))
	pull := func(item int) float64 { return math.Pow(float64(3+rank[item]), -1.1) }
	s.crowd = newWheel(len(s.items), pull)
	for d := range s.shelves {
		shelf := &s.shelves[d]
		shelf.pull = newWheel(len(shelf.items), func(i int) float64 { return pull(int(shelf.items[i])) })
	}
	return s
}

// addLine adds the goods of one brand under one name, in the order in which people take them, as far as there is room.
func (s *shop) addLine(r *rand.Rand, c SyntheticConfig, line int) {
	d := line % len(departments)
	of := &departments[d]
	if s.shelves[d].brands == nil {
		s.shelves[d].brands = map[string][]int32{}
	}
	brand := of.brands[r.IntN(len(of.brands))]
	name := s.lineName(line)
	level := .4 * r.NormFloat64() // of the line's prices
	published, regions := publication(r, c), lineRegions(r)
	if line < len(departments) { // the category's first line is for everybody, from the start
		published, regions = c.Start.Add(-365*24*time.Hour), nil
	}
	goods := of.goods[:min(3+r.IntN(len(of.goods)-2), len(of.goods), c.Items-len(s.items))]
	for i, what := range goods {
		at := int32(len(s.items))
		price := level + .3*r.NormFloat64()
		id := "item-" + fmt.Sprintf("%05d", at+1)
		next := at + 1
		if i == len(goods)-1 {
			next = -1
		}
		s.goods = append(s.goods, good{department: d, brand: brand, price: price, next: next, published: published.UnixMilli()})
		euros := math.Floor(of.price*math.Exp(price)) + .95
		s.items = append(s.items, schemas.ItemChange{
			ItemID: id, Op: schemas.UpsertItem, Version: 1, OccurredAt: published,
			Title:       name + " " + what,
			Description: fmt.Sprintf("The %s of the %s range by %s. Made for %s.", what, name, brand, of.use),
			Categories:  []string{of.name}, Tags: tags(r), Brand: brand, Price: &euros, Currency: "EUR",
			Available: true, Regions: regions, PublishedAt: published, MinAge: of.minAge,
		})
		shelf := &s.shelves[d]
		shelf.items = append(shelf.items, at)
		shelf.brands[brand] = append(shelf.brands[brand], at)
	}
}

// lineName gives each line another name, in an order that says nothing of its department; where the words run out, they begin
// again with a number.
func (s *shop) lineName(line int) string {
	n := len(s.names)
	at := s.names[line%n]
	name := lineFirst[at%len(lineFirst)] + " " + lineSecond[at/len(lineFirst)]
	if line >= n {
		name += " " + strconv.Itoa(line/n+1)
	}
	return name
}

// publication is in the three years before the start, or, for an eighth of the lines, within the first four fifths of the span.
func publication(r *rand.Rand, c SyntheticConfig) time.Time {
	at := c.Start.Add(-time.Duration(r.Float64() * 3 * 365 * 24 * float64(time.Hour)))
	if r.Float64() < .125 {
		at = c.Start.Add(time.Duration(r.Float64() * .8 * float64(c.Span)))
	}
	return at.UTC().Truncate(time.Minute)
}

// lineRegions leaves most lines everywhere and keeps some from one or more regions.
func lineRegions(r *rand.Rand) []string {
	if r.Float64() < .88 {
		return nil
	}
	var in []string
	for _, region := range regionNames {
		if r.Float64() < .6 {
			in = append(in, region)
		}
	}
	return in
}

func tags(r *rand.Rand) []string {
	var of []string
	for range r.IntN(3) {
		if tag := tagWords[r.IntN(len(tagWords))]; !slices.Contains(of, tag) {
			of = append(of, tag)
		}
	}
	return of
}

// sells says whether a person may have the item at that time.
func (s *shop) sells(item int32, u *User, at int64) bool {
	i := &s.items[item]
	return s.goods[item].published <= at && u.Age >= i.MinAge && (len(i.Regions) == 0 || slices.Contains(i.Regions, u.Region))
}
