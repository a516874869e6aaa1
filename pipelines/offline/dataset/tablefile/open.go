package tablefile

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// Table is a file of rows. It is for one goroutine.
type Table interface {
	// Columns are the names, in their order.
	Columns() []string
	// Begin reads the columns at these places, from the first row on. It is called once.
	Begin(places []int) error
	// Next moves to the next row.
	Next() (bool, error)
	// Cell is what the row has in the column that Begin was given at place i. It is valid until the next row.
	Cell(i int) *columnar.Cell
	// Place says where the row stands, for people.
	Place() string
	// Notes say what was found out about how the file is written, for people: a separator, an escape.
	Notes() []string
	Close()
}

// Typed is a Table whose columns have types of their own.
type Typed interface {
	// Type tells people the type of a column; local says that its moments are a wall clock's, of a zone that the file does not name,
	// and are read as if it were UTC.
	Type(column string) (about string, local bool)
}

// How says of text what its bytes do not.
type How struct {
	// Header names the columns of delimited text that has no line with their names.
	Header []string
	// Separator parts the cells of delimited text; 0 finds it in the first line.
	Separator rune
	// Quotes is how delimited text writes a quote in a cell; Detect finds out.
	Quotes Quotes
	// Explode is a key of JSON lines whose value is a list of objects: each becomes a row, with the columns EXPLODE.KEY, beside what
	// the line says once.
	Explode string
	// Paths are columns of JSON lines that lie within others, KEY.KEY: they are columns where some line has such a value.
	Paths []string
	// Bounds are those of Parquet; their rows are Avro's, too.
	Bounds columnar.Bounds
}

// ErrEmpty says that a text file has no line: a job that wrote nothing leaves one behind.
var ErrEmpty = errors.New("the file is empty: begin it with a header")

// Open opens the file at path, which errors call by name.
func Open(path, name string, how How) (Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := open(f, name, how)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return t, nil
}

func open(f *os.File, name string, how How) (Table, error) {
	var head [16]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if bytes.HasPrefix(head[:n], []byte("PAR1")) {
		return openParquet(f, name, how.Bounds)
	}
	// Text is read from its beginning more than once: at first to find out how it is written.
	text := func() (io.Reader, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return unpacked(f)
	}
	r, err := text()
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReader(r)
	begin, err := buffered.Peek(1 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(begin, []byte(containerMagic)) {
		return newAvro(name, f, buffered, how.Bounds)
	}
	if err := refused(begin); err != nil {
		return nil, err
	}
	begin = bytes.TrimLeft(bytes.TrimPrefix(begin, utf8Mark), " \t\r\n")
	if bytes.HasPrefix(begin, []byte("{")) {
		return newJSONLines(name, f, text, how)
	}
	return newDelimited(name, f, text, how)
}

// utf8Mark is what Excel and others begin UTF-8 with.
var utf8Mark = []byte("\xef\xbb\xbf")

// foreign are the forms that are told by their first bytes and not read.
var foreign = []struct{ magic, what, remedy string }{
	{"PK\x03\x04", "a ZIP archive or a workbook of Excel", "unpack it, or save the sheet as CSV"},
	{"PAR1", "Parquet inside of a compressed file", "unpack it: Parquet is compressed within"},
	{"ARROW1", "an Arrow file (Feather)", "write it as Parquet"},
	{"\xff\xff\xff\xff", "an Arrow stream", "write it as Parquet"},
	{"ORC", "an ORC file", "write it as Parquet"},
	{"SQLite format 3", "an SQLite database", "export the table as CSV"},
	{"DUCK", "a DuckDB database", "COPY the table to Parquet"},
	{"\x89HDF", "an HDF5 file", "write the frame with to_parquet"},
	{"\x80\x04", "a pickle of Python", "write the frame with to_parquet"},
	{"\x80\x05", "a pickle of Python", "write the frame with to_parquet"},
	{"\x93NUMPY", "an array of NumPy", "write it as CSV or Parquet, with named columns"},
	{"\xff\xfe", "UTF-16", "save it as UTF-8"},
	{"\xfe\xff", "UTF-16", "save it as UTF-8"},
	{"[", "one JSON array", "write its elements as lines, without brackets and commas (pandas: orient=\"records\", lines=True)"},
}

func refused(begin []byte) error {
	begin = bytes.TrimPrefix(begin, utf8Mark)
	for _, f := range foreign {
		if bytes.HasPrefix(begin, []byte(f.magic)) || len(f.magic) == 1 && bytes.HasPrefix(bytes.TrimSpace(begin), []byte(f.magic)) {
			return fmt.Errorf("it is %s: %s", f.what, f.remedy)
		}
	}
	return nil
}

// mostWindow bounds a zstd decoder's memory. `zstd --long` and `--ultra` go up to this.
const mostWindow = 128 << 20

// unpacked reads the text of a file that may be compressed.
func unpacked(f io.Reader) (io.Reader, error) {
	r := bufio.NewReaderSize(f, 1<<16)
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(mostWindow))
		if err != nil {
			return nil, err
		}
		return d, nil // without concurrency there is nothing to close
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(r), nil
	}
	return r, nil
}

// mostRow bounds the bytes of a row of text: behind a quote that nobody closes, the rest of the file is one cell.
const mostRow = 2 << 20
