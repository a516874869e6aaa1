package columnar

// Kind says what a Value holds.
type Kind uint8

// The kinds of values. Whatever width and unit a file uses, a number is an Int or a Float, and a moment a Time.
const (
	Null Kind = iota
	Bool
	Int
	Float
	Text
	Time
)

// Value is one plain value.
type Value struct {
	Kind Kind
	// Int is the number, 1 for true, or ms since 1970 (a moment between two ms is the earlier one).
	Int   int64
	Float float64
	// Text is valid until the next row.
	Text []byte
}

// Shape says how many values a cell has.
type Shape uint8

// The shapes of cells.
const (
	Scalar Shape = iota // one value, perhaps Null
	List
	Map
)

// Cell is what a row has in one column.
type Cell struct {
	Shape Shape
	// Values are one for a Scalar, the elements of a List, or the values of a Map, whose keys are Keys. A list or a map that is
	// null has none.
	Values, Keys []Value
}
