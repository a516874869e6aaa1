package training

import "github.com/freshet/freshet/services/towers"

// scaleOutput multiplies a tower's embeddings.
func scaleOutput(w *towers.UserWeights, factor float32) {
	for i := range w.Output.Gain {
		w.Output.Gain[i] *= factor
		w.Output.Bias[i] *= factor
	}
}

// joinItemWeights puts the item towers of several heads side by side: towers of the same items and tokens, whose vectors follow
// one another in each row.
func joinItemWeights(heads []*towers.ItemWeights) *towers.ItemWeights {
	dim := 0
	for _, h := range heads {
		dim += h.Dim
	}
	joined := towers.NewItemWeights(dim, heads[0].IDs, heads[0].Tokens)
	at := 0
	for _, h := range heads {
		copyColumns(joined.ID, dim, at, h.ID, h.Dim)
		copyColumns(joined.Content, dim, at, h.Content, h.Dim)
		at += h.Dim
	}
	return joined
}

// copyColumns copies rows of n values into wider rows, from column at on.
func copyColumns(dst []float32, width, at int, src []float32, n int) {
	for row := range len(src) / n {
		copy(dst[row*width+at:row*width+at+n], src[row*n:(row+1)*n])
	}
}

// splitItemWeights is the contrary of joinItemWeights: the towers of so many heads of one width, with memory of their own.
func splitItemWeights(w *towers.ItemWeights, heads int) []*towers.ItemWeights {
	split := make([]*towers.ItemWeights, heads)
	d := w.Dim / heads
	for k := range split {
		split[k] = towers.NewItemWeights(d, w.IDs, w.Tokens)
		for row := range w.IDs {
			copy(split[k].ID[row*d:(row+1)*d], w.ID[row*w.Dim+k*d:])
		}
		for row := range w.Tokens {
			copy(split[k].Content[row*d:(row+1)*d], w.Content[row*w.Dim+k*d:])
		}
	}
	return split
}
