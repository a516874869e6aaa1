package training

import (
	"fmt"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Use says whether the user tower is to read something of an event.
type Use string

// The uses: where the data has something to tell apart; always, or training is refused; never.
const (
	Auto   Use = "auto"
	Always Use = "always"
	Never  Use = "never"
)

func (u Use) known() bool { return u == Auto || u == Always || u == Never }

// event is one event of a sequence in training.
type event struct {
	item int32
	kind schemas.InteractionType
	gap  towers.Gap
	// aside: it moves the tower, and is not learnt to come next, since the user had the item before or turned it down.
	aside bool
}

// heldOut is a Case in training's own terms.
type heldOut struct {
	history []event
	target  int32
}

// reads decides what of an event the tower reads beside the item.
func (in *Input) reads(cfg *Config) (towers.Inputs, error) {
	kinds, gaps := in.kindsSeen(), in.timeGoesBy()
	var reads towers.Inputs
	switch {
	case cfg.EventKinds == Always && len(kinds) == 0:
		return reads, fmt.Errorf("event_kinds is %s, but the data does not say what users did: set it to auto", Always)
	case cfg.EventGaps == Always && !gaps:
		return reads, fmt.Errorf("event_gaps is %s, but the data does not say when users did something: set it to auto", Always)
	}
	if cfg.EventKinds == Always || cfg.EventKinds == Auto && len(kinds) > 1 {
		reads.Kinds = kinds
	}
	reads.Gaps = gaps && cfg.EventGaps != Never
	return reads, nil
}

// kindsSeen lists the kinds of the sequences' events, ascending.
func (in *Input) kindsSeen() (kinds []schemas.InteractionType) {
	var seen [256]bool
	for _, seq := range in.Kinds {
		for _, kind := range seq {
			seen[kind] = true
		}
	}
	for kind, is := range seen {
		if is && schemas.InteractionType(kind) != schemas.UnknownInteraction {
			kinds = append(kinds, schemas.InteractionType(kind))
		}
	}
	return kinds
}

// timeGoesBy tells whether any user has two events at different times.
func (in *Input) timeGoesBy() bool {
	return slices.ContainsFunc(in.Times, func(seq []int64) bool { return len(seq) > 1 && seq[0] != seq[len(seq)-1] })
}

// events gives the sequences with what the tower reads. It leaves out what a tower without kinds would take for a choice.
func (in *Input) events(reads towers.Inputs) [][]event {
	all := make([][]event, len(in.Sequences))
	for i, items := range in.Sequences {
		all[i] = eventsOf(items, at(in.Kinds, i), at(in.Times, i), reads)
	}
	return all
}

// questions gives the caller's cases in the same way.
func (in *Input) questions(reads towers.Inputs) []heldOut {
	cases := make([]heldOut, len(in.Validation))
	for i, c := range in.Validation {
		cases[i] = heldOut{history: eventsOf(c.History, c.Kinds, c.Times, reads), target: c.Target}
	}
	return cases
}

// at is a sequence's part of something that the data may lack.
func at[T any](all [][]T, i int) []T {
	if all == nil {
		return nil
	}
	return all[i]
}

func eventsOf(items []int32, kinds []schemas.InteractionType, times []int64, reads towers.Inputs) []event {
	events := make([]event, 0, len(items))
	var clock towers.Clock
	for i, item := range items {
		e := event{item: item}
		if kinds != nil {
			e.kind, e.aside = kinds[i], towers.TurnsDown(kinds[i])
			if !isRead(e.kind, reads) {
				continue
			}
		}
		if times != nil {
			e.gap = clock.Tick(times[i])
		}
		events = append(events, e)
	}
	return events
}

// isRead says whether a tower takes notice of a kind. One without kinds would take what was turned down for a choice.
func isRead(kind schemas.InteractionType, reads towers.Inputs) bool {
	return !towers.TurnsDown(kind) || reads.Reads(kind)
}

// checkEvents holds kinds and times against the items that they belong to.
func checkEvents(of string, number, items int, kinds []schemas.InteractionType, times []int64) error {
	if kinds != nil && len(kinds) != items || times != nil && len(times) != items {
		return fmt.Errorf("%s %d has %d items, %d kinds and %d times: give one of each for each event, or none at all",
			of, number, items, len(kinds), len(times))
	}
	for i, kind := range kinds {
		if kind != schemas.UnknownInteraction && !towers.CountsForTaste(kind) && !towers.TurnsDown(kind) {
			return fmt.Errorf("%s %d has an event of kind %v at position %d: leave out what is neither a choice nor the contrary",
				of, number, kind, i)
		}
	}
	for i := 1; i < len(times); i++ {
		if times[i] < times[i-1] {
			return fmt.Errorf("%s %d has time %d after %d at position %d: sort the events by time", of, number, times[i], times[i-1], i)
		}
	}
	return nil
}

func (in *Input) checkEvents() error {
	n := len(in.Sequences)
	if in.Kinds != nil && len(in.Kinds) != n || in.Times != nil && len(in.Times) != n {
		return fmt.Errorf("there are %d sequences, kinds of %d and times of %d: give them for each sequence, or not at all",
			n, len(in.Kinds), len(in.Times))
	}
	for i, seq := range in.Sequences {
		if in.Times != nil && len(in.Times[i]) != len(seq) || in.Kinds != nil && len(in.Kinds[i]) != len(seq) {
			return fmt.Errorf("sequence %d has %d items, %d kinds and %d times: give one of each for each event, or none at all",
				i, len(seq), len(at(in.Kinds, i)), len(at(in.Times, i)))
		}
		if err := checkEvents("sequence", i, len(seq), at(in.Kinds, i), at(in.Times, i)); err != nil {
			return err
		}
	}
	for i, c := range in.Validation {
		if err := checkEvents("validation case", i, len(c.History), c.Kinds, c.Times); err != nil {
			return err
		}
	}
	return nil
}
