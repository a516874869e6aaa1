package training

import (
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Input is what to learn from. Items are named by their index in Items.
type Input struct {
	// Items is the catalogue, each item once.
	Items []towers.ItemFeatures
	// Sequences holds each user's items in the order of time.
	Sequences [][]int32
	// Kinds and Times say of each event of Sequences what the user did and when, in ms since 1970; each is nil where the data
	// does not know. With Kinds, Sequences may hold what users turned down (see towers.TurnsDown): nobody learns that it comes
	// next, and a tower that reads no kinds is spared it.
	Kinds [][]schemas.InteractionType
	Times [][]int64
	// OneChoice says that events on one item in direct succession, such as a view and the purchase after it, are one choice: where
	// Config.Repeats has repeats learnt, nobody learns that an item follows itself.
	OneChoice bool
	// Validation is what the best epoch is chosen by. When it is empty, Train holds out the last events of
	// Config.ValidationUsers users itself.
	Validation []Case
	// Searches is what people searched for and the items that they found by it; optional.
	Searches []Search
	// HoldOutAfter has Train hold out only what happened later, where there are Times: what an earlier bundle has learnt from tells
	// nothing of how well it predicts.
	HoldOutAfter time.Time
	// Data goes into the manifest; Users, Items and Events are counted by Train.
	Data towers.DataRange
}

// Case is one held-out event and what came before it.
type Case struct {
	History []int32
	// Kinds and Times are those of History, nil where the data does not know.
	Kinds  []schemas.InteractionType
	Times  []int64
	Target int32
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
	pairs := 0
	for i, seq := range in.Sequences {
		if err := check("sequence", i, seq); err != nil {
			return err
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
	for i, s := range in.Searches {
		if err := check("search", i, []int32{s.Item}); err != nil {
			return err
		}
	}
	return in.checkEvents()
}
