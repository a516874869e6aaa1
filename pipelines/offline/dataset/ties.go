package dataset

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// DefaultTieSeed draws the order of events of one moment where no other seed is asked for.
const DefaultTieSeed = 1

// settle sorts the events by time and, within a moment, by what their source knows: orders are theirs, nil where it knows none. Where
// they are equal, a user's events are side by side, are marked as tied, and have the order that DefaultTieSeed draws. The outcome
// does not depend on the order in which the events came.
func (d *Dataset) settle(orders []int64) {
	if orders == nil {
		slices.SortFunc(d.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	} else {
		sort.Sort(byOrder{d.Events, orders})
	}
	var hashes []uint64 // of the users' ids
	same := func(i, j int) bool {
		return d.Events[i].At == d.Events[j].At && (orders == nil || orders[i] == orders[j])
	}
	for lo := 0; lo < len(d.Events); {
		hi := lo + 1
		for hi < len(d.Events) && same(lo, hi) {
			hi++
		}
		moment := d.Events[lo:hi]
		if lo = hi; len(moment) == 1 {
			continue
		}
		if hashes == nil {
			hashes = make([]uint64, len(d.Users))
			for u := range d.Users {
				hashes[u] = hashOf(d.Users[u].ID)
			}
		}
		slices.SortFunc(moment, func(a, b Event) int {
			return cmp.Or(cmp.Compare(hashes[a.User], hashes[b.User]), cmp.Compare(a.User, b.User))
		})
		for i := 1; i < len(moment); i++ {
			moment[i].Tied = moment[i].User == moment[i-1].User
		}
	}
	d.DrawTies(DefaultTieSeed)
}

// byOrder sorts events and what their source knows of their order.
type byOrder struct {
	events []Event
	orders []int64
}

func (s byOrder) Len() int { return len(s.events) }

func (s byOrder) Less(i, j int) bool {
	a, b := s.events[i].At, s.events[j].At
	return a < b || a == b && s.orders[i] < s.orders[j]
}

func (s byOrder) Swap(i, j int) {
	s.events[i], s.events[j] = s.events[j], s.events[i]
	s.orders[i], s.orders[j] = s.orders[j], s.orders[i]
}

// DrawTies draws the order of tied events anew (see Event.Tied). It follows from the seed and from the events themselves: the same
// seed gives the same order again, whatever the order is now.
func (d *Dataset) DrawTies(seed uint64) {
	d.TieSeed = seed
	var tied []drawn
	for lo := 0; lo < len(d.Events); {
		hi := lo + 1
		for hi < len(d.Events) && d.Events[hi].Tied {
			hi++
		}
		group := d.Events[lo:hi]
		if lo = hi; len(group) == 1 {
			continue
		}
		tied = tied[:0]
		user := Mix64(seed ^ hashOf(d.Users[group[0].User].ID))
		for _, e := range group {
			// The moment takes part, or a basket that is bought each week would have the same order each week.
			key := Mix64(Mix64(user^uint64(e.At)) ^ hashOf(d.Items[e.Item].ItemID))
			tied = append(tied, drawn{Mix64(key ^ uint64(e.Type)<<32 ^ uint64(math.Float32bits(e.Value))), e})
		}
		slices.SortFunc(tied, drawn.compare)
		// Events that are equal in everything have one key. Each gets its own, or they would always follow each other.
		equal := uint64(0)
		for i, before := 0, uint64(0); i < len(tied); i++ {
			key := tied[i].key
			if equal++; i == 0 || key != before {
				equal = 0
			}
			before, tied[i].key = key, Mix64(key+equal)
		}
		slices.SortFunc(tied, drawn.compare)
		for i := range tied {
			tied[i].event.Tied = i > 0
			group[i] = tied[i].event
		}
	}
}

// drawn is an event and the number by which it finds its place.
type drawn struct {
	key   uint64
	event Event
}

func (d drawn) compare(other drawn) int { return cmp.Compare(d.key, other.key) }

// hashOf is FNV-1a: the same on every machine and in every run.
func hashOf(id string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001b3
	}
	return h
}

// Mix64 makes numbers that look like chance of numbers that do not: a step of SplitMix64.
func Mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
