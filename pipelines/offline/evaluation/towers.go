package evaluation

import (
	"slices"
	"sync"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// Towers scores with the two towers of a bundle, loaded and run as serving does.
type Towers struct {
	user    *towers.UserTower
	vectors []float32 // of each item, in turn
	items   int
	window  int
	scratch sync.Pool // *towersScratch
}

// towersScratch is one call's memory.
type towersScratch struct {
	state      towers.State
	embeddings []float32
	history    []towers.Act
}

// LoadTowers loads a bundle and encodes items, each as the catalogue role would. window is how many events of a history are
// encoded at most, the newest ones.
func LoadTowers(bundle string, items []schemas.ItemChange, window int) (*Towers, error) {
	item, err := towers.LoadItemTower(bundle)
	if err != nil {
		return nil, err
	}
	user, err := towers.LoadUserTower(bundle)
	if err != nil {
		return nil, err
	}
	t := &Towers{user: user, vectors: make([]float32, len(items)*item.Dim()), items: len(items), window: window}
	for i := range items {
		features := towers.FeaturesOf(&items[i])
		item.Encode(t.vector(int32(i)), &features)
	}
	t.scratch.New = func() any { return new(towersScratch) }
	return t, nil
}

func (t *Towers) vector(item int32) []float32 {
	d := t.user.Dim()
	return t.vectors[int(item)*d : int(item+1)*d]
}

// Name is the model's version.
func (t *Towers) Name() string { return "towers " + t.user.Version() }

// Score is the inner product of the history's embedding with each item's vector. Nothing is known of its events' kinds and times.
func (t *Towers) Score(scores []float32, _ int32, history []int32) {
	t.ScoreCases(scores, []dataset.Case{{History: history}})
}

// ScoreCases reads the kinds and times of the cases' timelines too, as a profile of so many events would be encoded. It
// multiplies all embeddings with the items at once: one by one, each would pay for laying all the items out for the
// kernels, which takes longer than its product.
func (t *Towers) ScoreCases(scores []float32, cases []dataset.Case) {
	s := t.scratch.Get().(*towersScratch)
	defer t.scratch.Put(s)
	d := t.user.Dim()
	s.embeddings = slices.Grow(s.embeddings[:0], len(cases)*d)[:len(cases)*d]
	clear(s.embeddings)
	for i := range cases {
		s.history = AppendActs(s.history[:0], t.user, &cases[i], t.window, t.vector)
		s.state.Reset()
		t.user.Follow(&s.state, s.embeddings[i*d:(i+1)*d], s.history)
	}
	matrix.Gemm(false, true, len(cases), t.items, d, 1, s.embeddings, d, t.vectors, d, 0, scores, t.items)
}

// AppendActs appends what the tower reads of a case's history: the newest window events of its timeline or, where the data knows
// neither kinds nor times, of its history.
func AppendActs(
	dst []towers.Act, tower *towers.UserTower, c *dataset.Case, window int, vector func(item int32) []float32,
) []towers.Act {
	if c.Timeline == nil {
		for _, item := range c.History[max(0, len(c.History)-window):] {
			dst = append(dst, towers.Act{Item: vector(item), At: towers.Never})
		}
		return dst
	}
	for _, e := range c.Timeline[newest(c.Timeline, window, tower):] {
		if tower.Reads(e.Type) {
			dst = append(dst, towers.Act{Item: vector(e.Item), Kind: e.Type, At: e.At})
		}
	}
	return dst
}

// newest is where the newest window of events that the tower reads begins.
func newest(timeline []dataset.Event, window int, tower *towers.UserTower) int {
	at := len(timeline)
	for n := 0; at > 0 && n < window; {
		at--
		if tower.Reads(timeline[at].Type) {
			n++
		}
	}
	return at
}
