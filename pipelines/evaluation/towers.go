package evaluation

import (
	"sync"

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
	state, embedding []float32
	history          [][]float32
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
	t.scratch.New = func() any {
		return &towersScratch{state: make([]float32, user.StateSize()), embedding: make([]float32, user.Dim())}
	}
	return t, nil
}

func (t *Towers) vector(item int32) []float32 {
	d := t.user.Dim()
	return t.vectors[int(item)*d : int(item+1)*d]
}

// Name is the model's version.
func (t *Towers) Name() string { return "towers " + t.user.Version() }

// Score is the inner product of the history's embedding with each item's vector.
func (t *Towers) Score(scores []float32, _ int32, history []int32) {
	s := t.scratch.Get().(*towersScratch)
	defer t.scratch.Put(s)
	s.history = s.history[:0]
	for _, item := range history[max(0, len(history)-t.window):] {
		s.history = append(s.history, t.vector(item))
	}
	clear(s.state)
	clear(s.embedding)
	t.user.Encode(s.state, s.embedding, s.history)
	d := t.user.Dim()
	matrix.Gemm(false, true, 1, t.items, d, 1, s.embedding, d, t.vectors, d, 0, scores, t.items)
}
