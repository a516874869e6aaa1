package training

import (
	"fmt"
	"math"

	"github.com/freshet/freshet/services/towers"
)

// WarmStart says how much of the configured training is done when it begins with an earlier bundle's weights, which have most of
// the way behind them: as shares of Epochs and of LearningRate.
type WarmStart struct {
	Epochs       float64 `yaml:"epochs" env:"EPOCHS"`
	LearningRate float64 `yaml:"learning_rate" env:"LEARNING_RATE"`
}

// DefaultWarmStart is a third of the epochs (5 of 14) at the full rate: what is new needs it. On the later events of
// ml-latest-small, rates of 0.5, 0.8 and 1 came to NDCG@10 of .028, .041 and .052 (53 cases).
func DefaultWarmStart() WarmStart { return WarmStart{Epochs: 0.35, LearningRate: 1} }

// Validate names the first share that cannot work.
func (w WarmStart) Validate() error {
	switch {
	case !(w.Epochs > 0 && w.Epochs <= 1):
		return fmt.Errorf("epochs is %v: set it above 0 and at most 1 (a share of all epochs)", w.Epochs)
	case !(w.LearningRate > 0 && w.LearningRate <= 1):
		return fmt.Errorf("learning_rate is %v: set it above 0 and at most 1 (a share of the full rate)", w.LearningRate)
	}
	return nil
}

// warm is the configuration of a training that begins with an earlier bundle.
func (c Config) warm() Config {
	c.Epochs = int(math.Ceil(c.WarmStart.Epochs * float64(c.Epochs)))
	c.LearningRate *= c.WarmStart.LearningRate
	return c
}

// start is an earlier bundle, head by head.
type start struct {
	version string
	users   []*towers.UserWeights
	items   []*towers.ItemWeights
	ids     towers.TokenIndex // rows of the id embeddings
	tokens  towers.TokenIndex
}

func newStart(b *towers.Bundle, cfg *Config) (*start, error) {
	heads, dim, layers := len(b.Users), b.Users[0].Dim, b.Users[0].Layers
	if heads != cfg.Heads || dim != cfg.Dim || layers != cfg.Layers {
		return nil, fmt.Errorf("bundle %s has %d heads of dim %d in %d layers, the configuration asks for %d of %d in %d: "+
			"set heads, dim and layers to the bundle's, or train anew without one",
			b.Version, heads, dim, layers, cfg.Heads, cfg.Dim, cfg.Layers)
	}
	s := &start{
		version: b.Version, items: splitItemWeights(b.Items, heads),
		ids: towers.NewTokenIndex(b.Items.IDs), tokens: towers.NewTokenIndex(b.Items.Tokens),
	}
	for _, served := range b.Users {
		w := towers.NewEventWeights(dim, layers, served.Reads)
		copy(w.Flat, served.Flat)
		scaleOutput(w, float32(heads)) // served, it is a share of a mean
		s.users = append(s.users, w)
	}
	return s, nil
}

// reads is what of an event the earlier tower reads beside the item: trained on, it goes on reading just that, whatever the
// data has.
func (s *start) reads() towers.Inputs { return s.users[0].Reads }

// keepIDs gives those items an id embedding that had one in the earlier bundle, also where their events in this data alone
// would not earn it: what was learnt of them before is better than their content.
func (t *itemTable) keepIDs(items []towers.ItemFeatures, s *start) {
	ids := t.w.IDs
	for i := range items {
		if _, known := s.ids[items[i].ItemID]; known && t.idRow[i] < 0 {
			t.idRow[i] = int32(len(ids))
			ids = append(ids, items[i].ItemID)
		}
	}
	t.w = towers.NewItemWeights(t.w.Dim, ids, t.w.Tokens)
}

// apply puts head k's earlier weights over the drawn ones of t.
//
// The id embedding of an item that is new to the bundle starts at zero, so that its vector is that of its content, by which it was
// served until now; only an item without any content keeps the drawn one, since nothing can be learnt at a vector of
// zeros. Tokens that are new keep theirs too: an item may have no others.
func (s *start) apply(k int, t *trainer) {
	d := t.cfg.Dim
	copy(t.users.Flat, s.users[k].Flat)
	w, earlier := t.table.w, s.items[k]
	for i, row := range t.table.idRow {
		if row < 0 {
			continue
		}
		into := w.ID[int(row)*d : int(row+1)*d]
		if at, known := s.ids[w.IDs[row]]; known {
			copy(into, earlier.ID[int(at)*d:])
		} else if len(t.table.bagOf(int32(i))) > 0 {
			clear(into)
		}
	}
	for row, token := range w.Tokens {
		if at, known := s.tokens[token]; known {
			copy(w.Content[row*d:(row+1)*d], earlier.Content[int(at)*d:])
		}
	}
}

// Score is how the cases of a validation were ranked; Recall and NDCG are at 10.
type Score struct {
	Recall, NDCG float64
	Cases        int
}

// Rate ranks, by a bundle as it is, what Train with this input and configuration would choose its best epoch by.
func Rate(in Input, cfg Config, b *towers.Bundle) (Score, error) {
	if err := in.validate(); err != nil {
		return Score{}, fmt.Errorf("reading what to rate by: %w", err)
	}
	tower := towers.NewUserTower(b.Version, b.Users...)
	_, cases := in.split(&cfg, tower.Inputs())
	m := &Model{
		items: b.Items, heads: b.Users, tower: tower,
		vectors: make([]float32, len(in.Items)*b.Items.Dim), window: cfg.MaxWindow,
	}
	m.scratch.New = newEncoding
	items := towers.NewItemTower(b.Version, b.Items)
	for i := range in.Items {
		items.Encode(m.Vector(int32(i)), &in.Items[i])
	}
	s := m.validate(cases, &cfg)
	return Score{Recall: s.recall10, NDCG: s.ndcg10, Cases: len(cases)}, nil
}
