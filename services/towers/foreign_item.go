package towers

import (
	"sync"

	"github.com/freshet/freshet/services/towers/onnxruntime"
)

// foreignItem encodes items by a model that was trained elsewhere.
type foreignItem struct {
	session            *onnxruntime.Session
	dim                int
	takesID, takesRows bool
	// width is how many tokens the model takes, 0 meaning as many as there are; atOnce, how many items at the most.
	width, atOnce int
	buffers       sync.Pool // *itemBuffers
}

type itemBuffers struct{ id, tokens []int64 }

// newForeignItem checks the model's ports and tries it with the ends of its vocabulary.
func newForeignItem(m *model, dim, ids, tokens int) (*foreignItem, error) {
	t := &foreignItem{dim: dim, takesID: m.takes(portID), takesRows: m.takes(portTokens)}
	var in []wants
	if t.takesID {
		in = append(in, wants{portID, onnxruntime.Int64, []axis{rowsAxis}})
	}
	if t.takesRows || !t.takesID {
		in = append(in, wants{portTokens, onnxruntime.Int64, []axis{rowsAxis, {name: "T"}}})
	}
	out := []wants{{portVector, onnxruntime.Float32, []axis{rowsAxis, {"dim", dim}}}}
	var err error
	t.session, t.atOnce, err = m.session("an item tower takes id, tokens, or both", in, out)
	if err != nil {
		return nil, err
	}
	if p, ok := m.find(m.inputs, portTokens); ok {
		t.width = int(max(p.Shape[1], 0))
	}
	t.buffers.New = func() any { return new(itemBuffers) }
	return t, m.trial(t.try(ids, tokens))
}

// loadForeignItems loads a bundle's foreign item tower; lists are its vocabulary.
func (m *Manifest) loadForeignItems(dir string, lists [][]string) (*foreignItem, error) {
	model, err := m.loadModel(dir, foreignItemFile)
	if err != nil {
		return nil, err
	}
	return newForeignItem(model, m.Dim, len(lists[0]), len(lists[1]))
}

func (t *foreignItem) encode(dst []float32, id int32, tokens []int32) error {
	row := int64(id) + 1 // 0 for none
	if !t.knows(row, tokens) {
		return nil
	}
	return t.encodeAll(dst, []int64{row}, [][]int32{tokens})
}

// encodeAll writes the vectors of items with these id rows, 0 for none, and the rows of these tokens, counted from 0.
func (t *foreignItem) encodeAll(dst []float32, ids []int64, tokens [][]int32) error {
	b := t.buffers.Get().(*itemBuffers)
	defer t.buffers.Put(b)
	n := len(ids)
	var in []onnxruntime.Tensor
	if t.takesID {
		b.id = append(b.id[:0], ids...)
		in = append(in, onnxruntime.Tensor{Shape: []int64{int64(n)}, Ints: b.id})
	}
	if t.takesRows {
		width := t.width
		if width == 0 {
			width = 1
			for _, rows := range tokens {
				width = max(width, len(rows))
			}
		}
		b.tokens = resized(b.tokens, n*width)
		clear(b.tokens)
		for i, rows := range tokens {
			for j, row := range rows[:min(len(rows), width)] {
				b.tokens[i*width+j] = int64(row) + 1
			}
		}
		in = append(in, onnxruntime.Tensor{Shape: []int64{int64(n), int64(width)}, Ints: b.tokens})
	}
	return t.session.Run(in, []onnxruntime.Tensor{rows(dst, n, t.dim)})
}

// knows tells whether the tower would read anything of an item.
func (t *foreignItem) knows(id int64, tokens []int32) bool {
	return t.takesID && id > 0 || t.takesRows && len(tokens) > 0
}
