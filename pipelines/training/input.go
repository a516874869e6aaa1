package training

import (
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet/services/towers"
)

// Input is what to learn from. Items are named by their index in Items.
type Input struct {
	// Items is the catalogue, each item once.
	Items []towers.ItemFeatures
	// Sequences holds each user's items in the order of time.
	Sequences [][]int32
	// Times say when each event of Sequences happened, in ms since 1970; nil where the data does not know.
	Times [][]int64
	// Validation is what the best epoch is chosen by. When it is empty, Train holds out the last events of
	// Config.ValidationUsers users itself.
	Validation []Case
	// HoldOutAfter has Train hold out only what happened later, where there are Times: what an earlier bundle has learnt from tells
	// nothing of how well it predicts.
	HoldOutAfter time.Time
	// Data goes into the manifest; Users, Items and Events are counted by Train.
	Data towers.DataRange
}

// Case is one held-out event and what came before it.
type Case struct {
	History []int32
	Target  int32
}

func (in *Input) validate() error {
	n := int32(len(in.Items))
	check := func(kind string, number int, seq []int32) error {
		for at, item := range seq {
			if item < 0 || item >= n {
				return fmt.Errorf("%s %d names item %d at position %d: use indexes of the %d items", kind, number, item, at, n)
			}
		}
		return nil
	}
	if in.Times != nil && len(in.Times) != len(in.Sequences) {
		return fmt.Errorf("there are times of %d sequences and %d sequences: give each its own", len(in.Times), len(in.Sequences))
	}
	pairs := 0
	for i, seq := range in.Sequences {
		if err := check("sequence", i, seq); err != nil {
			return err
		}
		if in.Times != nil && len(in.Times[i]) != len(seq) {
			return fmt.Errorf("sequence %d has %d times for %d events: give each event its own", i, len(in.Times[i]), len(seq))
		}
		pairs += max(len(seq)-1, 0)
	}
	if pairs == 0 {
		return fmt.Errorf("%d sequences hold no two events of one user: there is nothing to learn; give more events",
			len(in.Sequences))
	}
	for i, c := range in.Validation {
		if err := check("validation case", i, append(slices.Clone(c.History), c.Target)); err != nil {
			return err
		}
	}
	return nil
}

// minHeldOut is the least number of events a user must have for the last to be held out: one to predict from, one to learn.
const minHeldOut = 3

// split gives what to train on and what to validate by. Without cases of the caller's, users spread evenly over the input
// are held out, at most every other, each from the last item on that was new to the user.
func (in *Input) split(users int) (train [][]int32, cases []Case) {
	if len(in.Validation) > 0 || users == 0 {
		return in.Sequences, in.Validation
	}
	var able []int
	for i, seq := range in.Sequences {
		if len(seq) >= minHeldOut && in.late(i) {
			able = append(able, i)
		}
	}
	users = min(users, len(able)/2)
	train = slices.Clone(in.Sequences)
	for k := range users {
		i := able[k*len(able)/users]
		seq := in.Sequences[i]
		last := lastNew(seq)
		if last == 0 {
			continue
		}
		train[i] = seq[:last]
		cases = append(cases, Case{History: seq[:last], Target: seq[last]})
	}
	return train, cases
}

// late tells whether what would be held out of sequence i happened after HoldOutAfter.
func (in *Input) late(i int) bool {
	if in.HoldOutAfter.IsZero() || in.Times == nil {
		return true
	}
	last := lastNew(in.Sequences[i])
	return last > 0 && in.Times[i][last] > in.HoldOutAfter.UnixMilli()
}

// lastNew is the position of the last item that does not stand earlier in the sequence.
func lastNew(seq []int32) int {
	for last := len(seq) - 1; last > 0; last-- {
		if !slices.Contains(seq[:last], seq[last]) {
			return last
		}
	}
	return 0
}
