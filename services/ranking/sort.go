package ranking

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// place is a candidate's score and where it stands: what a sort has to move, in place of a candidate of ten words.
type place struct {
	score float32
	index int32
}

var placePool = sync.Pool{New: func() any { return new([]place) }}

// Sort orders candidates by falling score, equal scores by item id, so that an order never depends on the one before. A score
// that is NaN counts as the lowest.
func Sort(candidates []Candidate) {
	scratch := placePool.Get().(*[]place)
	defer placePool.Put(scratch)
	places := (*scratch)[:0]
	for i := range candidates {
		score := candidates[i].Score
		if score != score { // NaN: it would be neither above nor below any other
			score = float32(math.Inf(-1))
		}
		places = append(places, place{score, int32(i)})
	}
	*scratch = places
	slices.SortFunc(places, func(a, b place) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return cmp.Compare(candidates[a.index].Item.ItemID, candidates[b.index].Item.ItemID)
	})
	permute(candidates, places)
}

// permute moves to each index the candidate that places names for it, cycle by cycle, so that each moves once. It marks
// places as it goes.
func permute(candidates []Candidate, places []place) {
	const done = -1
	for start := range places {
		if places[start].index == done || int(places[start].index) == start {
			continue
		}
		first, to := candidates[start], start
		for {
			from := int(places[to].index)
			places[to].index = done
			if from == start {
				candidates[to] = first
				break
			}
			candidates[to] = candidates[from]
			to = from
		}
	}
}
