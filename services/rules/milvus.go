package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// everywhere is what services/candidates stores as the region of an item without regions: an index cannot ask for an
// empty list.
const everywhere = "*"

// nothing is an expression that no row satisfies: item ids are never empty.
const nothing = `item_id == ""`

// milvus writes a bound predicate as a Milvus expression over the candidate columns that is true of every row whose item
// the predicate holds for. It is empty where the only such expression is "all of them". The columns:
//
//	item_id VARCHAR, available BOOL, brand VARCHAR, min_age INT
//	price        FLOAT, -1 for items without one
//	published_at INT64, unix ms, 0 where unknown
//	categories, regions  ARRAY<VARCHAR>, regions holding "*" alone for items that are shown everywhere
func (n *node) milvus(nowMillis int64) string {
	switch n.kind {
	case isAnd:
		return n.milvusAnd(nowMillis)
	case isOr:
		return n.milvusOr(nowMillis)
	case isConstant:
		if !n.truth {
			return nothing
		}
	case isFlag:
		return n.milvusFlag()
	case isCompared:
		return n.milvusCompared(nowMillis)
	case isOneOf:
		return n.milvusOneOf()
	case isHolding, isEmpty:
		if column, values := n.listColumn(); column != "" {
			return negated(arrayContains(column, values), n.negate)
		}
	}
	return ""
}

// milvusAnd leaves out what the index cannot ask: the rest still narrows.
func (n *node) milvusAnd(nowMillis int64) string {
	var parts []string
	for _, k := range n.kids {
		if s := k.milvus(nowMillis); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " and ")
}

// milvusOr needs all operands. Those that ask the same list column become one array_contains_any.
func (n *node) milvusOr(nowMillis int64) string {
	var parts []string
	lists := map[string][]string{}
	places := map[string]int{}
	for _, k := range n.kids {
		if column, values := k.listColumn(); column != "" && !k.negate {
			if _, again := lists[column]; !again {
				places[column] = len(parts)
				parts = append(parts, "")
			}
			lists[column] = append(lists[column], values...)
			continue
		}
		s := k.milvus(nowMillis)
		if s == "" {
			return ""
		}
		if k.kind == isAnd {
			s = "(" + s + ")"
		}
		parts = append(parts, s)
	}
	for column, at := range places {
		parts[at] = arrayContains(column, lists[column])
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " or ") + ")"
}

func (n *node) milvusFlag() string {
	if n.field == fieldAvailable {
		return fmt.Sprintf("available == %t", !n.negate)
	}
	if n.negate {
		return "price < 0"
	}
	return "price >= 0"
}

// listColumn is the column and the values of which a row must hold one; no column where the index cannot ask. An empty list
// of regions and the literal region "*" look the same in the index: for both, only the positive question can be pushed down.
func (n *node) listColumn() (column string, values []string) {
	switch {
	case n.kind == isHolding && n.field == fieldCategories:
		column, values = "categories", n.texts
	case n.kind == isHolding && n.field == fieldRegions:
		column, values = "regions", n.texts
	case n.kind == isEmpty && n.field == fieldRegions:
		column, values = "regions", []string{everywhere}
	}
	ambiguous := column == "regions" && n.negate && slices.Contains(values, everywhere)
	if ambiguous || len(values) == 0 || len(values) > maxPushedTexts || !quotable(values) {
		return "", nil
	}
	return column, values
}

// maxPushedTexts bounds a list in a pushed-down expression: the index parses it again for each search.
const maxPushedTexts = 256

func arrayContains(column string, values []string) string {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if len(values) == 1 {
		return fmt.Sprintf("array_contains(%s, %s)", column, quote(values[0]))
	}
	return fmt.Sprintf("array_contains_any(%s, %s)", column, quoteList(values))
}

func (n *node) milvusOneOf() string {
	column := map[field]string{fieldID: "item_id", fieldBrand: "brand"}[n.field]
	if column == "" || len(n.texts) > maxPushedTexts || !quotable(n.texts) {
		return ""
	}
	switch {
	case len(n.texts) == 0 && n.negate:
		return ""
	case len(n.texts) == 0:
		return nothing
	case len(n.texts) == 1 && n.negate:
		return column + " != " + quote(n.texts[0])
	case len(n.texts) == 1:
		return column + " == " + quote(n.texts[0])
	}
	return negated(column+" in "+quoteList(n.texts), n.negate)
}

func negated(s string, negate bool) string {
	if negate {
		return "not (" + s + ")"
	}
	return s
}

var opposite = map[string]string{"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!="}

func (n *node) milvusCompared(nowMillis int64) string {
	op, c := n.op, n.number
	if math.IsNaN(c) || math.IsInf(c, 0) {
		return ""
	}
	if n.negate {
		op = opposite[op]
	}
	switch n.field {
	case fieldPrice:
		return milvusPrice(op, c)
	case fieldMinAge:
		return milvusInteger("min_age", op, c, 1, math.MaxInt32-1)
	case fieldPublishedAt:
		return milvusInteger("published_at", op, c, 1000, 1e12)
	default:
		return milvusAge(op, c, nowMillis)
	}
}

// milvusPrice compares with the nearest float32, since that is what the index holds: rounding keeps order but not
// strictness, so that < becomes <=. An item without a price has 0 in expressions and -1 in the index.
func milvusPrice(op string, c float64) string {
	if math.Abs(c) > math.MaxFloat32 {
		return ""
	}
	literal := floatLiteral(float64(float32(c)))
	unpriced := op != "!=" && compare(0, op, c)
	switch {
	case unpriced && (op == "<" || op == "<="):
		return "price <= " + literal // -1 is below any number that 0 is below
	case unpriced && op == "==":
		return "price <= 0"
	case unpriced || op == "!=":
		return "" // all prices are at least 0 and pass; != would have to tell numbers apart that float32 cannot
	case op == "<" || op == "<=" || op == "==" && c < 0:
		return nothing
	case op == "==":
		return "price == " + literal
	}
	return "price >= " + literal
}

// milvusInteger compares a column that counts in 1/unit of what expressions count in, rounded down. Numbers beyond limit, which
// the column may not be able to hold, are not pushed down.
func milvusInteger(column, op string, c float64, unit int64, limit float64) string {
	if math.Abs(c) > limit {
		return ""
	}
	below := func(bound float64) string { return fmt.Sprintf("%s < %d", column, int64(bound)*unit) }
	from := func(bound float64) string { return fmt.Sprintf("%s >= %d", column, int64(bound)*unit) }
	whole := c == math.Trunc(c)
	switch op {
	case "<":
		return below(math.Ceil(c))
	case "<=":
		return below(math.Floor(c) + 1)
	case ">":
		return from(math.Floor(c) + 1)
	case ">=":
		return from(math.Ceil(c))
	case "==":
		if !whole {
			return nothing
		}
		return from(c) + " and " + below(c+1)
	}
	if !whole {
		return ""
	}
	return "(" + below(c) + " or " + from(c+1) + ")"
}

// milvusAge turns an age in days into a time. A millisecond of slack on either side covers the rounding of the division.
func milvusAge(op string, c float64, nowMillis int64) string {
	at := float64(nowMillis) - c*millisPerDay
	if math.Abs(at) > 1e15 {
		return ""
	}
	switch op {
	case "<", "<=":
		return fmt.Sprintf("published_at >= %d", int64(math.Floor(at))-1)
	case ">", ">=":
		return fmt.Sprintf("published_at <= %d", int64(math.Ceil(at))+1)
	}
	return ""
}

// floatLiteral writes all digits of x, with a point, so that a server which compares in float64 sees the same number as one
// that compares in float32.
func floatLiteral(x float64) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quotable tells whether quote can write all texts: control characters and invalid UTF-8 have no spelling that all versions
// of the server agree on.
func quotable(texts []string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return false
		}
	}
	return true
}

var quoteEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func quote(s string) string { return `"` + quoteEscapes.Replace(s) + `"` }

func quoteList(texts []string) string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
