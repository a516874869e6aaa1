package demo

import (
	"fmt"
	"slices"

	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/schemas"
)

// world is the data of one run. All of its events come from the data set; only what the story itself does is added.
type world struct {
	data *dataset.Dataset
	// Told is what happens before the story; step 7 asks for the rest.
	dataset.HoldOut
	place     map[string]int32 // of an item in data.Items
	region    string           // where the story's user lives
	hero      int32            // the user whom the story follows
	histories [][]int32        // of Told, by user
}

// pastShare is the share of the events that the towers learn from.
const pastShare = 0.85

// The rules have nothing to do in a catalogue where all is available everywhere: such a one gets some items that are not.
// The numbers are primes, so that the two seldom meet.
const (
	unavailableEach = 37
	regionalEach    = 11
	homeRegion      = "SE"
	otherRegion     = "US"
)

// newWorld reads MovieLens from dir, or makes a world up.
func newWorld(dir string) (*world, error) {
	var data *dataset.Dataset
	var err error
	if dir != "" {
		data, err = dataset.ReadMovieLens(dir)
	} else {
		data, err = dataset.Synthetic(dataset.DefaultSyntheticConfig())
	}
	if err != nil {
		return nil, err
	}
	w := &world{data: data, place: make(map[string]int32, len(data.Items)), region: homeRegion}
	restrict(data.Items)
	for i := range data.Items {
		w.place[data.Items[i].ItemID] = int32(i)
	}
	w.HoldOut = dataset.NewHoldOut(data, pastShare)
	w.histories = w.Told.Histories()
	w.hero = w.chooseHero()
	return w, nil
}

// restrict makes some items unavailable and some regional, where the data set has no such items itself.
func restrict(items []schemas.ItemChange) {
	if !slices.ContainsFunc(items, func(it schemas.ItemChange) bool { return !it.Available }) {
		for i := unavailableEach - 1; i < len(items); i += unavailableEach {
			items[i].Available = false
		}
	}
	if !slices.ContainsFunc(items, func(it schemas.ItemChange) bool { return len(it.Regions) > 0 }) {
		for i := regionalEach - 1; i < len(items); i += regionalEach {
			items[i].Regions = []string{otherRegion}
		}
	}
}

// The story's user has a history of a length that is neither that of a beginner nor unusual.
const (
	heroLeast = 40
	heroMost  = 150
)

// chooseHero takes the user of middling activity whose history leans most to one category, so that a reader can follow.
func (w *world) chooseHero() int32 {
	best, bestLean := int32(0), -1.0
	for u, history := range w.histories {
		if len(history) < heroLeast || len(history) > heroMost {
			continue
		}
		_, lean := w.favourite(history)
		if lean > bestLean {
			best, bestLean = int32(u), lean
		}
	}
	return best
}

// favourite is the commonest category of items, and its share of them.
func (w *world) favourite(history []int32) (string, float64) {
	counts := w.categoryCounts(history)
	best := ""
	for category, n := range counts {
		if n > counts[best] || n == counts[best] && category < best {
			best = category
		}
	}
	return best, float64(counts[best]) / float64(max(1, len(history)))
}

func (w *world) categoryCounts(history []int32) map[string]int {
	counts := map[string]int{}
	for _, i := range history {
		for _, c := range w.data.Items[i].Categories {
			counts[c]++
		}
	}
	return counts
}

// commonShare is the least share of all events that makes a category one to speak of.
const commonShare = 0.05

// strange is the category, among the common ones, that the history has least of, measured against everybody's taste.
func (w *world) strange(history []int32) string {
	all, mine := map[string]int{}, w.categoryCounts(history)
	for i := range w.Told.Events {
		for _, c := range w.data.Items[w.Told.Events[i].Item].Categories {
			all[c]++
		}
	}
	share := func(c string) float64 { return float64(mine[c]) / float64(all[c]) }
	best := ""
	for c, n := range all {
		if float64(n) < commonShare*float64(len(w.Told.Events)) {
			continue
		}
		if best == "" || share(c) < share(best) || share(c) == share(best) && c < best {
			best = c
		}
	}
	return best
}

// mostWanted lists available items of a category by falling number of events, without those in the history.
func (w *world) mostWanted(category string, history []int32, n int) []int32 {
	wanted := make([]int, len(w.data.Items))
	for i := range w.Told.Events {
		wanted[w.Told.Events[i].Item]++
	}
	var out []int32
	for i := range w.data.Items {
		it := &w.data.Items[i]
		if it.Available && len(it.Regions) == 0 && it.MinAge == 0 && slices.Contains(it.Categories, category) &&
			!slices.Contains(history, int32(i)) {
			out = append(out, int32(i))
		}
	}
	slices.SortStableFunc(out, func(a, b int32) int { return wanted[b] - wanted[a] })
	return out[:min(n, len(out))]
}

// describe sums the world up in a line.
func (w *world) describe() string {
	return fmt.Sprintf("%s: %d items, %d users, %d events", w.data.Name, len(w.data.Items), len(w.data.Users), len(w.data.Events))
}

func (w *world) title(itemID string) string {
	if i, ok := w.place[itemID]; ok {
		return w.data.Items[i].Title
	}
	return itemID
}

func (w *world) categories(itemID string) []string {
	if i, ok := w.place[itemID]; ok {
		return w.data.Items[i].Categories
	}
	return nil
}
