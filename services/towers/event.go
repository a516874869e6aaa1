package towers

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// event is an act as an engine reads it.
type event struct {
	item []float32
	kind schemas.InteractionType
	gap  Gap
}

// Gap is a time between two events in octaves of seconds: 0 where it is unknown, as for a user's first event, 1 below a second,
// then k from 2^(k-2) seconds on. Equal steps of the logarithm suit forgetting, which is about factors: whether an hour has
// gone by or two matters, between 100 hours and 101 there is nothing to learn.
type Gap uint8

// Gaps counts the values of Gap; the last one begins at 2^24 seconds, half a year.
const Gaps = 27

// Never is the time of an act of which nobody knows when it was, and of the one before a user's first.
const Never = math.MinInt64

// gapBetween is the gap from one act to the next, both in ms since 1970. A next act that is older counts as one of the same moment.
func gapBetween(before, at int64) Gap {
	if before == Never {
		return 0
	}
	if at <= before {
		return 1
	}
	seconds := uint64(at-before) / 1000 // right also where the signed difference overflows
	return Gap(min(1+bits.Len64(seconds), Gaps-1))
}

// After is the earliest time at which an act lies by this gap behind one at the time before; Never where the gap is unknown.
func (g Gap) After(before int64) int64 {
	switch g {
	case 0:
		return Never
	case 1:
		return before
	}
	return before + 1000<<(g-2)
}

// Inputs says what of an event a user tower reads beside the item's vector; the zero Inputs are those of a tower that reads
// items alone.
type Inputs struct {
	// Kinds are those that it has learnt to tell apart, ascending, each once.
	Kinds []schemas.InteractionType
	// Gaps says whether it reads the time since the event before.
	Gaps bool
}

// AllInputs is all that a user tower may read.
func AllInputs() Inputs {
	return Inputs{Gaps: true, Kinds: []schemas.InteractionType{
		schemas.View, schemas.Click, schemas.Like, schemas.Dislike, schemas.AddToCart, schemas.Purchase, schemas.Rating,
		schemas.Complete, schemas.Hide,
	}}
}

// String is for people: "items, kinds and gaps".
func (in Inputs) String() string {
	switch {
	case len(in.Kinds) > 0 && in.Gaps:
		return "items, kinds and gaps"
	case len(in.Kinds) > 0:
		return "items and kinds"
	case in.Gaps:
		return "items and gaps"
	}
	return "items alone"
}

// kindRows is how many rows a table of kinds has: row 0 is that of none of Kinds, row i+1 that of Kinds[i].
func (in Inputs) kindRows() int {
	if len(in.Kinds) == 0 {
		return 0
	}
	return 1 + len(in.Kinds)
}

func (in Inputs) gapRows() int {
	if !in.Gaps {
		return 0
	}
	return Gaps
}

// Rows is how many rows of 3 x Dim a layer's tables have.
func (in Inputs) Rows() int { return in.kindRows() + in.gapRows() }

func (in Inputs) equal(other Inputs) bool {
	return in.Gaps == other.Gaps && slices.Equal(in.Kinds, other.Kinds)
}

func (in Inputs) check() error {
	for i, kind := range in.Kinds {
		if kind == schemas.UnknownInteraction || i > 0 && kind <= in.Kinds[i-1] {
			return fmt.Errorf("kinds %v are not known ones, ascending and each once", in.Kinds)
		}
	}
	return nil
}

// distinctKinds holds that a list names known kinds, each once.
func distinctKinds(kinds []schemas.InteractionType) error {
	for i, kind := range kinds {
		if kind == schemas.UnknownInteraction {
			return invalidSetting(fmt.Sprintf("event_kinds[%d]", i), kind, "name a kind of interaction; row 0 is that of all others")
		}
		if first := slices.Index(kinds, kind); first < i {
			return invalidSetting(fmt.Sprintf("event_kinds[%d]", i), kind, fmt.Sprintf("it is event_kinds[%d] already, list each once", first))
		}
	}
	return nil
}

// Row is the row of a table of kinds for an event of this kind, 0 for one that is not among Kinds.
func (in Inputs) Row(kind schemas.InteractionType) uint8 {
	at, found := slices.BinarySearch(in.Kinds, kind)
	if !found {
		return 0
	}
	return uint8(at + 1)
}

// Reads says whether events of this kind move the tower: those by which a user chose an item always, those by which one turned
// an item down (dislike, hide) where the tower has learnt to tell them from a choice, and no impression ever.
func (in Inputs) Reads(kind schemas.InteractionType) bool {
	return CountsForTaste(kind) || TurnsDown(kind) && in.Row(kind) > 0
}
