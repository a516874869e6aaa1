package training

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/freshet/freshet/services/towers"
)

// Search is a text by which somebody searched and found an item.
type Search struct {
	Text string
	Item int32
}

// queryTexts are what a query tower learns from: pieces of the items' own texts, made anew each time, and searches.
type queryTexts struct {
	cfg   *QueryConfig
	words []string // by word
	// items have words by item; holders are the items of each word, ascending.
	items   []itemWords
	holders [][]int32
	// sources are the items with text, or, negative, -1 - i for searches[i].
	sources  []int32
	searches []searched
	appeal   []float32 // by item: how much of a text's target it gets beside others that fit as well
}

type itemWords struct {
	title  []int32
	labels [][]int32 // of each category, tag and the brand
	all    []int32   // each once, ascending
}

// searched is one text with all items that were found by it, each as often as it was.
type searched struct {
	text  string
	items []int32
}

// newQueryTexts takes the words of the items that have a vector; events are by item.
func newQueryTexts(cfg *QueryConfig, items []towers.ItemFeatures, searches []Search, events []int, has func(int32) bool) *queryTexts {
	x := &queryTexts{cfg: cfg, items: make([]itemWords, len(items)), appeal: make([]float32, len(items))}
	number := map[string]int32{}
	split := func(text string) []int32 {
		var ids []int32
		for _, w := range towers.QueryWords(text) {
			id, known := number[w]
			if !known {
				id = int32(len(x.words))
				number[w] = id
				x.words, x.holders = append(x.words, w), append(x.holders, nil)
			}
			ids = append(ids, id)
		}
		return ids
	}
	for i := range items {
		x.appeal[i] = float32(math.Pow(float64(events[i]+1), cfg.Popularity))
		if !has(int32(i)) {
			continue
		}
		w := &x.items[i]
		w.title = split(items[i].Title)
		for _, label := range slices.Concat(items[i].Categories, items[i].Tags, []string{items[i].Brand}) {
			if ids := split(label); len(ids) > 0 {
				w.labels = append(w.labels, ids)
			}
		}
		w.all = slices.Concat(append(w.labels, w.title)...)
		slices.Sort(w.all)
		w.all = slices.Compact(w.all)
		for _, id := range w.all {
			x.holders[id] = append(x.holders[id], int32(i))
		}
		if len(w.all) > 0 {
			x.sources = append(x.sources, int32(i))
		}
	}
	x.addSearches(searches, has)
	return x
}

// addSearches puts searches of the same words together.
func (x *queryTexts) addSearches(searches []Search, has func(int32) bool) {
	at := map[string]int{}
	for _, s := range searches {
		text := strings.Join(towers.QueryWords(s.Text), " ")
		if text == "" || !has(s.Item) {
			continue
		}
		i, known := at[text]
		if !known {
			i = len(x.searches)
			at[text] = i
			x.sources = append(x.sources, int32(-1-i))
			x.searches = append(x.searches, searched{text: text})
		}
		x.searches[i].items = append(x.searches[i].items, s.Item)
	}
}

// all calls do for every text as it was written.
func (x *queryTexts) all(do func(text string)) {
	for _, w := range x.words {
		do(w)
	}
	for _, s := range x.searches {
		do(s.text)
	}
}

// question is a text and the items that it asks for, with the share of each; shares sum up to 1.
type question struct {
	text   string
	items  []int32
	shares []float32
	words  []int32
}

// ask makes a question of a source.
func (x *queryTexts) ask(q *question, source int32, rng *rand.Rand) {
	q.items, q.shares = q.items[:0], q.shares[:0]
	var words []string
	if source < 0 {
		s := &x.searches[-1-source]
		words = strings.Fields(s.text)
		x.found(q, s.items)
	} else {
		q.words = x.pick(q.words[:0], &x.items[source], rng)
		for _, id := range q.words {
			words = append(words, x.words[id])
		}
		x.fitting(q)
	}
	if rng.Float64() < x.cfg.Prefixes {
		last := len(words) - 1
		words[last] = cutShort(words[last], rng)
	}
	if rng.Float64() < x.cfg.Typos {
		at := rng.IntN(len(words))
		words[at] = misspell(words[at], rng)
	}
	q.text = strings.Join(words, " ")
}

// found takes the items of a search, each by how often it was found.
func (x *queryTexts) found(q *question, items []int32) {
	for _, item := range items {
		at := slices.Index(q.items, item)
		if at < 0 {
			at = len(q.items)
			q.items, q.shares = append(q.items, item), append(q.shares, 0)
		}
		q.shares[at] += 1 / float32(len(items))
	}
}

// fitting takes all items that hold every word of the question, each by its appeal: what differs from the item that the words
// were picked from in nothing that was asked for is no wrong answer.
func (x *queryTexts) fitting(q *question) {
	rarest := q.words[0]
	for _, id := range q.words[1:] {
		if len(x.holders[id]) < len(x.holders[rarest]) {
			rarest = id
		}
	}
	total := float32(0)
	for _, item := range x.holders[rarest] {
		if x.items[item].holds(q.words) {
			q.items, q.shares = append(q.items, item), append(q.shares, x.appeal[item])
			total += x.appeal[item]
		}
	}
	for i := range q.shares {
		q.shares[i] /= total
	}
}

func (w *itemWords) holds(words []int32) bool {
	for _, id := range words {
		if _, found := slices.BinarySearch(w.all, id); !found {
			return false
		}
	}
	return true
}

// How people ask, as far as nobody knows better: by the whole title, by some of its words, by a label, by a word of each.
const (
	byWholeTitle = 0.15
	byTitleWords = 0.50
	byLabel      = 0.20
	mostPicked   = 3 // words of a title
)

// pick appends some words of an item, at least one.
func (x *queryTexts) pick(dst []int32, w *itemWords, rng *rand.Rand) []int32 {
	r := rng.Float64()
	switch {
	case len(w.title) == 0:
		return append(dst, w.labels[rng.IntN(len(w.labels))]...)
	case r < byWholeTitle:
		return append(dst, w.title...)
	case r < byWholeTitle+byTitleWords || len(w.labels) == 0:
		return pickSome(dst, w.title, 1+rng.IntN(mostPicked), rng)
	case r < byWholeTitle+byTitleWords+byLabel:
		return append(dst, w.labels[rng.IntN(len(w.labels))]...)
	}
	dst = pickSome(dst, w.title, 1, rng)
	return append(dst, w.labels[rng.IntN(len(w.labels))]...)
}

// pickSome appends n of the words, or all where there are no more, in any order: a bag of words does not tell the order anyway.
func pickSome(dst, words []int32, n int, rng *rand.Rand) []int32 {
	from := len(dst)
	dst = append(dst, words...)
	rest := dst[from:]
	n = min(n, len(rest))
	for i := range n {
		j := i + rng.IntN(len(rest)-i)
		rest[i], rest[j] = rest[j], rest[i]
	}
	return dst[:from+n]
}

// leastLetters is the length from which a word survives what is done to it.
const leastLetters = 4

// cutShort leaves a beginning of at least three letters.
func cutShort(word string, rng *rand.Rand) string {
	letters := []rune(word)
	if len(letters) < leastLetters {
		return word
	}
	return string(letters[:leastLetters-1+rng.IntN(len(letters)-leastLetters+1)])
}

// misspell swaps two neighbouring letters of a word, drops one or replaces one.
func misspell(word string, rng *rand.Rand) string {
	letters := []rune(word)
	if len(letters) < leastLetters {
		return word
	}
	at := rng.IntN(len(letters) - 1)
	switch rng.IntN(3) {
	case 0:
		letters[at], letters[at+1] = letters[at+1], letters[at]
	case 1:
		letters = slices.Delete(letters, at, at+1)
	default:
		letters[at] = 'a' + rune(rng.IntN('z'-'a'+1))
	}
	return string(letters)
}
