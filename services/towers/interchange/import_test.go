package interchange

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
	"github.com/freshet/freshet/services/towers/towertest"
)

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// importBack exports a bundle and imports what was written, with the step or the history for a user tower.
func importBack(t *testing.T, bundle, userFile string) string {
	t.Helper()
	out, back := t.TempDir(), t.TempDir()+"/back"
	_, err := Export(bundle, out, "test")
	require.NoError(t, err)
	_, err = Import(Sources{
		Users: filepath.Join(out, userFile), Items: filepath.Join(out, ItemFile), Vocabulary: filepath.Join(out, VocabularyFile),
	}, back, towertest.Created)
	require.NoError(t, err)
	return back
}

func load(t *testing.T, bundle string) (*towers.ItemTower, *towers.UserTower) {
	t.Helper()
	items, err := towers.LoadItemTower(bundle)
	require.NoError(t, err)
	users, err := towers.LoadUserTower(bundle)
	require.NoError(t, err)
	return items, users
}

func rowsOf(flat []float32, size int) [][]float32 {
	return slices.Collect(slices.Chunk(flat, size))
}

// chosen makes events of item vectors, for towers that read nothing else of them.
func chosen(items ...[]float32) []towertest.Event {
	events := make([]towertest.Event, len(items))
	for i, item := range items {
		events[i] = towertest.Event{Item: item, Kind: schemas.Purchase, Gap: towers.Gap(i % towers.Gaps)}
	}
	return events
}

func TestImportedTowersEqualTheExported(t *testing.T) {
	eachShape(t, func(t *testing.T, e exported, rng *rand.Rand) {
		bundle := t.TempDir() + "/bundle"
		_, err := towers.WriteBundle(bundle, e.bundle)
		require.NoError(t, err)
		items, users := load(t, importBack(t, bundle, UserFile))
		require.Equal(t, []int{e.items.Dim(), e.users.Dim(), e.users.StateSize()}, []int{items.Dim(), users.Dim(), users.StateSize()})
		require.True(t, items.Knows("a"))
		require.False(t, items.Knows("c"))
		for _, f := range append(slices.Clone(catalogue), towers.ItemFeatures{ItemID: "nobody"}) {
			want, got := make([]float32, items.Dim()), make([]float32, items.Dim())
			e.items.Encode(want, &f)
			items.Encode(got, &f)
			near(t, want, got, "vector of "+f.ItemID)
		}
		readAlike(t, e.users, users)

		const many = 70 // more than go through the tower at once
		dim, size := users.Dim(), users.StateSize()
		states := draw(rng, many*size)
		events, _, _, _ := drawEvents(rng, e.users, many)
		want, embeddings := slices.Clone(states), make([]float32, many*dim)
		towertest.AdvanceBatch(e.users, rowsOf(want, size), rowsOf(embeddings, dim), events)
		got, gotEmbeddings := slices.Clone(states), make([]float32, many*dim)
		towertest.AdvanceBatch(users, rowsOf(got, size), rowsOf(gotEmbeddings, dim), events)
		near(t, want, got, "states")
		near(t, embeddings, gotEmbeddings, "embeddings")
		towertest.Advance(users, states[:size], gotEmbeddings[:dim], events[0])
		near(t, want[:size], states[:size], "state")
		near(t, embeddings[:dim], gotEmbeddings[:dim], "embedding")

		whole, encoder := load(t, importBack(t, bundle, HistoryFile))
		require.Equal(t, items.Dim(), whole.Dim())
		require.Zero(t, encoder.StateSize())
		readAlike(t, e.users, encoder)
		for _, n := range []int{0, 1, 33, many} {
			want, embedding := make([]float32, size), make([]float32, dim)
			towertest.Encode(e.users, want, embedding, events[:n])
			got, gotEmbedding := draw(rng, size), draw(rng, dim)
			towertest.Encode(users, got, gotEmbedding, events[:n])
			near(t, want, got, "state of a history")
			near(t, embedding, gotEmbedding, "embedding of a history")
			gotEmbedding = draw(rng, dim)
			towertest.Encode(encoder, nil, gotEmbedding, events[:n])
			near(t, embedding, gotEmbedding, "embedding of a history by the encoder")
		}
	})
}

// readAlike holds that two towers are moved by the same kinds of events, and read the same of them.
func readAlike(t *testing.T, want, got *towers.UserTower) {
	t.Helper()
	require.Equal(t, want.Inputs().String(), got.Inputs().String())
	require.ElementsMatch(t, want.Inputs().Kinds, got.Inputs().Kinds)
	for kind := range schemas.Hide + 1 {
		require.Equal(t, want.Reads(kind), got.Reads(kind), kind)
		require.Equal(t, want.Inputs().Row(kind), got.Inputs().Row(kind), kind)
	}
}

func TestImportedTowersServeManyAtOnce(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	items, users := load(t, importBack(t, writeBundle(t, shapes[2]), UserFile))
	want := make([]float32, items.Dim())
	items.Encode(want, &catalogue[0])
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 20 {
				vector, state, embedding := make([]float32, items.Dim()), make([]float32, users.StateSize()), make([]float32, users.Dim())
				items.Encode(vector, &catalogue[0])
				towertest.Encode(users, state, embedding, chosen(vector, vector))
				if !slices.Equal(vector, want) {
					t.Errorf("%v instead of %v", vector, want)
				}
			}
		})
	}
	running.Wait()
}

// foreign is models as another tool would make them.
type foreign struct {
	*onnx.Builder
	t *testing.T
}

func newForeign(t *testing.T) foreign { return foreign{onnx.NewBuilder("elsewhere"), t} }

func (f foreign) floats(name string, axes ...onnx.Axis) string {
	return f.Input(onnx.Port{Name: name, Type: onnx.Float, Shape: append([]onnx.Axis{onnx.Free("batch")}, axes...)})
}

func (f foreign) gives(name, value string, axes ...onnx.Axis) {
	f.Output(onnx.Port{Name: name, Type: onnx.Float, Shape: append([]onnx.Axis{onnx.Free("batch")}, axes...)}, value)
}

func (f foreign) content() []byte { return towertest.Marshal(f.t, f.Builder) }

// averaging is a step whose next state, and embedding, is half the state and the item: by these names.
func averaging(t *testing.T, state, item, next, embedding string) []byte {
	dim := onnx.Fixed(3)
	f := newForeign(t)
	half := f.Op("Mul", []string{f.floats(state, dim), f.Scalar("half", 0.5)})
	moved := f.Op("Add", []string{half, f.floats(item, dim)})
	f.gives(next, moved, dim)
	f.gives(embedding, moved, dim)
	return f.content()
}

// lookup is an item tower that knows ids alone: row i is i, i, ….
func lookup(t *testing.T, rows, dim int) []byte {
	f := newForeign(t)
	table := make([]float32, rows*dim)
	for i := range table {
		table[i] = float32(i / dim)
	}
	id := f.Input(onnx.Port{Name: "id", Type: onnx.Int64, Shape: []onnx.Axis{onnx.Free("batch")}})
	f.gives("vector", f.Op("Gather", []string{f.Floats("table", table, rows, dim), id}), onnx.Fixed(dim))
	return f.content()
}

func TestTowersOfOtherNames(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	s := Sources{
		Users: writeFile(t, "gru.onnx", averaging(t, "h0", "x", "h1", "u")), Items: writeFile(t, "table.onnx", lookup(t, 3, 3)),
		Vocabulary: writeFile(t, "v.json", []byte(`{"ids": ["p", "q"]}`)), Version: "gru_1",
	}
	bundle := t.TempDir() + "/bundle"
	_, err := Import(s, bundle, towertest.Created)
	require.ErrorContains(t, err, "user_tower.onnx: is neither a step (inputs state [N, S], item [N, dim]) nor an encoder")
	require.ErrorContains(t, err, "its inputs are h0 float32 [*, 3]; x float32 [*, 3]")
	require.NoDirExists(t, bundle)

	s.Ports = map[string]string{"state": "h0", "item": "x", "next_state": "h1", "embedding": "u"}
	m, err := Import(s, bundle, towertest.Created)
	require.NoError(t, err)
	require.Equal(t, "gru_1", m.Version)
	items, users := load(t, bundle)
	require.Equal(t, "gru_1", users.Version())
	require.Positive(t, users.StateSize())
	vector, state, embedding := make([]float32, 3), make([]float32, 3), make([]float32, 3)
	items.Encode(vector, &towers.ItemFeatures{ItemID: "q"})
	require.Equal(t, []float32{2, 2, 2}, vector)
	towertest.Encode(users, state, embedding, chosen(vector, vector))
	require.Equal(t, []float32{3, 3, 3}, embedding)
	items.Encode(vector, &towers.ItemFeatures{ItemID: "unheard of"})
	require.Equal(t, []float32{0, 0, 0}, vector)

	_, err = Export(bundle, t.TempDir(), "test")
	require.ErrorContains(t, err, "ONNX models already")
}

func TestAnEncoderOfHistories(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	vectors := writeFile(t, "v.jsonl", []byte(`{"item_id": "p", "vector": [1, 2]}
{"item_id": "q", "vector": [3, 4]}`))
	for longest, want := range map[int][]float32{0: {2, 3}, 1: {3, 4}, 5: {2, 3}} {
		bundle := t.TempDir() + "/bundle"
		_, err := Import(Sources{Users: writeFile(t, "e.onnx", towertest.EncoderModel(t, 2, longest)), Vectors: vectors}, bundle, towertest.Created)
		require.NoError(t, err)
		items, users := load(t, bundle)
		require.Zero(t, users.StateSize())
		p, q, embedding := make([]float32, 2), make([]float32, 2), []float32{9, 9}
		items.Encode(p, &towers.ItemFeatures{ItemID: "p"})
		items.Encode(q, &towers.ItemFeatures{ItemID: "q"})
		require.Equal(t, []float32{1, 2}, p)
		towertest.Encode(users, nil, embedding, chosen(p, q))
		require.Equal(t, want, embedding, "of at most %d events", longest)
		towertest.Encode(users, nil, embedding, nil)
		require.Equal(t, []float32{0, 0}, embedding)
		require.Equal(t, map[int]int{0: 255, 1: 0, 5: 4}[longest], users.Reach())
	}
}

// TestImportRefuses tells each misfit by the name of the port, or of what the model does.
func TestImportRefuses(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	step := averaging(t, "state", "item", "next_state", "embedding")
	// stepWith is a step of other axes or operations.
	stepWith := func(state []onnx.Axis, change func(f foreign, state, item string) (next, embedding string)) []byte {
		f := newForeign(t)
		next, embedding := change(f, f.floats("state", state...), f.floats("item", onnx.Fixed(3)))
		f.gives("next_state", next, state...)
		f.gives("embedding", embedding, onnx.Fixed(3))
		return f.content()
	}
	three := []onnx.Axis{onnx.Fixed(3)}
	add := func(f foreign, state, item string) (string, string) {
		x := f.Op("Add", []string{state, item})
		return x, x
	}
	const vocabulary = `{"ids": ["p", "q"]}`
	for name, c := range map[string]struct {
		users, items []byte
		vocabulary   string
		ports        map[string]string
		want         string
	}{
		"no model":        {users: []byte("text"), want: "u.onnx: it is no ONNX model, or a damaged one"},
		"neither kind":    {users: lookup(t, 3, 3), want: "is neither a step (inputs state [N, S], item [N, dim]) nor an encoder"},
		"an unknown role": {users: step, ports: map[string]string{"hidden": "h0"}, want: `port is hidden: name one of id, tokens,`},
		"a state of three axes": {users: stepWith([]onnx.Axis{onnx.Fixed(2), onnx.Fixed(3)}, add),
			want: "its input state float32 [*, 2, 3] does not fit: state is float32 [N, S], with N free or 1; export the model with a row for each user"},
		"a state without a size": {users: stepWith([]onnx.Axis{onnx.Free("hidden")}, func(f foreign, state, item string) (string, string) {
			return f.Op("Identity", []string{state}), f.Op("Identity", []string{item})
		}), want: "says how long a state is"},
		"an input too many": {users: stepWith(three, func(f foreign, state, item string) (string, string) {
			return add(f, f.Op("Add", []string{state, f.floats("noise", onnx.Fixed(3))}), item)
		}), want: "its input noise float32 [*, 3] is none that Freshet can fill"},
		"one port of other name": {users: averaging(t, "state", "x", "next_state", "embedding"),
			want: `has no input "item" for item, float32 [N, dim = 3]; its inputs are state float32 [*, 3]; x float32 [*, 3]`},
		"another output": {users: averaging(t, "state", "item", "next_state", "u"), want: `has no output "embedding" for embedding`},
		"rows that mix": {users: stepWith(three, func(f foreign, state, item string) (string, string) {
			mean := f.Op("ReduceMean", []string{item}, onnx.Ints("axes", 0))
			return add(f, state, f.Op("Sub", []string{item, mean}))
		}), want: "one of three users in a batch and the same user alone differ"},
		"no numbers": {users: stepWith(three, func(f foreign, state, item string) (string, string) {
			return add(f, f.Op("Div", []string{state, f.Scalar("zero", 0)}), item)
		}), want: "gives NaN"},
		"items of another dim": {users: step, items: lookup(t, 3, 4),
			want: "item_tower.onnx: its output vector float32 [*, 4] does not fit: vector is float32 [N, dim = 3]"},
		"a user tower for an item tower": {users: step, items: step, want: `item_tower.onnx: has no input "tokens" for tokens, int64 [N, T]`},
		"a table too short":              {users: step, items: lookup(t, 2, 3), want: "with id row 2 and no token, of 2 ids and 0 tokens"},
		"no vocabulary":                  {users: step, vocabulary: `{"ids": []}`, want: "ids and tokens are empty"},
		"a mistyped key":                 {users: step, vocabulary: `{"ids": ["p"], "token": []}`, want: `unknown field "token"`},
		"an id twice":                    {users: step, vocabulary: `{"ids": ["p", "p"]}`, want: `ids[1] is "p", as is ids[0]: list each once`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.items == nil {
				c.items = lookup(t, 3, 3)
			}
			if c.vocabulary == "" {
				c.vocabulary = vocabulary
			}
			bundle := t.TempDir() + "/bundle"
			_, err := Import(Sources{
				Users: writeFile(t, "u.onnx", c.users), Items: writeFile(t, "i.onnx", c.items),
				Vocabulary: writeFile(t, "v.json", []byte(c.vocabulary)), Ports: c.ports,
			}, bundle, towertest.Created)
			require.ErrorContains(t, err, c.want)
			require.NoDirExists(t, bundle)
		})
	}
	_, err := Import(Sources{Users: writeFile(t, "u.onnx", step), Vectors: writeFile(t, "v", []byte(`{"item_id": "p", "vector": [1]}`))},
		t.TempDir()+"/b", towertest.Created)
	require.ErrorContains(t, err, "1 items have 1 numbers, the user tower takes items of 3")
}

// TestABundleOfForeignTowersIsVerified as any other is.
func TestABundleOfForeignTowersIsVerified(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	back := importBack(t, writeBundle(t, shapes[2]), UserFile)
	manifest := filepath.Join(back, "manifest.json")
	good, err := os.ReadFile(manifest)
	require.NoError(t, err)
	for _, c := range []struct {
		old, spoilt string
		is          func(error) bool
	}{
		{`"engine": "onnx"`, `"engine": "tvm"`, towers.IsUnsupported},
		{`"state_size": 32`, `"state_size": 31`, towers.IsMismatched},
		{`"state_size": 32`, `"state_size": 0`, towers.IsMismatched},
		{`"dim": 16`, `"dim": 8`, towers.IsMismatched},
	} {
		require.Contains(t, string(good), c.old)
		require.NoError(t, os.WriteFile(manifest, []byte(strings.Replace(string(good), c.old, c.spoilt, 1)), 0o600))
		_, err := towers.LoadUserTower(back)
		require.True(t, c.is(err), "%s: %v", c.spoilt, err)
	}
	require.NoError(t, os.WriteFile(manifest, good, 0o600))
	require.NoError(t, os.Truncate(filepath.Join(back, "item_tower.onnx"), 100))
	_, err = towers.LoadItemTower(back)
	require.True(t, towers.IsTruncated(err), "%v", err)
}

func TestVectorsAreRefusedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "it has no item",
		`{"item_id": "p"}`:                     `item 1 ("p") has 0 numbers`,
		`{"item_id": "p", "vector": "x"}`:      "item 1 is no",
		`{"item_id": "p", "vectors": [1]}`:     `unknown field "vectors"`,
		`{"item_id": "p", "vector": [1e9999]}`: "item 1 is no",
		`{"item_id": "p", "vector": [1]} {"item_id": "q", "vector": [1, 2]}`: `item 2 ("q") has 2 numbers, the first one 1`,
		`{"item_id": "p", "vector": [1]} {"item_id": "p", "vector": [2]}`:    `item_id[1] is "p", as is item_id[0]`,
	} {
		_, _, err := decodeVectors(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
}

// FuzzDecodeVocabulary holds that what is accepted names every row once, and is the same after another round.
func FuzzDecodeVocabulary(f *testing.F) {
	f.Add([]byte(`{"version": "v", "ids": ["a", "b"], "tokens": ["t:x"], "rules": {"min_items": 1}, "data": {"items": 3}}`))
	f.Add([]byte(`{"ids": ["a", "a"]}`))
	f.Add([]byte(`{"ids": null} {}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		v, err := decodeVocabulary(content)
		if err != nil {
			return
		}
		for _, list := range [][]string{v.IDs, v.Tokens} {
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(list))), len(list))
		}
		again, err := json.Marshal(v)
		require.NoError(t, err)
		w, err := decodeVocabulary(again)
		require.NoError(t, err)
		require.Equal(t, v.IDs, w.IDs)
		require.Equal(t, v.Tokens, w.Tokens)
	})
}

// FuzzDecodeVectors holds that a table that is accepted has a row of one length for each of its items.
func FuzzDecodeVectors(f *testing.F) {
	f.Add(`{"item_id": "p", "vector": [1, 2]}` + "\n" + `{"item_id": "q", "vector": [3, -4e-3]}`)
	f.Add(`{"item_id": "p", "vector": []}`)
	f.Add(`[1]`)
	f.Fuzz(func(t *testing.T, text string) {
		ids, vectors, err := decodeVectors(strings.NewReader(text))
		if err != nil {
			return
		}
		require.NotEmpty(t, ids)
		require.Zero(t, len(vectors)%len(ids), fmt.Sprint(len(vectors), " numbers of ", len(ids), " items"))
	})
}
