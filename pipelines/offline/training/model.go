package training

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// Model is the trained towers over the dense indexes that it was trained on.
type Model struct {
	items      *towers.ItemWeights
	heads      []*towers.UserWeights
	queries    *towers.QueryWeights // nil without text
	tower      *towers.UserTower
	vectors    []float32 // of all items of the input
	window     int
	vocabulary towers.VocabularyConfig
	data       towers.DataRange
	metrics    map[string]float64
	commit     string
	from       string         // the version that training began with
	recipe     map[string]any // the configuration
	scratch    sync.Pool      // *encoding
}

// encoding is one call's memory.
type encoding struct {
	state   towers.State
	history []towers.Act
}

// newModel serves heads over the catalogue; table holds the weights of all heads' item vectors.
func newModel(cfg *Config, table *itemTable, heads []*towers.UserWeights, in *Input, sequences [][]event) *Model {
	m := &Model{
		items: table.w, heads: heads, tower: towers.NewUserTower("trained", heads...),
		vectors: make([]float32, len(in.Items)*table.w.Dim),
		window:  cfg.MaxWindow, vocabulary: cfg.Vocabulary, data: in.Data,
	}
	for i := range in.Items {
		table.encode(m.Vector(int32(i)), int32(i), false)
	}
	m.data.Items, m.data.Users, m.data.Events = len(in.Items), len(sequences), 0
	for _, seq := range sequences {
		m.data.Events += len(seq)
	}
	m.scratch.New = newEncoding
	return m
}

func newEncoding() any { return new(encoding) }

// Dim is the length of a vector.
func (m *Model) Dim() int { return m.tower.Dim() }

// Vector is item i's vector; the caller must not change it.
func (m *Model) Vector(i int32) []float32 {
	d := m.Dim()
	return m.vectors[int(i)*d : int(i+1)*d]
}

// Score writes the score of every item of the training input for a user with this history, oldest first; scores is as long
// as Input.Items. Nothing is known of the events' kinds and times. It may be called from many goroutines at once.
func (m *Model) Score(history []int32, scores []float32) {
	m.score(eventsOf(history, nil, nil, towers.Inputs{}), scores)
}

func (m *Model) score(history []event, scores []float32) {
	embedding := make([]float32, m.Dim())
	m.embed(embedding, history)
	m.products(scores, embedding)
}

// embed encodes a history as serving does.
func (m *Model) embed(embedding []float32, history []event) {
	s := m.scratch.Get().(*encoding)
	defer m.scratch.Put(s)
	s.history = s.history[:0]
	at := int64(0)
	for i, e := range history[max(0, len(history)-m.window):] {
		act := towers.Act{Item: m.Vector(e.item), Kind: e.kind, At: at} // the first has no gap, as in a pack
		if i > 0 {
			act.At = e.gap.After(at)
			at = max(at, act.At)
		}
		s.history = append(s.history, act)
	}
	s.state.Reset()
	m.tower.Follow(&s.state, embedding, s.history)
}

// products writes each embedding's inner product with every item, one row after the other.
func (m *Model) products(scores, embeddings []float32) {
	d := m.Dim()
	n := len(m.vectors) / d
	matrix.Gemm(false, true, len(embeddings)/d, n, d, 1, embeddings, d, m.vectors, d, 0, scores, n)
}

// WriteBundle writes the model as a bundle to its place; the version is made of the time and the weights.
func (m *Model) WriteBundle(place towers.Place) (towers.Manifest, error) {
	recipe, err := json.Marshal(m.recipe)
	if err != nil {
		return towers.Manifest{}, fmt.Errorf("writing the model's recipe: %w", err)
	}
	manifest, err := place.WriteBundle(&towers.Bundle{
		Created: time.Now(), Vocabulary: m.vocabulary, Data: m.data, Metrics: m.metrics,
		Commit: m.commit, From: m.from, Recipe: recipe, Items: m.items, Users: m.heads,
		Queries: m.queries,
	})
	if err != nil {
		return towers.Manifest{}, fmt.Errorf("writing the model: %w", err)
	}
	return manifest, nil
}
