package interchange

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
	"github.com/freshet/freshet/services/towers/towertest"
)

// reading is an encoder whose embedding comes of the items by what read does with them; the length counts for nothing but is read.
func reading(t *testing.T, longest onnx.Axis, read func(f foreign, items string) string) []byte {
	f, dim := newForeign(t), onnx.Fixed(3)
	items := f.floats("items", longest, dim)
	lengths := f.Input(onnx.Port{Name: "lengths", Type: onnx.Int64, Shape: []onnx.Axis{onnx.Free("batch")}})
	none := f.Op("Mul", []string{f.Op("Cast", []string{lengths}, onnx.Int("to", int64(onnx.Float))), f.Scalar("nothing", 0)})
	f.gives("embedding", f.Op("Add", []string{read(f, items), f.Op("Unsqueeze", []string{none, f.Ints("last_axis", -1)})}), dim)
	return f.content()
}

// placed adds to each event a row of a table of places.
func placed(rows int) func(f foreign, items string) string {
	return func(f foreign, items string) string {
		count := f.Op("Gather", []string{f.Op("Shape", []string{items}), f.Integer("events", 1)})
		places := f.Op("Range", []string{f.Integer("from", 0), count, f.Integer("by", 1)})
		sums := f.Op("Add", []string{items, f.Op("Gather", []string{rowTable(f, "places", rows, 1), places})})
		return f.Op("Gather", []string{sums, f.Integer("first", 0)}, onnx.Int("axis", 1))
	}
}

// lastPlace is for histories that are padded at their beginning.
func lastPlace(f foreign, items string) string {
	return f.Op("Gather", []string{items, f.Integer("last", -1)}, onnx.Int("axis", 1))
}

// TestEncodersAreTried for what their ports do not show.
func TestEncodersAreTried(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	dice := func(f foreign, items string) string {
		return f.Op("Mul", []string{lastPlace(f, items), f.Op("RandomNormal", nil, onnx.Ints("shape", 1, 3))})
	}
	five := func(f foreign, items string) string {
		return lastPlace(f, f.Op("Reshape", []string{items, f.Ints("traced", 1, 5, 3)}))
	}
	for name, c := range map[string]struct {
		model []byte
		want  string
	}{
		"places enough":             {reading(t, onnx.Free("L"), placed(256)), ""},
		"places as fixed":           {reading(t, onnx.Fixed(20), placed(20)), ""},
		"places of one event":       {reading(t, onnx.Fixed(1), lastPlace), ""},
		"a table of places":         {reading(t, onnx.Free("L"), placed(50)), "it takes 3 events and not 256 (a table of places that ends before?"},
		"one length":                {reading(t, onnx.Free("L"), five), "its ports leave L free, and it fails (traced for one L?"},
		"the last of free places":   {reading(t, onnx.Free("L"), lastPlace), "the same with padding behind it differ (events are read from the first place on"},
		"the last of twelve places": {reading(t, onnx.Fixed(12), lastPlace), "depends on what lies beyond its length"},
		"dice":                      {reading(t, onnx.Fixed(1), dice), "two runs on the same event differ"},
	} {
		t.Run(name, func(t *testing.T) {
			bundle, err := importUsers(t, c.model, nil, nil)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.NoDirExists(t, bundle)
				return
			}
			require.NoError(t, err)
			_, users := load(t, bundle)
			events := make([]towertest.Event, 1000)
			for i := range events {
				events[i].Item = []float32{float32(i), 0, 0}
			}
			embedding := make([]float32, 3)
			towertest.Encode(users, nil, embedding, events) // more than it takes
			require.NotZero(t, embedding[0])
		})
	}
}

// TestFixedLengthsAreTold to whoever imports: they may be an oversight.
func TestFixedLengthsAreTold(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	f := newForeign(t)
	tokens := f.Input(onnx.Port{Name: "tokens", Type: onnx.Int64, Shape: []onnx.Axis{onnx.Free("batch"), onnx.Fixed(2)}})
	sum := f.Op("ReduceSum", []string{f.Op("Gather", []string{rowTable(f, "rows", 4, 1), tokens}), f.Ints("along", 1)}, onnx.Int("keepdims", 0))
	f.gives("vector", sum, onnx.Fixed(3))
	for name, c := range map[string]struct {
		users        []byte
		mostOfEvents int
	}{
		"a step": {tables{}.step(t, nil), 0}, "twenty events": {reading(t, onnx.Fixed(20), placed(20)), 20}, "free": {reading(t, onnx.Free("L"), placed(256)), 256},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := t.TempDir() + "/bundle"
			m, err := Import(Sources{
				Users: writeFile(t, "u.onnx", c.users), Items: writeFile(t, "i.onnx", f.content()),
				Vocabulary: writeFile(t, "v.json", []byte(`{"ids": [], "tokens": ["title:a", "title:b", "title:c"]}`)),
			}, bundle, towertest.Created)
			require.NoError(t, err)
			require.Equal(t, []int{2, c.mostOfEvents}, []int{m.MostTokens, m.MostEvents})
			items, _ := load(t, bundle)
			vector := make([]float32, 3)
			items.Encode(vector, &towers.ItemFeatures{Title: "C B A"})
			require.Equal(t, []float32{7, 7, 7}, vector, "rows 3 and 2, as the table counts them from 1")
		})
	}
}

// itemTower is an item tower of ids and tokens whose rows have 1, 2, 3, … in them, padding a 0, and what change makes of it.
func itemTower(t *testing.T, change func(f foreign, id, tokens, count string) string) []byte {
	f := newForeign(t)
	batch := onnx.Free("batch")
	id := f.Input(onnx.Port{Name: "id", Type: onnx.Int64, Shape: []onnx.Axis{batch}})
	tokens := f.Input(onnx.Port{Name: "tokens", Type: onnx.Int64, Shape: []onnx.Axis{batch, onnx.Free("T")}})
	table := make([]float32, 3*3)
	for i := range table {
		table[i] = float32(i / 3 * (1 + i%3))
	}
	rows := f.Floats("rows", table, 3, 3)
	along := f.Ints("axis_of_tokens", 1)
	sum := f.Op("ReduceSum", []string{f.Op("Gather", []string{rows, tokens}), along}, onnx.Int("keepdims", 0))
	known := f.Op("Cast", []string{f.Op("Min", []string{tokens, f.Integer("one_token", 1)})}, onnx.Int("to", int64(onnx.Float)))
	count := f.Op("ReduceSum", []string{known, along}, onnx.Int("keepdims", 1))
	f.gives("vector", change(f, f.Op("Gather", []string{rows, id}), sum, count), onnx.Fixed(3))
	return f.content()
}

// TestItemTowersAreTried with items that can come before them, and no others.
func TestItemTowersAreTried(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	sum := func(f foreign, id, tokens, _ string) string { return f.Op("Add", []string{id, tokens}) }
	const vocabulary = `{"ids": ["p", "q"], "tokens": ["category:tea", "title:green"]}`
	for name, c := range map[string]struct {
		change     func(f foreign, id, tokens, count string) string
		vocabulary string
		want       string
	}{
		"sums": {sum, vocabulary, ""},
		// Of the item that has neither id nor tokens it would make NaN, but that item never comes.
		"unit vectors": {func(f foreign, id, tokens, count string) string {
			x := sum(f, id, tokens, count)
			return f.Op("Div", []string{x, f.Op("ReduceL2", []string{x}, onnx.Ints("axes", 1))})
		}, vocabulary, ""},
		"a mean over no tokens": {func(f foreign, id, tokens, count string) string {
			return f.Op("Add", []string{id, f.Op("Div", []string{tokens, count})})
		}, vocabulary, "with id row 1 and no token, of 2 ids and 2 tokens: it gives NaN at 0"},
		"padding that counts": {func(f foreign, id, tokens, _ string) string {
			places := f.Op("Cast", []string{f.Op("Gather", []string{f.Op("Shape", []string{"tokens"}), f.Integer("T", 1)})}, onnx.Int("to", 1))
			return f.Op("Add", []string{id, f.Op("Div", []string{tokens, places})})
		}, vocabulary, "and the same item alone differ (dropout or batch normalisation in training mode?"},
		"rows that mix": {func(f foreign, id, tokens, _ string) string {
			return f.Op("Add", []string{tokens, f.Op("Sub", []string{id, f.Op("ReduceMean", []string{id}, onnx.Ints("axes", 0))})})
		}, vocabulary, "one of 4 items in a batch and the same item alone differ"},
		"more ids than rows":    {sum, `{"ids": ["p", "q", "r"], "tokens": []}`, "with id row 3 and no token, of 3 ids and 0 tokens"},
		"more tokens than rows": {sum, `{"ids": [], "tokens": ["a", "b", "c"]}`, "with id row 0 and token rows 3 to 3, of 0 ids and 3 tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := t.TempDir() + "/bundle"
			_, err := Import(Sources{
				Users: writeFile(t, "u.onnx", tables{}.step(t, nil)), Items: writeFile(t, "i.onnx", itemTower(t, c.change)),
				Vocabulary: writeFile(t, "v.json", []byte(c.vocabulary)),
			}, bundle, towertest.Created)
			if c.want == "" {
				require.NoError(t, err)
				items, _ := load(t, bundle)
				nothing := make([]float32, 3)
				items.Encode(nothing, &towers.ItemFeatures{ItemID: "unheard of"})
				require.Equal(t, make([]float32, 3), nothing)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NoDirExists(t, bundle)
		})
	}
}

// TestWhatExportersDoToModels is made good or refused before a model is loaded.
func TestWhatExportersDoToModels(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	two := []onnx.Axis{onnx.Fixed(2), onnx.Fixed(3)}
	step := func(change func(f foreign, state, item string)) []byte {
		f := newForeign(t)
		change(f, f.floats("state", onnx.Fixed(3)), f.floats("item", onnx.Fixed(3)))
		return f.content()
	}
	twice := step(func(f foreign, state, item string) {
		both := f.Op("Concat", []string{state, item}, onnx.Int("axis", 1))
		f.Nodes = append(f.Nodes, onnx.Node{Op: "Split", Inputs: []string{both, f.Ints("halves", 3, 3)}, Outputs: []string{"was", "embedding"},
			Attributes: []onnx.Attribute{onnx.Int("axis", 1)}})
		sum := f.Op("Sub", []string{"was", "embedding"})
		f.gives("next_state", sum, onnx.Fixed(3))
		f.gives("embedding", f.Op("Neg", []string{sum}), onnx.Fixed(3))
	})
	bundle, err := importUsers(t, twice, nil, nil)
	require.NoError(t, err)
	_, users := load(t, bundle)
	state, embedding := make([]float32, 3), make([]float32, 3)
	towertest.Advance(users, state, embedding, towertest.Event{Item: []float32{1, 2, 3}})
	require.Equal(t, []float32{1, 2, 3}, embedding)
	require.Equal(t, []float32{-1, -2, -3}, state)

	for name, c := range map[string]struct {
		model []byte
		want  string
	}{
		"an output called as an input": {step(func(f foreign, state, item string) {
			f.gives("state", f.Op("Add", []string{state, item}), onnx.Fixed(3))
			f.gives("embedding", f.Op("Neg", []string{item}), onnx.Fixed(3))
		}), `two of its values are called "state"`},
		"an input that nothing reads": {step(func(f foreign, state, _ string) {
			f.gives("next_state", f.Op("Neg", []string{state}), onnx.Fixed(3))
			f.gives("embedding", f.Op("Abs", []string{state}), onnx.Fixed(3))
		}), "nothing in it reads its input item: export it without, or give each input an example of its own"},
		"two users at once, no more": {step(func(f foreign, state, item string) {
			f.Inputs[0].Shape, f.Inputs[1].Shape = two, two
			f.gives("next_state", f.Op("Add", []string{state, item}), onnx.Fixed(3))
			f.gives("embedding", f.Op("Neg", []string{item}), onnx.Fixed(3))
		}), "its input state float32 [2, 3] does not fit: state is float32 [N, S = 3], with N free or 1; leave its first axis free (PyTorch: dynamic_shapes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := importUsers(t, c.model, nil, nil)
			require.ErrorContains(t, err, c.want)
		})
	}
}
