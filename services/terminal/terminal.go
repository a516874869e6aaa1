package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text renders a value for a line or a cell.
func Text(s string) string {
	at := unsafe(s)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:at])
	for rest := s[at:]; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if harmless(r, size) {
			b.WriteString(rest[:size])
		} else {
			quoted := strconv.QuoteToGraphic(rest[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		rest = rest[size:]
	}
	return b.String()
}

// unsafe finds the first character that must not be printed as it is, or is -1.
func unsafe(s string) int {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !harmless(r, size) {
			return i
		}
		i += size
	}
	return -1
}

// harmless holds for letters, marks, digits, punctuation, symbols and spaces; not for control characters, for format characters (which
// turn the direction round, or cannot be seen), for line and paragraph separators, nor for what is no UTF-8.
func harmless(r rune, size int) bool {
	return strconv.IsGraphic(r) && (r != utf8.RuneError || size > 1)
}

// Block is text of our own in several lines, whose values were rendered when it was made.
type Block string

// Fprintf is fmt.Fprintf whose values are rendered by Text, but for blocks. The format is ours.
func Fprintf(w io.Writer, format string, values ...any) (int, error) {
	if false {
		_ = fmt.Sprintf(format, values...) // so that vet holds formats and values of all callers against each other
	}
	return fmt.Fprintf(w, format, all(values)...)
}

// Sprintf is Fprintf into a string.
func Sprintf(format string, values ...any) string {
	if false {
		_ = fmt.Sprintf(format, values...)
	}
	return fmt.Sprintf(format, all(values)...)
}

// Fprintln is fmt.Fprintln whose values are rendered by Text, but for blocks.
func Fprintln(w io.Writer, values ...any) (int, error) { return fmt.Fprintln(w, all(values)...) }

// PrintError prints an error behind a word of ours. Joined errors stand on lines of their own, which are indented: so no line that
// begins at the margin is anybody else's.
func PrintError(w io.Writer, word string, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = Text(lines[i])
	}
	_, _ = fmt.Fprintf(w, "%s %s\n", word, strings.Join(lines, "\n  "))
}

func all(values []any) []any {
	shown := make([]any, len(values))
	for i, v := range values {
		shown[i] = Value(v)
	}
	return shown
}

// Value makes any value one that fmt prints by Text, whatever the verb.
func Value(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case Block:
		return string(v)
	case error, fmt.Stringer:
		return value{v}
	}
	switch reflect.TypeOf(v).Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return v // which fmt may want as they are, for a width or a precision
	default:
		return value{v}
	}
}

// value is rendered after it was formatted, with verb and flags.
type value struct{ of any }

// Format implements fmt.Formatter.
func (v value) Format(f fmt.State, verb rune) {
	_, _ = io.WriteString(f, Text(fmt.Sprintf(fmt.FormatString(f, verb), v.of)))
}

// FprintJSON writes a value as indented JSON.
func FprintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(JSON(w))
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// JSON is a writer of JSON texts, each of which comes in one call. Characters that encoding/json leaves as they are and a terminal obeys
// (the C1 controls, delete, format characters) become escapes: they can stand nowhere but inside strings, where the two mean the same.
func JSON(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ to io.Writer }

// Write implements io.Writer.
func (w jsonWriter) Write(p []byte) (int, error) {
	text := string(p)
	var b strings.Builder
	from := 0
	for i, r := range text {
		if r < 0x7f || r == utf8.RuneError || strconv.IsGraphic(r) {
			continue
		}
		b.WriteString(text[from:i])
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			r += 0x10000
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		from = i + utf8.RuneLen(r)
	}
	b.WriteString(text[from:])
	if _, err := io.WriteString(w.to, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
