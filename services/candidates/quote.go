package candidates

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// plain reports whether all versions of the server agree on how to read a text: on control characters and invalid UTF-8 they do not.
// A condition on any other text is left to whoever reads the item's record.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func allPlain(texts []string) bool {
	for _, s := range texts {
		if !plain(s) {
			return false
		}
	}
	return true
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// quote writes s as a string literal of an expression. Neither quotes nor line breaks in s can end it.
func quote(s string) string {
	if !plain(s) {
		return strconv.Quote(s)
	}
	return `"` + escapes.Replace(s) + `"`
}

// quoteList writes a list of string literals, as in and array_contains_any take it.
func quoteList(texts []string) string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
