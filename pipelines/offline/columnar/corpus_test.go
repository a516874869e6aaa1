package columnar

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sayValue is a value as testdata/corpus.py says it.
func sayValue(v *Value) any {
	switch v.Kind {
	case Null:
		return nil
	case Float:
		if math.IsNaN(v.Float) {
			return "NaN"
		}
		return strconv.FormatInt(int64(math.Float64bits(v.Float)), 10)
	case Text:
		return hex.EncodeToString(v.Text)
	case Decimal:
		return string(v.Text)
	default:
		return strconv.FormatInt(v.Int, 10)
	}
}

func sayCell(c *Cell) any {
	if c.Shape == Scalar {
		return sayValue(&c.Values[0])
	}
	list := []any{}
	for i := range c.Values {
		if c.Shape == Map {
			list = append(list, []any{sayValue(&c.Keys[i]), sayValue(&c.Values[i])})
			continue
		}
		list = append(list, sayValue(&c.Values[i]))
	}
	return list
}

// cellsOf are the cells of one column.
func cellsOf(f *File, name string) ([]any, error) {
	rows, err := f.Rows(name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cells := []any{}
	for rows.Next() {
		cells = append(cells, sayCell(rows.Cell(0)))
	}
	return cells, rows.Err()
}

// What pyarrow reads of the corpus and this package does not, and why.
var (
	refusedFiles = map[string]string{
		// Its footer has no rows, and its row groups have some.
		"repeated_no_annotation.parquet": "it says that it has 0 rows, and its row groups have 6",
	}
	refusedColumns = map[string]string{
		// parquet-mr before 1.2.9 forgot the dictionary's header when it summed up sizes.
		"nation.dict-malformed.parquet": "a page is longer than what is left of its column",
	}
	// Its last moment is beyond what Spark counts in microseconds, which wraps.
	comparedRows = map[string]int{"int96_from_spark.parquet": 5}
	refusedTypes = []string{"its type is GEOMETRY or GEOGRAPHY", "its type is VARIANT"}
)

// TestCorpus reads the files of Apache's parquet-testing, or others, and compares them with what pyarrow reads, which
// testdata/corpus.py has written beside them. Files that pyarrow cannot read either must not hurt.
func TestCorpus(t *testing.T) {
	folder := os.Getenv("FRESHET_PARQUET_TESTING")
	if folder == "" {
		t.Skip("FRESHET_PARQUET_TESTING names no folder of Parquet files (fill it with testdata/corpus.py)")
	}
	compared := 0
	require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		t.Run(filepath.Base(path), func(t *testing.T) { compared += compareFile(t, path) })
		return nil
	}))
	require.Positive(t, compared, "no column was compared: run testdata/corpus.py")
	t.Logf("%d columns are as pyarrow reads them", compared)
}

// compareFile gives the number of columns that were compared.
func compareFile(t *testing.T, path string) (compared int) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	dump, err := os.ReadFile(path + ".json")
	if err != nil {
		n, err := read(b, DefaultBounds())
		t.Logf("pyarrow reads nothing; here %d rows and %v", n, err)
		return 0
	}
	var want map[string][]any
	require.NoError(t, json.Unmarshal(dump, &want))
	file := filepath.Base(path)
	f, err := Open(bytes.NewReader(b), int64(len(b)), DefaultBounds())
	if why := refusedFiles[file]; why != "" {
		require.ErrorContains(t, err, why)
		return 0
	}
	require.NoError(t, err)
	for _, c := range f.Columns() {
		cells, err := cellsOf(f, c.Name)
		wanted, known := want[c.Name]
		refused := refusedColumns[file] != "" && err != nil && strings.Contains(err.Error(), refusedColumns[file])
		refused = refused || c.Problem != nil && slices.ContainsFunc(refusedTypes, func(why string) bool {
			return strings.Contains(c.Problem.Error(), why)
		})
		if refused || !known {
			t.Logf("column %s is not compared: %v", c.Name, err)
			continue
		}
		require.NoError(t, err, "column %s of type %s", c.Name, c.Type)
		if n, ok := comparedRows[file]; ok {
			wanted, cells = wanted[:n], cells[:n]
		}
		require.Equal(t, wanted, cells, "column %s of type %s", c.Name, c.Type)
		compared++
	}
	return compared
}
