package tables

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func survey(t *testing.T, files map[string]string, options Options) (*Binding, error) {
	t.Helper()
	f, err := Open(folder(t, files), options, schemas.DefaultLimits())
	if err != nil {
		return nil, err
	}
	return f.Survey(t.Context())
}

func printed(t *testing.T, b *Binding) string {
	t.Helper()
	return strings.Join(b.Lines(), "\n") + "\n"
}

// TestTheBindingIsTold has upper-case names, as Snowflake, Oracle and Db2 give, which were left out in silence.
func TestTheBindingIsTold(t *testing.T) {
	b, err := survey(t, map[string]string{
		"interactions.csv": "USER_ID,ITEM_ID,OCCURRED_AT,TYPE,VALUE,version\nu,1,2026-01-31T12:00:00Z,Purchase,NaN,1.0.3\nu,2,2026-01-31T12:00:01Z,IMPRESSION,2,1\nu,2,2026-01-31T12:00:01Z,purchase,2,1\n",
		"items.csv":        "ITEM_ID,TITLE,CATEGORIES,AVAILABLE,Colour\n1,A,x|y,false,red\n2,None,,true,\n3,C,,yes,\n",
	}, Options{})
	require.NoError(t, err)
	require.Equal(t, strings.TrimLeft(`
interactions from "interactions.csv", 3 rows:
  user_id      "USER_ID"      but for case and marks
  item_id      "ITEM_ID"      but for case and marks
  type         "TYPE"         purchase 2, impression 1; but for case and marks
  value        "VALUE"        but for case and marks
  occurred_at  "OCCURRED_AT"  times with a zone; but for case and marks
  no column for event_id, request_id, surface, context
  columns left out: "version"
  VALUE (value): NaN in 1 row is no value
items from "items.csv", 3 rows:
  item_id     "ITEM_ID"     but for case and marks
  title       "TITLE"       but for case and marks
  categories  "CATEGORIES"  lists parted by "|"; but for case and marks
  available   "AVAILABLE"   but for case and marks
  no column for op, version, occurred_at, description, tags, brand, price, currency, regions, published_at, min_age, attributes
  columns left out: "Colour"
  TITLE (title): "None" in 1 row is taken as text: if it means none, say --map 'title.None='
2 of the 2 items that interactions name are in the table of items (100.0 %); 1 of its 3 items have no interaction (33.3 %)
  no interaction names "3" of the table of items
`, "\n"), printed(t, b))
}

func TestColumnsBySense(t *testing.T) {
	b, err := survey(t, map[string]string{"interactions.csv": "visitorid,sku,timestamp,rating\nu,1,1769860800,4\n"}, Options{})
	require.NoError(t, err)
	require.Equal(t, []FieldBinding{
		{"user_id", "visitorid", "a usual name"}, {"item_id", "sku", "a usual name"}, {"value", "rating", "a usual name"},
		{"occurred_at", "timestamp", "seconds since 1970; a usual name"}, {"type", "", "always rating"},
	}, b.Tables[0].Fields)

	_, err = survey(t, map[string]string{"interactions.csv": "uid,visitor,item_id,ts\nu,v,1,1769860800\n"}, Options{})
	require.ErrorContains(t, err, `there is no column user_id ("uid", "visitor" may all be meant: name one with --columns): it has "uid", "visitor", "item_id", "ts"; name it with --columns interactions.user_id=COLUMN`)
	unclear := map[string]string{"interactions.csv": "uid,visitor,item_id,ts,action,event\nu,v,1,1769860800,view,x\n"}
	_, err = survey(t, unclear, Options{Columns: Columns{"user_id": "uid"}})
	require.ErrorContains(t, err, `the column of the type is not clear: "action", "event" may all be meant: name one with --columns, or leave it out with --columns type=`)
	b, err = survey(t, unclear, Options{Columns: Columns{"user_id": "uid", "type": ""}})
	require.NoError(t, err)
	require.Contains(t, b.Tables[0].Fields, FieldBinding{"type", "", "always view"})
	require.Equal(t, []string{"visitor", "action", "event"}, b.Tables[0].LeftOut)
}

func TestFieldsAreLeftOutAndValuesMapped(t *testing.T) {
	files := map[string]string{"interactions.csv": "user_id,item_id,occurred_at,type,value\nu,1,1769860800000,addtocart,great\nu,2,1769860800000,transaction,\nu,3,1769860800000,search,\nu,3,1769860800000,transaction,\n"}
	_, err := survey(t, files, Options{})
	require.ErrorContains(t, err, `reading interactions.csv: column type: 3 of its values are not known: "transaction" in 2 rows (first at interactions.csv:3), `+
		`"addtocart" in 1 row (first at interactions.csv:2), "search" in 1 row (first at interactions.csv:4): give one of impression, view`)
	require.ErrorContains(t, err, "say what each means with --map 'type.transaction=purchase'")

	values := Values{"type.addtocart": "add_to_cart", "type.transaction": "purchase", "type.search": ""}
	events, _, err := readAll(t, folder(t, files), Options{Values: values, Columns: Columns{"value": ""}})
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.Equal(t, []schemas.InteractionType{schemas.AddToCart, schemas.Purchase, schemas.Purchase},
		[]schemas.InteractionType{events[0].Type, events[1].Type, events[2].Type})
	b, err := survey(t, files, Options{Values: values, Columns: Columns{"value": ""}})
	require.NoError(t, err)
	require.EqualValues(t, 1, b.Tables[0].LeftOutRows)
	require.Contains(t, b.Tables[0].Missing, "value (left out by --columns)")
	require.Contains(t, printed(t, b), "3 rows, 1 row left out by --map:")
	_, _, err = readAll(t, folder(t, files), Options{Values: values})
	require.ErrorContains(t, err, `column value is "great": give a finite number`)

	for key, want := range map[string]string{"addtocart": "give FIELD.VALUE=MEANING", "kind.x": `"kind" is no field`, "items.x": "give FILE.FIELD.VALUE=MEANING"} {
		_, err := survey(t, files, Options{Values: Values{key: "x"}})
		require.ErrorContains(t, err, want)
	}
	_, items, err := readAll(t, folder(t, map[string]string{
		"interactions.csv": "user_id,item_id,occurred_at\nu,1,1769860800000\n", "items.csv": "item_id,available,title\n1,in stock,None\n2,sold out,B\n",
	}), Options{Values: Values{"available.in stock": "true", "items.available.sold out": "false", "title.None": ""}})
	require.NoError(t, err)
	require.True(t, items[0].Available)
	require.Empty(t, items[0].Title)
	require.False(t, items[1].Available)
}

// TestIDsThatAreNone has ids that went through a number, or say that there is none.
func TestIDsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		ids  []string
		want string // empty: they are ids
	}{
		"through a float":     {[]string{"10000007.0", "10000008.0"}, `column item_id: "10000007.0" at interactions.csv:2 is a whole number that went through a floating one`},
		"scientific":          {[]string{"7", "1.0000007e7"}, `"1.0000007e7" at interactions.csv:3 is a whole number that went through`},
		"short":               {[]string{"1e7"}, "went through a floating one"},
		"hexadecimal":         {[]string{"1e7", "3f2", "42"}, ""},
		"versions":            {[]string{"1.5", "2.5"}, ""},
		"NaN":                 {[]string{"7", "NaN"}, `interactions.csv:3: column item_id is "NaN": it is no id but says that there is none: give one, or leave out the rows that have none with --map 'item_id.NaN='`},
		"NULL":                {[]string{"NULL"}, "says that there is none"},
		"None":                {[]string{"None"}, "says that there is none"},
		"Hive's":              {[]string{`\N`}, `column item_id is "\\N": give a value in each row`},
		"a space":             {[]string{" 5"}, "has a space at its beginning or end"},
		"zeros":               {[]string{"0663713001"}, ""},
		"a word that has one": {[]string{"NULL-7", "nanny"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := "user_id,item_id,occurred_at\n"
			for i, id := range c.ids {
				text += fmt.Sprintf("u%d,%s,1769860800000\n", i, id)
			}
			_, err := survey(t, map[string]string{"interactions.csv": text}, Options{})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	events, _, err := readAll(t, folder(t, map[string]string{"interactions.csv": "user_id,item_id,occurred_at\nu,NaN,1769860800000\nu,7,1769860800000\n"}),
		Options{Values: Values{"item_id.NaN": ""}})
	require.NoError(t, err)
	require.Len(t, events, 1)
}

func TestTheOverlapIsTold(t *testing.T) {
	files := func(touched, items []string) map[string]string {
		text := "user_id,item_id,occurred_at\n"
		for _, id := range touched {
			text += "u," + id + ",1769860800000\n"
		}
		return map[string]string{"interactions.csv": text, "items.csv": "item_id\n" + strings.Join(items, "\n") + "\n"}
	}
	b, err := survey(t, files([]string{"1", "2", "2", "9"}, []string{"1", "2", "3"}), Options{})
	require.NoError(t, err)
	require.Equal(t, &Overlap{Items: 3, Touched: 3, Known: 2, Unknown: []string{"9"}, Untouched: []string{"3"}}, b.Overlap)
	require.Contains(t, printed(t, b), `2 of the 3 items that interactions name are in the table of items (66.7 %); 1 of its 3 items have no interaction (33.3 %)
  interactions name "9", which the table of items lacks
  no interaction names "3" of the table of items`)

	_, err = survey(t, files([]string{"0663713001"}, []string{"663713001"}), Options{})
	require.ErrorContains(t, err, `none of the 1 items that interactions name is in the table of items, which has 1: interactions name "0663713001", `+
		`the table of items has "663713001": 1 of the first 1 would be the same without zeros at the beginning`)
	_, err = survey(t, files([]string{"a1"}, []string{"A1"}), Options{})
	require.ErrorContains(t, err, "the same in lower case")
	_, err = survey(t, files([]string{"shop:1"}, []string{"1"}), Options{})
	require.ErrorContains(t, err, "without what stands before the last / : or #")
	_, err = survey(t, files([]string{"x"}, []string{"y"}), Options{})
	require.ErrorContains(t, err, "name the columns that hold the same ids")
	b, err = survey(t, map[string]string{"interactions.csv": "user_id,item_id,occurred_at\nu,1,1769860800000\n"}, Options{})
	require.NoError(t, err)
	require.Contains(t, printed(t, b), "no table of items: they have ids and nothing else")
}

// TestOrderOfOneMoment: a column that is told, or the writer's own, parts rows of one moment; a column called order does not.
func TestOrderOfOneMoment(t *testing.T) {
	orders := func(header string, options Options) (orders []int64) {
		f, err := Open(folder(t, map[string]string{"interactions.csv": header + "\nu,i,1769860800000,7\nu,j,1769860800000,3\n"}), options, schemas.DefaultLimits())
		require.NoError(t, err)
		require.NoError(t, f.EachInteraction(t.Context(), func(_ *schemas.Interaction, order int64) error {
			orders = append(orders, order)
			return nil
		}))
		return orders
	}
	require.Equal(t, []int64{0, 0}, orders("user_id,item_id,occurred_at,order", Options{}))
	require.Equal(t, []int64{7, 3}, orders("user_id,item_id,occurred_at,freshet_order", Options{}))
	require.Equal(t, []int64{7, 3}, orders("user_id,item_id,occurred_at,seq", Options{Columns: Columns{"order": "seq"}}))
}
