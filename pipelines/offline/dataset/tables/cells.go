package tables

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/schemas"
)

// badCell says what is wrong with one.
type badCell struct{ value, remedy string }

func (b *badCell) Error() string { return b.value + ": " + b.remedy }

func bad(c *columnar.Cell, format string, args ...any) error {
	return &badCell{show(c), fmt.Sprintf(format, args...)}
}

// show renders a cell for people.
func show(c *columnar.Cell) string {
	switch c.Shape {
	case columnar.List:
		return fmt.Sprintf("a list of %d", len(c.Values))
	case columnar.Map:
		return fmt.Sprintf("a map of %d", len(c.Values))
	}
	switch v := c.Values[0]; v.Kind {
	case columnar.Null:
		return "empty"
	case columnar.Bool:
		return strconv.FormatBool(v.Int != 0)
	case columnar.Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case columnar.Text:
		return schemas.Quote(string(v.Text))
	case columnar.Decimal:
		return string(v.Text)
	case columnar.Time:
		return time.UnixMilli(v.Int).UTC().Format(time.RFC3339Nano)
	default:
		return strconv.FormatInt(v.Int, 10)
	}
}

func isNull(c *columnar.Cell) bool {
	return c.Shape == columnar.Scalar && c.Values[0].Kind == columnar.Null
}

// textOf takes a string, or a whole number: ids often are.
func textOf(c *columnar.Cell) (string, error) {
	if c.Shape == columnar.Scalar {
		return valueText(c, &c.Values[0])
	}
	return "", bad(c, "give one string")
}

func valueText(c *columnar.Cell, v *columnar.Value) (string, error) {
	switch v.Kind {
	case columnar.Text:
		if !utf8.Valid(v.Text) {
			const remedy = "give valid UTF-8: convert a file of text with iconv -f latin1 -t utf-8, or cast a column of bytes to text"
			return "", &badCell{schemas.Quote(string(v.Text)), remedy}
		}
		return string(v.Text), nil
	case columnar.Int:
		return strconv.FormatInt(v.Int, 10), nil
	case columnar.Float: // a gap made them so
		if isWholeFloat(v.Float) {
			return strconv.FormatFloat(v.Float, 'f', -1, 64), nil
		}
	case columnar.Decimal: // a whole one with a scale is written with zeros
		whole, fraction, _ := strings.Cut(string(v.Text), ".")
		if strings.Trim(fraction, "0") == "" {
			return whole, nil
		}
	}
	return "", bad(c, "give a string, or a whole number below 2^53")
}

// plainText takes any value that is no moment.
func plainText(c *columnar.Cell, v *columnar.Value) (string, error) {
	switch v.Kind {
	case columnar.Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64), nil
	case columnar.Bool:
		return strconv.FormatBool(v.Int != 0), nil
	case columnar.Decimal:
		return string(v.Text), nil
	}
	return valueText(c, v)
}

func numberOf(c *columnar.Cell) (float64, error) {
	v := scalar(c)
	f := math.NaN()
	switch v.Kind {
	case columnar.Float:
		f = v.Float
	case columnar.Int:
		f = float64(v.Int)
	case columnar.Text, columnar.Decimal:
		if parsed, err := strconv.ParseFloat(string(v.Text), 64); err == nil {
			f = parsed
		}
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		if v.Kind == columnar.Text && strings.ContainsAny(string(v.Text), ",$€£ ") {
			return 0, bad(c, "give a number with a point before its fraction, and nothing else in it")
		}
		return 0, bad(c, "give a finite number, or leave it empty")
	}
	return f, nil
}

const (
	maxInt32 = math.MaxInt32
	maxInt64 = math.MaxInt64
)

func integerOf(c *columnar.Cell, least, most int64) (int64, error) {
	v := scalar(c)
	_, n, whole, ok := numberIn(&v)
	if !ok || !whole || n < least || n > most {
		return 0, bad(c, "give a whole number from %d to %d, or leave it empty", least, most)
	}
	return n, nil
}

func booleanOf(c *columnar.Cell) (bool, error) {
	switch v := scalar(c); v.Kind {
	case columnar.Bool:
		return v.Int != 0, nil
	case columnar.Int:
		if v.Int == 0 || v.Int == 1 {
			return v.Int == 1, nil
		}
	case columnar.Float:
		if v.Float == 0 || v.Float == 1 {
			return v.Float == 1, nil
		}
	case columnar.Text:
		switch strings.ToLower(string(v.Text)) {
		case "true", "t", "yes", "y", "1", "1.0":
			return true, nil
		case "false", "f", "no", "n", "0", "0.0":
			return false, nil
		}
	}
	return false, bad(c, "give true or false, or leave it empty")
}

// scalar gives the value of a cell, and none that any rule takes for a list or a map.
func scalar(c *columnar.Cell) columnar.Value {
	if c.Shape != columnar.Scalar {
		return columnar.Value{}
	}
	return c.Values[0]
}

const momentRemedy = "give a number since 1970, a time such as 2026-01-31T12:00:00Z or 2026-01-31 13:00:00+01:00, a date, " +
	"or a timestamp column, and write other forms anew"

// leastMoment is the beginning of the year 1, in ms, but for the first one: that is the zero time, which means none.
var leastMoment = time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC).UnixMilli()
