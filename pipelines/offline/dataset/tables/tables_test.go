package tables

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// folder writes files, and the folders that they lie in.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func readAll(t testing.TB, dir string, options Options) ([]schemas.Interaction, []schemas.ItemChange, error) {
	t.Helper()
	f, err := Open(dir, options, schemas.DefaultLimits())
	if err != nil {
		return nil, nil, err
	}
	var events []schemas.Interaction
	var items []schemas.ItemChange
	err = f.EachItem(context.Background(), func(i *schemas.ItemChange) error {
		items = append(items, *i)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = f.EachInteraction(context.Background(), func(e *schemas.Interaction, _ int64) error {
		events = append(events, *e)
		return nil
	})
	return events, items, err
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

const noon = 1_769_860_800_000 // 2026-01-31T12:00:00Z

func TestReadCSV(t *testing.T) {
	dir := folder(t, map[string]string{
		"interactions.csv": "\ufeffuser_id,item_id,type,value,occurred_at,event_id,colour\n" +
			"u1,i1,click,,1769860800000,e1,red\n" +
			"u2,\"i,2\",rating,4.5,1769860800500,,\n",
		"items.csv": "item_id,title,categories,tags,price,available,published_at,attributes,min_age,version\n" +
			"i1,A Lamp,light||home,,9.5,false,1902-09-01T00:00:00Z,\"{\"\"colour\"\":\"\"red\"\"}\",18,7\n" +
			"i2,,,,,,,,,\n",
	})
	events, items, err := readAll(t, dir, Options{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Interaction{
		{EventID: "e1", UserID: "u1", ItemID: "i1", Type: schemas.Click, OccurredAt: at(noon)},
		{EventID: "interactions.csv:3", UserID: "u2", ItemID: "i,2", Type: schemas.Rating, Value: new(4.5), OccurredAt: at(noon + 500)},
	}, events)
	require.Equal(t, []schemas.ItemChange{
		{
			ItemID: "i1", Op: schemas.UpsertItem, Version: 7, Title: "A Lamp", Categories: []string{"light", "home"}, Price: new(9.5),
			PublishedAt: time.Date(1902, 9, 1, 0, 0, 0, 0, time.UTC), Attributes: map[string]string{"colour": "red"}, MinAge: 18,
		},
		{ItemID: "i2", Op: schemas.UpsertItem, Version: 1, Available: true},
	}, items)
}

func TestColumnsAreNamed(t *testing.T) {
	files := map[string]string{
		"interactions.csv": "visitor,sku,ts\n1,2,1769860800000\n",
		"items.csv":        "sku,occurred_at,name\n2,,Lamp\n",
	}
	columns := Columns{"user_id": "visitor", "item_id": "sku", "occurred_at": "ts", "title": "name"}
	events, items, err := readAll(t, folder(t, files), Options{Columns: columns})
	require.NoError(t, err)
	require.Equal(t, []schemas.Interaction{
		{EventID: "interactions.csv:2", UserID: "1", ItemID: "2", Type: schemas.View, OccurredAt: at(noon)},
	}, events)
	require.Equal(t, "Lamp", items[0].Title)

	files["items.csv"] = "id,name\n2,Lamp\n"
	_, _, err = readAll(t, folder(t, files), Options{Columns: columns})
	require.ErrorContains(t, err, `reading items.csv: there is no column "sku" for item_id: it has "id", "name"; correct --columns`)
	columns["items.item_id"] = "id"
	_, items, err = readAll(t, folder(t, files), Options{Columns: columns})
	require.NoError(t, err)
	require.Equal(t, "2", items[0].ItemID)
}

func TestRefusals(t *testing.T) {
	const header = "user_id,item_id,occurred_at,type,value\n"
	const items = "item_id,price,published_at,min_age,available,attributes,categories,description\n"
	for name, c := range map[string]struct {
		file, text string
		columns    Columns
		want       string
	}{
		"no files":           {"other.csv", "", nil, "has neither interactions.csv nor interactions.parquet"},
		"unknown field":      {"interactions.csv", header, Columns{"user": "u"}, `user=u: "user" is no field: choose from event_id, user_id`},
		"unknown file":       {"interactions.csv", header, Columns{"users.user_id": "u"}, `"users.user_id" is no field`},
		"field of the other": {"interactions.csv", header, Columns{"items.user_id": "u"}, `"items.user_id" is no field`},
		"no column's name":   {"interactions.csv", header, Columns{"user_id": ""}, "user_id=: give the name of the column"},
		"no file of items":   {"interactions.csv", header, Columns{"items.title": "name"}, "has no items.csv or items.parquet"},
		"named, not there":   {"interactions.csv", header, Columns{"value": "stars"}, `there is no column "stars" for value`},
		"required":           {"interactions.csv", "user_id,occurred_at\n", nil, "there is no column item_id: it has \"user_id\", \"occurred_at\"; name it with --columns interactions.item_id=COLUMN"},
		"two of a name":      {"interactions.csv", "user_id,item_id,item_id,occurred_at\n", nil, `there are two columns "item_id": rename one`},
		"empty file":         {"interactions.csv", "", nil, "reading interactions.csv: the file is empty: begin it with a header"},
		"too few cells":      {"interactions.csv", header + "u,i\n", nil, "reading interactions.csv:2: wrong number of fields"},
		"open quote":         {"interactions.csv", header + "\"u" + strings.Repeat("x", 2<<20+10_000), nil, "the row has more than 2097152 bytes: is a quote not closed?"},
		"no user":            {"interactions.csv", header + "u,i,1769860800000,view,\n,i,1769860800000,view,\n", nil, "interactions.csv:3: column user_id is empty: give a value in each row"},
		"time in words":      {"interactions.csv", header + "u,i,yesterday,view,\n", nil, `interactions.csv:2: column occurred_at is "yesterday": give a number since 1970, a time such as`},
		"no moment of a row": {"interactions.csv", header + "u,i,0,view,\n", nil, "column occurred_at is \"0\": give the time when it happened"},
		"time to come":       {"interactions.csv", header + "u,i,4102444800000,view,\n", nil, "column occurred_at is 4102444800000 (2100-01-01T00:00:00.000Z): give a time at most"},
		"type":               {"interactions.csv", header + "u,i,1769860800000,glance,\n", nil, `column type: 1 of its values are not known: "glance" in 1 row (first at interactions.csv:2): give one of impression, view`},
		"no type":            {"interactions.csv", header + "u,i,1769860800000,,\n", nil, "column type is empty"},
		"value":              {"interactions.csv", header + "u,i,1769860800000,view,many\n", nil, `column value is "many": give a finite number, or leave it empty`},
		"infinite value":     {"interactions.csv", header + "u,i,1769860800000,view,inf\n", nil, `column value is "inf"`},
		"its own name":       {"interactions.csv", "u,item_id,occurred_at\n\xff,i,1769860800000\n", Columns{"user_id": "u"}, `column u (user_id) is "\xff": give valid UTF-8`},
		"long id":            {"interactions.csv", header + strings.Repeat("u", 257) + ",i,1769860800000,view,\n", nil, "column user_id is"},
		"price":              {"items.csv", items + "i,-1,,,,,,\n", nil, "items.csv:2: column price is -1: give a number from 0"},
		"published":          {"items.csv", items + "i,,soon,,,,,\n", nil, `column published_at is "soon"`},
		"age":                {"items.csv", items + "i,,,3000000000,,,,\n", nil, `column min_age is "3000000000": give a whole number from 0 to 2147483647`},
		"available":          {"items.csv", items + "i,,,,maybe,,,\n", nil, `column available is "maybe": give true or false`},
		"attributes":         {"items.csv", items + "i,,,,,{,,\n", nil, `column attributes is "{": it is no object: give a JSON object`},
		"many categories":    {"items.csv", items + "i,,,,,," + strings.Repeat("a|", 201) + ",\n", nil, "column categories is of 201 entries: give at most 128"},
		"long description":   {"items.csv", items + "i,,,,,,," + strings.Repeat("d", 70_000) + "\n", nil, "column description is"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{c.file: c.text}
			if c.file == "items.csv" {
				files["interactions.csv"] = header
			}
			_, _, err := readAll(t, folder(t, files), Options{Columns: c.columns})
			require.ErrorContains(t, err, c.want)
		})
	}
	both := folder(t, map[string]string{"interactions.csv": header, "interactions.parquet": ""})
	_, err := Open(both, Options{}, schemas.DefaultLimits())
	require.ErrorContains(t, err, "has interactions.csv and interactions.parquet: take one away")
}

// lots makes records that use every field, or leave it out.
type lots struct{ *rand.Rand }

func (l lots) maybe(s string) string {
	if l.IntN(3) == 0 {
		return ""
	}
	return fmt.Sprint(s, l.IntN(5), strings.Repeat("é|\"\n", l.IntN(3)))
}

func (l lots) list() []string {
	var list []string
	for range l.IntN(4) {
		list = append(list, l.maybe("x"))
	}
	return list
}

func (l lots) entries() map[string]string {
	if l.IntN(2) == 0 {
		return nil
	}
	return map[string]string{"k" + l.maybe("k"): l.maybe("v"), "other": ""}
}

func (l lots) number() *float64 {
	if l.IntN(2) == 0 {
		return nil
	}
	return new(l.Float64() * 100)
}

func (l lots) moment() time.Time {
	if l.IntN(3) == 0 {
		return time.Time{}
	}
	if ms := l.Int64N(4e12) - 2e12; ms < -1<<32 || ms > 1<<32 {
		return at(ms)
	}
	return at(0) // of the year 1970
}

func (l lots) interaction(i int) schemas.Interaction {
	return schemas.Interaction{
		EventID: fmt.Sprint("e", i), UserID: fmt.Sprint("u", l.IntN(9)), ItemID: fmt.Sprint("i", l.IntN(9)),
		Type: schemas.InteractionType(1 + l.IntN(int(schemas.Hide))), Value: l.number(), OccurredAt: at(noon/2 + l.Int64N(noon/2)),
		RequestID: strings.ReplaceAll(l.maybe("r"), "\n", " "), Surface: l.maybe("s"), Context: l.entries(),
	}
}

func (l lots) item(i int) schemas.ItemChange {
	item := schemas.ItemChange{
		ItemID: fmt.Sprint("i", i), Op: schemas.ItemOp(1 + l.IntN(2)), Version: 1 + l.Int64N(1e18),
		Title: l.maybe("t"), Description: l.maybe("d"), Categories: l.list(), Tags: l.list(), Brand: l.maybe("b"), Price: l.number(),
		Currency: l.maybe("c"), Available: l.IntN(2) == 0, Regions: l.list(), PublishedAt: l.moment(), MinAge: l.Int32N(99),
		Attributes: l.entries(),
	}
	if l.IntN(3) > 0 {
		item.OccurredAt = at(noon/2 + l.Int64N(noon/2))
	}
	return item
}

// writers are those of each form.
var writers = map[string]func(dir string) (*Writer, error){parquetForm: NewWriter, avroForm: NewAvroWriter}

func writeAll(t testing.TB, dir, form string, events []schemas.Interaction, items []schemas.ItemChange) {
	t.Helper()
	w, err := writers[form](dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	require.NoError(t, w.BeginInteractions())
	require.NoError(t, w.BeginItems())
	for i := range events {
		require.NoError(t, w.Interaction(&events[i], int64(i%3)))
	}
	for i := range items {
		require.NoError(t, w.Item(&items[i]))
	}
	require.NoError(t, w.Commit())
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for seed := range uint64(8) {
		l := lots{rand.New(rand.NewPCG(seed, 1))}
		var events []schemas.Interaction
		var items []schemas.ItemChange
		for i := range l.IntN(1500) { // beyond one batch of the writer
			events = append(events, l.interaction(i))
		}
		for i := range l.IntN(700) {
			items = append(items, l.item(i))
		}
		for form := range writers {
			dir := filepath.Join(t.TempDir(), "made")
			writeAll(t, dir, form, events, items)
			gotEvents, gotItems, err := readAll(t, dir, Options{})
			require.NoError(t, err)
			require.Equal(t, events, gotEvents, "%s, seed %d", form, seed)
			require.Equal(t, items, gotItems, "%s, seed %d", form, seed)
		}
	}
}

func TestWrittenWholeOrNotAtAll(t *testing.T) {
	for form, newWriter := range writers {
		dir := t.TempDir()
		l := lots{rand.New(rand.NewPCG(1, 1))}
		first := []schemas.Interaction{l.interaction(1)}
		writeAll(t, dir, form, first, nil)
		w, err := newWriter(dir)
		require.NoError(t, err)
		require.NoError(t, w.BeginInteractions())
		require.NoError(t, w.BeginItems())
		for i := range 5000 {
			e := l.interaction(i)
			require.NoError(t, w.Interaction(&e, 0))
		}
		require.NoError(t, w.Close(), "broken off")
		got, items, err := readAll(t, dir, Options{})
		require.NoError(t, err)
		require.Equal(t, first, got)
		require.Empty(t, items)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, left, 2, "no half of a file stays: %v", left)

		for other, newOther := range writers {
			if other == form {
				continue
			}
			w, err := newOther(dir)
			require.NoError(t, err)
			require.ErrorContains(t, w.BeginItems(), "items"+form+" is there already")
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "items.csv"), nil, 0o600))
		require.ErrorContains(t, w.BeginItems(), "is there already")
	}
}

// TestAvroBlocks: a block ends in time for readers that have one in memory, and none is empty, which ends a file for some of them.
func TestAvroBlocks(t *testing.T) {
	dir := t.TempDir()
	l := lots{rand.New(rand.NewPCG(3, 1))}
	var items []schemas.ItemChange
	for i := range 200 {
		items = append(items, l.item(i))
		items[i].Description = strings.Repeat("d", 50_000)
	}
	var events []schemas.Interaction
	for i := range 2 * recordsABlock {
		events = append(events, l.interaction(i))
	}
	blocks := func(name string) (counts []int64) {
		f, err := os.Open(filepath.Join(dir, name+avroForm))
		require.NoError(t, err)
		defer func() { require.NoError(t, f.Close()) }()
		r, err := goavro.NewOCFReader(f)
		require.NoError(t, err)
		require.Equal(t, goavro.CompressionSnappyLabel, r.CompressionName())
		for left := int64(0); r.Scan(); left-- {
			if left == 0 {
				left = r.RemainingBlockItems()
				counts = append(counts, left)
			}
			_, err := r.Read()
			require.NoError(t, err)
		}
		require.NoError(t, r.Err())
		return counts
	}
	writeAll(t, dir, avroForm, events, items)
	require.Equal(t, []int64{recordsABlock, recordsABlock}, blocks(interactionsFile))
	counts := blocks(itemsFile)
	require.Greater(t, len(counts), 200*50_000/bytesABlock)
	for _, n := range counts {
		require.Positive(t, n)
		require.Less(t, n, int64(30))
	}
	writeAll(t, dir, avroForm, nil, nil)
	require.Empty(t, blocks(interactionsFile))
	require.Empty(t, blocks(itemsFile))
}
