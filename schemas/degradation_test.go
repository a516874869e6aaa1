package schemas

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// The list is what documents, metrics and tests are held to: a code that is not on it would escape them all.
func TestEachDegradationIsListed(t *testing.T) {
	source, err := os.ReadFile("degradation.go")
	require.NoError(t, err)
	var declared []Degradation
	for _, d := range regexp.MustCompile(`(?m)^\tDegraded\w+ Degradation = "(\w+)"$`).FindAllSubmatch(source, -1) {
		declared = append(declared, Degradation(d[1]))
	}
	require.Equal(t, declared, Degradations())
}

// Who gets a code looks it up: in the schema, in asyncapi.yaml, and, with what to do, in a table of the contract. None has another.
func TestDegradationsAreDocumented(t *testing.T) {
	require.True(t, slices.IsSorted(degradations))
	want := make([]string, len(degradations))
	for i, d := range Degradations() {
		want[i] = string(d)
	}

	schema, err := avro.Parse(AvroSchema[RecommendationReply]())
	require.NoError(t, err)
	at := slices.IndexFunc(schema.Fields, func(f avro.Field) bool { return f.Name == "degraded" })
	require.NotEqual(t, -1, at)
	require.Equal(t, want, codesIn(schema.Fields[at].Doc))

	a, _ := readAsyncAPI(t)
	require.Equal(t, want, codesIn(a.Components.Messages["reply"].Summary))

	text, err := os.ReadFile("../docs/contract.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| code in `degraded` |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
		rows[row[1]]++
	}
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(rows)))
	for code, n := range rows {
		require.Equal(t, 1, n, code)
	}
}

// codesIn is the list of codes after the text's "had to do without".
func codesIn(text string) []string {
	_, list, _ := strings.Cut(text, "had to do without")
	_, list, _ = strings.Cut(list, ": ")
	list, _, _ = strings.Cut(list, ".")
	return regexp.MustCompile(`\w+`).FindAllString(list, -1)
}
