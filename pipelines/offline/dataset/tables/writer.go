package tables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/freshet/freshet/schemas"
)

// Writer writes the tables interactions and items of a folder, either or both, as Parquet compressed with zstd or as Avro container
// files compressed with snappy. What a reader may see changes in Commit alone.
type Writer struct {
	interactions table[interaction]
	items        table[schemas.ItemChange]
	begin        func(w *Writer, items bool) error
}

// table is a file that is written beside its place.
type table[T any] interface {
	add(record *T) error
	// finish has everything on the disk, publish puts it in its place, and discard removes what is not there.
	finish() error
	publish() error
	discard() error
}

// NewWriter makes the folder where there is none, for Parquet. Close it in any case.
func NewWriter(dir string) (*Writer, error) {
	return newWriter(dir, func(w *Writer, items bool) (err error) {
		if items {
			w.items, err = newParquetTable(dir, itemsFile, rowOfItem)
		} else {
			w.interactions, err = newParquetTable(dir, interactionsFile, rowOfInteraction)
		}
		return err
	})
}

// NewAvroWriter is NewWriter for Avro.
func NewAvroWriter(dir string) (*Writer, error) {
	return newWriter(dir, func(w *Writer, items bool) (err error) {
		if items {
			w.items, err = newAvroTable(dir, itemsFile, itemSchema, nativeOfItem)
		} else {
			w.interactions, err = newAvroTable(dir, interactionsFile, interactionSchema, nativeOfInteraction)
		}
		return err
	})
}

func newWriter(dir string, begin func(*Writer, bool) error) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the tables: %w", err)
	}
	return &Writer{begin: begin}, nil
}

// BeginInteractions and BeginItems have a table written, of no rows where none follows.
func (w *Writer) BeginInteractions() error { return w.begin(w, false) }

// BeginItems is to the items what BeginInteractions is to the interactions.
func (w *Writer) BeginItems() error { return w.begin(w, true) }

// Interaction adds a row to the table that BeginInteractions began. order parts it from events of the same moment; see
// dataset.Records.
func (w *Writer) Interaction(e *schemas.Interaction, order int64) error {
	return w.interactions.add(&interaction{*e, order})
}

// Item adds a row to the table that BeginItems began.
func (w *Writer) Item(i *schemas.ItemChange) error { return w.items.add(i) }

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

// placed is a file beside its place.
type placed struct {
	path string
	file *os.File // nil once it is in its place or gone
}

// newPlaced refuses a folder that has the table in another form: nobody could tell which one holds.
func newPlaced(dir, name, form string) (*placed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("writing tables: %w", err)
	}
	for _, e := range entries {
		if is, _ := usual(e.Name(), name); is && e.Name() != name+form {
			return nil, fmt.Errorf("writing tables: %s is there already: take it away, or choose another folder", filepath.Join(dir, e.Name()))
		}
	}
	f, err := os.CreateTemp(dir, "."+name+"-*"+form)
	if err != nil {
		return nil, fmt.Errorf("writing tables: %w", err)
	}
	return &placed{path: filepath.Join(dir, name+form), file: f}, nil
}

func (p *placed) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("writing %s: %w", p.path, err)
	}
	return nil
}

// sync has everything on the disk.
func (p *placed) sync() error {
	if err := p.file.Chmod(0o644); err != nil {
		return p.wrap(err)
	}
	if err := p.file.Sync(); err != nil {
		return p.wrap(err)
	}
	return p.wrap(p.file.Close())
}

func (p *placed) publish() error {
	err := os.Rename(p.file.Name(), p.path)
	if err == nil {
		p.file = nil
	}
	return p.wrap(err)
}

func (p *placed) discard() error {
	if p.file == nil {
		return nil
	}
	name := p.file.Name()
	_ = p.file.Close() // it may be closed already
	p.file = nil
	return p.wrap(os.Remove(name))
}
