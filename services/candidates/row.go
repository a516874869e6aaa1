package candidates

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
)

// What stands for values that an item lacks.
const (
	NoPrice    = -1
	Everywhere = "*"
)

// Capacities of the columns; strings in bytes. They are what schemas lets through at most, and one more region for Everywhere.
const (
	maxIDBytes     = schemas.MostIDBytes
	maxStringBytes = 1024
	maxListLength  = 129
)

// Row is one item in the index.
type Row struct {
	ItemID string
	Vector []float32
	// The rest is what filters can ask for.
	Available   bool
	Price       float32 // in the item's currency, NoPrice without one
	PublishedAt int64   // Unix milliseconds, 0 where unknown
	Categories  []string
	Regions     []string // [Everywhere] for an item without regions
	Brand       string
	MinAge      int32
}

// RowOf is the row of an item as it is after change.
func RowOf(change *schemas.ItemChange, vector []float32) Row {
	row := Row{
		ItemID:      change.ItemID,
		Vector:      vector,
		Available:   filter.IsAvailable(change),
		Price:       NoPrice,
		PublishedAt: filter.PublishedMillis(change),
		Categories:  change.Categories,
		Regions:     change.Regions,
		Brand:       change.Brand,
		MinAge:      change.MinAge,
	}
	if change.Price != nil {
		row.Price = float32(*change.Price)
	}
	if len(row.Regions) == 0 {
		row.Regions = []string{Everywhere}
	}
	return row
}

// FilterDigest is a hash of all that filters can ask for, not of id and vector. Rows with equal digests need no new upsert as
// long as their vectors are as good as equal.
func (r *Row) FilterDigest() uint64 {
	b := make([]byte, 0, 256)
	if r.Available {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(r.Price))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.PublishedAt))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.MinAge))
	b = appendStrings(b, []string{r.Brand})
	b = appendStrings(b, r.Categories)
	b = appendStrings(b, r.Regions)
	return xxhash.Sum64(b)
}

// appendStrings writes lengths before contents, so that no two lists look the same.
func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// InvalidRow is a row that the index cannot hold. No retry helps it. Over-long strings are refused, not clipped: a clipped region
// or brand would answer filters that ask for another one.
type InvalidRow struct {
	ItemID string
	Field  string
	Value  string // at most its beginning
	Remedy string
}

func (e *InvalidRow) Error() string {
	return fmt.Sprintf("item %s: %s %s cannot be indexed: %s", schemas.Quote(e.ItemID), e.Field, e.Value, e.Remedy)
}

// InvalidRows is all rows of a batch that were refused; the others are written.
type InvalidRows []*InvalidRow

func (e InvalidRows) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%d rows refused, the first: %v", len(e), e[0])
}

// check finds the first field that the columns cannot hold; dim is the collection's.
func (r *Row) check(dim int) *InvalidRow {
	refuse := func(field, value, remedy string) *InvalidRow {
		return &InvalidRow{ItemID: r.ItemID, Field: field, Value: schemas.Quote(value), Remedy: remedy}
	}
	if r.ItemID == "" {
		return refuse(columnID, "", "give the item an id")
	}
	for _, list := range []struct {
		field  string
		values []string
		most   int
	}{
		{columnID, []string{r.ItemID}, maxIDBytes}, {columnBrand, []string{r.Brand}, maxStringBytes},
		{columnCategories, r.Categories, maxStringBytes}, {columnRegions, r.Regions, maxStringBytes},
	} {
		if len(list.values) > maxListLength {
			return refuse(list.field, fmt.Sprintf("with %d entries", len(list.values)), fmt.Sprintf("use at most %d", maxListLength))
		}
		for _, v := range list.values {
			if len(v) > list.most {
				return refuse(list.field, v, fmt.Sprintf("use at most %d bytes", list.most))
			}
			if !utf8.ValidString(v) {
				return refuse(list.field, v, "use UTF-8")
			}
		}
	}
	if p := float64(r.Price); math.IsNaN(p) || math.IsInf(p, 0) {
		return refuse(columnPrice, fmt.Sprint(p), "use a finite number")
	}
	if len(r.Vector) != dim {
		return refuse(columnVector, fmt.Sprintf("of %d dimensions", len(r.Vector)), fmt.Sprintf("the collection has %d", dim))
	}
	for _, v := range r.Vector {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return refuse(columnVector, fmt.Sprintf("with a component %v", v), "encode it with a sound model")
		}
	}
	return nil
}
