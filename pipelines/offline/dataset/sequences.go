package dataset

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/freshet/freshet/schemas"
)

// Sequences is a data set of which only each user's order is known, parted as a published protocol has it.
type Sequences struct {
	Items []schemas.ItemChange
	// Train are the users' items to learn from, oldest first, by index into Items.
	Train [][]int32
	// Validation and Test ask for one item each; the histories of Test include what Validation asks for.
	Validation, Test []Case
	// Known is Train and what Validation asks for: all that may be learnt from before the test.
	Known [][]int32
	// IncludeSeen says that items of the history stay in the ranked lists, and may be what comes next.
	IncludeSeen bool
	// Hidden counts the events that HideItems took out of Known.
	Hidden int
	// InTime says that the rows are in the order of time, as sessions are: each began no earlier than the one before it.
	InTime bool
}

// ReadSASRecSplit reads ml-1m in the split of gSASRec (Petrov and Macdonald, RecSys 2023), by which the published figures
// of SASRec, BERT4Rec and gSASRec are comparable: gsas_train_input.txt (a line a user), gsas_val_input.txt and
// gsas_val_output.txt (512 users), gsas_test_output.txt (each user's last item), ml-1m_sas.txt (all events, user and item
// a line, in order), items.tsv. Items are numbered from 1 in the files, from 0 here.
func ReadSASRecSplit(dir string) (*Sequences, error) {
	s, err := readSASRecSplit(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the gSASRec split: %w", err)
	}
	return s, nil
}

func readSASRecSplit(dir string) (*Sequences, error) {
	b := &movieLensBuilder{d: &Dataset{}, items: map[string]int32{}}
	err := eachLine(dir, "items.tsv", func(line string) error {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return fmt.Errorf("%d fields instead of 4", len(f))
		}
		if f[0] != strconv.Itoa(len(b.d.Items)+1) {
			return fmt.Errorf("item %q is out of order", f[0])
		}
		return b.movie(f[0], f[2], strings.Split(f[3], "|"))
	})
	if err != nil {
		return nil, err
	}
	s := &Sequences{Items: b.d.Items}
	r := sequenceReader{dir: dir, items: len(s.Items)}
	s.Train = r.rows("gsas_train_input.txt")
	validation, answers := r.rows("gsas_val_input.txt"), r.rows("gsas_val_output.txt")
	whole, last := r.byUser("ml-1m_sas.txt"), r.rows("gsas_test_output.txt")
	if r.err != nil {
		return nil, r.err
	}
	if s.Validation, err = cases("gsas_val_output.txt", validation, answers); err != nil {
		return nil, err
	}
	if len(last) != len(whole) {
		return nil, fmt.Errorf("gsas_test_output.txt has %d lines for %d users", len(last), len(whole))
	}
	for u, history := range whole {
		if len(history) < 2 || len(last[u]) != 1 || last[u][0] != history[len(history)-1] {
			return nil, fmt.Errorf("gsas_test_output.txt:%d: not the user's last item in ml-1m_sas.txt", u+1)
		}
		s.Test = append(s.Test, Case{User: int32(u), History: history[:len(history)-1], Targets: last[u]})
		s.Known = append(s.Known, history[:len(history)-1])
	}
	return s, nil
}

func cases(file string, histories, answers [][]int32) ([]Case, error) {
	if len(histories) != len(answers) {
		return nil, fmt.Errorf("%s has %d lines for %d users", file, len(answers), len(histories))
	}
	var all []Case
	for i, history := range histories {
		if len(answers[i]) != 1 {
			return nil, fmt.Errorf("%s:%d: %d items instead of one", file, i+1, len(answers[i]))
		}
		all = append(all, Case{User: int32(i), History: history, Targets: answers[i]})
	}
	return all, nil
}

// sequenceReader reads files of item numbers until the first error, which it keeps.
type sequenceReader struct {
	dir     string
	items   int   // the largest number there may be
	largest int32 // the largest number so far
	err     error
}

// rows are the lines as items.
func (r *sequenceReader) rows(name string) (rows [][]int32) {
	r.each(name, func(fields []string) error {
		row, err := r.all(fields)
		rows = append(rows, row)
		return err
	})
	return rows
}

func (r *sequenceReader) all(fields []string) ([]int32, error) {
	row := make([]int32, 0, len(fields))
	for _, f := range fields {
		item, err := r.item(f)
		if err != nil {
			return nil, err
		}
		row = append(row, item)
	}
	return row, nil
}

// byUser gathers lines of user and item, the users numbered from 1 and in order.
func (r *sequenceReader) byUser(name string) (rows [][]int32) {
	r.each(name, func(fields []string) error {
		if len(fields) != 2 {
			return fmt.Errorf("%d fields instead of a user and an item", len(fields))
		}
		user, err := strconv.Atoi(fields[0])
		if err != nil || user != len(rows) && user != len(rows)+1 || user < 1 {
			return fmt.Errorf("user %q is out of order", fields[0])
		}
		item, err := r.item(fields[1])
		if err != nil {
			return err
		}
		if user > len(rows) {
			rows = append(rows, nil)
		}
		rows[user-1] = append(rows[user-1], item)
		return nil
	})
	return rows
}

func (r *sequenceReader) each(name string, row func(fields []string) error) {
	if r.err == nil {
		r.err = eachLine(r.dir, name, func(line string) error { return row(strings.Fields(line)) })
	}
}

func (r *sequenceReader) item(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 || n > int64(r.items) {
		return 0, fmt.Errorf("item %q is not a number from 1 to %d", s, r.items)
	}
	item := int32(n)
	r.largest = max(r.largest, item)
	return item - 1, nil
}
