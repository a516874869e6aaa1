package columnar

import (
	"errors"
	"fmt"
)

// batch is how many entries are decoded at once: enough that what a batch costs does not count, few enough that those of all
// columns stay in the processor's cache.
const batch = 256

// entries gives what the rows have in one leaf. It decodes a batch of a page at once.
type entries struct {
	pages
	at, n      int // the next of the batch, and how many it has
	values     [batch]Value
	reps, defs [batch]uint8
	arena      []byte // texts of the batch that conversion makes

	// A list that goes on in the next batch is kept, with its texts, since the next page lies where they do.
	list  []Value
	texts []byte
}

var (
	errLevels = errors.New("a page has levels that its schema does not have: write the file anew")
	errFewer  = errors.New("it has fewer rows than the file says: write the file anew")
)

// more decodes the next batch, if there is one.
func (e *entries) more() (bool, error) {
	for e.inPage == 0 {
		if e.left == 0 {
			return false, nil
		}
		if err := e.next(); err != nil {
			return false, err
		}
	}
	e.at, e.n = 0, min(batch, e.inPage)
	e.inPage -= e.n
	if e.mostRepeated > 0 {
		if err := fill(&e.repetitions, e.reps[:e.n]); err != nil {
			return false, err
		}
	}
	defined, err := e.define()
	if err != nil {
		return false, err
	}
	values := e.values[:defined]
	if len(values) > 0 {
		if err := e.pages.values.decode(values); err != nil {
			return false, err
		}
		if e.arena, err = e.converted(values, e.arena[:0]); err != nil {
			return false, err
		}
	}
	if defined < e.n {
		e.spread(defined)
	}
	return true, nil
}

// define reads the definition levels of a batch, and says how many values it has.
func (e *entries) define() (int, error) {
	if e.mostDefined == 0 {
		return e.n, nil
	}
	defs := e.defs[:e.n]
	if level, ok := e.definitions.runOf(e.n); ok { // as in most batches: all are there, or none is
		for i := range defs {
			defs[i] = uint8(level)
		}
		switch {
		case level > e.mostDefined:
			return 0, errLevels
		case level == e.mostDefined:
			return e.n, nil
		default:
			return 0, nil
		}
	}
	if err := fill(&e.definitions, defs); err != nil {
		return 0, err
	}
	defined, most := 0, uint8(e.mostDefined)
	for _, level := range defs {
		if level > most {
			return 0, errLevels
		}
		if level == most {
			defined++
		}
	}
	return defined, nil
}

// spread moves the values, which lie at the beginning, to where the levels say, and puts nulls between.
func (e *entries) spread(defined int) {
	most := uint8(e.mostDefined)
	for i := e.n - 1; i >= 0; i-- {
		if e.defs[i] != most {
			e.values[i] = Value{}
			continue
		}
		defined--
		e.values[i] = e.values[defined]
	}
}

// one takes the next entry, in a leaf where each row has one. There is a batch behind it when it returns.
func (e *entries) one() error {
	if e.at < e.n {
		return nil
	}
	more, err := e.more()
	if err == nil && !more {
		return errFewer
	}
	return err
}

// mostListed bounds the elements of one row: runs of levels say that there are billions in a few bytes.
const mostListed = 1 << 16

// row gives the elements that the next row has in a list.
func (e *entries) row() ([]Value, error) {
	if err := e.one(); err != nil {
		return nil, err
	}
	if e.reps[e.at] != 0 {
		return nil, errLevels
	}
	if int(e.defs[e.at]) < e.listDefined { // none
		e.at++
		return nil, nil
	}
	from := e.at
	e.at++
	if err := e.elements(); err != nil {
		return nil, err
	}
	if e.at < e.n {
		return e.values[from:e.at:e.at], nil
	}
	e.list, e.texts = e.list[:0], e.texts[:0]
	for {
		if err := e.keep(e.values[from:e.at]); err != nil {
			return nil, err
		}
		more, err := e.more()
		if err != nil {
			return nil, err
		}
		if !more {
			return e.list, nil
		}
		from = 0
		if err := e.elements(); err != nil {
			return nil, err
		}
		if e.at < e.n {
			if err := e.keep(e.values[:e.at]); err != nil {
				return nil, err
			}
			return e.list, nil
		}
	}
}

// elements passes over those that go on with a list.
func (e *entries) elements() error {
	for ; e.at < e.n && e.reps[e.at] != 0; e.at++ {
		if int(e.reps[e.at]) > e.mostRepeated || int(e.defs[e.at]) < e.listDefined {
			return errLevels
		}
	}
	return nil
}

// keep copies elements behind those that the list has.
func (e *entries) keep(values []Value) error {
	if len(e.list)+len(values) > mostListed {
		return fmt.Errorf("a list has more than %d elements: write shorter ones", mostListed)
	}
	for _, v := range values {
		if len(v.Text) > 0 {
			if int64(len(e.texts)+len(v.Text)) > e.file.bounds.PageBytes {
				return fmt.Errorf("a list has more than %d bytes: write shorter ones", e.file.bounds.PageBytes)
			}
			from := len(e.texts)
			e.texts = append(e.texts, v.Text...)
			v.Text = e.texts[from:len(e.texts):len(e.texts)]
		}
		e.list = append(e.list, v)
	}
	return nil
}

// ended holds that nothing is left when the rows of a row group are.
func (e *entries) ended() error {
	if e.at < e.n || e.inPage > 0 || e.left > 0 {
		return errors.New("it has more rows than the file says: write the file anew")
	}
	return nil
}
