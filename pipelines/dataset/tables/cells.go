package tables

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet/freshet/pipelines/dataset/columnar"
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
		return shorten(v.Text)
	case columnar.Decimal:
		return string(v.Text)
	case columnar.Time:
		return time.UnixMilli(v.Int).UTC().Format(time.RFC3339Nano)
	default:
		return strconv.FormatInt(v.Int, 10)
	}
}

// shorten quotes a value, and of a long one the beginning.
func shorten(text []byte) string {
	const most = 64
	if len(text) <= most {
		return strconv.QuoteToGraphic(string(text))
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.QuoteToGraphic(string(text[:most])), len(text))
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
			return "", &badCell{shorten(v.Text), "give valid UTF-8"}
		}
		return string(v.Text), nil
	case columnar.Int:
		return strconv.FormatInt(v.Int, 10), nil
	case columnar.Decimal:
		return string(v.Text), nil
	default:
		return "", bad(c, "give a string, or a whole number")
	}
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
	n, ok := v.Int, v.Kind == columnar.Int
	if v.Kind == columnar.Text || v.Kind == columnar.Decimal {
		parsed, err := strconv.ParseInt(string(v.Text), 10, 64)
		n, ok = parsed, err == nil
	}
	if !ok || n < least || n > most {
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
	case columnar.Text:
		switch strings.ToLower(string(v.Text)) {
		case "true", "1":
			return true, nil
		case "false", "0":
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

const momentRemedy = "give milliseconds since 1970, RFC 3339 such as 2026-01-31T12:00:00Z, or a timestamp column"

// moment is the zero time where the cell is empty. Whether a time is likely is for schemas.Limits to say, as it is on the topics.
func moment(c *columnar.Cell) (at time.Time, err error) {
	ms, known := int64(0), false
	switch v := scalar(c); v.Kind {
	case columnar.Null:
		if c.Shape == columnar.Scalar {
			return at, nil
		}
	case columnar.Time, columnar.Int:
		ms, known = v.Int, true
	case columnar.Text, columnar.Decimal:
		if n, err := strconv.ParseInt(string(v.Text), 10, 64); err == nil {
			ms, known = n, true
		} else if t, err := time.Parse(time.RFC3339, string(v.Text)); err == nil {
			ms, known = t.UnixMilli(), true
		}
	}
	if !known || ms < leastMoment {
		return at, bad(c, momentRemedy)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// leastMoment is the beginning of the year 1, in ms, but for the first one: that is the zero time, which means none.
var leastMoment = time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC).UnixMilli()

// listSeparator parts the elements of a list in one string.
const listSeparator = "|"

func textsOf(c *columnar.Cell) (list []string, err error) {
	switch {
	case isNull(c):
		return nil, nil
	case c.Shape == columnar.Scalar:
		s, err := textOf(c)
		if err != nil {
			return nil, err
		}
		return strings.Split(s, listSeparator), nil
	case c.Shape != columnar.List:
		return nil, bad(c, "give a list of strings, or one string with %s between", listSeparator)
	}
	for i := range c.Values {
		s, err := valueText(c, &c.Values[i])
		if err != nil {
			return nil, bad(c, "element %d is not a string: give a list of strings without nulls", i+1)
		}
		list = append(list, s)
	}
	return list, nil
}

func entriesOf(c *columnar.Cell) (m map[string]string, err error) {
	switch {
	case isNull(c):
		return nil, nil
	case c.Shape == columnar.Scalar && c.Values[0].Kind == columnar.Text:
		if !utf8.Valid(c.Values[0].Text) || json.Unmarshal(c.Values[0].Text, &m) != nil {
			return nil, bad(c, `give a JSON object of strings such as {"colour": "red"}, or leave it empty`)
		}
		return m, nil
	case c.Shape != columnar.Map:
		return nil, bad(c, "give a map of strings, or a JSON object in a string")
	}
	for i := range c.Values {
		key, err := valueText(c, &c.Keys[i])
		if err != nil {
			return nil, bad(c, "key %d is not a string: give a map of strings", i+1)
		}
		value, err := valueText(c, &c.Values[i])
		if err != nil {
			return nil, bad(c, "the value of %q is not a string: give a map of strings without nulls", key)
		}
		if m == nil {
			m = make(map[string]string, len(c.Values))
		}
		m[key] = value
	}
	return m, nil
}
