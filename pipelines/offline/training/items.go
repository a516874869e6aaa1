package training

import (
	"slices"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// itemTable is the item tower in training, over dense indexes.
type itemTable struct {
	w *towers.ItemWeights
	// idRow is each item's row of w.ID, -1 for an item that lives by its content.
	idRow []int32
	// bag holds each item's rows of w.Content, item i's from bagStart[i] to bagStart[i+1].
	bagStart, bag []int32
	// events counts how often each item was chosen in the past.
	events []int
}

// newItemTable decides what each item is known by; sequences are those before repeats are left aside. Tokens come from items with
// events, so that none keeps the random embedding that it starts with.
func newItemTable(items []towers.ItemFeatures, sequences [][]event, cfg *Config) *itemTable {
	t := &itemTable{idRow: make([]int32, len(items)), events: make([]int, len(items))}
	for _, seq := range sequences {
		for _, e := range seq {
			if !e.aside {
				t.events[e.item]++
			}
		}
	}
	var ids []string
	var seen []towers.ItemFeatures
	for i := range items {
		t.idRow[i] = -1
		if t.events[i] > 0 {
			seen = append(seen, items[i])
		}
		if t.events[i] >= cfg.MinItemEvents {
			t.idRow[i] = int32(len(ids))
			ids = append(ids, items[i].ItemID)
		}
	}
	tokens := towers.BuildVocabulary(seen, cfg.Vocabulary)
	index := towers.NewTokenIndex(tokens)
	t.bagStart = append(t.bagStart, 0)
	for i := range items {
		t.bag = index.Rows(t.bag, &items[i])
		t.bagStart = append(t.bagStart, int32(len(t.bag)))
	}
	t.w = towers.NewItemWeights(cfg.Dim, ids, tokens)
	return t
}

// fresh is the same table with weights of its own.
func (t *itemTable) fresh() *itemTable {
	other := *t
	other.w = towers.NewItemWeights(t.w.Dim, t.w.IDs, t.w.Tokens)
	return &other
}

func (t *itemTable) bagOf(item int32) []int32 { return t.bag[t.bagStart[item]:t.bagStart[item+1]] }

// known gives the sequences without the items that have neither id nor content. Their vector is zero: nothing can be learnt
// of them, and a normalisation's gradient at a row of zeros is a thousand times too large. Items that were only ever turned down
// go too: a step has vectors of trained items.
func (t *itemTable) known(sequences [][]event) [][]event {
	nothing := func(e event) bool { return !t.learns(e.item) }
	kept := make([][]event, len(sequences))
	for i, seq := range sequences {
		kept[i] = seq
		if slices.ContainsFunc(seq, nothing) {
			kept[i] = slices.DeleteFunc(slices.Clone(seq), nothing)
		}
	}
	return kept
}

// trained lists the items that have events: those that the loss ranks. An item without any must not be taught to be nobody's
// choice, since it may only be new.
func (t *itemTable) trained() []int32 {
	var items []int32
	for i := range t.events {
		if t.learns(int32(i)) {
			items = append(items, int32(i))
		}
	}
	return items
}

func (t *itemTable) learns(item int32) bool {
	return t.events[item] > 0 && (t.idRow[item] >= 0 || len(t.bagOf(item)) > 0)
}

// rowOf is the id row that takes part in an item's vector, -1 for none; byContent leaves it out if there is content to live by.
func (t *itemTable) rowOf(item int32, byContent bool) int {
	if byContent && len(t.bagOf(item)) > 0 {
		return -1
	}
	return int(t.idRow[item])
}

// encode writes an item's vector.
func (t *itemTable) encode(dst []float32, item int32, byContent bool) {
	d := t.w.Dim
	clear(dst)
	bag := t.bagOf(item)
	for _, row := range bag {
		matrix.Axpy(1/float32(len(bag)), t.w.Content[int(row)*d:int(row+1)*d], dst)
	}
	if row := t.rowOf(item, byContent); row >= 0 {
		matrix.Axpy(1, t.w.ID[row*d:(row+1)*d], dst)
	}
}

// itemGradient is the gradient of both tables, with the rows that have one.
type itemGradient struct {
	content []float32
	touched []bool
	tokens  []int32 // the touched rows of content
}

func newItemGradient(w *towers.ItemWeights) *itemGradient {
	return &itemGradient{content: make([]float32, len(w.Content)), touched: make([]bool, len(w.Tokens))}
}

func (g *itemGradient) reset(dim int) {
	for _, row := range g.tokens {
		clear(g.content[int(row)*dim : int(row+1)*dim])
		g.touched[row] = false
	}
	g.tokens = g.tokens[:0]
}

// backward adds an item vector's gradient to its tokens' rows. That at the id row is dVector itself.
func (t *itemTable) backward(g *itemGradient, item int32, dVector []float32) {
	d := t.w.Dim
	bag := t.bagOf(item)
	for _, row := range bag {
		if !g.touched[row] {
			g.touched[row] = true
			g.tokens = append(g.tokens, row)
		}
		matrix.Axpy(1/float32(len(bag)), dVector, g.content[int(row)*d:int(row+1)*d])
	}
}
