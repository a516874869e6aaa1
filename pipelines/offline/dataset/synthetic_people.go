package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/freshet/freshet/schemas"
)

// How people choose the next item, by what they chose before. The rest of the times it is what the category's taste and the
// crowd say.
const (
	takesNext      = .28 // the next of the same line, after a look
	buyerTakesNext = .64 // the same, after a purchase
	takesSameBrand = .14 // another of the same brand
	followsCrowd   = .15 // what everybody takes
	staysInCorner  = .65 // at a free choice: in the category of the visit; else another favourite
	tastesDrift    = .06 // a visit: one favourite makes room for another category
	isFavourite    = .93 // a visit: to a favourite, else to anything
)

// person is one user's life in the shop.
type person struct {
	r    *rand.Rand
	shop *shop
	user User
	// favourites are departments, the dearest first; price is the level at which the user buys, as a good's.
	favourites []int
	brands     map[string]bool
	price      float64
	had        map[int32]bool
	last       int32 // the item at hand, -1 for none or one that the user turned down
	bought     bool  // it
}

func newPerson(s *shop, c SyntheticConfig, u int) *person {
	r := random(c.Seed, uint64(u)+3)
	p := &person{
		r: r, shop: s, price: .35 * r.NormFloat64(), had: map[int32]bool{}, brands: map[string]bool{}, last: -1,
		user: User{ID: fmt.Sprintf("user-%05d", u+1), Region: regionNames[r.IntN(len(regionNames))], Age: int32(14 + r.IntN(60))},
	}
	for len(p.favourites) < 3 {
		if d := r.IntN(len(departments)); !slices.Contains(p.favourites, d) && p.user.Age >= departments[d].minAge {
			p.favourites = append(p.favourites, d)
		}
	}
	for _, d := range p.favourites {
		p.brands[departments[d].brands[r.IntN(len(departments[d].brands))]] = true
	}
	return p
}

// live appends n events of the user, visit after visit, from the day on which the user first came.
func (p *person) live(events []Event, c SyntheticConfig, user int32, n int) []Event {
	joined := p.r.Float64() * .7
	visits := make([]int64, 1+n/12)
	for v := range visits {
		visits[v] = c.Start.Add(time.Duration((joined + (1-joined)*p.r.Float64()) * float64(c.Span))).UnixMilli()
	}
	slices.Sort(visits)
	left := n
	for v, at := range visits {
		size := left / (len(visits) - v)
		if v == len(visits)-1 {
			size = left
		}
		left -= size
		events = p.visit(events, user, at, size)
	}
	return events
}

// visit appends n events, each some seconds after the one before.
func (p *person) visit(events []Event, user int32, at int64, n int) []Event {
	corner := p.corner()
	for end := len(events) + n; len(events) < end; {
		item := p.choose(corner, at)
		p.had[item], p.last, p.bought = true, item, false
		for _, e := range p.deal(item) {
			if len(events) == end {
				break
			}
			p.follow(e.Type)
			at += int64(4000 + p.r.IntN(50_000))
			e.At, e.User, e.Item = at, user, item
			events = append(events, e)
		}
	}
	return events
}

// follow is what an event does to what the user takes next.
func (p *person) follow(t schemas.InteractionType) {
	switch t {
	case schemas.Purchase:
		p.bought = true
	case schemas.Dislike, schemas.Hide:
		p.last = -1
	default:
	}
}

// corner is the department to which the user goes today.
func (p *person) corner() int {
	if p.r.Float64() < tastesDrift {
		if d := p.r.IntN(len(departments)); !slices.Contains(p.favourites, d) && p.user.Age >= departments[d].minAge {
			p.favourites[p.r.IntN(len(p.favourites))] = d
		}
	}
	if p.r.Float64() < isFavourite {
		return p.favourite()
	}
	return p.r.IntN(len(departments))
}

// favourite draws a favourite, the dearer the likelier.
func (p *person) favourite() int {
	return p.favourites[min(p.r.IntN(len(p.favourites)), p.r.IntN(len(p.favourites)))]
}

// choose is the item that the user looks at next.
func (p *person) choose(corner int, at int64) int32 {
	x := p.r.Float64()
	if x > 1-followsCrowd {
		if item := int32(p.shop.crowd.draw(p.r)); p.may(item, at) {
			return item
		}
	}
	if p.last >= 0 {
		last := &p.shop.goods[p.last]
		next := takesNext
		if p.bought {
			next = buyerTakesNext
		}
		if x < next && last.next >= 0 && p.may(last.next, at) {
			return last.next
		}
		if x < next+takesSameBrand {
			same := p.shop.shelves[last.department].brands[last.brand]
			if item := same[p.r.IntN(len(same))]; p.may(item, at) {
				return item
			}
		}
	}
	if p.r.Float64() >= staysInCorner {
		corner = p.favourite()
	}
	return p.browse(corner, at)
}

// browse draws from a department's shelf until something fits the user's brands and purse.
func (p *person) browse(d int, at int64) int32 {
	shelf := &p.shop.shelves[d]
	item := int32(0)
	for range 40 {
		item = shelf.items[shelf.pull.draw(p.r)]
		if !p.may(item, at) {
			continue
		}
		g := &p.shop.goods[item]
		liking := math.Exp(-2 * math.Abs(g.price-p.price))
		if !p.brands[g.brand] {
			liking *= .4
		}
		if p.r.Float64() < liking {
			return item
		}
	}
	return p.anything(item, at)
}

// anything is for who has seen the whole shelf: whatever may be sold, from the item on, maybe once more.
func (p *person) anything(from int32, at int64) int32 {
	n := int32(len(p.shop.items))
	again := from
	for i := range n {
		item := (from + i) % n
		if p.may(item, at) {
			return item
		}
		if p.shop.sells(item, &p.user, at) {
			again = item
		}
	}
	return again
}

func (p *person) may(item int32, at int64) bool {
	return !p.had[item] && p.shop.sells(item, &p.user, at)
}

// deal is what the user does with an item: always a look, rarely all the way to a rating.
func (p *person) deal(item int32) []Event {
	none := float32(math.NaN())
	g := &p.shop.goods[item]
	liked := slices.Contains(p.favourites, g.department)
	x := p.r.Float64()
	if !liked && x < .3 {
		turnsAway := schemas.Dislike
		if x < .1 {
			turnsAway = schemas.Hide
		}
		return []Event{{Type: schemas.View, Value: .1}, {Type: turnsAway, Value: none}}
	}
	dwelt := float32(math.Round((.2+.8*p.r.Float64())*100) / 100)
	of := []Event{{Type: schemas.View, Value: dwelt}}
	switch {
	case x < .08:
		of = append(of, Event{Type: schemas.Like, Value: none})
	case x < .2:
		of = append(of, Event{Type: schemas.AddToCart, Value: none})
	case x < .32:
		of = append(of, Event{Type: schemas.AddToCart, Value: none}, Event{Type: schemas.Purchase, Value: 1})
	case x < .38:
		stars := float32(5 - min(p.r.IntN(3), p.r.IntN(3)))
		of = append(of, Event{Type: schemas.Purchase, Value: 1}, Event{Type: schemas.Rating, Value: stars})
	case x < .42:
		of = append([]Event{{Type: schemas.Impression, Value: none}, {Type: schemas.Click, Value: none}}, of...)
	}
	return of
}
