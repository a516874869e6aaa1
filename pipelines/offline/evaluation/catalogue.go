package evaluation

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// Catalogue is what is ranked, and what is known of it without any model.
type Catalogue struct {
	// Items is how many items there are; cases name them by dense indexes below that.
	Items int
	// Counts is how often each item occurs in what scorers may learn from; nil leaves out popularity, novelty and the segments
	// by popularity.
	Counts []int
	// Categories are each item's categories by index; nil leaves out diversity and calibration.
	Categories [][]int32
	// Learnt is what the model under measurement could learn from; nil leaves out the segments of new users and new items.
	Learnt *Learnt
	// IDs are the items' and Users the users' ids, Titles the items' names for people; nil has numbers instead.
	IDs, Titles, Users []string
}

// Learnt counts the events that a model learnt from. A user beyond the end of Users had none.
type Learnt struct{ Users, Items []int }

// NewLearnt counts over the histories, by user, that the model learnt from; items is the size of the catalogue.
func NewLearnt(histories [][]int32, items int) *Learnt {
	l := &Learnt{Users: make([]int, len(histories)), Items: make([]int, items)}
	for u, history := range histories {
		l.Users[u] = len(history)
		for _, item := range history {
			l.Items[item]++
		}
	}
	return l
}

func (l *Learnt) knowsUser(user int32) bool { return int(user) < len(l.Users) && l.Users[user] > 0 }

// NewCatalogue counts over the histories that scorers may learn from.
func NewCatalogue(items []schemas.ItemChange, histories [][]int32) Catalogue {
	c := Catalogue{Items: len(items), Counts: make([]int, len(items)), Categories: make([][]int32, len(items))}
	for _, history := range histories {
		for _, item := range history {
			c.Counts[item]++
		}
	}
	index := map[string]int32{}
	for i := range items {
		c.IDs = append(c.IDs, items[i].ItemID)
		c.Titles = append(c.Titles, cmp.Or(items[i].Title, items[i].ItemID))
		for _, name := range items[i].Categories {
			at, known := index[name]
			if !known {
				at = int32(len(index))
				index[name] = at
			}
			c.Categories[i] = append(c.Categories[i], at)
		}
		slices.Sort(c.Categories[i])
		c.Categories[i] = slices.Compact(c.Categories[i])
	}
	if len(index) == 0 {
		c.Categories = nil
	}
	return c
}

func (c *Catalogue) check() error {
	learnt := c.Items
	if c.Learnt != nil {
		learnt = len(c.Learnt.Items)
	}
	for _, part := range []struct {
		of  string
		has int
	}{{"counts", len(c.Counts)}, {"categories", len(c.Categories)}, {"ids", len(c.IDs)}, {"titles", len(c.Titles)}} {
		if part.has != 0 && part.has != c.Items {
			return fmt.Errorf("there are %s of %d items, but there are %d items", part.of, part.has, c.Items)
		}
	}
	if learnt != c.Items {
		return fmt.Errorf("what was learnt counts %d items, but there are %d items", learnt, c.Items)
	}
	return nil
}

// parts of the catalogue by popularity.
const (
	head = iota
	middle
	tail
	unseen
)

// The most popular items that together have headShare of all events are the head, the least popular with tailShare the tail.
const (
	headShare = .5
	tailShare = .2
)

// popularities holds what follows from the counts, by item.
type popularities struct {
	// percentile is the share of other items that occur less often, those that occur as often counted by half: .5 on average.
	percentile []float64
	// surprise is the self-information of meeting the item, in bits: -log2 of its share of all events, each item counted once
	// more than it occurs.
	surprise []float64
	part     []int8
}

func newPopularities(counts []int) *popularities {
	if counts == nil {
		return nil
	}
	n := len(counts)
	p := &popularities{percentile: make([]float64, n), surprise: make([]float64, n), part: make([]int8, n)}
	total := 0
	order := make([]int32, n)
	for i, count := range counts {
		order[i] = int32(i)
		total += count
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	before := 0 // events of more popular items
	for from := 0; from < n; {
		to := from
		for to < n && counts[order[to]] == counts[order[from]] {
			to++
		}
		for at, item := range order[from:to] {
			count := counts[item]
			if n > 1 {
				p.percentile[item] = (float64(n-to) + float64(to-from-1)/2) / float64(n-1)
			}
			p.surprise[item] = -math.Log2(float64(count+1) / float64(total+n))
			p.part[item] = partOf(before+at*count, count, total)
		}
		before += (to - from) * counts[order[from]]
		from = to
	}
	return p
}

// mean is the items' mean of one of the figures.
func (*popularities) mean(figure []float64, items []int32) float64 {
	sum := 0.0
	for _, item := range items {
		sum += figure[item] / float64(len(items))
	}
	return sum
}

func partOf(before, count, total int) int8 {
	switch share := float64(before) / float64(max(total, 1)); {
	case count == 0:
		return unseen
	case share < headShare:
		return head
	case share < 1-tailShare:
		return middle
	default:
		return tail
	}
}

// diversity is the mean over all pairs of a list of how little they share: 1 - |A and B| / |A or B| of their categories (Jaccard). Items
// without categories share nothing. A list of one has none, 0.
func (c *Catalogue) diversity(list []int32) float64 {
	if len(list) < 2 {
		return 0
	}
	sum := 0.0
	for i, a := range list {
		for _, b := range list[:i] {
			sum += 1 - jaccard(c.Categories[a], c.Categories[b])
		}
	}
	return sum / float64(len(list)*(len(list)-1)/2)
}

func jaccard(a, b []int32) float64 {
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			both, i, j = both+1, i+1, j+1
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	if both == 0 {
		return 0
	}
	return float64(both) / float64(len(a)+len(b)-both)
}

// gini is how unequally the items stand in lists (Gini, 1912): 0 where all stand in as many, towards 1 where few have all places.
func gini(shown []int) float64 {
	sorted := slices.Sorted(slices.Values(shown))
	weighted, total := 0.0, 0.0
	for i, n := range sorted {
		weighted += float64(i+1) * float64(n)
		total += float64(n)
	}
	if total == 0 {
		return 0
	}
	n := float64(len(sorted))
	return 2*weighted/(n*total) - (n+1)/n
}
