package towers

// MaxQueryBuckets bounds the buckets of a query tower; a file of more is damaged.
const MaxQueryBuckets = 1 << 22

// maxQueryLength is far beyond any user embedding's.
const maxQueryLength = 1e6

// QueryWeights is the query tower's weights. Most buckets belong to no feature that training has met: only then does a typo's
// n-gram seldom fall on another's bucket. They have no row, and what falls on them counts for nothing.
type QueryWeights struct {
	Dim int
	// Row is each bucket's row, -1 for none; rows are in the order of their buckets.
	Row []int32
	// Weight is how much a feature of each row counts in the mean, above 0; Embedding has Dim values for each row.
	Weight    []float32
	Embedding []float32
	// Length is that of every vector that the tower gives: the typical one of the model's user embeddings, so that the two can be
	// added.
	Length float32
}

// NewQueryWeights makes weights of zero with a row for each known bucket. The number of buckets is a power of two.
func NewQueryWeights(dim int, known []bool) *QueryWeights {
	w := &QueryWeights{Dim: dim, Row: make([]int32, len(known)), Length: 1}
	rows := 0
	for b, is := range known {
		w.Row[b] = -1
		if is {
			w.Row[b] = int32(rows)
			rows++
		}
	}
	w.Weight, w.Embedding = make([]float32, rows), make([]float32, rows*dim)
	return w
}

// AppendRows appends to dst the rows of a text's features, in the order of the text, as often as they come.
func (w *QueryWeights) AppendRows(dst []int32, text string) []int32 {
	from := len(dst)
	dst = AppendQueryBuckets(dst, text, len(w.Row))
	kept := dst[:from]
	for _, b := range dst[from:] {
		if row := w.Row[b]; row >= 0 {
			kept = append(kept, row)
		}
	}
	return kept
}

// tensors are the weights as they travel: a weight for each bucket, 0 where it has no row.
func (w *QueryWeights) tensors() []tensor {
	weights := make([]float32, len(w.Row))
	for b, row := range w.Row {
		if row >= 0 {
			weights[b] = w.Weight[row]
		}
	}
	return w.shapes(weights)
}

func (w *QueryWeights) shapes(weights []float32) []tensor {
	return []tensor{
		{"weights", 1, len(weights), weights}, {"embeddings", len(w.Weight), w.Dim, w.Embedding},
		{"length", 1, 1, []float32{w.Length}},
	}
}

// decodeQueryWeights reads a query tower's file. Its number of buckets stands nowhere else: it is taken from the first tensor,
// whose values are in memory by then.
func decodeQueryWeights(path string, b []byte, dim int) (*QueryWeights, error) {
	got, err := decodeTensors(path, b)
	if err != nil {
		return nil, err
	}
	var weights []float32
	if len(got) > 0 {
		weights = got[0].data
	}
	if n := len(weights); len(got) > 0 && (n < 1 || n > MaxQueryBuckets || n&(n-1) != 0) {
		return nil, refuse(corrupted, path, remedyTrainAgain, "has %d buckets, which is no power of two up to %d", n, MaxQueryBuckets)
	}
	known := make([]bool, len(weights))
	for i, v := range weights {
		if v < 0 {
			return nil, refuse(corrupted, path, remedyTrainAgain, "has the weight %v for bucket %d", v, i)
		}
		known[i] = v > 0
	}
	w := NewQueryWeights(0, known)
	w.Dim = dim
	if err := sameShapes(path, got, w.shapes(weights)); err != nil {
		return nil, err
	}
	w.Embedding, w.Length = got[1].data, got[2].data[0]
	for bucket, row := range w.Row {
		if row >= 0 {
			w.Weight[row] = weights[bucket]
		}
	}
	if w.Length <= 0 || w.Length > maxQueryLength {
		return nil, refuse(corrupted, path, remedyTrainAgain, "has the length %v", w.Length)
	}
	return w, nil
}
