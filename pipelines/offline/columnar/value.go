package columnar

// Kind says what a Value holds.
type Kind uint8

// The kinds of values. Whatever width and unit a file uses, a number is an Int, a Float or a Decimal, and a moment a Time.
const (
	Null Kind = iota
	Bool
	Int
	Float // perhaps NaN, which polars and DuckDB write where there is no value
	Text
	Time
	Decimal // and whole numbers from 2^63 on
)

// Value is one plain value.
type Value struct {
	Kind Kind
	// Int is the number, 1 for true, or ms since 1970 (a moment between two ms is the earlier one).
	Int   int64
	Float float64
	// Text is a text, the bytes of a binary column, or the digits of a Decimal, all of them: -12.50. It is valid until the next row.
	Text []byte
}

// Shape says how many values a cell has.
type Shape uint8

// The shapes of cells.
const (
	Scalar Shape = iota // one value, perhaps Null
	List
	Map // or a struct, whose keys are the names of its fields
)

// Cell is what a row has in one column.
type Cell struct {
	Shape Shape
	// Values are one for a Scalar, the elements of a List, or the values of a Map, whose keys are Keys. A list or a map that is
	// null has none. Elements, values of a map, and fields of a struct may be Null.
	Values, Keys []Value
}

// Column is what a file says of one of its columns.
type Column struct {
	Name  string
	Shape Shape
	// Kind is that of the values that are not Null. It is Null for a struct of several kinds. An unsigned column of 64 bits is
	// Int, with a Decimal where a number is 2^63 or more.
	Kind Kind
	// Type tells people the type: "timestamp without zone, us", "list of text".
	Type string
	// JSON says that each text is marked as JSON, as some write lists.
	JSON bool
	// Local says that the moments are a wall clock's, of a zone that the file does not name; they are read as if it were UTC.
	Local bool
	// Problem says why the column cannot be read, and what to do.
	Problem error
}
