package dataset

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// write makes a folder of the files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func with(files map[string]string, name, text string) map[string]string {
	changed := maps.Clone(files)
	changed[name] = text
	return changed
}

var (
	csvFiles = map[string]string{
		"movies.csv": "movieId,title,genres\r\n" +
			"7,\"American President, The (1995)\",Comedy|Drama\r\n" +
			"9,Cosmos,(no genres listed)\r\n",
		"ratings.csv": "userId,movieId,rating,timestamp\r\n5,9,4.5,1000\r\n3,7,0.5,999\r\n5,7,3.0,1000\r\n",
	}
	hundredK = map[string]string{
		"u.genre": "unknown|0\nAction|1\nChildren's|2\n\n",
		"u.item":  "1|Am\xe9lie (2001)|01-Jan-2001||http://x|0|1|1\n2|unknown||||1|0|0\n",
		"u.user":  "8|24|M|technician|85711\n",
		"u.data":  "8\t2\t3\t881250949\n9\t1\t5\t881250948\n",
	}
)

func TestReadMovieLensCSV(t *testing.T) {
	d, err := ReadMovieLens(write(t, csvFiles))
	require.NoError(t, err)
	start := time.Unix(999, 0).UTC()
	require.Equal(t, []schemas.ItemChange{
		{ItemID: "7", Op: schemas.UpsertItem, Version: 1, OccurredAt: start, Title: "The American President",
			Categories: []string{"Comedy", "Drama"}, Available: true, PublishedAt: time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC)},
		{ItemID: "9", Op: schemas.UpsertItem, Version: 1, OccurredAt: start, Title: "Cosmos",
			Categories: []string{}, Available: true},
	}, d.Items)
	require.Equal(t, []User{{ID: "5"}, {ID: "3"}}, d.Users)
	require.Equal(t, []Event{ // by time, ties by lot
		{At: 999_000, User: 1, Item: 0, Value: .5, Type: schemas.Rating},
		{At: 1_000_000, User: 0, Item: 1, Value: 4.5, Type: schemas.Rating},
		{At: 1_000_000, User: 0, Item: 0, Value: 3, Type: schemas.Rating, Tied: true},
	}, d.Events)
	half := .5
	require.Equal(t, schemas.Interaction{EventID: "movielens-3-7-8-999000", UserID: "3", ItemID: "7", Type: schemas.Rating,
		Value: &half, OccurredAt: start}, d.Interaction(0))
}

// The files are sorted by film: of what a user rated in one second, nobody knows what came first.
func TestReadMovieLensInAnyOrder(t *testing.T) {
	movies, rows := "movieId,title,genres\n", []string(nil)
	for film := range 40 {
		movies += fmt.Sprintf("%d,Film,Drama\n", film)
		for user := range 5 {
			rows = append(rows, fmt.Sprintf("%d,%d,4,%d\n", user, film, 1000+film/20))
		}
	}
	read := func() *Dataset {
		d, err := ReadMovieLens(write(t, map[string]string{
			"movies.csv": movies, "ratings.csv": "userId,movieId,rating,timestamp\n" + strings.Join(rows, ""),
		}))
		require.NoError(t, err)
		return d
	}
	sorted := read()
	slices.Reverse(rows[5:]) // behind the first row of each user, which numbers the users
	require.Equal(t, sorted.Events, read().Events)
	require.False(t, slices.IsSorted(sorted.Histories()[0]))
	_, cases := LeaveLastOut(sorted)
	require.Len(t, cases[0].Tied, 19)
}

func TestReadMovieLensHundredK(t *testing.T) {
	d, err := ReadMovieLens(write(t, hundredK))
	require.NoError(t, err)
	require.Equal(t, "Amélie", d.Items[0].Title)
	require.Equal(t, []string{"Action", "Children's"}, d.Items[0].Categories)
	require.Equal(t, "unknown", d.Items[1].Title)
	require.Empty(t, d.Items[1].Categories)
	require.Equal(t, []User{{ID: "8", Age: 24}, {ID: "9"}}, d.Users)
	require.Equal(t, []int32{1, 0}, []int32{d.Events[0].User, d.Events[1].User})
}

func TestReadMovieLensDoubleColon(t *testing.T) {
	d, err := ReadMovieLens(filepath.Join("testdata", "ml-1m"))
	require.NoError(t, err)
	require.Equal(t, "La Cité des enfants perdus", d.Items[2].Title)
	require.Equal(t, "The Postman (Postino, Il)", d.Items[1].Title)
	require.True(t, d.Items[3].PublishedAt.IsZero())
	require.Equal(t, []User{{ID: "2", Age: 56}, {ID: "1"}, {ID: "3", Age: 25}}, d.Users)
	require.Equal(t, [][]int32{{2}, {0, 1}, {0}}, d.Histories()) // one star counts as a dislike
}

func TestReadMovieLensRefuses(t *testing.T) {
	const ratings = "userId,movieId,rating,timestamp\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"unknown format": {
			map[string]string{"movies.csv": ""},
			"has none of the formats: movies.csv and ratings.csv (ml-latest-small)",
		},
		"header": {
			with(csvFiles, "ratings.csv", "user,movieId,rating,timestamp\n"),
			`ratings.csv:1: the header is "user,movieId,rating,timestamp"`,
		},
		"stars": {
			with(csvFiles, "ratings.csv", ratings+"5,9,six,1\n"),
			`ratings.csv:2: rating "six" is not a number from 0 to 5`,
		},
		"NaN stars": {
			with(csvFiles, "ratings.csv", ratings+"5,9,NaN,1\n"),
			`ratings.csv:2: rating "NaN"`,
		},
		"time": {
			with(csvFiles, "ratings.csv", ratings+"5,9,4,-1\n"),
			`ratings.csv:2: timestamp "-1"`,
		},
		"fields": {
			with(csvFiles, "ratings.csv", ratings+"5,9,4\n"),
			"ratings.csv: record on line 2: wrong number of fields",
		},
		"quote": {
			with(csvFiles, "movies.csv", "movieId,title,genres\n1,\"a,b\n"),
			"movies.csv: parse error on line 2, column 8",
		},
		"no film": {
			with(csvFiles, "ratings.csv", ratings+"5,77,4,1\n"),
			`ratings.csv:2: film "77" is not in the file of films`,
		},
		"film twice": {
			with(csvFiles, "movies.csv", "movieId,title,genres\n1,a,b\n1,c,d\n"),
			"movies.csv:3: film 1 comes twice",
		},
		"no ratings": {
			with(csvFiles, "ratings.csv", ratings),
			"the file of ratings is empty",
		},
		"genre flags": {
			with(hundredK, "u.item", "1|x|||u|0|1\n"),
			"u.item:1: 7 fields instead of 5 and one for each of the 3 genres",
		},
		"u.data": {
			with(hundredK, "u.data", "8\t2\t3\t881250949\n8 2\n"),
			"u.data:2: 1 fields instead of 4",
		},
		"age": {
			with(hundredK, "u.user", "8|old|M\n"),
			`u.user:1: age "old" is not a number of years`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadMovieLens(write(t, c.files))
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := ReadMovieLens(filepath.Join(t.TempDir(), "away"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestParseTitle(t *testing.T) {
	for title, want := range map[string]struct {
		name string
		year int
	}{
		"Toy Story (1995)": {"Toy Story", 1995},
		"City of Lost Children, The (Cité, La) (1995)": {"The City of Lost Children (Cité, La)", 1995},
		"Land Before Time III (1995) (V)":              {"Land Before Time III", 1995},
		"Death Note (2006–2007)":                       {"Death Note", 2006},
		"Fawlty Towers (1975-)":                        {"Fawlty Towers", 1975},
		"2001: A Space Odyssey (1968) ":                {"2001: A Space Odyssey", 1968},
		"Babylon 5":                                    {"Babylon 5", 0},
		"(1995)":                                       {"(1995)", 0},
		"":                                             {"", 0},
		"Me, Myself & Irene (2000)":                    {"Me, Myself & Irene", 2000},
	} {
		name, year := parseTitle(title)
		require.Equal(t, want.name, name)
		require.Equal(t, want.year, year, title)
	}
}

func FuzzReadMovieLens(f *testing.F) {
	for _, seed := range []string{csvFiles["movies.csv"], hundredK["u.item"], hundredK["u.data"], "1::a (1999)::b", "\xff,\"\n"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, films, ratings string) {
		for _, names := range [][2]string{{"movies.csv", "ratings.csv"}, {"u.item", "u.data"}, {"movies.dat", "ratings.dat"}} {
			files := map[string]string{names[0]: films, names[1]: ratings}
			if names[0] == "u.item" {
				files["u.genre"] = hundredK["u.genre"]
			}
			d, err := ReadMovieLens(write(t, files))
			if err != nil {
				continue
			}
			require.NotEmpty(t, d.Events)
			require.True(t, slices.IsSortedFunc(d.Events, func(a, b Event) int { return int(a.At - b.At) }))
			d.Interaction(0)
		}
	})
}

// publicData is the folder of a public data set below FRESHET_DATA; without it, the test is skipped.
func publicData(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("FRESHET_DATA")
	if root == "" {
		t.Skip("needs a folder of public data sets in FRESHET_DATA")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skip(err)
	}
	return dir
}

func TestPublicMovieLens(t *testing.T) {
	for name, want := range map[string]struct{ users, items, events, dated int }{
		"ml-latest-small": {610, 9742, 100_836, 9730},
		"ml-100k":         {943, 1682, 100_000, 1681},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := ReadMovieLens(publicData(t, name))
			require.NoError(t, err)
			dated := 0
			for i := range d.Items {
				if !d.Items[i].PublishedAt.IsZero() {
					dated++
				}
			}
			require.Len(t, d.Users, want.users)
			require.Len(t, d.Items, want.items)
			require.Len(t, d.Events, want.events)
			require.Equal(t, want.dated, dated)
		})
	}
}

func TestPublicSASRecSplit(t *testing.T) {
	s, err := ReadSASRecSplit(publicData(t, "ml-1m"))
	require.NoError(t, err)
	require.Len(t, s.Items, 3416)
	require.Equal(t, "Raiders of the Lost Ark", s.Items[0].Title)
	require.Len(t, s.Train, 6040)
	require.Len(t, s.Validation, 512)
	require.Len(t, s.Test, 6040)
}

// TestReadTenM: ml-10m has the files of ml-1m, with half stars, titles in UTF-8 and no users.dat.
func TestReadTenM(t *testing.T) {
	d, err := ReadMovieLens(write(t, map[string]string{
		"movies.dat":  "1::Amélie (2001)::Comedy|Romance\n",
		"ratings.dat": "1::1::4.5::838985046\n2::1::5::838983525\n",
	}))
	require.NoError(t, err)
	require.Equal(t, "Amélie", d.Items[0].Title)
	require.Equal(t, schemas.RatingScale{Lowest: .5, Highest: 5}, d.Ratings)
	d, err = ReadMovieLens(write(t, map[string]string{
		"movies.dat":  "1::Am\xe9lie (2001)::Comedy\n",
		"ratings.dat": "1::1::4::838985046\n",
	}))
	require.NoError(t, err)
	require.Equal(t, "Amélie", d.Items[0].Title)
	require.Equal(t, schemas.RatingScale{Lowest: 1, Highest: 5}, d.Ratings)
}
