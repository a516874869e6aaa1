package tables

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return string(w.EncodeAll([]byte(text), nil))
}

const threeRows = "user_id,item_id,occurred_at\nu1,i1,1769860800000\nu2,i2,1769860800001\nu3,i3,1769860800002\n"

func TestFormsOfTables(t *testing.T) {
	lines := func(separator string) string { return strings.ReplaceAll(threeRows, ",", separator) }
	asJSON := `{"user_id":"u1","item_id":"i1","occurred_at":1769860800000}` + "\n\n" +
		`{"occurred_at":1769860800001,"item_id":"i2","late":{"a":[1,"}"]},"user_id":"u2"}` + "\n" +
		`{"user_id":"u\u0033","item_id":"i3","occurred_at":1769860800002}`
	for name, files := range map[string]map[string]string{
		"CSV":                     {"interactions.csv": threeRows},
		"CRLF":                    {"interactions.csv": strings.ReplaceAll(threeRows, "\n", "\r\n")},
		"gzip":                    {"interactions.csv.gz": gzipped(t, threeRows)},
		"two members of gzip":     {"interactions.csv.gz": gzipped(t, threeRows[:40]) + gzipped(t, threeRows[40:])},
		"zstd":                    {"interactions.csv.zst": zstandard(t, threeRows)},
		"compressed, not called":  {"interactions.csv": zstandard(t, threeRows)},
		"TSV":                     {"interactions.tsv": lines("\t")},
		"semicolons":              {"interactions.csv": lines(";")},
		"told to Excel":           {"interactions.csv": "\ufeffsep=;\r\n" + lines(";")},
		"told to Excel, quoted":   {"interactions.csv": "\"SEP=;\"\n" + lines(";")},
		"bars":                    {"interactions.txt": lines("|")},
		"a mark before a quote":   {"interactions.csv": "\ufeff\"user_id\"" + threeRows[7:]},
		"JSON lines":              {"interactions.jsonl": asJSON},
		"JSON lines, compressed":  {"interactions.json.gz": gzipped(t, asJSON)},
		"Spark's parts":           {"interactions.csv/part-0.csv": threeRows[:48], "interactions.csv/part-1.csv": threeRows[:28] + "u2,i2,1769860800001\nu3,i3,1769860800002\n", "interactions.csv/_SUCCESS": "", "interactions.csv/.part-0.csv.crc": "crc"},
		"an empty part":           {"interactions/a.csv": threeRows, "interactions/b.csv": ""},
		"numbered files":          {"interactions-1.csv": threeRows[:48], "interactions-2.csv.gz": gzipped(t, threeRows[:28]+threeRows[48:])},
		"Hive's partitions":       {"interactions/user_id=u1/x.csv": "item_id,occurred_at\ni1,1769860800000\n", "interactions/user_id=u2/x.csv": "item_id,occurred_at\ni2,1769860800001\n", "interactions/user_id=u3/x.csv": "item_id,occurred_at\ni3,1769860800002\n"},
		"a part without a column": {"interactions/a.csv": strings.ReplaceAll(threeRows[:48], "\n", ",\n")[:27] + ",surface\nu1,i1,1769860800000,\n", "interactions/b.csv": threeRows[:28] + threeRows[48:]},
	} {
		t.Run(name, func(t *testing.T) {
			events, _, err := readAll(t, folder(t, files), Options{})
			require.NoError(t, err)
			require.Len(t, events, 3)
			for i, e := range events {
				require.Equal(t, fmt.Sprint("u", i+1), e.UserID)
				require.Equal(t, fmt.Sprint("i", i+1), e.ItemID)
				require.Equal(t, at(noon+int64(i)), e.OccurredAt)
			}
		})
	}
}

// TestPathsWithinJSON reads what lies within objects, in lines as BigQuery and Kafka's sinks write them.
func TestPathsWithinJSON(t *testing.T) {
	mapping := &Mapping{Interactions: []Source{{Files: []string{"interactions.jsonl"}, Explode: "hits"}}}
	for name, c := range map[string]struct {
		lines   string
		columns Columns
		mapping *Mapping
		wrong   string
	}{
		"two levels": {
			lines: `{"who":{"id":"u1","by":{"item":"i1"}},"at":{"ms":1769860800000}}
{"who":{"by":{"item":"i2"},"id":"u2"},"at":{"ms":1769860800001},"deep":{"a":[{"b":1}]}}`,
			columns: Columns{"user_id": "who.id", "item_id": "who.by.item", "occurred_at": "at.ms"},
		},
		"within an exploded list": {
			lines: `{"who":{"id":"u1"},"hits":[{"product":{"id":"i1"},"ms":1769860800000}]}
{"who":{"id":"u2"},"hits":[{"product":{"id":"i2"},"ms":1769860800001}]}`,
			columns: Columns{"user_id": "who.id", "item_id": "hits.product.id", "occurred_at": "hits.ms"}, mapping: mapping,
		},
		"a path that no line has": {
			lines:   `{"who":{"id":"u1"},"item_id":"i1","occurred_at":1769860800000}`,
			columns: Columns{"user_id": "who.name"}, wrong: "who.name",
		},
		"an object that is no map": {
			lines: `{"user_id":"u1","item_id":"i1","occurred_at":1769860800000,"value":{"a":{"b":1}}}`, wrong: "value: it is an object that holds a list " +
				"or an object: name what lies within with --columns FIELD=KEY.KEY",
		},
		"a path that a line lacks": {
			lines: `{"who":{"id":"u1"},"item_id":"i1","occurred_at":1769860800000}
{"who":7,"item_id":"i2","occurred_at":1769860800000}`,
			columns: Columns{"user_id": "who.id"}, wrong: "interactions.jsonl:2: column who.id (user_id) is empty: give a value in each row",
		},
	} {
		t.Run(name, func(t *testing.T) {
			events, _, err := readAll(t, folder(t, map[string]string{"interactions.jsonl": c.lines}), Options{Columns: c.columns, Mapping: c.mapping})
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.Len(t, events, 2)
			for i, e := range events {
				require.Equal(t, [2]string{fmt.Sprint("u", i+1), fmt.Sprint("i", i+1)}, [2]string{e.UserID, e.ItemID})
				require.Equal(t, at(noon+int64(i)), e.OccurredAt)
			}
		})
	}
}

func TestFormsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a workbook":       {map[string]string{"interactions.csv": "PK\x03\x04rest"}, "it is a ZIP archive or a workbook of Excel: unpack it, or save the sheet as CSV"},
		"UTF-16":           {map[string]string{"interactions.csv": "\xff\xfeu\x00"}, "it is UTF-16: save it as UTF-8"},
		"a JSON array":     {map[string]string{"interactions.json": " [{}]"}, "it is one JSON array: write its elements as lines"},
		"ORC":              {map[string]string{"interactions.csv": "ORC\x0a"}, "it is an ORC file: write it as Parquet"},
		"no JSON":          {map[string]string{"interactions.json": "{\"a\":1}\n{oops\n"}, "reading interactions.json: line 2: it is no JSON"},
		"Python's NaN":     {map[string]string{"interactions.json": "{\"a\":NaN}\n"}, "line 1: it is no JSON"},
		"two tables":       {map[string]string{"interactions.csv": threeRows, "interactions/a.csv": threeRows}, "take one away"},
		"only _SUCCESS":    {map[string]string{"interactions/_SUCCESS": ""}, "has no file interactions"},
		"parts of forms":   {map[string]string{"interactions/a.csv": threeRows, "interactions/b.csv": "item_id\ni\n"}, `interactions/b.csv: it has no column "user_id" (user_id), which other parts have: it has "item_id"`},
		"a Delta table":    {map[string]string{"interactions/_delta_log/0.json": "{}", "interactions/a.csv": threeRows}, "interactions is a Delta table (it has _delta_log): its files also hold rows that were deleted or replaced since"},
		"Delta itself":     {map[string]string{"_delta_log/0.json": "{}", "interactions.csv": threeRows}, "is a Delta table"},
		"an Iceberg":       {map[string]string{"interactions/metadata/v1.metadata.json": "{}", "interactions/data/a.csv": threeRows}, "interactions is a Iceberg table"},
		"Hudi":             {map[string]string{"interactions/.hoodie/hoodie.properties": "", "interactions/a.csv": threeRows}, "Hudi table"},
		"a nested Delta":   {map[string]string{"interactions/x/_delta_log/0.json": "{}", "interactions/x/a.csv": threeRows}, "x is a Delta table"},
		"one line":         {map[string]string{"interactions.csv": ""}, "the file is empty: begin it with a header"},
		"parts of nothing": {map[string]string{"interactions/a.csv": "", "interactions/b.csv": ""}, "none of its 2 files has a line"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readAll(t, folder(t, c.files), Options{})
			require.ErrorContains(t, err, c.want)
		})
	}
	// A folder of partitions within a Delta table, reached past its root.
	dir := folder(t, map[string]string{"t/_delta_log/0.json": "{}", "t/day=1/interactions/a.csv": threeRows})
	_, err := Open(filepath.Join(dir, "t", "day=1"), Options{}, schemas.DefaultLimits())
	require.ErrorContains(t, err, "t is a Delta table")
	link := filepath.Join(t.TempDir(), "interactions")
	require.NoError(t, os.Symlink(filepath.Join(dir, "t", "day=1", "interactions"), link))
	_, err = Open(filepath.Dir(link), Options{}, schemas.DefaultLimits())
	require.ErrorContains(t, err, "t is a Delta table", "by a link as well")
}

// TestQuotesOfOtherWriters reads random tables as RFC 4180, Spark and MySQL, and tables of bare tabs write them.
func TestQuotesOfOtherWriters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", `"`, `\`, ",", ";", " ", "é", "'"}
	for range 60 {
		var titles []string
		for range 1 + rng.IntN(8) {
			title := "t"
			for range rng.IntN(8) {
				title += alphabet[rng.IntN(len(alphabet))]
			}
			titles = append(titles, title+"t")
		}
		write := map[string]func(title string) string{
			"doubled": func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` },
			"escaped": func(s string) string {
				return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
			},
		}
		for way, quote := range write {
			text := "item_id,title,brand\n"
			for i, title := range titles {
				text += fmt.Sprintf("i%d,%s,b\n", i, quote(title))
			}
			if _, err := csv.NewReader(strings.NewReader(text)).ReadAll(); way == "escaped" && err == nil {
				continue // it can be read as RFC 4180, too, and is then that
			}
			_, items, err := readAll(t, folder(t, map[string]string{"items.csv": text, "interactions.csv": "user_id,item_id,occurred_at\nu,i0,1769860800000\n"}), Options{})
			require.NoError(t, err, "%s: %s", way, text)
			for i, title := range titles {
				require.Equal(t, title, items[i].Title, "%s: %s", way, text)
			}
		}
		text := "item_id\ttitle\tbrand\n"
		for i, title := range titles {
			text += fmt.Sprintf("i%d\t\"%s\tb\n", i, title)
		}
		_, items, err := readAll(t, folder(t, map[string]string{"items.tsv": text, "interactions.csv": "user_id,item_id,occurred_at\nu,i0,1769860800000\n"}), Options{})
		require.NoError(t, err, text)
		for i, title := range titles {
			require.Equal(t, `"`+title, items[i].Title)
		}
	}
}
