package towers

import (
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/services/towers/matrix"
)

// ItemTower turns items into vectors.
type ItemTower struct {
	version string
	w       *ItemWeights
	ids     map[string]int32
	tokens  TokenIndex
	rows    sync.Pool // *[]int32, an item's content rows
	// foreign, where it is set, has the weights; w then has the vocabulary alone.
	foreign *foreignItem
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
		return m.loadForeignItems(dir, lists)
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
	ids := make(map[string]int32, len(w.IDs))
	for i, id := range w.IDs {
		ids[id] = int32(i)
	}
	t := &ItemTower{version: version, w: w, ids: ids, tokens: NewTokenIndex(w.Tokens)}
	t.rows.New = func() any { return new([]int32) }
	return t
}

// Version names the model.
func (t *ItemTower) Version() string { return t.version }

// Dim is the length of a vector.
func (t *ItemTower) Dim() int { return t.w.Dim }

// Weights gives the tower's weights, which must not be changed; nil for a foreign tower, whose model has them.
func (t *ItemTower) Weights() *ItemWeights {
	if t.foreign != nil {
		return nil
	}
	return t.w
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
	d := t.w.Dim
	dst = dst[:d]
	clear(dst)
	rows := t.rows.Get().(*[]int32)
	*rows = t.tokens.Rows((*rows)[:0], f)
	if t.foreign != nil {
		t.encodeForeign(dst, f.ItemID, *rows)
		t.rows.Put(rows)
		return
	}
	if n := len(*rows); n > 0 {
		share := 1 / float32(n)
		for _, r := range *rows {
			matrix.Axpy(share, t.w.Content[int(r)*d:int(r+1)*d], dst)
		}
	}
	t.rows.Put(rows)
	if i, ok := t.ids[f.ItemID]; ok {
		matrix.Axpy(1, t.w.ID[int(i)*d:int(i+1)*d], dst)
	}
}
