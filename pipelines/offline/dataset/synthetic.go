package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/freshet/freshet/schemas"
)

// SyntheticConfig is the size and the seed of a synthetic shop.
type SyntheticConfig struct {
	Users  int `yaml:"users" env:"USERS"`
	Items  int `yaml:"items" env:"ITEMS"`
	Events int `yaml:"events" env:"EVENTS"`
	// Seed decides everything else: the same configuration always makes the same world.
	Seed uint64 `yaml:"seed" env:"SEED"`
	// Start is when the first event may happen, Span for how long they go on.
	Start time.Time     `yaml:"start" env:"START"`
	Span  time.Duration `yaml:"span" env:"SPAN"`
}

// DefaultSyntheticConfig is a world that the demo trains on in seconds.
func DefaultSyntheticConfig() SyntheticConfig {
	return SyntheticConfig{
		Users: 2000, Items: 1500, Events: 120_000, Seed: 1,
		Start: time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC), Span: 180 * 24 * time.Hour,
	}
}

// minItems leaves no category empty.
const minItems = 128

// Validate says which field is out of range.
func (c SyntheticConfig) Validate() error {
	switch {
	case c.Users < 1 || c.Users > 10_000_000:
		return fmt.Errorf("users is %d: give 1 to 10 million", c.Users)
	case c.Items < minItems || c.Items > 10_000_000:
		return fmt.Errorf("items is %d: give %d to 10 million", c.Items, minItems)
	case c.Events < c.Users || c.Events > 1_000_000_000:
		return fmt.Errorf("events is %d: give one for each of the %d users or more, up to a thousand million",
			c.Events, c.Users)
	case c.Span < time.Hour:
		return fmt.Errorf("span is %v: give an hour or more", c.Span)
	case c.Start.IsZero() || c.Start.Year() < 1970:
		return errors.New("start is before 1970: give the time of the first event")
	}
	return nil
}

// Synthetic makes a shop with a catalogue and people in it. What a model can learn there:
//
//   - People have a few favourite categories, brands and a price level, which drift: now and then a favourite makes room
//     for another.
//   - Goods come in lines (a crime series, a camping range), and who took one often takes the line's next: the order
//     matters.
//   - Few items get most of the attention; some appear only later; some are for some regions or for adults only.
//   - A visit looks at several items; some of what is viewed is liked, carted, bought, rated; some is disliked or hidden.
func Synthetic(c SyntheticConfig) (*Dataset, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("making a synthetic world: %w", err)
	}
	shop := newShop(c)
	d := &Dataset{
		Name: fmt.Sprintf("synthetic-%d", c.Seed), Items: shop.items, Users: make([]User, c.Users), Ratings: schemas.DefaultRatingScale(),
	}
	d.Events = make([]Event, 0, c.Events)
	for u, share := range shares(c) {
		p := newPerson(shop, c, u)
		d.Users[u] = p.user
		d.Events = p.live(d.Events, c, int32(u), share)
	}
	// People live one after the other, and each knows the order of what they did.
	slices.SortStableFunc(d.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return d, nil
}

// shares deals the events out to the users: some come often, most seldom, each at least once.
func shares(c SyntheticConfig) []int {
	r := random(c.Seed, 1)
	weights, total := make([]float64, c.Users), 0.0
	for u := range weights {
		weights[u] = .2 + math.Exp(.8*r.NormFloat64())
		total += weights[u]
	}
	all, dealt := make([]int, c.Users), 0
	for u, w := range weights {
		all[u] = 1 + int(w/total*float64(c.Events-c.Users))
		dealt += all[u]
	}
	for u := 0; dealt < c.Events; u = (u + 1) % c.Users {
		all[u]++
		dealt++
	}
	return all
}

// random gives each part of the world numbers of its own, so that a user's life does not depend on the lives before.
func random(seed, part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part*0x9e3779b97f4a7c15))
}

// wheel draws indexes by weight.
type wheel []float64

func newWheel(n int, weight func(i int) float64) wheel {
	w, total := make(wheel, n), 0.0
	for i := range w {
		total += weight(i)
		w[i] = total
	}
	return w
}

func (w wheel) draw(r *rand.Rand) int {
	x := r.Float64() * w[len(w)-1]
	return min(sort.Search(len(w), func(i int) bool { return w[i] > x }), len(w)-1)
}
