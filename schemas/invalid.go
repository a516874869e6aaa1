package schemas

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// InvalidError says that a record makes no sense, where, and what to do about it.
type InvalidError struct {
	Field  string // as in the schema, "recent[3].item_id" for example; empty where it is the record as a whole
	Value  string // for people: quoted and shortened
	Remedy string
}

func (e *InvalidError) Error() string {
	field := e.Field
	if field == "" {
		field = "record"
	}
	return fmt.Sprintf("invalid %s %s: %s", field, e.Value, e.Remedy)
}

// IsInvalid says whether err is about a record that makes no sense, as against bytes that are no record.
func IsInvalid(err error) bool {
	var invalid *InvalidError
	return errors.As(err, &invalid)
}

func invalid(field, value, remedy string) error {
	return &InvalidError{Field: field, Value: value, Remedy: remedy}
}

// shownBytes is how much of a value an error shows.
const shownBytes = 64

// Quote shows what others wrote, for errors: safe on a terminal and in a log line. Of a text of more than 64 bytes it has the beginning
// and the length.
func Quote(s string) string {
	if len(s) <= shownBytes {
		return strconv.QuoteToGraphic(s)
	}
	cut := shownBytes
	for cut > shownBytes-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.QuoteToGraphic(s[:cut]), len(s))
}
