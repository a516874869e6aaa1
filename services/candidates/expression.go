package candidates

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet/freshet/services/filter"
)

// nothing is an expression that no row satisfies: item ids are never empty.
const nothing = columnID + ` == ""`

// The columns that hold what conditions ask for; the index has no other lists and texts.
var (
	listColumns = map[filter.List]string{filter.Categories: columnCategories, filter.Regions: columnRegions}
	textColumns = map[filter.Text]string{filter.ID: columnID, filter.Brand: columnBrand}
)

// Push is a condition that narrows a search.
type Push struct {
	// Name is of whoever asked for it.
	Name string
	// Expression is in Milvus's language, and true of every row whose item the condition holds for.
	Expression string
}

// Pushes writes conditions for the index: those that it can ask, in their order, nothing twice.
func Pushes(conditions []filter.Named, nowMillis int64) []Push {
	var pushes []Push
	for _, c := range conditions {
		expression := expressionOf(c.Condition, nowMillis)
		if expression != "" && !slices.ContainsFunc(pushes, func(p Push) bool { return p.Expression == expression }) {
			pushes = append(pushes, Push{Name: c.Name, Expression: expression})
		}
	}
	return pushes
}

// Join is the expression that is true of the rows that every push is true of; empty without one. Equal conditions give equal texts, so that
// a batch can share a search.
func Join(pushes []Push) string {
	parts := make([]string, len(pushes))
	for i, p := range pushes {
		parts[i] = p.Expression
	}
	return strings.Join(parts, " and ")
}

// IDIs lets one item through.
func IDIs(itemID string) Push { return Push{Expression: idIs(itemID)} }

func idIs(itemID string) string { return columnID + " == " + quote(itemID) }

// expressionOf writes a condition as an expression that is true of every row whose item the condition holds for. It is empty where
// the only such expression is "all of them".
func expressionOf(n filter.Node, nowMillis int64) string {
	switch n := n.(type) {
	case filter.And:
		return andOf(n, nowMillis)
	case filter.Or:
		return orOf(n, nowMillis)
	case filter.Not:
		return leafOf(n.Leaf, true, nowMillis)
	case filter.Unlisted:
		return unlisted(n)
	}
	return leafOf(n, false, nowMillis)
}

// leafOf knows nothing of a leaf of another room, nor of a negation of what is no leaf: both may hold for any row.
func leafOf(n filter.Node, negate bool, nowMillis int64) string {
	switch n := n.(type) {
	case filter.Constant:
		if bool(n) == negate {
			return nothing
		}
	case filter.Flag:
		return flag(n, negate)
	case *filter.Compared:
		return compared(n, negate, nowMillis)
	case *filter.OneOf:
		return oneOf(n, negate)
	case *filter.HoldsAny, filter.Empty:
		if column, values := listOf(n, negate); column != "" {
			return negated(arrayContains(column, values), negate)
		}
	}
	return ""
}

// andOf leaves out what the index cannot ask: the rest still narrows.
func andOf(n filter.And, nowMillis int64) string {
	var parts []string
	for _, part := range n {
		if s := expressionOf(part, nowMillis); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " and ")
}

// orOf needs all operands. Those that ask the same list column become one array_contains_any.
func orOf(n filter.Or, nowMillis int64) string {
	var parts []string
	lists := map[string][]string{}
	places := map[string]int{}
	for _, part := range n {
		if column, values := listOf(part, false); column != "" {
			if _, again := lists[column]; !again {
				places[column] = len(parts)
				parts = append(parts, "")
			}
			lists[column] = append(lists[column], values...)
			continue
		}
		s := expressionOf(part, nowMillis)
		if s == "" {
			return ""
		}
		if _, several := part.(filter.And); several {
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

func flag(f filter.Flag, negate bool) string {
	switch {
	case f == filter.Available:
		return fmt.Sprintf(columnAvailable+" == %t", !negate)
	case negate:
		return columnPrice + " < 0"
	}
	return columnPrice + " >= 0"
}

// listOf is the column and the values of which a row must hold one; no column where the index cannot ask. An empty list of regions and the
// literal region "*" look the same in the index: for both, only the positive question can be pushed down.
func listOf(n filter.Node, negate bool) (column string, values []string) {
	switch n := n.(type) {
	case *filter.HoldsAny:
		column, values = listColumns[n.Field], n.Texts.List()
	case filter.Empty:
		if n.Field == filter.Regions {
			column, values = columnRegions, []string{Everywhere}
		}
	}
	ambiguous := column == columnRegions && negate && slices.Contains(values, Everywhere)
	if ambiguous || len(values) == 0 || len(values) > maxPushedTexts || !allPlain(values) {
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

func oneOf(n *filter.OneOf, negate bool) string {
	column, texts := textColumns[n.Field], n.Texts.List()
	if column == "" || len(texts) > maxPushedTexts || !allPlain(texts) {
		return ""
	}
	switch {
	case len(texts) == 0 && negate:
		return ""
	case len(texts) == 0:
		return nothing
	case len(texts) == 1 && negate:
		return column + " != " + quote(texts[0])
	case len(texts) == 1:
		return column + " == " + quote(texts[0])
	}
	return negated(column+" in "+quoteList(texts), negate)
}

// unlisted keeps back as many of the ids as one expression may name.
func unlisted(n filter.Unlisted) string {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(n)), func(id string) bool { return !plain(id) })
	if len(ids) == 0 {
		return ""
	}
	return negated(columnID+" in "+quoteList(ids[:min(len(ids), maxPushedTexts)]), true)
}

func negated(s string, negate bool) string {
	if negate {
		return "not (" + s + ")"
	}
	return s
}

var opposite = map[filter.Op]filter.Op{
	filter.Less: filter.AtLeast, filter.AtMost: filter.Greater, filter.Greater: filter.AtMost, filter.AtLeast: filter.Less,
	filter.Equal: filter.Unequal, filter.Unequal: filter.Equal,
}

func compared(n *filter.Compared, negate bool, nowMillis int64) string {
	op, c := n.Op, n.Value
	if math.IsNaN(c) || math.IsInf(c, 0) {
		return ""
	}
	if negate {
		op = opposite[op]
	}
	switch n.Field {
	case filter.Price:
		return comparedPrice(op, c)
	case filter.MinAge:
		return comparedInteger(columnMinAge, op, c, 1, math.MaxInt32-1)
	case filter.PublishedAt:
		return comparedInteger(columnPublishedAt, op, c, 1000, 1e12)
	default:
		return comparedAge(op, c, nowMillis)
	}
}

// comparedPrice compares with the nearest float32, since that is what the index holds: rounding keeps order but not strictness, so that
// < becomes <=. An item without a price has 0 in conditions and NoPrice in the index.
func comparedPrice(op filter.Op, c float64) string {
	if math.Abs(c) > math.MaxFloat32 {
		return ""
	}
	literal := floatLiteral(float64(float32(c)))
	unpriced := op != filter.Unequal && op.Compare(0, c)
	switch {
	case unpriced && (op == filter.Less || op == filter.AtMost):
		return columnPrice + " <= " + literal // NoPrice is below any number that 0 is below
	case unpriced && op == filter.Equal:
		return columnPrice + " <= 0"
	case unpriced || op == filter.Unequal:
		return "" // all prices are at least 0 and pass; != would have to tell numbers apart that float32 cannot
	case op == filter.Less || op == filter.AtMost || op == filter.Equal && c < 0:
		return nothing
	case op == filter.Equal:
		return columnPrice + " == " + literal
	}
	return columnPrice + " >= " + literal
}

// comparedInteger compares a column that counts in 1/unit of what conditions count in, rounded down. Numbers beyond limit, which the
// column may not be able to hold, are not pushed down.
func comparedInteger(column string, op filter.Op, c float64, unit int64, limit float64) string {
	if math.Abs(c) > limit {
		return ""
	}
	below := func(bound float64) string { return fmt.Sprintf("%s < %d", column, int64(bound)*unit) }
	from := func(bound float64) string { return fmt.Sprintf("%s >= %d", column, int64(bound)*unit) }
	whole := c == math.Trunc(c)
	switch op {
	case filter.Less:
		return below(math.Ceil(c))
	case filter.AtMost:
		return below(math.Floor(c) + 1)
	case filter.Greater:
		return from(math.Floor(c) + 1)
	case filter.AtLeast:
		return from(math.Ceil(c))
	case filter.Equal:
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

// comparedAge turns an age in days into a time. A millisecond of slack on either side covers the rounding of the division.
func comparedAge(op filter.Op, c float64, nowMillis int64) string {
	at := float64(nowMillis) - c*filter.MillisPerDay
	if math.Abs(at) > 1e15 {
		return ""
	}
	switch op {
	case filter.Less, filter.AtMost:
		return fmt.Sprintf(columnPublishedAt+" >= %d", int64(math.Floor(at))-1)
	case filter.Greater, filter.AtLeast:
		return fmt.Sprintf(columnPublishedAt+" <= %d", int64(math.Ceil(at))+1)
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
