package tables

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/schemas"
)

// listForm is how a text holds a list: one of the names below, or what stands between the elements.
type listForm string

// The forms that --lists knows by name.
const (
	jsonLists     listForm = "json"     // ["lamp", "home"]
	pythonLists   listForm = "python"   // ['lamp', 'home'], as pandas and NumPy print them
	duckdbLists   listForm = "duckdb"   // [lamp, home]
	postgresLists listForm = "postgres" // {lamp,home}
	barLists      listForm = "|"        // lamp|home
)

// said says it for people.
func (f listForm) said() string {
	switch f {
	case jsonLists, pythonLists, duckdbLists, postgresLists:
		return "lists as " + string(f) + " writes them"
	}
	return fmt.Sprintf("lists parted by %q", string(f))
}

// split takes a text apart. Empty elements, and those that are null, are left out.
func (f listForm) split(text string) ([]string, error) {
	switch f {
	case jsonLists:
		return splitJSON(text)
	case pythonLists:
		return bracketed(text, '[', ']', true)
	case duckdbLists:
		return bracketed(text, '[', ']', false)
	case postgresLists:
		return bracketed(text, '{', '}', false)
	}
	var list []string
	for element := range strings.SplitSeq(text, string(f)) {
		if element != "" {
			list = append(list, element)
		}
	}
	return list, nil
}

func splitJSON(text string) (list []string, err error) {
	var elements []any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&elements); err != nil || d.More() {
		return nil, errors.New("it is no array in JSON")
	}
	for _, e := range elements {
		switch e := e.(type) {
		case nil:
		case string:
			list = append(list, e)
		case json.Number:
			list = append(list, e.String())
		case bool:
			list = append(list, strconv.FormatBool(e))
		default:
			return nil, errors.New("an element is no plain value")
		}
	}
	return list, nil
}

// bracketed takes a list apart whose elements may be quoted, and have their quotes escaped by a backslash; spaces says that spaces
// part elements, too.
func bracketed(text string, open, end byte, spaces bool) (list []string, err error) {
	text = strings.TrimSpace(text)
	if len(text) < 2 || text[0] != open || text[len(text)-1] != end {
		return nil, fmt.Errorf("it is not between %c and %c", open, end)
	}
	rest := text[1 : len(text)-1]
	stops := ","
	if spaces {
		stops = ", \n"
	}
	for {
		rest = strings.TrimLeft(rest, " \n")
		if rest == "" {
			return list, nil
		}
		var element string
		if quote := rest[0]; quote == '\'' || quote == '"' {
			if element, rest, err = unquote(rest[1:], quote); err != nil {
				return nil, err
			}
			list = append(list, element)
		} else {
			at := strings.IndexAny(rest, stops)
			if at < 0 {
				at = len(rest)
			}
			element, rest = strings.TrimSpace(rest[:at]), rest[at:]
			switch {
			case strings.ContainsAny(element, "[]{}'\""):
				return nil, fmt.Errorf("the element %q is no plain value", element)
			case element == "" || strings.EqualFold(element, "null") || element == "None" || element == "nan":
			default:
				list = append(list, element)
			}
		}
		rest = strings.TrimLeft(rest, " \n")
		switch {
		case rest == "":
		case rest[0] == ',':
			rest = rest[1:]
		case !spaces:
			return nil, fmt.Errorf("there is no comma behind %q", element)
		}
	}
}

// unquote reads up to the closing quote, which a backslash or a second one escapes.
func unquote(text string, quote byte) (element, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(text[i])
			}
		case c == quote && i+1 < len(text) && text[i+1] == quote:
			i++
			b.WriteByte(quote)
		case c == quote:
			return b.String(), text[i+1:], nil
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("a quote is not closed")
}

// listSurvey finds out how a column's texts hold lists.
type listSurvey struct {
	n, arrays, bars int64
	// odd is the first text that looks like a list and is none in JSON, or that is none among such as are.
	odd, oddPlace, plain, plainPlace string
	semicolons, commas               int64
}

func (s *listSurvey) see(text string, place func() string) {
	s.n++
	trimmed := strings.TrimSpace(text)
	switch {
	case looksLike(trimmed, '[', ']') && isArray(trimmed):
		s.arrays++
	case looksLike(trimmed, '[', ']'), looksLike(trimmed, '{', '}'):
		if s.odd == "" {
			s.odd, s.oddPlace = trimmed, place()
		}
	default:
		if s.plain == "" {
			s.plain, s.plainPlace = trimmed, place()
		}
		if strings.Contains(text, string(barLists)) {
			s.bars++
		}
		if strings.Contains(text, ";") {
			s.semicolons++
		}
		if strings.Contains(text, ", ") {
			s.commas++
		}
	}
}

func looksLike(text string, open, end byte) bool {
	return len(text) >= 2 && text[0] == open && text[len(text)-1] == end
}

func isArray(text string) bool {
	_, err := splitJSON(text)
	return err == nil
}

// settle gives the form, and what people should know of it.
func (s *listSurvey) settle(field string) (form listForm, note string, err error) {
	switch {
	case s.odd != "":
		return "", "", fmt.Errorf("%s at %s looks like a list as %s writes it: say so with --lists %s=%s, or give what parts its elements",
			schemas.Quote(s.odd), s.oddPlace, likelyLists(s.odd), field, likelyLists(s.odd))
	case s.arrays > 0 && s.plain != "":
		return "", "", fmt.Errorf("%d values are lists in JSON and %s at %s is none: give one column one form", s.arrays,
			schemas.Quote(s.plain), s.plainPlace)
	case s.arrays > 0:
		return jsonLists, "", nil
	case s.bars == 0 && 10*s.semicolons > s.n:
		note = fmt.Sprintf(`%d of %d values have ";" in them: if that parts elements, say --lists %s=";"`, s.semicolons, s.n, field)
	case s.bars == 0 && 10*s.commas > s.n:
		note = fmt.Sprintf(`%d of %d values have ", " in them: if that parts elements, say --lists %s=", "`, s.commas, s.n, field)
	}
	return barLists, note, nil
}

// likelyLists guesses who wrote a text that looks like a list.
func likelyLists(text string) listForm {
	switch {
	case text[0] == '{':
		return postgresLists
	case strings.HasPrefix(strings.TrimLeft(text[1:], " \n"), "'"):
		return pythonLists
	default:
		return duckdbLists
	}
}

func textsOf(c *columnar.Cell, form listForm) (list []string, err error) {
	switch {
	case isNull(c):
		return nil, nil
	case c.Shape == columnar.Scalar:
		s, err := textOf(c)
		if err != nil {
			return nil, err
		}
		if form == "" {
			form = barLists
		}
		if list, err = form.split(s); err != nil {
			return nil, bad(c, "%v: the column is said to hold %s", err, form.said())
		}
		return list, nil
	case c.Shape != columnar.List:
		return nil, bad(c, "give a list of strings, or one string with %s between", barLists)
	}
	for i := range c.Values {
		if c.Values[i].Kind == columnar.Null {
			continue
		}
		s, err := valueText(c, &c.Values[i])
		if err != nil {
			return nil, bad(c, "element %d is not a string: give a list of strings", i+1)
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
		if !utf8.Valid(c.Values[0].Text) {
			return nil, bad(c, "give valid UTF-8")
		}
		if m, err = entriesInJSON(c.Values[0].Text); err != nil {
			return nil, bad(c, `%v: give a JSON object of plain values such as {"colour": "red"}, or leave it empty`, err)
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
		if c.Values[i].Kind == columnar.Null {
			continue
		}
		value, err := plainText(c, &c.Values[i])
		if err != nil {
			return nil, bad(c, "the value of %q is not a plain one: give a map of strings", key)
		}
		if m == nil {
			m = make(map[string]string, len(c.Values))
		}
		m[key] = value
	}
	return m, nil
}

// entriesInJSON takes plain values only; what is null is left out.
func entriesInJSON(text []byte) (m map[string]string, err error) {
	var values map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(&values); err != nil || d.More() {
		return nil, errors.New("it is no object")
	}
	m = make(map[string]string, len(values))
	for key, v := range values {
		switch v := v.(type) {
		case nil:
		case string:
			m[key] = v
		case json.Number:
			m[key] = v.String()
		case bool:
			m[key] = strconv.FormatBool(v)
		default:
			return nil, fmt.Errorf("the value of %q is no plain one", key)
		}
	}
	return m, nil
}
