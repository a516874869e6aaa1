package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/freshet/freshet/schemas"
)

// movieLensFormat is one of the formats in which GroupLens has published MovieLens.
type movieLensFormat struct {
	name string
	// lowest is the worst rating; the best is 5.
	lowest float64
	// files are those without which the format is not this one.
	files []string
	read  func(dir string, b *movieLensBuilder) error
}

var movieLensFormats = []movieLensFormat{
	{"ml-latest-small", halfStar, []string{"movies.csv", "ratings.csv"}, readCSV},
	{"ml-100k", 1, []string{"u.item", "u.data", "u.genre"}, readHundredK},
	{"ml-1m", 1, []string{"movies.dat", "ratings.dat"}, readDoubleColon},
}

// ReadMovieLens reads the folder of a MovieLens data set as GroupLens publishes it, and finds out by the names of the files which
// format it has: that of ml-latest-small (also ml-20m and later), of ml-100k, or of ml-1m (also ml-10m). Each rating becomes
// an event of type Rating with the stars as its value, of which those below the middle count as dislikes (Ratings), each film an item
// with the year of its title as its date. The order of ratings of one second is drawn by lot (DrawTies).
func ReadMovieLens(dir string) (*Dataset, error) {
	for _, format := range movieLensFormats {
		if !allExist(dir, format.files) {
			continue
		}
		b := &movieLensBuilder{
			d:     &Dataset{Name: "movielens", Ratings: schemas.RatingScale{Lowest: format.lowest, Highest: 5}},
			items: map[string]int32{}, users: map[string]int32{}, ages: map[string]int32{},
		}
		if err := format.read(dir, b); err != nil {
			return nil, fmt.Errorf("reading MovieLens in the format of %s: %w", format.name, err)
		}
		return b.finish()
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("reading MovieLens: %w", err)
	}
	return nil, fmt.Errorf("reading MovieLens: %s has none of the formats: movies.csv and ratings.csv (ml-latest-small), "+
		"u.item, u.data and u.genre (ml-100k), or movies.dat and ratings.dat (ml-1m)", dir)
}

func allExist(dir string, files []string) bool {
	return !slices.ContainsFunc(files, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// movieLensBuilder turns the rows of any of the formats into a data set.
type movieLensBuilder struct {
	d     *Dataset
	items map[string]int32
	users map[string]int32
	ages  map[string]int32
}

func (b *movieLensBuilder) movie(id, title string, genres []string) error {
	if id == "" {
		return errors.New("a film has no id")
	}
	if _, twice := b.items[id]; twice {
		return fmt.Errorf("film %s comes twice", id)
	}
	name, year := parseTitle(title)
	item := schemas.ItemChange{
		ItemID: id, Op: schemas.UpsertItem, Version: 1, Available: true,
		Title: name, Categories: slices.DeleteFunc(genres, isNoGenre),
	}
	if year > 0 {
		item.PublishedAt = time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	b.items[id] = int32(len(b.d.Items))
	b.d.Items = append(b.d.Items, item)
	return nil
}

// halfStar is the worst rating where there are halves.
const halfStar = 0.5

func isNoGenre(genre string) bool {
	return genre == "" || genre == "unknown" || genre == "(no genres listed)"
}

func (b *movieLensBuilder) rating(user, movie, stars, seconds string) error {
	item, known := b.items[movie]
	if !known {
		return fmt.Errorf("film %q is not in the file of films", movie)
	}
	value, err := parseStars(stars)
	if err != nil {
		return err
	}
	at, err := parseSeconds(seconds)
	if err != nil {
		return err
	}
	u, known := b.users[user]
	if !known {
		u = int32(len(b.d.Users))
		b.users[user] = u
		b.d.Users = append(b.d.Users, User{ID: user, Age: b.ages[user]})
	}
	if value != float32(int32(value)) { // ml-10m has half stars, in the format of ml-1m
		b.d.Ratings.Lowest = halfStar
	}
	b.d.Events = append(b.d.Events, Event{At: at.UnixMilli(), User: u, Item: item, Value: value, Type: schemas.Rating})
	return nil
}

func (b *movieLensBuilder) finish() (*Dataset, error) {
	if len(b.d.Events) == 0 {
		return nil, errors.New("reading MovieLens: the file of ratings is empty")
	}
	b.d.settle(nil) // whole seconds; the files are sorted by film
	start := time.UnixMilli(b.d.Events[0].At).UTC()
	for i := range b.d.Items {
		b.d.Items[i].OccurredAt = start
	}
	return b.d, nil
}

// eachLine calls row for each line that is not empty; its error is given the name of the file and the number of the line.
func eachLine(dir, name string, row func(line string) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 1<<16), 1<<20)
	number := 0
	for lines.Scan() {
		number++
		if lines.Text() == "" {
			continue
		}
		if err := row(lines.Text()); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	return nil
}

// eachLineIfAny is eachLine for a file that need not be there.
func eachLineIfAny(dir, name string, row func(line string) error) error {
	if err := eachLine(dir, name, row); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
