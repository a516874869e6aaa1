package recall

import (
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// catalogue is the items as of a moment. Each item that was ever named has a row.
type catalogue struct {
	tower   *towers.ItemTower
	rows    map[string]int32
	items   []item
	vectors []float32 // rows x dim

	scores []float32
	out    []bool // by row, false between two calls: what the user has seen
}

// item is what the catalogue holds of one item, by the rules of services/items.
type item struct {
	version int64
	deleted bool // at this version
	listed  bool // it may be recommended
	encoded bool // it has a vector; that of a deleted item stays, since histories hold it
}

func newCatalogue(tower *towers.ItemTower) *catalogue {
	return &catalogue{tower: tower, rows: map[string]int32{}}
}

// row returns an item's row, a new one for an item that was not named before.
func (c *catalogue) row(id string) int32 {
	row, known := c.rows[id]
	if !known {
		row = int32(len(c.items))
		c.rows[id] = row
		c.items = append(c.items, item{})
		c.vectors = append(c.vectors, make([]float32, c.tower.Dim())...)
		c.out = append(c.out, false)
	}
	return row
}

// change takes an item's new state, if it wins: the larger version does; at equal ones a deletion over what is no deletion.
func (c *catalogue) change(ch *schemas.ItemChange) {
	row := c.row(ch.ItemID)
	it := &c.items[row]
	deletes := ch.Op == schemas.DeleteItem
	if ch.Version < it.version || ch.Version == it.version && (it.deleted || !deletes) {
		return
	}
	it.version, it.deleted, it.listed = ch.Version, deletes, !deletes && ch.Available
	if !deletes {
		it.encoded = true
		features := towers.FeaturesOf(ch)
		c.tower.Encode(c.vectorOf(row), &features)
	}
}

// remove takes a tombstone, which deletes at whatever version.
func (c *catalogue) remove(id string) {
	it := &c.items[c.row(id)]
	it.deleted, it.listed = true, false
}

func (c *catalogue) vectorOf(row int32) []float32 {
	d := c.tower.Dim()
	return c.vectors[int(row)*d : int(row+1)*d : int(row+1)*d]
}

// vector is an item's vector as of now, nil where it has none.
func (c *catalogue) vector(id string) []float32 {
	row, known := c.rows[id]
	if !known || !c.items[row].encoded {
		return nil
	}
	return c.vectorOf(row)
}

// question asks for the rank of an item among what a user could be recommended.
type question struct {
	embedding []float32 // a copy; nil where the user has none
	seen      []int32   // a copy
	target    int32
}

// mostScores bounds the scores of one product, in floats.
const mostScores = 4 << 20

// batch is how many questions are worth one product.
func (c *catalogue) batch() int { return max(1, min(64, mostScores/max(1, len(c.items)))) }

// ranks answers questions by the exact inner product: how many items stand before the target, those of equal score among them;
// -1 where the target cannot be listed or there is no embedding.
func (c *catalogue) ranks(questions []question) []int {
	d, n := c.tower.Dim(), len(c.items)
	ranks := make([]int, len(questions))
	var embeddings []float32
	var asked []int
	for i := range questions {
		ranks[i] = -1
		if q := &questions[i]; q.embedding != nil && c.items[q.target].listed {
			embeddings, asked = append(embeddings, q.embedding...), append(asked, i)
		}
	}
	if len(asked) == 0 {
		return ranks
	}
	if need := len(asked) * n; cap(c.scores) < need {
		c.scores = make([]float32, need)
	}
	scores := c.scores[:len(asked)*n]
	matrix.Gemm(false, true, len(asked), n, d, 1, embeddings, d, c.vectors, d, 0, scores, n)
	for at, i := range asked {
		ranks[i] = c.rank(scores[at*n:(at+1)*n], &questions[i])
	}
	return ranks
}

func (c *catalogue) rank(scores []float32, q *question) (before int) {
	for _, row := range q.seen {
		c.out[row] = true
	}
	target := scores[q.target]
	for row := range scores {
		if !(scores[row] < target) && c.items[row].listed && !c.out[row] && int32(row) != q.target {
			before++
		}
	}
	for _, row := range q.seen {
		c.out[row] = false
	}
	return before
}
