package training

import (
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// Model is the trained towers over the dense indexes that it was trained on.
type Model struct {
	items      *towers.ItemWeights
	users      *towers.UserWeights
	queries    *towers.QueryWeights // nil without text
	tower      *towers.UserTower
	vectors    []float32 // of all items of the input
	window     int
	vocabulary towers.VocabularyConfig
	data       towers.DataRange
	metrics    map[string]float64
	scratch    sync.Pool // *scoring
}

// scoring is one call's memory.
type scoring struct {
	state, embedding []float32
	history          [][]float32
}

func newModel(t *trainer, in *Input, sequences [][]int32, result Result) *Model {
	m := &Model{
		items: t.table.w, users: t.users, tower: towers.NewUserTower("trained", t.users),
		vectors: make([]float32, len(in.Items)*t.cfg.Dim),
		window:  t.cfg.MaxWindow, vocabulary: t.cfg.Vocabulary, data: in.Data,
		metrics: map[string]float64{"train_loss": result.Loss, "epoch": float64(result.BestEpoch)},
	}
	if result.Cases > 0 {
		m.metrics["validation_recall_at_10"] = result.Recall
		m.metrics["validation_ndcg_at_10"] = result.NDCG
		m.metrics["validation_cases"] = float64(result.Cases)
	}
	t.allVectors(m.vectors)
	m.data.Items, m.data.Users, m.data.Events = len(in.Items), len(sequences), 0
	for _, seq := range sequences {
		m.data.Events += len(seq)
	}
	m.scratch.New = func() any {
		return &scoring{state: make([]float32, m.tower.StateSize()), embedding: make([]float32, m.tower.Dim())}
	}
	return m
}

// Dim is the length of a vector.
func (m *Model) Dim() int { return m.tower.Dim() }

// Vector is item i's vector; the caller must not change it.
func (m *Model) Vector(i int32) []float32 {
	d := m.Dim()
	return m.vectors[int(i)*d : int(i+1)*d]
}

// Score writes the score of every item of the training input for a user with this history, oldest first; scores is as long
// as Input.Items. It may be called from many goroutines at once.
func (m *Model) Score(history []int32, scores []float32) {
	s := m.scratch.Get().(*scoring)
	s.history = s.history[:0]
	for _, item := range history[max(0, len(history)-m.window):] {
		s.history = append(s.history, m.Vector(item))
	}
	m.tower.Encode(s.state, s.embedding, s.history)
	d := m.Dim()
	matrix.Gemm(false, true, 1, len(scores), d, 1, s.embedding, d, m.vectors, d, 0, scores, len(scores))
	m.scratch.Put(s)
}

// WriteBundle writes the model as a bundle folder; the version is made of the time and the weights.
func (m *Model) WriteBundle(dir string) (towers.Manifest, error) {
	manifest, err := towers.WriteBundle(dir, &towers.Bundle{
		Created: time.Now(), Vocabulary: m.vocabulary, Data: m.data, Metrics: m.metrics, Items: m.items, Users: m.users,
		Queries: m.queries,
	})
	if err != nil {
		return towers.Manifest{}, fmt.Errorf("writing the model: %w", err)
	}
	return manifest, nil
}
