package milvus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilterSelects(t *testing.T) {
	nan := float32(math.NaN())
	c := testCollection(t, 1, []record{
		{id: "a", vector: []float32{1}, available: true, price: 1, score: 1.5, published: 10, age: 1, brand: "x",
			tags: []string{"p", "q"}},
		{id: `b"'\`, vector: []float32{1}, price: 9.99, published: -5, brand: `x"`, tags: []string{`q"`}},
		{id: "c\n", vector: []float32{1}, available: true, price: nan, brand: "", tags: nil},
		{id: "é", vector: []float32{1}, price: 4, age: 10, brand: "xyz", tags: []string{"p"}},
	})
	for expr, want := range map[string]string{
		"":                                        "a,b,c,é",
		"  \n":                                    "a,b,c,é",
		`id == "a"`:                               "a",
		`'a' == id`:                               "a",
		`id == "\x61"`:                            "a",
		`id == 'b"\'\\'`:                          "b",
		`id == "c\n"`:                             "c",
		`id == "\u00e9"`:                          "é",
		`id == "é"`:                               "é",
		`id > "a" and id < "c"`:                   "b",
		`id in ["a", 'é',]`:                       "a,é",
		`id not in ["a"]`:                         "b,c,é",
		`id in []`:                                "",
		`id not in []`:                            "a,b,c,é",
		`id like "b%"`:                            "b",
		`available == true`:                       "a,c",
		`available != True`:                       "b,é",
		`available in [false]`:                    "b,é",
		`price == 9.99`:                           "b",
		`price >= 4`:                              "b,é",
		`not (price >= 4)`:                        "a,c",
		`price != 1`:                              "b,c,é",
		`price > -1`:                              "a,b,é",
		`price > - 1e0 && price < .5e1`:           "a,é",
		`price in [1, 4.0]`:                       "a,é",
		`1 < price <= 9.99`:                       "b,é",
		`5 >= price > 1`:                          "é",
		`score == 1.5`:                            "a",
		`score in [1.5]`:                          "a",
		`published < 0`:                           "b",
		`published in [10, -5]`:                   "a,b",
		`age == 0xa`:                              "é",
		`age < 99999999999`:                       "a,b,c,é",
		`age in [1, 2, 3, 4, 5, 6, 7, 8, 9]`:      "a",
		`brand == "x\""`:                          "b",
		`brand in ["x", "xyz"]`:                   "a,é",
		`brand like "x%"`:                         "a,b,é",
		`brand LIKE "x"`:                          "a",
		`array_contains(tags, "p")`:               "a,é",
		`ARRAY_CONTAINS(tags, "q\"")`:             "b",
		`array_contains_any(tags, ["q","z"])`:     "a",
		`array_contains_all(tags, ["q","p"])`:     "a",
		`array_contains_all(tags, ["q","z"])`:     "",
		`((available == true))`:                   "a,c",
		`!(available == true)`:                    "b,é",
		`not not (available == true)`:             "a,c",
		`not(price > 1)and(available == true)`:    "a,c",
		`price>1 or available==true`:              "a,b,c,é",
		`price == 1 or price == 4 and age == 0`:   "a",
		`(price == 1 or price == 4) and age == 0`: "",
		`price == 1 || price == 4 or age == 0`:    "a,b,c,é",
	} {
		rows, err := c.filter(expr)
		require.NoError(t, err, expr)
		var got []string
		for _, r := range rows.list() {
			got = append(got, string([]rune(c.keys.values[r])[:1]))
		}
		require.Equal(t, want, strings.Join(got, ","), expr)
	}
}

func TestFilterRefuses(t *testing.T) {
	c := testCollection(t, 1, nil)
	for expr, reason := range map[string]string{
		`available`:                         "predicate is not a boolean expression",
		`true`:                              "predicate is not a boolean expression",
		`[1]`:                               "predicate is not a boolean expression",
		`not available`:                     "not op can only be applied",
		`not available == true`:             "cannot parse",
		`not id in ["a"]`:                   "cannot parse",
		`available = true`:                  "token recognition",
		`available == 1`:                    "comparisons between Bool and Int64",
		`available > false`:                 "comparisons between",
		`available == "true"`:               "comparisons between Bool and VarChar",
		`nope == 1`:                         "field nope not exist",
		`Id == "a"`:                         "field Id not exist",
		`price > "1"`:                       "comparisons between Float and VarChar",
		`vector == 1`:                       "comparisons between FloatVector",
		`published > 1.5`:                   "cannot cast value to Int64",
		`age > 1.5`:                         "cannot cast value to Int32",
		`age < 99999999999999999999`:        "out of range",
		`age in [0.5]`:                      "cannot be casted to Int32",
		`age in [99999999999]`:              "cannot be casted to Int32",
		`id in [1]`:                         "cannot be casted to VarChar",
		`id in ["a", 1]`:                    "cannot be casted to VarChar",
		`id in [brand]`:                     "literals",
		`id in "a"`:                         "mismatched input",
		`id in[ "a"]`:                       "without a space",
		`id not  in ["a"]`:                  "mismatched input",
		`id in [["a"]]`:                     "mismatched input",
		`"a" in ["a"]`:                      "non-const",
		`price == price`:                    "a field with a literal",
		`1 < 2`:                             "a field with a literal",
		`price + 1 > 2`:                     "mismatched input",
		`1 < price > 0`:                     "mismatched input",
		`age == 1 == true`:                  "mismatched input",
		`tags == ["a"]`:                     "a field with a literal",
		`tags[0] == "a"`:                    "elements of a field",
		`array_contains(brand, "a")`:        "only supported on array fields",
		`array_contains("a", "a")`:          "only supported on array fields",
		`array_contains(tags, 1)`:           "can't compare",
		`array_contains(tags, brand)`:       "explicitly specified element",
		`array_contains(tags)`:              "missing ','",
		`array_contains_any(tags, "a")`:     "must be an array",
		`array_contains_any(tags, [])`:      "mismatched input '[]'",
		`array_contains_any(tags, [1])`:     "can't compare",
		`array_length(tags) == 0`:           "mismatched input '('",
		`brand like "%x"`:                   "unsupported pattern",
		`brand like "a_"`:                   "unsupported pattern",
		`brand like 1`:                      "mismatched input",
		`age like "1%"`:                     "non-string field",
		`(price > 1`:                        "missing ')'",
		`price > 1)`:                        "mismatched input ')'",
		`price > 1 and`:                     "mismatched input '<EOF>'",
		`and price > 1`:                     "mismatched input 'and'",
		`price > 1; age > 1`:                "token recognition",
		`price > 1 AND age > 1`:             "mismatched input 'AND'",
		`NOT (price > 1)`:                   "mismatched input '('",
		`true and age > 1`:                  "boolean expressions",
		`available == true and brand`:       "boolean expressions",
		`id == "a`:                          "token recognition",
		`id == "\q"`:                        "token recognition",
		"id == \"a\nb\"":                    "token recognition",
		`id == "\400"`:                      "token recognition",
		`price > 1_000`:                     "token recognition",
		`price > 1x`:                        "token recognition",
		`price > 1.2.3`:                     "invalid syntax",
		`price > -"a"`:                      "mismatched input",
		`price is null`:                     "mismatched input",
		strings.Repeat("(", 5000):           "nests deeper",
		strings.Repeat("not ", 5000) + `(`:  "nests deeper",
		strings.Repeat("!", 100000) + `(id`: "nests deeper",
	} {
		_, err := c.filter(expr)
		require.ErrorContains(t, err, reason, "%.60s", expr)
	}
}

func TestLongListsAndChains(t *testing.T) {
	c := testCollection(t, 1, []record{{id: "i7", vector: []float32{1}}, {id: "x", vector: []float32{1}}})
	var ids, terms []string
	for i := range 20000 {
		ids = append(ids, strconv.Quote(fmt.Sprint("i", i)))
		terms = append(terms, fmt.Sprintf("id == %q", fmt.Sprint("i", i)))
	}
	rows, err := c.filter("id in [" + strings.Join(ids, ",") + "]")
	require.NoError(t, err)
	require.Equal(t, []int32{0}, rows.list())
	rows, err = c.filter(strings.Join(terms[:2000], " or "))
	require.NoError(t, err)
	require.Equal(t, []int32{0}, rows.list())
}

// predicate is a random filter and, beside it, what it means for one record.
type predicate struct {
	expr  string
	holds func(*record) bool
}

func randomPredicate(r *rand.Rand, depth int) predicate {
	if depth > 0 {
		switch r.IntN(4) {
		case 0:
			p := randomPredicate(r, depth-1)
			return predicate{[]string{"not ", "!"}[r.IntN(2)] + "(" + p.expr + ")", func(x *record) bool { return !p.holds(x) }}
		case 1, 2:
			a, b := randomPredicate(r, depth-1), randomPredicate(r, depth-1)
			if r.IntN(2) == 0 {
				return predicate{"(" + a.expr + ") and (" + b.expr + ")", func(x *record) bool { return a.holds(x) && b.holds(x) }}
			}
			return predicate{"(" + a.expr + ") || (" + b.expr + ")", func(x *record) bool { return a.holds(x) || b.holds(x) }}
		}
	}
	ops := []tokenKind{"==", "!=", "<", "<=", ">", ">="}
	op := ops[r.IntN(len(ops))]
	brand, tag, other := fmt.Sprint("b", r.IntN(8)), fmt.Sprint("t", r.IntN(10)), fmt.Sprint("t", r.IntN(10))
	n := r.IntN(40)
	switch r.IntN(9) {
	case 0:
		price := float32(n) / 4
		return predicate{fmt.Sprintf("price %s %g", op, price), func(x *record) bool { return ordered[float32](op)(x.price, price) }}
	case 1:
		return predicate{fmt.Sprintf("%d %s published", 25*n, op), func(x *record) bool {
			return ordered[int64](op)(int64(25*n), x.published)
		}}
	case 2:
		return predicate{fmt.Sprintf("available == %t", n%2 == 0), func(x *record) bool { return x.available == (n%2 == 0) }}
	case 3:
		return predicate{fmt.Sprintf("brand %s %q", op, brand), func(x *record) bool { return ordered[string](op)(x.brand, brand) }}
	case 4:
		return predicate{fmt.Sprintf("array_contains(tags, %q)", tag), func(x *record) bool { return slices.Contains(x.tags, tag) }}
	case 5:
		return predicate{fmt.Sprintf("array_contains_any(tags, [%q, %q])", tag, other), func(x *record) bool {
			return slices.Contains(x.tags, tag) || slices.Contains(x.tags, other)
		}}
	case 6:
		return predicate{fmt.Sprintf("array_contains_all(tags, [%q, %q])", tag, other), func(x *record) bool {
			return slices.Contains(x.tags, tag) && slices.Contains(x.tags, other)
		}}
	case 7:
		return predicate{fmt.Sprintf("age not in [%d, %d]", n, n/2), func(x *record) bool {
			return x.age != int32(n) && x.age != int32(n/2)
		}}
	default:
		return predicate{fmt.Sprintf("%d <= age < %d", n/4, n/2), func(x *record) bool { return int(x.age) >= n/4 && int(x.age) < n/2 }}
	}
}

func TestFilterMeansWhatTheOracleMeans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		records := randomRecords(r, r.IntN(200), 2)
		c := testCollection(t, 2, records)
		p := randomPredicate(r, 4)
		rows, err := c.filter(p.expr)
		require.NoError(t, err, p.expr)
		for i := range records {
			require.Equal(t, p.holds(&records[i]), rows.has(i), "%s on %+v", p.expr, records[i])
		}
	}
}

// FuzzFilter looks for panics and endless loops, and holds that what parses means the same in parentheses.
func FuzzFilter(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		f.Add(randomPredicate(r, 3).expr)
	}
	for _, s := range []string{
		`id == "\x61\u00e9\n'"`, `id in ["a",]`, `1 < price <= 2.`, `not (a) in`, `brand like "a%"`, "\xff", `"`, `0x`, `.`, `1e`,
	} {
		f.Add(s)
	}
	c := testCollection(f, 2, randomRecords(rand.New(rand.NewPCG(5, 6)), 100, 2))
	f.Fuzz(func(t *testing.T, expr string) {
		rows, err := c.filter(expr)
		if err != nil || isBlank(expr) {
			return
		}
		again, err := c.filter("(" + expr + ")")
		if err == nil { // it may now nest too deep
			require.Equal(t, rows.list(), again.list())
		}
	})
}

// FuzzString holds that a quoted string is read back as it was, whatever it holds.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", `"`, `'`, `\`, "\n\r\t\x00\x7f", "é🦊\u2028", "\xff\xfe", `\u0061`, `"] or true`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tokens, err := lex(strconv.Quote(s))
		require.NoError(t, err)
		require.Len(t, tokens, 2)
		require.Equal(t, s, tokens[0].text)
	})
}
