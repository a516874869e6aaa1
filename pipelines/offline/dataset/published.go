package dataset

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet/freshet/schemas"
)

// ReadS3Rec reads a data set in the format of S3-Rec (Zhou et al., CIKM 2020): NAME.txt has a line a user, the user's number
// and the items in order; NAME_item2attributes.json gives each item's attribute ids, which become its tags. The last item of
// each user is the test, the one before it validation. Items are numbered from 1 in the files, from 0 here.
func ReadS3Rec(dir string) (*Sequences, error) {
	s, err := readS3Rec(dir)
	if err != nil {
		return nil, fmt.Errorf("reading S3-Rec's format: %w", err)
	}
	return s, nil
}

const attributesSuffix = "_item2attributes.json"

func readS3Rec(dir string) (*Sequences, error) {
	file, err := only(dir, "*"+attributesSuffix)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	attributes := map[string][]int{}
	if err := json.Unmarshal(text, &attributes); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", file, err)
	}
	s := &Sequences{}
	r := sequenceReader{dir: dir, items: mostItems}
	name := strings.TrimSuffix(file, attributesSuffix) + ".txt"
	r.each(name, func(fields []string) error {
		if len(fields) < 4 {
			return fmt.Errorf("%d fields instead of a user and three items or more", len(fields))
		}
		row, err := r.all(fields[1:])
		s.Known = append(s.Known, row)
		return err
	})
	if r.err != nil {
		return nil, r.err
	}
	s.numbered(r.largest, func(item *schemas.ItemChange) {
		for _, id := range attributes[item.ItemID] {
			item.Tags = append(item.Tags, strconv.Itoa(id))
		}
	})
	for u, row := range s.Known {
		last := len(row) - 1
		s.Train = append(s.Train, row[:last-1:last-1])
		s.Validation = append(s.Validation, Case{User: int32(u), History: row[: last-1 : last-1], Targets: row[last-1 : last : last]})
		s.Test = append(s.Test, Case{User: int32(u), History: row[:last:last], Targets: row[last:]})
		s.Known[u] = row[:last:last]
	}
	return s, nil
}

// sessionsHeldOut is the share of the sessions, the newest, that validation asks about: as the test does, which follows them.
const sessionsHeldOut = 0.05

// ReadSessions reads sessions as SR-GNN (Wu et al., AAAI 2019) prepares them: NAME.train.txt has a line a session, in the
// order of time; NAME.test.txt has a line for each prefix of a later session, a tab, and the item that came next. Items that
// the session had before stay in the lists.
func ReadSessions(dir string) (*Sequences, error) {
	s, err := readSessions(dir)
	if err != nil {
		return nil, fmt.Errorf("reading sessions: %w", err)
	}
	return s, nil
}

func readSessions(dir string) (*Sequences, error) {
	train, err := only(dir, "*.train.txt")
	if err != nil {
		return nil, err
	}
	r := sequenceReader{dir: dir, items: mostItems}
	s := &Sequences{IncludeSeen: true, InTime: true, Known: r.rows(train)}
	user := int32(len(s.Known))
	test := strings.TrimSuffix(train, ".train.txt") + ".test.txt"
	r.each(test, func(fields []string) error {
		if len(fields) < 2 {
			return fmt.Errorf("%d fields instead of a prefix and the item after it", len(fields))
		}
		row, err := r.all(fields)
		last := len(row) - 1
		if err == nil {
			s.Test = append(s.Test, Case{User: user, History: row[:last:last], Targets: row[last:]})
			user++
		}
		return err
	})
	if r.err != nil {
		return nil, r.err
	}
	s.numbered(r.largest, nil)
	cut := len(s.Known) - int(float64(len(s.Known))*sessionsHeldOut)
	s.Train = s.Known[:cut:cut]
	for u, row := range s.Known[cut:] {
		for at := 1; at < len(row); at++ {
			s.Validation = append(s.Validation, Case{User: int32(cut + u), History: row[:at:at], Targets: row[at : at+1 : at+1]})
		}
	}
	return s, nil
}

// The shares of a random split, as the tutorials of TensorFlow Recommenders have it; validation is a part of the former.
const (
	randomTrain      = 0.8
	randomValidation = 0.05
)

// ReadRandomSplit reads MovieLens and draws a fifth of all events for the test, as the tutorials of TensorFlow Recommenders
// do, so that much of what is known of a user is younger than what is asked. A history is nevertheless only the part of the
// known events that lies before the one asked for. Seen items stay in the lists, which cost the model places. No case has items tied
// with its target: which event is asked for does not depend on what came first.
func ReadRandomSplit(dir string) (*Sequences, error) {
	d, err := ReadMovieLens(dir)
	if err != nil {
		return nil, err
	}
	const train, validation, test = 0, 1, 2
	part := make([]uint8, len(d.Events))
	rng := rand.New(rand.NewPCG(42, 0))
	for at, event := range rng.Perm(len(part)) {
		switch share := float64(at) / float64(len(part)); {
		case share >= randomTrain:
			part[event] = test
		case share >= randomTrain-randomValidation:
			part[event] = validation
		}
	}
	s := &Sequences{Items: d.Items, IncludeSeen: true, Train: make([][]int32, len(d.Users)), Known: make([][]int32, len(d.Users))}
	for i, e := range d.Events {
		ask := func(history []int32) Case {
			return Case{User: e.User, History: slices.Clone(history), Targets: []int32{e.Item}, At: e.At, Type: e.Type}
		}
		switch part[i] {
		case test:
			s.Test = append(s.Test, ask(s.Known[e.User]))
			continue
		case validation:
			s.Validation = append(s.Validation, ask(s.Train[e.User]))
		case train:
			s.Train[e.User] = append(s.Train[e.User], e.Item)
		}
		s.Known[e.User] = append(s.Known[e.User], e.Item)
	}
	return s, nil
}

// HideItems takes a share of the items, drawn by lot, out of all that may be learnt from, as if they were new, and leaves the
// test cases that ask for one of them: what is left to rank them by is their content. Histories of test cases keep them.
func (s *Sequences) HideItems(share float64, seed uint64) {
	hidden := make([]bool, len(s.Items))
	rng := rand.New(rand.NewPCG(seed, 0x68696465))
	for _, item := range rng.Perm(len(hidden))[:int(share*float64(len(hidden)))] {
		hidden[item] = true
	}
	isHidden := func(item int32) bool { return hidden[item] }
	without := func(rows [][]int32) (taken int) {
		for i, row := range rows {
			if slices.ContainsFunc(row, isHidden) {
				rows[i] = slices.DeleteFunc(slices.Clone(row), isHidden)
				taken += len(row) - len(rows[i])
			}
		}
		return taken
	}
	without(s.Train)
	s.Hidden += without(s.Known)
	s.Validation = slices.DeleteFunc(s.Validation, func(c Case) bool { return slices.ContainsFunc(c.Targets, isHidden) })
	for i := range s.Validation {
		s.Validation[i].History = slices.DeleteFunc(slices.Clone(s.Validation[i].History), isHidden)
	}
	s.Test = slices.DeleteFunc(s.Test, func(c Case) bool { return !slices.ContainsFunc(c.Targets, isHidden) })
}

// mostItems bounds item numbers in files that do not say how many items there are, so that a slip of a digit is an error and
// not a catalogue of billions.
const mostItems = 20_000_000

// numbered makes a catalogue of n items that have numbers only, and what describe adds.
func (s *Sequences) numbered(n int32, describe func(item *schemas.ItemChange)) {
	s.Items = make([]schemas.ItemChange, n)
	for i := range s.Items {
		item := &s.Items[i]
		*item = schemas.ItemChange{ItemID: strconv.Itoa(i + 1), Op: schemas.UpsertItem, Version: 1, Available: true}
		if describe != nil {
			describe(item)
		}
	}
}

// only finds the one file of a folder that the pattern names.
func only(dir, pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s has %d files %s instead of one", dir, len(found), pattern)
	}
	return filepath.Base(found[0]), nil
}

// readers by the name of the format.
var readers = map[string]func(dir string) (*Sequences, error){
	"gsasrec": ReadSASRecSplit, "s3rec": ReadS3Rec, "sessions": ReadSessions, "random": ReadRandomSplit,
}

// Formats are the names of the published protocols that ReadFormat knows.
func Formats() []string { return slices.Sorted(maps.Keys(readers)) }

// ReadFormat reads a folder by the protocol of that name.
func ReadFormat(format, dir string) (*Sequences, error) {
	read, known := readers[format]
	if !known {
		return nil, fmt.Errorf("format is %q: choose one of %s", format, strings.Join(Formats(), ", "))
	}
	return read(dir)
}

// The formats that have no protocol of their own.
const (
	// MovieLensFormat is that of folders that ReadMovieLens reads.
	MovieLensFormat = "movielens"
	// TablesFormat is that of folders that package tables reads.
	TablesFormat = "events"
)

// marks are the files by which a folder's format is told.
var marks = []struct{ format, pattern string }{
	{"gsasrec", "gsas_train_input.txt"},
	{"s3rec", "*" + attributesSuffix},
	{"sessions", "*.train.txt"},
	{MovieLensFormat, "ratings.csv"},
	{MovieLensFormat, "ratings.dat"},
	{MovieLensFormat, "u.data"},
}

// DetectFormat tells a folder's format by its files.
func DetectFormat(dir string) (string, error) {
	var looked []string
	for _, f := range marks {
		if len(matching(dir, f.pattern)) > 0 {
			return f.format, nil
		}
		looked = append(looked, f.pattern+" ("+f.format+")")
	}
	return "", fmt.Errorf("telling the format of %s: it has none of %s; give the folder that holds one of them, name the format with "+
		"--format, or take what is in the topics with --from-topics", dir, strings.Join(looked, ", "))
}

// matching gives the files of a folder that a pattern names.
func matching(dir, pattern string) []string {
	found, err := fs.Glob(os.DirFS(dir), pattern)
	if err != nil {
		return nil
	}
	return found
}
