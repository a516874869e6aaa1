package tables

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// TestSlipsAreTold has what people were seen to trip over: what is read in silence is read right, or is an error that says the way out.
func TestSlipsAreTold(t *testing.T) {
	const head = "user_id,item_id,occurred_at"
	const row = "u,i,1769860800000"
	const one = head + "\n" + row + "\n"
	for name, c := range map[string]struct {
		files   map[string]string
		options Options
		want    string // of the error; empty: there is none
	}{
		"a map of no column":        {map[string]string{"interactions.csv": one}, Options{Values: Values{"type.basket": "view"}}, "--map tells of type.basket, and there is no column for type"},
		"a map of no value":         {map[string]string{"interactions.csv": head + ",type\n" + row + ",view\n"}, Options{Values: Values{"type.basket": "view"}}, "--map tells of type.basket, and no row has that value"},
		"a meaning that is none":    {map[string]string{"interactions.csv": one}, Options{Values: Values{"type.basket": "addtocart"}}, "type.basket=addtocart"},
		"times of no column":        {map[string]string{"interactions.csv": one}, Options{Times: ForFields{"published_at": "s"}}, "--times tells of published_at, for which there is no column"},
		"lists of no column":        {map[string]string{"interactions.csv": one}, Options{Lists: ForFields{"tags": "json"}}, "--lists tells of tags, for which there is no column"},
		"lists of nothing":          {map[string]string{"interactions.csv": one}, Options{Lists: ForFields{"tags": ""}}, "lists: tags=: give json, python"},
		"a column of no table":      {map[string]string{"interactions.csv": one}, Options{Columns: Columns{"title": "name"}}, "--columns tells of title, and there is no such table"},
		"ids through a float, most": {map[string]string{"interactions.csv": head + "\nu,7.0,1769860800000\nu,8.0,1769860800000\nu,unknown,1769860800000\n"}, Options{}, "went through a floating one"},
		"an item twice":             {map[string]string{"interactions.csv": one, "items.csv": "item_id\ni\ni\n"}, Options{}, `items.csv:3: column item_id is "i" a second time: give each item once`},
		"an object in a list":       {map[string]string{"interactions.csv": one, "items.jsonl": `{"item_id":"i","genres":[{"id":16}]}`}, Options{}, "genres: it holds a list or an object within: give plain values, or leave the field out"},
		"lists of two forms joined": {map[string]string{"interactions.csv": one, "items.csv": "item_id,a,b\ni,\"[\"\"x\"\"]\",\"['y']\"\n"}, Options{Mapping: &Mapping{
			Interactions: []Source{{Files: []string{"interactions.csv"}}}, Items: []Source{{Files: []string{"items.csv"}, Columns: map[string]Names{"categories": {"a", "b"}}}},
		}}, "looks like a list as python writes it"},
		"a pattern of all folders": {map[string]string{"interactions.csv": one}, Options{Mapping: &Mapping{Interactions: []Source{{Files: []string{"**/*.csv"}}}}}, "has **, which is not known"},
		"another table beside":     {map[string]string{"interactions.csv": one, "interactions_old.csv": "x\n", "items_features.csv": "x\n"}, Options{}, ""},
		"a version that is none":   {map[string]string{"interactions.csv": one, "items.csv": "item_id,version\ni,1.0.3\n"}, Options{}, "if the column is something else, leave it out with --columns version="},
		"a decimal comma":          {map[string]string{"interactions.csv": one, "items.csv": "item_id;price\ni;3,5\n"}, Options{}, `column price is "3,5": give a number with a point before its fraction`},
		"Latin-1":                  {map[string]string{"interactions.csv": one, "items.csv": "item_id,title\ni,Am\xe9lie\n"}, Options{}, "iconv -f latin1 -t utf-8"},
		"an order with a gap":      {map[string]string{"interactions.csv": head + ",seq\n" + row + ",\n"}, Options{Columns: Columns{"order": "seq"}}, "column seq (order) is empty: give a value in each row"},
		"no user":                  {map[string]string{"interactions.csv": one + ",i,1769860800000\n"}, Options{}, "column user_id is empty: give a value in each row, or leave out the rows that have none with --map 'user_id.='"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readAll(t, folder(t, c.files), c.options)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestRowsAreLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		values Values
	}{
		"without a user":  {"user_id,item_id,occurred_at\nu,i,1769860800000\n,i,1769860800000\n", Values{"user_id.": ""}},
		"with Hive's":     {"user_id,item_id,occurred_at\nu,i,1769860800000\n\\N,i,1769860800000\n", Values{`user_id.\N`: ""}},
		"without a time":  {"user_id,item_id,occurred_at\nu,i,1769860800000\nu,i,NaT\n", Values{"occurred_at.NaT": ""}},
		"of another type": {"user_id,item_id,occurred_at,type\nu,i,1769860800000,view\nu,i,1769860800000,ping\n", Values{"type.ping": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			events, _, err := readAll(t, folder(t, map[string]string{"interactions.csv": c.text}), Options{Values: c.values})
			require.NoError(t, err)
			require.Len(t, events, 1)
		})
	}
	_, items, err := readAll(t, folder(t, map[string]string{
		"interactions.csv": "user_id,item_id,occurred_at\nu,i,1769860800000\n", "items.csv": "item_id,op,published_at\ni,upsert,1995\nj,gone,1996\n",
	}), Options{Values: Values{"op.gone": ""}, Times: ForFields{"published_at": "yyyy"}})
	require.NoError(t, err)
	require.Len(t, items, 1, "an item whose op means nothing is left out")
	require.Equal(t, time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC), items[0].PublishedAt)
}

// TestQuotesThatOpenAndCloseElsewhere: read as RFC 4180 the rows between would be one title.
func TestQuotesThatOpenAndCloseElsewhere(t *testing.T) {
	_, items, err := readAll(t, folder(t, map[string]string{
		"interactions.csv": "user_id,item_id,occurred_at\nu,a,1769860800000\n",
		"items.tsv":        "item_id\ttitle\na\t\"Heroes\nb\tplain\nc\tLive at 12\"\n",
	}), Options{})
	require.NoError(t, err)
	var titles []string
	for _, i := range items {
		titles = append(titles, i.Title)
	}
	require.Equal(t, []string{`"Heroes`, "plain", `Live at 12"`}, titles)
	_, items, err = readAll(t, folder(t, map[string]string{
		"interactions.csv": "user_id,item_id,occurred_at\nu,a,1769860800000\n",
		"items.tsv":        "item_id\ttitle\na\t\"two\nlines\"\n",
	}), Options{})
	require.NoError(t, err)
	require.Equal(t, schemas.ItemChange{ItemID: "a", Op: schemas.UpsertItem, Version: 1, Available: true, Title: "two\nlines"}, items[0])
}
