package towertest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/freshet/freshet/services/towers"
)

// Shape says what to make; zero fields get Dim 16, Layers 2 and Seed 0.
type Shape struct {
	// Version names the model; empty makes one of the weights.
	Version     string
	Dim, Layers int
	// Heads share Dim among them; 0 means one.
	Heads int
	// Reads are inputs beside the items; their tables get random weights, so that an input that is forgotten shows.
	Reads towers.Inputs
	// Seed makes the weights: the same seed, shape and items give the same bits.
	Seed uint64
	// Unknown leaves these items without an id embedding.
	Unknown map[string]bool
	// Queries adds a query tower that knows the words of the items' titles.
	Queries bool
}

// Everything is all that a user tower may read of an event.
var Everything = towers.AllInputs()

// Created is when every test bundle says it was made.
var Created = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// Bundle makes a model of random weights whose vocabulary comes from the items.
func Bundle(s Shape, items []towers.ItemFeatures) *towers.Bundle {
	if s.Dim == 0 {
		s.Dim = 16
	}
	if s.Layers == 0 {
		s.Layers = 2
	}
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	vocabulary := towers.VocabularyConfig{MinItems: 1, MaxWordShare: 1, MaxTokens: 100_000}
	var ids []string
	for i := range items {
		if !s.Unknown[items[i].ItemID] {
			ids = append(ids, items[i].ItemID)
		}
	}
	itemWeights := towers.NewItemWeights(s.Dim, ids, towers.BuildVocabulary(items, vocabulary))
	itemWeights.Randomise(rng)
	heads := make([]*towers.UserWeights, max(s.Heads, 1))
	for k := range heads {
		heads[k] = towers.NewEventWeights(s.Dim/len(heads), s.Layers, s.Reads)
		heads[k].Randomise(rng)
		for i := range heads[k].Layer {
			layer := &heads[k].Layer[i]
			for _, table := range [][]float32{layer.Kinds, layer.Gaps} {
				for j := range table {
					table[j] = float32(rng.NormFloat64())
				}
			}
		}
	}
	b := &towers.Bundle{
		Version: s.Version, Created: Created, Vocabulary: vocabulary,
		Data:  towers.DataRange{Items: len(items)},
		Items: itemWeights, Users: heads,
	}
	if s.Queries {
		b.Queries = queryWeights(s.Dim, items, rng)
	}
	return b
}

func queryWeights(dim int, items []towers.ItemFeatures, rng *rand.Rand) *towers.QueryWeights {
	known := make([]bool, 1<<14)
	for i := range items {
		for _, b := range towers.AppendQueryBuckets(nil, items[i].Title, len(known)) {
			known[b] = true
		}
	}
	w := towers.NewQueryWeights(dim, known)
	for i := range w.Embedding {
		w.Embedding[i] = float32(rng.NormFloat64())
	}
	for i := range w.Weight {
		w.Weight[i] = 0.5 + rng.Float32()
	}
	w.Length = float32(math.Sqrt(float64(dim))) // that of a normalised embedding
	return w
}

// Write writes such a bundle into a folder of the test's own and returns the folder.
func Write(tb testing.TB, s Shape, items []towers.ItemFeatures) string {
	tb.Helper()
	dir := tb.TempDir() + "/bundle"
	if _, err := towers.WriteBundle(dir, Bundle(s, items)); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Towers gives both towers of such a bundle without touching the disk. An empty Version is "test".
func Towers(s Shape, items []towers.ItemFeatures) (*towers.ItemTower, *towers.UserTower) {
	b := Bundle(s, items)
	if b.Version == "" {
		b.Version = "test"
	}
	return towers.NewItemTower(b.Version, b.Items), towers.NewUserTower(b.Version, b.Users...)
}

// QueryTower gives the query tower of such a bundle without touching the disk.
func QueryTower(s Shape, items []towers.ItemFeatures) *towers.QueryTower {
	s.Queries = true
	b := Bundle(s, items)
	if b.Version == "" {
		b.Version = "test"
	}
	return towers.NewQueryTower(b.Version, b.Queries)
}
