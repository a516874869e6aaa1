package tables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/freshet/freshet/schemas"
)

// interactionRow is an Interaction as outside trainers read it.
type interactionRow struct {
	EventID    string            `parquet:"event_id"`
	UserID     string            `parquet:"user_id,dict"`
	ItemID     string            `parquet:"item_id,dict"`
	Type       string            `parquet:"type,dict"`
	Value      *float64          `parquet:"value,optional"`
	OccurredAt int64             `parquet:"occurred_at,timestamp(millisecond)"`
	RequestID  string            `parquet:"request_id,optional"`
	Surface    string            `parquet:"surface,optional,dict"`
	Context    map[string]string `parquet:"context"`
}

func rowOfInteraction(e *schemas.Interaction) interactionRow {
	return interactionRow{
		EventID: e.EventID, UserID: e.UserID, ItemID: e.ItemID, Type: e.Type.String(), Value: e.Value,
		OccurredAt: e.OccurredAt.UnixMilli(), RequestID: e.RequestID, Surface: e.Surface, Context: e.Context,
	}
}

// itemRow is an ItemChange.
type itemRow struct {
	ItemID      string            `parquet:"item_id"`
	Op          string            `parquet:"op,dict"`
	Version     int64             `parquet:"version"`
	OccurredAt  *int64            `parquet:"occurred_at,optional,timestamp(millisecond)"`
	Title       string            `parquet:"title"`
	Description string            `parquet:"description"`
	Categories  []string          `parquet:"categories,list"`
	Tags        []string          `parquet:"tags,list"`
	Brand       string            `parquet:"brand,dict"`
	Price       *float64          `parquet:"price,optional"`
	Currency    string            `parquet:"currency,dict"`
	Available   bool              `parquet:"available"`
	Regions     []string          `parquet:"regions,list"`
	PublishedAt *int64            `parquet:"published_at,optional,timestamp(millisecond)"`
	MinAge      int32             `parquet:"min_age"`
	Attributes  map[string]string `parquet:"attributes"`
}

func rowOfItem(i *schemas.ItemChange) itemRow {
	row := itemRow{
		ItemID: i.ItemID, Op: i.Op.String(), Version: i.Version, Title: i.Title, Description: i.Description,
		Categories: i.Categories, Tags: i.Tags, Brand: i.Brand, Price: i.Price, Currency: i.Currency, Available: i.Available,
		Regions: i.Regions, MinAge: i.MinAge, Attributes: i.Attributes,
	}
	if !i.OccurredAt.IsZero() {
		ms := i.OccurredAt.UnixMilli()
		row.OccurredAt = &ms
	}
	if !i.PublishedAt.IsZero() {
		ms := i.PublishedAt.UnixMilli()
		row.PublishedAt = &ms
	}
	return row
}

// Writer writes the files interactions.parquet and items.parquet of a folder, either or both, compressed with zstd. What a
// reader may see changes in Commit alone.
type Writer struct {
	dir          string
	interactions *parquetWriter[interactionRow]
	items        *parquetWriter[itemRow]
}

// NewWriter makes the folder where there is none. Close it in any case.
func NewWriter(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the tables: %w", err)
	}
	return &Writer{dir: dir}, nil
}

// BeginInteractions and BeginItems have a table written, of no rows where none follows.
func (w *Writer) BeginInteractions() (err error) {
	w.interactions, err = newParquetWriter[interactionRow](w.dir, interactionsFile)
	return err
}

// BeginItems is to the items what BeginInteractions is to the interactions.
func (w *Writer) BeginItems() (err error) {
	w.items, err = newParquetWriter[itemRow](w.dir, itemsFile)
	return err
}

// Interaction adds a row to the table that BeginInteractions began.
func (w *Writer) Interaction(e *schemas.Interaction) error {
	return w.interactions.add(rowOfInteraction(e))
}

// Item adds a row to the table that BeginItems began.
func (w *Writer) Item(i *schemas.ItemChange) error { return w.items.add(rowOfItem(i)) }

// Commit ends the tables and puts them in the place of earlier ones.
func (w *Writer) Commit() error {
	if w.interactions != nil {
		if err := w.interactions.finish(); err != nil {
			return err
		}
	}
	if w.items != nil {
		if err := w.items.finish(); err != nil {
			return err
		}
	}
	// Items first: interactions whose items are older only lack the content of some.
	if w.items != nil {
		if err := w.items.publish(); err != nil {
			return err
		}
	}
	if w.interactions != nil {
		return w.interactions.publish()
	}
	return nil
}

// Close removes what was not committed.
func (w *Writer) Close() error {
	var errs []error
	if w.interactions != nil {
		errs = append(errs, w.interactions.discard())
	}
	if w.items != nil {
		errs = append(errs, w.items.discard())
	}
	return errors.Join(errs...)
}

// parquetForm is the extension of what is written.
const parquetForm = ".parquet"

const (
	// rowsAGroup bounds the memory of writing, and is what DuckDB and others are made for.
	rowsAGroup = 1 << 17
	// rowsAtOnce go to the library together, which takes their columns apart.
	rowsAtOnce = 512
)

// parquetWriter writes one table beside its place.
type parquetWriter[R any] struct {
	path string
	file *os.File // nil once it is in its place or gone
	rows *parquet.GenericWriter[R]
	held []R
}

func newParquetWriter[R any](dir, name string) (*parquetWriter[R], error) {
	if other := filepath.Join(dir, name+".csv"); exists(other) {
		return nil, fmt.Errorf("writing tables: %s is there already: take it away, or choose another folder", other)
	}
	f, err := os.CreateTemp(dir, "."+name+"-*"+parquetForm)
	if err != nil {
		return nil, fmt.Errorf("writing tables: %w", err)
	}
	return &parquetWriter[R]{
		path: filepath.Join(dir, name+parquetForm), file: f,
		rows: parquet.NewGenericWriter[R](f, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(rowsAGroup),
			parquet.CreatedBy("freshet", "", "")),
	}, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (w *parquetWriter[R]) add(row R) error {
	if w.held = append(w.held, row); len(w.held) < rowsAtOnce {
		return nil
	}
	return w.write()
}

func (w *parquetWriter[R]) write() error {
	_, err := w.rows.Write(w.held)
	clear(w.held)
	w.held = w.held[:0]
	return w.wrap(err)
}

func (w *parquetWriter[R]) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	return nil
}

// finish has everything on the disk.
func (w *parquetWriter[R]) finish() error {
	if err := w.write(); err != nil {
		return err
	}
	if err := w.rows.Close(); err != nil {
		return w.wrap(err)
	}
	if err := w.file.Chmod(0o644); err != nil {
		return w.wrap(err)
	}
	if err := w.file.Sync(); err != nil {
		return w.wrap(err)
	}
	return w.wrap(w.file.Close())
}

func (w *parquetWriter[R]) publish() error {
	err := os.Rename(w.file.Name(), w.path)
	if err == nil {
		w.file = nil
	}
	return w.wrap(err)
}

func (w *parquetWriter[R]) discard() error {
	if w.file == nil {
		return nil
	}
	name := w.file.Name()
	_ = w.file.Close() // it may be closed already
	w.file = nil
	return w.wrap(os.Remove(name))
}
