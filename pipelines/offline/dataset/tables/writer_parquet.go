package tables

import (
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
	// Order has the name of orderColumn.
	Order int64 `parquet:"freshet_order"`
}

func rowOfInteraction(e *interaction) interactionRow {
	return interactionRow{
		EventID: e.EventID, UserID: e.UserID, ItemID: e.ItemID, Type: e.Type.String(), Value: e.Value,
		OccurredAt: e.OccurredAt.UnixMilli(), RequestID: e.RequestID, Surface: e.Surface, Context: e.Context, Order: e.order,
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

// parquetForm is the extension of what is written.
const parquetForm = ".parquet"

const (
	// rowsAGroup bounds the memory of writing, and is what DuckDB and others are made for.
	rowsAGroup = 1 << 17
	// rowsAtOnce go to the library together, which takes their columns apart.
	rowsAtOnce = 512
)

// parquetTable writes records as rows of Parquet.
type parquetTable[T, R any] struct {
	*placed
	row  func(*T) R
	rows *parquet.GenericWriter[R]
	held []R
}

func newParquetTable[T, R any](dir, name string, row func(*T) R) (table[T], error) {
	p, err := newPlaced(dir, name, parquetForm)
	if err != nil {
		return nil, err
	}
	return &parquetTable[T, R]{
		placed: p, row: row,
		rows: parquet.NewGenericWriter[R](p.file, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(rowsAGroup),
			parquet.CreatedBy("freshet", "", "")),
	}, nil
}

func (t *parquetTable[T, R]) add(record *T) error {
	if t.held = append(t.held, t.row(record)); len(t.held) < rowsAtOnce {
		return nil
	}
	return t.write()
}

func (t *parquetTable[T, R]) write() error {
	_, err := t.rows.Write(t.held)
	clear(t.held)
	t.held = t.held[:0]
	return t.wrap(err)
}

func (t *parquetTable[T, R]) finish() error {
	if err := t.write(); err != nil {
		return err
	}
	if err := t.rows.Close(); err != nil {
		return t.wrap(err)
	}
	return t.sync()
}
