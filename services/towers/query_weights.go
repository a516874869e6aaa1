package towers

// MaxQueryBuckets bounds the buckets of a query tower; a file of more is damaged.
const MaxQueryBuckets = 1 << 22

// maxQueryLength is far beyond any user embedding's.
const maxQueryLength = 1e6

// QueryWeights is the query tower's weights.
type QueryWeights struct {
	Dim, Buckets int
	// Embedding has a row of Dim for each bucket.
	Embedding []float32
	// Weight is how much a feature of each bucket counts in the mean, from 0: a bucket that training never met has none.
	Weight []float32
	// Length is that of every vector that the tower gives: the typical one of the model's user embeddings, so that the two can be
	// added.
	Length float32
}

// NewQueryWeights makes weights of zero; buckets is a power of two.
func NewQueryWeights(dim, buckets int) *QueryWeights {
	return &QueryWeights{
		Dim: dim, Buckets: buckets, Length: 1,
		Embedding: make([]float32, buckets*dim), Weight: make([]float32, buckets),
	}
}

func (w *QueryWeights) tensors() []tensor {
	return []tensor{
		{"embeddings", w.Buckets, w.Dim, w.Embedding}, {"weights", 1, w.Buckets, w.Weight}, {"length", 1, 1, []float32{w.Length}},
	}
}

// decodeQueryWeights reads a query tower's file. Its number of buckets stands nowhere else: it is taken from the first tensor,
// whose values are known to be in memory by then.
func decodeQueryWeights(path string, b []byte, dim int) (*QueryWeights, error) {
	got, err := decodeTensors(path, b)
	if err != nil {
		return nil, err
	}
	w := &QueryWeights{Dim: dim}
	if len(got) > 0 {
		w.Buckets = got[0].rows
	}
	if err := sameShapes(path, got, w.tensors()); err != nil {
		return nil, err
	}
	if w.Buckets < 1 || w.Buckets > MaxQueryBuckets || w.Buckets&(w.Buckets-1) != 0 {
		return nil, refuse(corrupted, path, remedyTrainAgain, "has %d buckets, which is no power of two up to %d",
			w.Buckets, MaxQueryBuckets)
	}
	w.Embedding, w.Weight, w.Length = got[0].data, got[1].data, got[2].data[0]
	for i, v := range w.Weight {
		if v < 0 {
			return nil, refuse(corrupted, path, remedyTrainAgain, "has the weight %v for bucket %d", v, i)
		}
	}
	if w.Length <= 0 || w.Length > maxQueryLength {
		return nil, refuse(corrupted, path, remedyTrainAgain, "has the length %v", w.Length)
	}
	return w, nil
}
