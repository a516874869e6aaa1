package tables

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// readFormat reads the fixture of a format, which has the shape in which the data set is published.
func readFormat(t *testing.T, name string) ([]schemas.Interaction, map[string]schemas.ItemChange, *Binding) {
	t.Helper()
	mapping, err := NamedMapping(name)
	require.NoError(t, err)
	f, err := Open(filepath.Join("testdata/formats", name), Options{Mapping: &mapping, Format: name}, schemas.DefaultLimits())
	require.NoError(t, err)
	binding, err := f.Survey(t.Context())
	require.NoError(t, err)
	var events []schemas.Interaction
	require.NoError(t, f.EachInteraction(t.Context(), func(e *schemas.Interaction, _ int64) error {
		events = append(events, *e)
		return nil
	}))
	items := map[string]schemas.ItemChange{}
	require.NoError(t, f.EachItem(t.Context(), func(i *schemas.ItemChange) error {
		items[i.ItemID] = *i
		return nil
	}))
	return events, items, binding
}

func TestFormatsAsTheyArePublished(t *testing.T) {
	item := func(i schemas.ItemChange) schemas.ItemChange {
		i.Op, i.Version, i.Available = schemas.UpsertItem, 1, true
		return i
	}
	utc := func(y int, month time.Month, d, h, m, s, ms int) time.Time {
		return time.Date(y, month, d, h, m, s, ms*1e6, time.UTC)
	}
	for name, c := range map[string]struct {
		events []schemas.Interaction
		items  []schemas.ItemChange
	}{
		"retailrocket": {
			[]schemas.Interaction{
				{EventID: "events.csv:2", UserID: "257597", ItemID: "355908", Type: schemas.View, OccurredAt: at(1433221332117)},
				{EventID: "events.csv:3", UserID: "992329", ItemID: "248676", Type: schemas.AddToCart, OccurredAt: at(1433224214164)},
				{EventID: "events.csv:4", UserID: "599528", ItemID: "356475", Type: schemas.Purchase, OccurredAt: at(1433222276276)},
			},
			[]schemas.ItemChange{
				item(schemas.ItemChange{ItemID: "355908", Categories: []string{"1338"}, OccurredAt: at(1435460400000)}),
				{ItemID: "248676", Categories: []string{"342"}, OccurredAt: at(1434250800000), Op: schemas.UpsertItem, Version: 1},
				item(schemas.ItemChange{ItemID: "356475", Categories: []string{"104"}, OccurredAt: at(1433041200000)}),
			},
		},
		"otto": {
			[]schemas.Interaction{
				{EventID: "otto-recsys-train.jsonl:1", UserID: "12899779", ItemID: "59625", Type: schemas.Click, OccurredAt: at(1661724000278)},
				{EventID: "otto-recsys-train.jsonl:1#2", UserID: "12899779", ItemID: "1142000", Type: schemas.AddToCart, OccurredAt: at(1661724058352)},
				{EventID: "otto-recsys-train.jsonl:2", UserID: "12899780", ItemID: "59625", Type: schemas.Purchase, OccurredAt: at(1661724000378)},
			}, nil,
		},
		"mind": {
			[]schemas.Interaction{
				{EventID: "behaviors.tsv:1", UserID: "U13740", ItemID: "N55689", Type: schemas.Click, OccurredAt: utc(2019, 11, 11, 9, 5, 58, 0), RequestID: "1"},
				{EventID: "behaviors.tsv:1#2", UserID: "U13740", ItemID: "N35729", Type: schemas.Impression, OccurredAt: utc(2019, 11, 11, 9, 5, 58, 0), RequestID: "1"},
				{EventID: "behaviors.tsv:2", UserID: "U91836", ItemID: "N35729", Type: schemas.Click, OccurredAt: utc(2019, 11, 12, 18, 11, 30, 0), RequestID: "2"},
			},
			[]schemas.ItemChange{
				item(schemas.ItemChange{ItemID: "N55689", Title: `The "Big" Game`, Description: `A quote: "no`, Categories: []string{"sports", "football_nfl"}}),
				item(schemas.ItemChange{ItemID: "N35729", Title: `World "News`, Categories: []string{"news", "world"}}),
			},
		},
		"yoochoose": {
			[]schemas.Interaction{
				{EventID: "yoochoose-clicks.dat:1", UserID: "1", ItemID: "214536502", Type: schemas.Click, OccurredAt: utc(2014, 4, 7, 10, 51, 9, 277)},
				{EventID: "yoochoose-clicks.dat:2", UserID: "1", ItemID: "214536500", Type: schemas.Click, OccurredAt: utc(2014, 4, 7, 10, 54, 9, 868)},
				{EventID: "yoochoose-buys.dat:1", UserID: "1", ItemID: "214536502", Type: schemas.Purchase, OccurredAt: utc(2014, 4, 7, 10, 57, 0, 306)},
			}, nil,
		},
		"recbole": {
			[]schemas.Interaction{
				{EventID: "ml.inter:2", UserID: "196", ItemID: "242", Type: schemas.Rating, Value: new(3.0), OccurredAt: at(881250949000)},
				{EventID: "ml.inter:3", UserID: "186", ItemID: "302", Type: schemas.Rating, Value: new(3.0), OccurredAt: at(891717742000)},
			},
			[]schemas.ItemChange{
				item(schemas.ItemChange{ItemID: "242", Title: "Kolya"}), item(schemas.ItemChange{ItemID: "302", Title: "L.A. Confidential"}),
			},
		},
		"amazon2023": {
			[]schemas.Interaction{
				{EventID: "All_Beauty.jsonl:1", UserID: "AGKHLEW2SOWHNMFQIJGBECAF7INQ", ItemID: "B00YQ6X8EO", Type: schemas.Rating, Value: new(5.0), OccurredAt: at(1588687728923)},
				{EventID: "All_Beauty.jsonl:2", UserID: "AGKHLEW2SOWHNMFQIJGBECAF7INQ", ItemID: "B081TJ8YS3", Type: schemas.Rating, Value: new(1.0), OccurredAt: at(1589665266052)},
			},
			[]schemas.ItemChange{
				item(schemas.ItemChange{ItemID: "B00YQ6X8EO", Title: "Lagunamoon Spray", Description: "One.\nTwo.", Brand: "Lagunamoon"}),
				item(schemas.ItemChange{ItemID: "B081TJ8YS3", Title: "Gloves", Categories: []string{"Beauty", "Hands"}}),
			},
		},
		"rees46": {
			[]schemas.Interaction{
				{EventID: "2019-Oct.csv:2", UserID: "541312140", ItemID: "44600062", Type: schemas.View, OccurredAt: utc(2019, 10, 1, 0, 0, 0, 0)},
				{EventID: "2019-Oct.csv:3", UserID: "554748717", ItemID: "3900821", Type: schemas.AddToCart, OccurredAt: utc(2019, 10, 1, 0, 0, 1, 0)},
				{EventID: "2019-Oct.csv:5", UserID: "554748717", ItemID: "3900821", Type: schemas.Purchase, OccurredAt: utc(2019, 10, 1, 0, 0, 5, 0)},
			},
			[]schemas.ItemChange{
				item(schemas.ItemChange{ItemID: "44600062", Brand: "shiseido", Price: new(35.79), OccurredAt: utc(2019, 10, 1, 0, 0, 0, 0)}),
				item(schemas.ItemChange{
					ItemID: "3900821", Categories: []string{"appliances", "environment", "water_heater"}, Brand: "aqua", Price: new(31.0),
					OccurredAt: utc(2019, 10, 1, 0, 0, 5, 0),
				}),
			},
		},
		"hm": {
			[]schemas.Interaction{
				{EventID: "transactions_train.csv:2", UserID: "000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318", ItemID: "0663713001", Type: schemas.Purchase, OccurredAt: utc(2018, 9, 20, 0, 0, 0, 0)},
				{EventID: "transactions_train.csv:3", UserID: "000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318", ItemID: "0541518023", Type: schemas.Purchase, OccurredAt: utc(2018, 9, 21, 0, 0, 0, 0)},
			},
			[]schemas.ItemChange{
				item(schemas.ItemChange{
					ItemID: "0663713001", Title: "Atlanta Push Body Harlow", Description: "Lace push-up body, underwired.",
					Categories: []string{"Ladieswear", "Underwear", "Underwear body"}, Tags: []string{"Black", "Solid"},
				}),
				item(schemas.ItemChange{
					ItemID: "0541518023", Title: "Rae Push (Melbourne) 2p", Categories: []string{"Ladieswear", "Underwear", "Bra"},
					Tags: []string{"Light Pink", "Solid"},
				}),
			},
		},
		"criteo": {
			[]schemas.Interaction{
				{EventID: "criteo_attribution_dataset.tsv:2", UserID: "20073966", ItemID: "22589171", Type: schemas.Impression, OccurredAt: utc(2017, 1, 1, 0, 0, 0, 0)},
				{EventID: "criteo_attribution_dataset.tsv:3", UserID: "24607497", ItemID: "884761", Type: schemas.Click, OccurredAt: utc(2017, 1, 1, 0, 0, 2, 0)},
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			events, items, binding := readFormat(t, name)
			require.Equal(t, c.events, events)
			require.Len(t, items, len(c.items))
			for _, want := range c.items {
				require.Equal(t, want, items[want.ItemID])
			}
			require.Contains(t, strings.Join(binding.Lines(), "\n"), "user_id")
		})
	}
	require.ElementsMatch(t, Formats(), []string{"amazon2023", "criteo", "hm", "mind", "otto", "recbole", "rees46", "retailrocket", "yoochoose"},
		"each has a case above")
}

func TestMappingFiles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {"", "interactions: name a source of them"},
		"no files":          {"interactions: [{columns: {user_id: u}}]", "interactions[0]: files: name them"},
		"an unknown key":    {"interactions: [{file: x}]", "field file not found"},
		"an unknown field":  {"interactions: [{files: [x], columns: {user: u}}]", `columns: "user" is no field of the interactions: choose from event_id`},
		"a time":            {"interactions: [{files: [x], times: {occurred_at: days}}]", `"days" is no form of times: give s, ms`},
		"times of a text":   {"interactions: [{files: [x], times: {user_id: s}}]", "times: user_id is no time"},
		"lists of a text":   {"interactions: [{files: [x]}]\nitems: [{files: [x], lists: {title: json}}]", "items[0]: lists: title is no list"},
		"columns of a text": {"interactions: [{files: [x]}]\nitems: [{files: [x], columns: {title: [a, b]}}]", "title has several columns, and is no list"},
		"a zone":            {"interactions: [{files: [x], zone: Mars}]", `zone is "Mars": give UTC, or a name such as Europe/Berlin`},
		"a separator":       {`interactions: [{files: [x], separator: "::"}]`, `separator is "::": give one character`},
		"quotes":            {"interactions: [{files: [x], quotes: single}]", `quotes is "single": give doubled, escaped or none`},
		"parts":             {"interactions: [{files: [x], parts: {column: a, separator: ' ', pattern: 'x'}}]", "give groups with names"},
		"newest":            {"interactions: [{files: [x], newest: true}]", "newest and pivot are for items"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mapping.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			_, err := ReadMapping(path)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := NamedMapping("lastfm")
	require.ErrorContains(t, err, `format is "lastfm": choose one of amazon2023, criteo`)
	dir := folder(t, map[string]string{"a.csv": strings.TrimSpace("u,i,t\n1,2,1769860800000") + "\n"})
	mapping, err := parseMapping([]byte("interactions: [{files: ['../*.csv'], columns: {user_id: u, item_id: i, occurred_at: t}}]"))
	require.NoError(t, err)
	_, err = Open(dir, Options{Mapping: &mapping}, schemas.DefaultLimits())
	require.ErrorContains(t, err, "leaves the folder")
}

// TestTheMappingInTheDocuments: what people copy from there is a mapping.
func TestTheMappingInTheDocuments(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/data.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	require.True(t, found)
	example, _, _ := strings.Cut(rest, "```")
	mapping, err := parseMapping([]byte(example))
	require.NoError(t, err)
	require.Len(t, mapping.Interactions, 2)
	require.Equal(t, "sku", mapping.Items[0].Pivot.Key)
	for _, name := range Formats() {
		require.Contains(t, string(text), "| `"+name+"` |", "the table of public data sets has each format")
	}
}
