package demo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// world is the data of one run. All of its events come from the data set; only what the story itself does is added.
type world struct {
	data *dataset.Dataset
	// Told is what happens before the story; step 8 asks for the rest.
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

// newWorld reads MovieLens, or makes a world up.
func newWorld(o Options) (*world, error) {
	var data *dataset.Dataset
	var err error
	if o.MovieLens != "" {
		data, err = dataset.ReadMovieLens(o.MovieLens)
	} else {
		data, err = dataset.Synthetic(o.World)
	}
	if err != nil {
		return nil, err
	}
	w := &world{data: data, place: make(map[string]int32, len(data.Items)), region: homeRegion}
	restrict(data.Items)
	for i := range data.Items {
		w.place[data.Items[i].ItemID] = int32(i)
	}
	w.HoldOut = dataset.NewHoldOut(data, pastShare, dataset.SkipRepeats)
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

// A category that is another taste is common, so that there is something to recommend, and the user's history gives it less
// than half the room that others give it.
const (
	commonShare = 0.05
	foreignness = 0.5
	// homes is how many of the user's commonest categories an item of another taste has nothing of.
	homes = 3
)

// strange is the category, foreign to the history, that is most a taste of its own: whoever is in it stays in it. wanted
// are its items that have nothing of the history's own categories, by falling number of events.
func (w *world) strange(history []int32) (category string, wanted []int32) {
	own := w.commonest(history, homes)
	visits, stays, events := w.visits()
	mine := w.categoryCounts(history)
	bestLift := 0.0
	for c, n := range visits {
		share := float64(n) / float64(events)
		foreign := float64(mine[c])/float64(len(history)) < foreignness*share
		// The lift compares staying in the category with coming to it by chance.
		lift := float64(stays[c]) / float64(n) / share
		if share < commonShare || !foreign || lift < bestLift || lift == bestLift && c > category {
			continue
		}
		if items := w.mostWanted(c, own, history); len(items) >= likes {
			category, wanted, bestLift = c, items, lift
		}
	}
	return category, wanted
}

// likes is how many items of another taste the story's user likes.
const likes = 3

// visits counts, for each category, the events with its items, and those of them that follow another such event.
func (w *world) visits() (visits, stays map[string]int, events int) {
	visits, stays = map[string]int{}, map[string]int{}
	for _, h := range w.histories {
		events += len(h)
		for i, item := range h {
			for _, c := range w.data.Items[item].Categories {
				visits[c]++
				if i > 0 && slices.Contains(w.data.Items[h[i-1]].Categories, c) {
					stays[c]++
				}
			}
		}
	}
	return visits, stays, events
}

// commonest lists the n categories that occur most in the history.
func (w *world) commonest(history []int32, n int) []string {
	counts := w.categoryCounts(history)
	categories := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return categories[:min(n, len(categories))]
}

// mostWanted lists items of a category that everybody may see, by falling number of events, without those in the history
// and those that have one of the other categories too.
func (w *world) mostWanted(category string, without []string, history []int32) []int32 {
	wanted := make([]int, len(w.data.Items))
	for i := range w.Told.Events {
		wanted[w.Told.Events[i].Item]++
	}
	var out []int32
	for i := range w.data.Items {
		it := &w.data.Items[i]
		foreign := !slices.ContainsFunc(it.Categories, func(c string) bool { return slices.Contains(without, c) })
		open := it.Available && len(it.Regions) == 0 && it.MinAge == 0
		if open && foreign && slices.Contains(it.Categories, category) && !slices.Contains(history, int32(i)) {
			out = append(out, int32(i))
		}
	}
	slices.SortStableFunc(out, func(a, b int32) int { return wanted[b] - wanted[a] })
	return out
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
