package towers

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/services/towers/matrix"
)

// ItemTower turns items into vectors.
type ItemTower struct {
	version string
	dim     int
	ids     map[string]int32
	tokens  TokenIndex
	encoder itemEncoder
	rows    sync.Pool // *[]int32, an item's content rows
}

// itemEncoder makes the vector of an item, or of one of which nothing is known, from rows of the vocabulary: dst is zero and Dim long,
// and id is below 0 for an item that is not in it.
type itemEncoder interface {
	encode(dst []float32, id int32, tokens []int32) error
}

// LoadItemTower reads the item tower of a bundle: the manifest, item_tower.bin and vocabulary.bin, nothing else.
func LoadItemTower(dir string) (*ItemTower, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	lists, err := m.loadVocabulary(dir)
	if err != nil {
		return nil, err
	}
	if _, foreign := m.Checksums[foreignItemFile]; m.Engine == onnxEngine && foreign {
		encoder, err := m.loadForeignItems(dir, lists)
		if err != nil {
			return nil, err
		}
		return newItemTower(m.Version, m.Dim, lists[0], lists[1], encoder), nil
	}
	raw, err := m.readVerified(dir, itemFile)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, itemFile)
	got, err := decodeTensors(path, raw)
	if err != nil {
		return nil, err
	}
	// The vocabulary is known to be in memory by now, so the sizes that it calls for are no claim of a stranger.
	w := &ItemWeights{Dim: m.Dim, IDs: lists[0], Tokens: lists[1]}
	want := w.tensors()
	if err := sameShapes(path, got, want); err != nil {
		return nil, err
	}
	w.ID, w.Content = got[0].data, got[1].data
	return NewItemTower(m.Version, w), nil
}

func (m *Manifest) loadVocabulary(dir string) ([][]string, error) {
	raw, err := m.readVerified(dir, vocabularyFile)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, vocabularyFile)
	lists, err := decodeLists(path, raw, 2)
	if err != nil {
		return nil, err
	}
	if len(lists[0]) != m.Features.Items || len(lists[1]) != m.Features.Tokens {
		return nil, refuse(mismatched, path, remedyTrainAgain, "lists %d items and %d tokens, the manifest %d and %d",
			len(lists[0]), len(lists[1]), m.Features.Items, m.Features.Tokens)
	}
	return lists, nil
}

// NewItemTower serves weights that are in memory; the caller leaves them unchanged from then on.
func NewItemTower(version string, w *ItemWeights) *ItemTower {
	return newItemTower(version, w.Dim, w.IDs, w.Tokens, w)
}

func newItemTower(version string, dim int, itemIDs, tokens []string, encoder itemEncoder) *ItemTower {
	ids := make(map[string]int32, len(itemIDs))
	for i, id := range itemIDs {
		ids[id] = int32(i)
	}
	t := &ItemTower{version: version, dim: dim, ids: ids, tokens: NewTokenIndex(tokens), encoder: encoder}
	t.rows.New = func() any { return new([]int32) }
	return t
}

// Version names the model.
func (t *ItemTower) Version() string { return t.version }

// Dim is the length of a vector.
func (t *ItemTower) Dim() int { return t.dim }

// Weights gives the tower's weights, which must not be changed; nil where a model of another's has them.
func (t *ItemTower) Weights() *ItemWeights {
	w, _ := t.encoder.(*ItemWeights)
	return w
}

// Knows reports whether the item has an id embedding of its own.
func (t *ItemTower) Knows(itemID string) bool {
	_, ok := t.ids[itemID]
	return ok
}

// Encode writes the item's vector into dst, which is Dim long: its id embedding plus the mean of its content embeddings. An
// item that the model does not know gets the mean alone; training drops ids at random so that such a vector can stand
// beside the others. An item with neither id nor known content gets the zero vector, which scores 0 for everybody;
// training leaves such items out of histories.
func (t *ItemTower) Encode(dst []float32, f *ItemFeatures) {
	dst = dst[:t.dim]
	clear(dst)
	rows := t.rows.Get().(*[]int32)
	*rows = t.tokens.Rows((*rows)[:0], f)
	id, known := t.ids[f.ItemID]
	if !known {
		id = -1
	}
	if err := t.encoder.encode(dst, id, *rows); err != nil {
		panic(fmt.Sprintf("towers: encoding item %q: %v", f.ItemID, err)) // as of the user tower's engine
	}
	t.rows.Put(rows)
}

func (w *ItemWeights) encode(dst []float32, id int32, tokens []int32) error {
	d := w.Dim
	if n := len(tokens); n > 0 {
		share := 1 / float32(n)
		for _, r := range tokens {
			matrix.Axpy(share, w.Content[int(r)*d:int(r+1)*d], dst)
		}
	}
	if id >= 0 {
		matrix.Axpy(1, w.ID[int(id)*d:int(id+1)*d], dst)
	}
	return nil
}
