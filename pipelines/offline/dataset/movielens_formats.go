package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// readCSV reads movies.csv (movieId,title,genres) and ratings.csv (userId,movieId,rating,timestamp), both UTF-8 with a header.
func readCSV(dir string, b *movieLensBuilder) error {
	err := eachRecord(dir, "movies.csv", []string{"movieId", "title", "genres"}, func(r []string) error {
		return b.movie(r[0], r[1], strings.Split(r[2], "|"))
	})
	if err != nil {
		return err
	}
	return eachRecord(dir, "ratings.csv", []string{"userId", "movieId", "rating", "timestamp"}, func(r []string) error {
		return b.rating(r[0], r[1], r[2], r[3])
	})
}

// eachRecord calls row for each record below the header, which must be as wished.
func eachRecord(dir, name string, header []string, row func(record []string) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	records := csv.NewReader(f)
	records.FieldsPerRecord = len(header)
	records.ReuseRecord = true
	first, err := records.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if got, want := strings.TrimPrefix(strings.Join(first, ","), "\ufeff"), strings.Join(header, ","); got != want {
		return fmt.Errorf("%s:1: the header is %q instead of %q", name, got, want)
	}
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err) // names the line
		}
		if err := row(record); err != nil {
			line, _ := records.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", name, line, err)
		}
	}
}

// readHundredK reads ml-100k: u.genre (name|number), u.item (id|title|date|video date|url|a flag for each genre), u.data
// (user, film, stars, seconds, separated by tabs) and, where it is there, u.user (id|age|…). Titles are in Latin-1.
func readHundredK(dir string, b *movieLensBuilder) error {
	var genres []string
	err := eachLine(dir, "u.genre", func(line string) error {
		name, _, ok := strings.Cut(line, "|")
		if !ok {
			return fmt.Errorf("%q is not a genre and its number with a bar between", line)
		}
		genres = append(genres, name)
		return nil
	})
	if err != nil {
		return err
	}
	err = eachLine(dir, "u.item", func(line string) error {
		const before = 5
		f := strings.Split(fromLatin1(line), "|")
		if len(f) != before+len(genres) {
			return fmt.Errorf("%d fields instead of %d and one for each of the %d genres", len(f), before, len(genres))
		}
		var of []string
		for i, flag := range f[before:] {
			if flag == "1" {
				of = append(of, genres[i])
			}
		}
		return b.movie(f[0], f[1], of)
	})
	if err != nil {
		return err
	}
	if err := eachLineIfAny(dir, "u.user", b.ageRow("|", 1)); err != nil {
		return err
	}
	return eachLine(dir, "u.data", b.ratingRow("\t"))
}

// readDoubleColon reads ml-1m and ml-10m: movies.dat (id::title::genres), ratings.dat (user::film::stars::seconds) and, where it is
// there, users.dat (id::gender::age::…), where age is the lower end of a bracket and 1 stands for under 18. Titles are in
// Latin-1 in ml-1m, and in UTF-8 in ml-10m.
func readDoubleColon(dir string, b *movieLensBuilder) error {
	err := eachLine(dir, "movies.dat", func(line string) error {
		if !utf8.ValidString(line) {
			line = fromLatin1(line)
		}
		f := strings.Split(line, "::")
		if len(f) != 3 {
			return fmt.Errorf("%d fields instead of 3", len(f))
		}
		return b.movie(f[0], f[1], strings.Split(f[2], "|"))
	})
	if err != nil {
		return err
	}
	if err := eachLineIfAny(dir, "users.dat", b.ageRow("::", 2)); err != nil {
		return err
	}
	return eachLine(dir, "ratings.dat", b.ratingRow("::"))
}

func (b *movieLensBuilder) ratingRow(separator string) func(string) error {
	return func(line string) error {
		f := strings.Split(line, separator)
		if len(f) != 4 {
			return fmt.Errorf("%d fields instead of 4", len(f))
		}
		return b.rating(f[0], f[1], f[2], f[3])
	}
}

func (b *movieLensBuilder) ageRow(separator string, column int) func(string) error {
	return func(line string) error {
		f := strings.Split(line, separator)
		if len(f) <= column {
			return fmt.Errorf("%d fields instead of more than %d", len(f), column)
		}
		age, err := strconv.ParseInt(f[column], 10, 32)
		if err != nil || age < 0 {
			return fmt.Errorf("age %q is not a number of years", f[column])
		}
		if age > 1 {
			b.ages[f[0]] = int32(age)
		}
		return nil
	}
}

func parseStars(s string) (float32, error) {
	v, err := strconv.ParseFloat(s, 32)
	if err != nil || !(v >= 0 && v <= 5) {
		return 0, fmt.Errorf("rating %q is not a number from 0 to 5", s)
	}
	return float32(v), nil
}

func parseSeconds(s string) (time.Time, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < 0 || v > 1<<36 {
		return time.Time{}, fmt.Errorf("timestamp %q is not a number of seconds since 1970", s)
	}
	return time.Unix(v, 0), nil
}

// fromLatin1 turns bytes of ISO 8859-1, whose values are the code points, into UTF-8.
func fromLatin1(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
