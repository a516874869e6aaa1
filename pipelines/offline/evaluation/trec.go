package evaluation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A kept run knows the ranks of the targets, and not which items stood between them. So its documents are called by what they
// are: t1 to tn are a case's targets, from the best ranked one on, and x7 is what stood at rank 7 and was no target.
const (
	trecTarget = "t"
	trecOther  = "x"
	// TRECQrels is the file of the answers.
	TRECQrels = "qrels.txt"
	trecRun   = ".run"
)

// WriteTREC writes a folder that trec_eval, pytrec_eval and ranx read: qrels.txt has each case's targets, and NAME.run has the
// list of each scorer up to its last target within depth. Query N is case N of the report, from 1. Scores are negative ranks, for
// these tools rank by score, equal ones in ways of their own. What stands behind the last target changes no figure, and is left
// out; a case without any target within depth has one line, for queries without lines would be left out of means. The
// tools' MAP is this package's over all targets; the other figures are the same up to depth. It returns the names of the
// run files, in the order of the scorers.
func (r *Run) WriteTREC(dir string, depth int) (names []string, err error) {
	if names, err = r.writeTREC(dir, depth); err != nil {
		return nil, fmt.Errorf("writing a run for trec_eval: %w", err)
	}
	return names, nil
}

func (r *Run) writeTREC(dir string, depth int) ([]string, error) {
	if depth < 1 || depth > mostK {
		return nil, fmt.Errorf("the depth is %d: give 1 to %d", depth, mostK)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := writeLines(filepath.Join(dir, TRECQrels), r.writeQrels); err != nil {
		return nil, err
	}
	var names []string
	taken := map[string]bool{}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		name := safe(o.Scorer)
		for n := 2; taken[name]; n++ {
			name = safe(o.Scorer) + "-" + strconv.Itoa(n)
		}
		taken[name] = true
		err := writeLines(filepath.Join(dir, name+trecRun), func(w io.Writer) error { return o.writeTREC(w, name, depth) })
		if err != nil {
			return nil, err
		}
		names = append(names, name+trecRun)
	}
	return names, nil
}

// writeLines writes a new file, and refuses to write over another.
func writeLines(path string, write func(w io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a report, for others to read
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: give another folder", path)
	}
	if err != nil {
		return err
	}
	b := bufio.NewWriter(file)
	return errors.Join(write(b), b.Flush(), file.Close())
}

// writeLine writes fields, none of which has blanks.
func writeLine(w io.Writer, fields ...string) error {
	_, err := io.WriteString(w, strings.Join(fields, " ")+"\n")
	return err
}

// writeQrels writes a line for each target: query, 0, document, relevance.
func (r *Run) writeQrels(w io.Writer) error {
	for i, targets := range r.Targets {
		for n := range targets {
			if err := writeLine(w, strconv.Itoa(i+1), "0", trecTarget+strconv.Itoa(int(n)+1), "1"); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTREC writes a line for each listed item: query, Q0, document, rank, score, name of the run.
func (o *Outcome) writeTREC(w io.Writer, name string, depth int) error {
	for i, ranks := range o.Ranks {
		within := 0
		for within < len(ranks) && int(ranks[within]) <= depth {
			within++
		}
		last := int32(1)
		if within > 0 {
			last = ranks[within-1]
		}
		hits := 0
		for rank := int32(1); rank <= last; rank++ {
			document := trecOther + strconv.Itoa(int(rank))
			if hits < within && ranks[hits] == rank {
				hits++
				document = trecTarget + strconv.Itoa(hits)
			}
			at := strconv.Itoa(int(rank))
			if err := writeLine(w, strconv.Itoa(i+1), "Q0", document, at, "-"+at, name); err != nil {
				return err
			}
		}
	}
	return nil
}
