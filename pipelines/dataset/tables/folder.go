package tables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/freshet/freshet/pipelines/dataset/columnar"
	"github.com/freshet/freshet/schemas"
)

// The extensions of the two forms.
const (
	csvForm     = ".csv"
	parquetForm = ".parquet"
)

// Folder is a folder of tables: a file of interactions and, perhaps, one of items.
type Folder struct {
	columns Columns
	limits  schemas.Limits
	// The paths; items is empty where there is none.
	interactions, items string
	bounds              columnar.Bounds
}

// Open finds the files of a folder. Rows are held against limits, as records in the topics are.
func Open(dir string, columns Columns, limits schemas.Limits) (*Folder, error) {
	f := &Folder{columns: columns, limits: limits, bounds: columnar.DefaultBounds()}
	if err := columns.Validate(); err != nil {
		return nil, fmt.Errorf("checking the columns: %w", err)
	}
	var err error
	if f.interactions, err = find(dir, interactionsFile); err != nil {
		return nil, err
	}
	if f.interactions == "" {
		return nil, fmt.Errorf("reading tables: %s has neither interactions.csv nor interactions.parquet", dir)
	}
	if f.items, err = find(dir, itemsFile); err != nil {
		return nil, err
	}
	if f.items == "" {
		for key := range columns {
			if strings.HasPrefix(key, itemsFile+".") {
				return nil, fmt.Errorf("reading tables: column %s=%s: %s has no items.csv or items.parquet", key, columns[key], dir)
			}
		}
	}
	return f, nil
}

// find gives the path of a table, empty where there is none.
func find(dir, name string) (path string, err error) {
	for _, form := range []string{csvForm, parquetForm} {
		at := filepath.Join(dir, name+form)
		switch _, err := os.Stat(at); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", fmt.Errorf("reading tables: %w", err)
		case path != "":
			return "", fmt.Errorf("reading tables: %s has %s both as CSV and as Parquet: take one away", dir, name)
		default:
			path = at
		}
	}
	return path, nil
}

// EachInteraction calls each for every interaction, in the order of the file. An event without an id is named by its place.
// each may keep what the record points to.
func (f *Folder) EachInteraction(ctx context.Context, each func(e *schemas.Interaction, order int64) error) error {
	now := time.Now()
	return eachRow(ctx, f, f.interactions, interactionsFile, interactionFields, newInteraction,
		func(e *schemas.Interaction, place func() string) error {
			if e.EventID == "" {
				e.EventID = place()
			}
			if err := f.limits.Interaction(e, now); err != nil {
				return err
			}
			return each(e, 0) // rows of one moment have no order
		})
}

// EachItem calls each for every item, in the order of the file; for none where there is no file.
func (f *Folder) EachItem(ctx context.Context, each func(*schemas.ItemChange) error) error {
	if f.items == "" {
		return nil
	}
	now := time.Now()
	return eachRow(ctx, f, f.items, itemsFile, itemFields, newItem, func(i *schemas.ItemChange, _ func() string) error {
		if err := judgeItem(f.limits, i, now); err != nil {
			return err
		}
		return each(i)
	})
}

// table is a file of rows.
type table interface {
	// names are those of the columns.
	names() []string
	// begin reads the columns at these places, from the first row on.
	begin(places []int) error
	// next moves to the next row.
	next() (bool, error)
	// cell is what the row has in the column that begin was given at place i. It is valid until the next row.
	cell(i int) *columnar.Cell
	// place says where the row stands, for people.
	place() string
	close()
}

func (f *Folder) open(path string) (table, error) {
	if filepath.Ext(path) == csvForm {
		return openCSV(path)
	}
	return openParquet(path, f.bounds)
}

// eachRow makes a record of each row.
func eachRow[T any](
	ctx context.Context, f *Folder, path, file string, fields []field[T], fresh func() T, each func(*T, func() string) error,
) error {
	t, err := f.open(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	defer t.close()
	places, err := bind(file, fields, f.columns, t.names())
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	var there []field[T]
	var at []int
	for i, place := range places {
		if place >= 0 {
			there, at = append(there, fields[i]), append(at, place)
		}
	}
	if err := t.begin(at); err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	for rows := 0; ; rows++ {
		if rows%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("reading %s: %w", filepath.Base(path), context.Cause(ctx))
		}
		more, err := t.next()
		if err != nil {
			return fmt.Errorf("reading %s: %w", t.place(), err)
		}
		if !more {
			return nil
		}
		record := fresh()
		for i := range there {
			if err := fill(&record, &there[i], t.cell(i)); err != nil {
				return fmt.Errorf("reading %s: column %s is %w", t.place(), label(file, there[i].name, f.columns), err)
			}
		}
		if err := each(&record, t.place); err != nil {
			return f.explain(t.place(), file, err)
		}
	}
}

func fill[T any](record *T, to *field[T], c *columnar.Cell) error {
	if to.filled && isNull(c) {
		return bad(c, "give a value in each row")
	}
	err := to.set(record, c)
	if wrong, ok := errors.AsType[*schemas.InvalidError](err); ok {
		return &badCell{wrong.Value, wrong.Remedy}
	}
	return err
}

// explain names the row, and the column that the limits object to.
func (f *Folder) explain(place, file string, err error) error {
	if wrong := new(schemas.InvalidError); errors.As(err, &wrong) {
		return fmt.Errorf("reading %s: column %s is %s: %s", place, label(file, wrong.Field, f.columns), wrong.Value, wrong.Remedy)
	}
	return fmt.Errorf("reading %s: %w", place, err)
}

// label names a column, and the field where that is called otherwise. The field may have more to it, such as tags[3].
func label(file, field string, columns Columns) string {
	name, _, _ := strings.Cut(field, "[")
	if column, told := columns.of(file, name); told && column != name {
		return column + " (" + field + ")"
	}
	return field
}
