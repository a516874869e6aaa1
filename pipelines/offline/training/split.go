package training

import (
	"slices"

	"github.com/freshet/freshet/services/towers"
)

// minHeldOut is the least number of events a user must have for the last to be held out: one to predict from, one to learn.
const minHeldOut = 3

// split gives what to train on and what to validate by. Without cases of the caller's, users spread evenly over the input
// are held out, at most every other, each from the last item on that was new to the user or, where repeats are worth predicting, from
// the last item that was not the one before.
func (in *Input) split(cfg *Config, reads towers.Inputs) (train [][]event, cases []heldOut) {
	train = in.events(reads)
	users := cfg.ValidationUsers
	if len(in.Validation) > 0 || users == 0 {
		return train, in.questions(reads)
	}
	lastOf := lastNew
	if cfg.Repeats {
		lastOf = lastChange
	}
	var able []int
	for i, seq := range train {
		if len(seq) >= minHeldOut && in.late(i, seq, lastOf, reads) {
			able = append(able, i)
		}
	}
	users = min(users, len(able)/2)
	for k := range users {
		i := able[k*len(able)/users]
		seq := train[i]
		last := lastOf(seq)
		if last == 0 {
			continue
		}
		train[i] = seq[:last]
		cases = append(cases, heldOut{history: seq[:last], target: seq[last].item})
	}
	return train, cases
}

// late tells whether what would be held out of sequence i, of which the tower reads seq, happened after HoldOutAfter.
func (in *Input) late(i int, seq []event, lastOf func([]event) int, reads towers.Inputs) bool {
	if in.HoldOutAfter.IsZero() || in.Times == nil {
		return true
	}
	last := lastOf(seq)
	if last == 0 {
		return false
	}
	at := len(in.Times[i]) // from the end, where last mostly is
	for left := len(seq) - last; left > 0; left-- {
		for at--; in.Kinds != nil && !isRead(in.Kinds[i][at], reads); at-- {
		}
	}
	return in.Times[i][at] > in.HoldOutAfter.UnixMilli()
}

// lastNew is the position of the last choice whose item does not stand earlier in the sequence.
func lastNew(seq []event) int {
	last := 0
	seen := make(map[int32]bool, len(seq))
	for i, e := range seq {
		if !e.aside && !seen[e.item] {
			last = i
		}
		seen[e.item] = true
	}
	return last
}

// lastChange is the position of the last choice whose item is not that of the choice before.
func lastChange(seq []event) int {
	last := -1 // the first event of the last choice
	for i, e := range slices.Backward(seq) {
		switch {
		case e.aside:
		case last < 0 || e.item == seq[last].item:
			last = i
		default:
			return last
		}
	}
	return 0
}

// Parts counts the events of Input.Sequences by what becomes of them. All but Given add up to it.
type Parts struct {
	Given int
	// Learnt move the user tower in training; the manifest counts them as well.
	Learnt int
	// Validation are held out to choose the best epoch by: of some users, the one asked for and what comes after it.
	Validation int
	// TurnedDown are of a tower that does not read what users turned down.
	TurnedDown int
	// Unknown are of items that have too few events for an id and no content to live by, or that were only ever turned down.
	Unknown int
}

// parts counts what is left of the sequences after the split, and of that with known items.
func (in *Input) parts(reads towers.Inputs, split, known [][]event) Parts {
	p := Parts{Learnt: count(known)}
	for i, seq := range in.Sequences {
		p.Given += len(seq)
		for at := range seq {
			if in.Kinds != nil && !isRead(in.Kinds[i][at], reads) {
				p.TurnedDown++
			}
		}
	}
	p.Validation = p.Given - p.TurnedDown - count(split)
	p.Unknown = count(split) - p.Learnt
	return p
}

func count(sequences [][]event) (n int) {
	for _, seq := range sequences {
		n += len(seq)
	}
	return n
}
