package towers

import (
	"errors"
	"fmt"
	"math"

	"github.com/freshet/freshet/schemas"
)

// mostEvents is how many events an encoder that leaves their number free is tried with, and gets at the most: how many it can take
// does not show in its ports, since it may have a table with a row for each place.
const mostEvents = 256

// mostTokens is how many tokens an item tower that leaves their number free is tried with.
const mostTokens = 256

// remedyEval is what most models that fail a trial need.
const remedyEval = "dropout or batch normalisation in training mode? In PyTorch call model.eval() before the export"

const remedyLengths = "events are read from the first place on, as many as lengths says"

// try runs the tower as serving will, to find what shapes do not tell: a model that mixes the rows of a batch, one that reads beyond
// a history's end, one that throws dice, one whose tables are too short, and one that gives no numbers.
func (t *foreignUser) try() error {
	if t.stateSize > 0 {
		return t.tryStep(t.trialEvents(3))
	}
	return t.tryEncoder()
}

// trialEvents makes n events that have little in common. The first one's kind and gap are the last rows of their tables, and the
// second one's the first.
func (t *foreignUser) trialEvents(n int) []event {
	kinds := []schemas.InteractionType{schemas.UnknownInteraction, schemas.UnknownInteraction}
	if known := len(t.kinds); known > 0 {
		kinds = []schemas.InteractionType{t.kinds[known-1], schemas.UnknownInteraction, t.kinds[0]}
	}
	events := make([]event, n)
	for i := range events {
		e := event{item: make([]float32, t.dim), kind: kinds[i%len(kinds)], gap: Gap((Gaps - 1 + i) % Gaps)}
		for j := range e.item {
			e.item[j] = float32(math.Sin(float64(1 + i*t.dim + j)))
		}
		events[i] = e
	}
	return events
}

func (t *foreignUser) tryStep(events []event) error {
	states, embeddings := matrixOf(3, t.stateSize), matrixOf(3, t.dim)
	if err := t.step(states, embeddings, events); err != nil {
		return fmt.Errorf("with 3 users%s: %w", t.tables(), err)
	}
	for i := range events {
		state, embedding := matrixOf(1, t.stateSize), matrixOf(1, t.dim)
		if err := t.step(state, embedding, events[i:i+1]); err != nil {
			return err
		}
		if err := errors.Join(finite(embedding[0]), finite(state[0])); err != nil {
			return err
		}
		if err := errors.Join(same(embedding[0], embeddings[i]), same(state[0], states[i])); err != nil {
			return fmt.Errorf("one of three users in a batch and the same user alone differ (%s): %w", remedyEval, err)
		}
	}
	return nil
}

func (t *foreignUser) tryEncoder() error {
	few, many, most := t.events, t.events, t.most()
	if t.events == 0 {
		few, many = 1, 3
	}
	events := t.trialEvents(most)
	// run gives the model some events, more than length where what lies beyond it is to be something, in room for width.
	run := func(length, given, width int) (embedding []float32, err error) {
		embedding = make([]float32, t.dim)
		if err = t.encodeWhole(embedding, events[:given], length, width); err == nil {
			err = finite(embedding)
		}
		if err != nil {
			return nil, fmt.Errorf("with %d events in room for %d%s: %w", length, width, t.tables(), err)
		}
		return embedding, nil
	}
	alone, err := run(1, 1, few)
	if err != nil {
		return t.oneLength(err)
	}
	for _, c := range []struct {
		given, width int
		found        string
	}{
		{1, few, "two runs on the same event differ (" + remedyEval + ")"},
		{1, many, "the embedding of one event and the same with padding behind it differ (" + remedyLengths + ")"},
		{many, many, "the embedding of one event depends on what lies beyond its length (" + remedyLengths + ")"},
	} {
		embedding, err := run(1, c.given, c.width)
		if err != nil {
			return t.oneLength(err)
		}
		if err := same(alone, embedding); err != nil {
			return fmt.Errorf("%s: %w", c.found, err)
		}
	}
	if _, err := run(most, most, most); err != nil && t.events == 0 {
		return fmt.Errorf("it takes %d events and not %d (a table of places that ends before? Export it with L fixed to its length, "+
			"and the newest L events will count): %w", many, most, err)
	} else if err != nil {
		return err
	}
	return nil
}

// oneLength tells of a failing run what free axes promise.
func (t *foreignUser) oneLength(err error) error {
	if t.events > 0 {
		return err
	}
	return fmt.Errorf("its ports leave L free, and it fails (traced for one L? Export it with L fixed, or with another exporter): %w", err)
}

// tables names the last rows that a trial asks for of the tables that there are.
func (t *foreignUser) tables() string {
	said := ""
	if len(t.kinds) > 0 {
		said = fmt.Sprintf(", kinds up to row %d", len(t.kinds))
	}
	if t.reads.Gaps {
		said += fmt.Sprintf(", gaps up to row %d", Gaps-1)
	}
	return said
}

// try runs the tower as serving will, to find tables that are shorter than the vocabulary, and a model that mixes the rows of a
// batch, counts what is none, or throws dice. ids and tokens count the vocabulary.
func (t *foreignItem) try(ids, tokens int) error {
	last := max(tokens-1, 0)
	var tried trial
	for _, c := range []struct{ id, from, to int }{
		{min(ids, 1), 0, 0},               // nothing but the id, the first row
		{ids, 0, 0},                       // and the last
		{0, last, tokens},                 // nothing but a token, the last row
		{ids, 0, min(tokens, mostTokens)}, // as much as can be
	} {
		var rows []int32
		for row := c.from; row < c.to; row++ {
			rows = append(rows, int32(row))
		}
		if !t.knows(int64(c.id), rows) {
			continue // such an item has the zero vector, and does not come before the model
		}
		vector := make([]float32, t.dim)
		err := t.encodeAll(vector, []int64{int64(c.id)}, [][]int32{rows})
		if err == nil {
			err = finite(vector)
		}
		if err != nil {
			what := "no token"
			if len(rows) > 0 {
				what = fmt.Sprintf("token rows %d to %d", c.from+1, c.to)
			}
			return fmt.Errorf("with id row %d and %s, of %d ids and %d tokens: %w", c.id, what, ids, tokens, err)
		}
		tried.ids, tried.tokens, tried.vectors = append(tried.ids, int64(c.id)), append(tried.tokens, rows), append(tried.vectors, vector...)
	}
	if len(tried.ids) == 0 {
		return fmt.Errorf("it reads none of the vocabulary's %d ids and %d tokens: list those that it knows", ids, tokens)
	}
	return t.tryAgain(&tried)
}

// trial is items that were tried, each alone.
type trial struct {
	ids     []int64
	tokens  [][]int32
	vectors []float32
}

// tryAgain encodes the items once more, together where the model takes several.
func (t *foreignItem) tryAgain(tried *trial) error {
	n := min(len(tried.ids), t.atOnce)
	again := make([]float32, n*t.dim)
	if err := t.encodeAll(again, tried.ids[:n], tried.tokens[:n]); err != nil {
		return fmt.Errorf("with %d items at once: %w", n, err)
	}
	if err := same(tried.vectors[:n*t.dim], again); err != nil {
		return fmt.Errorf("one of %d items in a batch and the same item alone differ (%s; or does row 0 of tokens count?): %w",
			n, remedyEval, err)
	}
	return nil
}

// same allows for what another order of additions does.
func same(a, b []float32) error {
	for i := range a {
		if diff := math.Abs(float64(a[i] - b[i])); !(diff <= 1e-3*max(1, math.Abs(float64(a[i])))) {
			return fmt.Errorf("%v and %v at %d", a[i], b[i], i)
		}
	}
	return nil
}

func finite(values []float32) error {
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("it gives %v at %d", v, i)
		}
	}
	return nil
}
