package interchange

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
	"github.com/freshet/freshet/services/towers/towertest"
)

// tables says what a user tower made by hand reads of events: how many rows its tables have, 0 for an input that is not there, and
// what the inputs are called.
type tables struct {
	kinds, gaps int
	kind, gap   string
	// axes are those of kind beside the rows; kindType is its type where it is another than int64.
	axes     []onnx.Axis
	kindType onnx.Type
}

// rowTable has 1, 2, 3, … times unit in its rows, each of three values.
func rowTable(f foreign, name string, rows int, unit float32) string {
	table := make([]float32, 3*rows)
	for i := range table {
		table[i] = unit * float32(1+i/3)
	}
	return f.Floats(name, table, rows, 3)
}

// read adds the inputs and what the tables say to a value.
func (s tables) read(f foreign, value string) string {
	batch := []onnx.Axis{onnx.Free("batch")}
	if s.kinds > 0 {
		p := onnx.Port{Name: s.kind, Type: onnx.Int64, Shape: append(batch, s.axes...)}
		if s.kindType != 0 {
			p.Type = s.kindType
		}
		kind := f.Op("Cast", []string{f.Input(p)}, onnx.Int("to", int64(onnx.Int64)))
		value = f.Op("Add", []string{value, f.Op("Gather", []string{rowTable(f, "kinds_table", s.kinds, 1), kind})})
	}
	if s.gaps > 0 {
		gap := f.Input(onnx.Port{Name: s.gap, Type: onnx.Int64, Shape: append(batch, s.axes...)})
		value = f.Op("Add", []string{value, f.Op("Gather", []string{rowTable(f, "gaps_table", s.gaps, 100), gap})})
	}
	return value
}

// step is a step whose embedding is the item, the row of the kind and 100 times that of the gap, both counted from 1.
func (s tables) step(t *testing.T, metadata map[string]string) []byte {
	f, dim := newForeign(t), onnx.Fixed(3)
	state := f.floats("state", dim)
	embedding := s.read(f, f.floats("item", dim))
	f.gives("next_state", f.Op("Add", []string{state, embedding}), dim)
	f.gives("embedding", embedding, dim)
	content, err := (&onnx.Model{Graph: &f.Graph, Metadata: metadata}).Marshal()
	require.NoError(t, err)
	return content
}

// encoder is a history's sum of the same.
func (s tables) encoder(t *testing.T, longest onnx.Axis) []byte {
	f, dim := newForeign(t), onnx.Fixed(3)
	items := f.floats("items", longest, dim)
	lengths := f.Input(onnx.Port{Name: "lengths", Type: onnx.Int64, Shape: []onnx.Axis{onnx.Free("batch")}})
	last := f.Ints("last", -1)
	count := f.Op("Gather", []string{f.Op("Shape", []string{items}), f.Integer("events", 1)})
	places := f.Op("Range", []string{f.Integer("from", 0), count, f.Integer("by", 1)})
	lives := f.Op("Less", []string{places, f.Op("Unsqueeze", []string{lengths, last})})
	mask := f.Op("Unsqueeze", []string{f.Op("Cast", []string{lives}, onnx.Int("to", int64(onnx.Float))), last})
	read := f.Op("Mul", []string{s.read(f, items), mask})
	f.gives("embedding", f.Op("ReduceSum", []string{read, f.Ints("along", 1)}, onnx.Int("keepdims", 0)), dim)
	return f.content()
}

// importUsers imports a user tower with a table of vectors.
func importUsers(t *testing.T, model []byte, kinds []string, ports map[string]string) (bundle string, err error) {
	t.Helper()
	bundle = t.TempDir() + "/bundle"
	_, err = Import(Sources{
		Users: writeFile(t, "u.onnx", model), Vectors: writeFile(t, "v", []byte(`{"item_id": "p", "vector": [0, 0, 0]}`)),
		EventKinds: kinds, Ports: ports,
	}, bundle, towertest.Created)
	return bundle, err
}

// TestForeignTowersReadKindsAndGaps as their own rows say, whatever the order and the names.
func TestForeignTowersReadKindsAndGaps(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	both := tables{kinds: 4, gaps: towers.Gaps, kind: "kind", gap: "gap"}
	own := both
	own.kind, own.gap = "action", "since/last:0"
	history := both
	history.kind, history.gap, history.axes = "kinds", "gaps", []onnx.Axis{onnx.Free("L")}
	fixed := history
	fixed.axes = []onnx.Axis{onnx.Fixed(3)}
	const order = "purchase,hide,view" // not that of Freshet
	for name, c := range map[string]struct {
		model  []byte
		kinds  []string
		ports  map[string]string
		reads  string
		factor [2]float32 // of what kinds and gaps add
	}{
		"a list":               {both.step(t, nil), strings.Split(order, ","), nil, "items, kinds and gaps", [2]float32{1, 1}},
		"a list with spaces":   {both.step(t, nil), strings.Split("purchase, hide, view", ","), nil, "items, kinds and gaps", [2]float32{1, 1}},
		"the model's metadata": {both.step(t, map[string]string{towers.EventKindsKey: order}), nil, nil, "items, kinds and gaps", [2]float32{1, 1}},
		"both":                 {both.step(t, map[string]string{towers.EventKindsKey: order}), strings.Split(order, ","), nil, "items, kinds and gaps", [2]float32{1, 1}},
		"other names": {own.step(t, nil), strings.Split(order, ","), map[string]string{"kind": "action", "gap": "since/last:0"},
			"items, kinds and gaps", [2]float32{1, 1}},
		"kinds alone":                  {tables{kinds: 4, kind: "kind"}.step(t, nil), strings.Split(order, ","), nil, "items and kinds", [2]float32{1, 0}},
		"gaps alone":                   {tables{gaps: towers.Gaps, gap: "gap"}.step(t, nil), nil, nil, "items and gaps", [2]float32{0, 1}},
		"neither":                      {tables{}.step(t, nil), nil, nil, "items alone", [2]float32{}},
		"an encoder":                   {history.encoder(t, onnx.Free("L")), strings.Split(order, ","), nil, "items, kinds and gaps", [2]float32{1, 1}},
		"an encoder of kinds of three": {fixed.encoder(t, onnx.Free("L")), strings.Split(order, ","), nil, "items, kinds and gaps", [2]float32{1, 1}},
		"an encoder of three":          {history.encoder(t, onnx.Fixed(3)), strings.Split(order, ","), nil, "items, kinds and gaps", [2]float32{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bundle, err := importUsers(t, c.model, c.kinds, c.ports)
			require.NoError(t, err)
			_, users := load(t, bundle)
			require.Equal(t, c.reads, users.Inputs().String())
			require.True(t, users.Reads(schemas.Like), "a choice, known or not")
			require.Equal(t, c.factor[0] > 0, users.Reads(schemas.Hide))
			require.False(t, users.Reads(schemas.Dislike))

			events := []towertest.Event{
				{Item: []float32{1, 2, 3}, Kind: schemas.View, Gap: 0},
				{Item: []float32{4, 5, 6}, Kind: schemas.Purchase, Gap: towers.Gaps - 1},
				{Item: []float32{0, 0, 0}, Kind: schemas.Like, Gap: 7},
			}
			rows := [][2]float32{{4, 1}, {2, towers.Gaps}, {1, 8}} // of kind and gap, counted from 1
			sum := make([]float32, 3)
			for i, e := range events {
				want := make([]float32, 3)
				for j := range want {
					want[j] = e.Item[j] + c.factor[0]*rows[i][0] + c.factor[1]*100*rows[i][1]
					sum[j] += want[j]
				}
				if got := make([]float32, 3); users.StateSize() > 0 {
					towertest.Advance(users, make([]float32, 3), got, e)
					require.Equal(t, want, got)
				}
			}
			state, embedding := make([]float32, users.StateSize()), make([]float32, 3)
			towertest.Encode(users, state, embedding, events)
			if users.StateSize() == 0 {
				state = embedding
			}
			require.Equal(t, sum, state)
		})
	}
}

func TestKindsAndGapsAreRefused(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	gaps := tables{gaps: towers.Gaps, gap: "gap"}
	kinds := tables{kinds: 3, kind: "kind"}
	floats, wide, places := kinds, kinds, tables{kinds: 3, kind: "kinds"}
	floats.kindType = onnx.Float
	wide.axes = []onnx.Axis{onnx.Fixed(3)}
	two := []string{"view", "purchase"}
	for name, c := range map[string]struct {
		model []byte
		kinds []string
		ports map[string]string
		want  string
	}{
		"kinds that nobody lists": {kinds.step(t, nil), nil, nil,
			"its input kind int64 [*] takes rows of kinds, and nothing says which row is whose; list the kinds in the order of their rows"},
		"a list of kinds and no such input": {gaps.step(t, nil), two, nil,
			`event_kinds are [view purchase], and it has no input "kind" for kind to tell them by; its inputs are state float32 [*, 3]`},
		"kinds that are floats":        {floats.step(t, nil), two, nil, "its input kind float32 [*] does not fit: kind is int64 [N]"},
		"a row of kinds for each":      {wide.step(t, nil), two, nil, "its input kind int64 [*, 3] does not fit: kind is int64 [N]"},
		"a table of kinds too short":   {kinds.step(t, nil), append(two, "like"), nil, "with 3 users, kinds up to row 3: "},
		"a table of gaps too short":    {tables{gaps: 26, gap: "gap"}.step(t, nil), nil, nil, "with 3 users, gaps up to row 26: "},
		"a kind that nobody knows":     {kinds.step(t, nil), []string{"view", "buy"}, nil, `event_kinds[1]: invalid type "buy": give one of impression, view,`},
		"no kind":                      {kinds.step(t, nil), []string{"unknown"}, nil, "event_kinds[0] is unknown: name a kind of interaction"},
		"a kind twice":                 {kinds.step(t, nil), []string{"view", "view"}, nil, "event_kinds[1] is view: it is event_kinds[0] already"},
		"metadata that says otherwise": {kinds.step(t, map[string]string{towers.EventKindsKey: "purchase,view"}), two, nil, "event_kinds are view,purchase, and the model's metadata freshet.event_kinds says purchase,view"},
		"a step with the encoder's names": {tables{kinds: 3, kind: "kinds"}.step(t, nil), nil, nil,
			"its input kinds int64 [*] is none that Freshet can fill: a step takes state, item, and kind and gap where it reads them"},
		"a name that is not there": {kinds.step(t, nil), two, map[string]string{"kind": "action"}, `it has no input "action" for kind to tell them by`},
		"a kind for a whole history": {places.encoder(t, onnx.Fixed(3)), two, nil,
			"its input kinds int64 [*] does not fit: kinds is int64 [N, L = 3]"},
		"an encoder with the step's names": {tables{gaps: towers.Gaps, gap: "gap"}.encoder(t, onnx.Fixed(3)), nil, nil,
			"its input gap int64 [*] is none that Freshet can fill: an encoder takes items, lengths, and kinds and gaps where it reads them"},
	} {
		t.Run(name, func(t *testing.T) {
			bundle, err := importUsers(t, c.model, c.kinds, c.ports)
			require.ErrorContains(t, err, c.want)
			require.NoDirExists(t, bundle)
		})
	}
}

// TestABundleSaysWhatItsTowersRead and is held against the model on load.
func TestABundleSaysWhatItsTowersRead(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	bundle := importBack(t, writeBundle(t, shapes[7]), UserFile)
	manifest := filepath.Join(bundle, "manifest.json")
	good, err := os.ReadFile(manifest)
	require.NoError(t, err)
	for _, c := range []struct{ old, spoilt, want string }{
		{`"event_gaps": 27`, `"event_gaps": 26`, "event_gaps is 26, this build tells 27 apart"},
		{`"event_gaps": 27`, `"event_gaps": 0`, "which take 27 gaps, while the manifest's event_gaps is 0"},
		{`"event_kinds": [`, `"event_kinds": [], "was": [`, "takes rows of kinds, and nothing says which row is whose"},
		{`"view",`, `"hide",`, "it is event_kinds[0] already"},
		{`"view",`, `"view", "impression",`, "with 3 users, kinds up to row 10, gaps up to row 26: "},
	} {
		require.Contains(t, string(good), c.old)
		require.NoError(t, os.WriteFile(manifest, []byte(strings.Replace(string(good), c.old, c.spoilt, 1)), 0o600))
		_, err := towers.LoadUserTower(bundle)
		require.ErrorContains(t, err, c.want)
	}
}
