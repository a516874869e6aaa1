package towers

import (
	"math"
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/services/towers/matrix"
)

// QueryTower turns what people search for into a vector that is compared with those of items, as a user's embedding is: by the
// inner product. It knows words by their letters, so that a typo or a beginning leaves most of a word.
type QueryTower struct {
	version string
	w       *QueryWeights
	rows    sync.Pool // *[]int32, a text's features
}

// LoadQueryTower reads the query tower of a bundle: the manifest and query_tower.bin, nothing else. A bundle without one, of an
// earlier release or of items without any text, gives an error that IsAbsent.
func LoadQueryTower(dir string) (*QueryTower, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	if _, ok := m.Checksums[queryFile]; !ok {
		remedy := "train it again with items that have titles or other text"
		if m.Engine != "" {
			remedy = "search by text takes a bundle that freshet train wrote"
		}
		return nil, refuse(absent, dir, remedy, "has no query tower")
	}
	raw, err := m.readVerified(dir, queryFile)
	if err != nil {
		return nil, err
	}
	w, err := decodeQueryWeights(filepath.Join(dir, queryFile), raw, m.Dim)
	if err != nil {
		return nil, err
	}
	return NewQueryTower(m.Version, w), nil
}

// NewQueryTower serves weights that are in memory; the caller leaves them unchanged from then on.
func NewQueryTower(version string, w *QueryWeights) *QueryTower {
	t := &QueryTower{version: version, w: w}
	t.rows.New = func() any { return new([]int32) }
	return t
}

// Version names the model.
func (t *QueryTower) Version() string { return t.version }

// Dim is the length of a vector.
func (t *QueryTower) Dim() int { return t.w.Dim }

// Encode writes the text's vector into dst, which is Dim long: the mean of the embeddings of its words and n-grams, each by its
// learnt weight, stretched to the Length of the weights. It reports false, and writes zeros, where the tower knows none of them.
// It does not allocate, and costs no more for a text of any length than for one of 24 long words.
func (t *QueryTower) Encode(dst []float32, text string) bool {
	d := t.w.Dim
	dst = dst[:d]
	clear(dst)
	rows := t.rows.Get().(*[]int32)
	*rows = t.w.AppendRows((*rows)[:0], text)
	for _, r := range *rows {
		matrix.Axpy(t.w.Weight[r], t.w.Embedding[int(r)*d:int(r+1)*d], dst)
	}
	t.rows.Put(rows)
	length := math.Sqrt(float64(matrix.Dot(dst, dst)))
	if !(length > 0) || math.IsInf(length, 0) {
		clear(dst)
		return false
	}
	stretch := float32(float64(t.w.Length) / length)
	for i := range dst {
		dst[i] *= stretch
	}
	return true
}
