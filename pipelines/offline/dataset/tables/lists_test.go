package tables

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListsAsOthersWriteThem(t *testing.T) {
	for name, c := range map[string]struct {
		form listForm
		text string
		want []string
	}{
		"JSON":                        {jsonLists, `["lamp","home, sweet"]`, []string{"lamp", "home, sweet"}},
		"JSON of Snowflake":           {jsonLists, "[\n  \"lamp\",\n  7,\n  null,\n  true\n]", []string{"lamp", "7", "true"}},
		"empty JSON":                  {jsonLists, "[]", nil},
		"pandas":                      {pythonLists, `['lamp', "child's", 'a "b"', None]`, []string{"lamp", "child's", `a "b"`}},
		"pandas, escapes":             {pythonLists, `['it\'s "x"', 'a\\b']`, []string{`it's "x"`, `a\b`}},
		"NumPy without commas":        {pythonLists, "['lamp' 'home'\n 'desk']", []string{"lamp", "home", "desk"}},
		"numbers of pandas":           {pythonLists, "[1, 2.5, nan]", []string{"1", "2.5"}},
		"empty Python":                {pythonLists, "[]", nil},
		"DuckDB":                      {duckdbLists, "[lamp, home sweet home, NULL]", []string{"lamp", "home sweet home"}},
		"DuckDB with quotes":          {duckdbLists, `['a, b', lamp]`, []string{"a, b", "lamp"}},
		"Postgres":                    {postgresLists, `{lamp,"home, \"sweet\"",NULL}`, []string{"lamp", `home, "sweet"`}},
		"empty Postgres":              {postgresLists, "{}", nil},
		"bars":                        {barLists, "a||b|", []string{"a", "b"}},
		"a separator":                 {", ", "Comedy, Drama", []string{"Comedy", "Drama"}},
		"a byte between, as in Hive":  {"\x02", "a\x02b", []string{"a", "b"}},
		"RecBole's spaces":            {" ", "a b  c", []string{"a", "b", "c"}},
		"brackets within bars":        {barLists, "[a]|b", []string{"[a]", "b"}},
		"a quote within a word":       {duckdbLists, "[plain]", []string{"plain"}},
		"spaces around a word":        {postgresLists, "{ a , b }", []string{"a", "b"}},
		"doubled quotes in a literal": {duckdbLists, "['it''s']", []string{"it's"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.form.split(c.text)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for form, text := range map[listForm]string{
		jsonLists: `["a"`, pythonLists: "['a", duckdbLists: "[{'a': 1}]", postgresLists: "[a]",
	} {
		_, err := form.split(text)
		require.Error(t, err, "%s %s", form, text)
	}
}

// TestListsAreTold has the case of lists that were one category, in silence.
func TestListsAreTold(t *testing.T) {
	read := func(options Options, values ...string) ([]string, error) {
		text := "item_id,categories\n"
		for i, v := range values {
			text += string(rune('a'+i)) + ",\"" + v + "\"\n"
		}
		_, items, err := readAll(t, folder(t, map[string]string{
			"interactions.csv": "user_id,item_id,occurred_at\nu,a,1769860800000\n", "items.csv": text,
		}), options)
		if err != nil {
			return nil, err
		}
		return items[0].Categories, nil
	}
	got, err := read(Options{}, `[""lamp"",""home""]`, "[]", "")
	require.NoError(t, err, "arrays in JSON are beyond doubt")
	require.Equal(t, []string{"lamp", "home"}, got)

	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"pandas":        {[]string{"plain", "['lamp', 'home']"}, `"['lamp', 'home']" at items.csv:3 looks like a list as python writes it: say so with --lists categories=python`},
		"DuckDB":        {[]string{"[lamp, home]"}, "looks like a list as duckdb writes it: say so with --lists categories=duckdb"},
		"Postgres":      {[]string{"{lamp,home}"}, "looks like a list as postgres writes it"},
		"JSON and none": {[]string{`[""a""]`, "b"}, `1 values are lists in JSON and "b" at items.csv:3 is none: give one column one form`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(Options{}, c.values...)
			require.ErrorContains(t, err, c.want)
		})
	}
	got, err = read(Options{Lists: ForFields{"categories": "python"}}, "['lamp', 'home']")
	require.NoError(t, err)
	require.Equal(t, []string{"lamp", "home"}, got)
	got, err = read(Options{Lists: ForFields{"items.categories": "; "}}, "lamp; home")
	require.NoError(t, err)
	require.Equal(t, []string{"lamp", "home"}, got)
	got, err = read(Options{Lists: ForFields{"categories": "|"}}, "[lamp]")
	require.NoError(t, err, "who says so has categories in brackets")
	require.Equal(t, []string{"[lamp]"}, got)
	_, err = read(Options{Lists: ForFields{"title": "json"}}, "a")
	require.ErrorContains(t, err, "title is no list")
	_, err = read(Options{Lists: ForFields{"categories": "json"}}, "a")
	require.ErrorContains(t, err, `items.csv:2: column categories is "a": it is no array in JSON: the column is said to hold lists as json writes them`)
}
