package dataset

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Dataset is a catalogue, its users and what they did.
type Dataset struct {
	// Name says where the data comes from, and starts the event ids.
	Name   string
	Items  []schemas.ItemChange
	Users  []User
	Events []Event
	// Ratings says how the values of ratings count: the data's own scale, or that of the configuration. The zero scale takes each
	// rating for a choice, as published protocols do.
	Ratings schemas.RatingScale
	// Binding says in JSON how the tables were read that this comes from, for people; nil where it comes from none.
	Binding json.RawMessage
	// TieSeed drew the order of tied events; 0 where it was not drawn.
	TieSeed uint64
	// Repeated counts rows of tables that were left out, since their event_id had come before.
	Repeated int64
	// Searches is what people searched for, where the data tells.
	Searches []Search
}

// User is what is known of a user besides events.
type User struct {
	ID string
	// Region is empty where unknown.
	Region string
	// Age in years, 0 where unknown.
	Age int32
}

// Event is an interaction in 24 bytes.
type Event struct {
	// At is in ms since 1970.
	At   int64
	User int32
	Item int32
	// Value is NaN where the event has none.
	Value float32
	Type  schemas.InteractionType
	// Tied says that nobody knows whether the event came before or after the one that stands before it: both are of one user and
	// one moment, and their order was drawn by lot.
	Tied bool
}

// Interaction is event i as product apps would publish it. Its id is made of what happened, so that it is the same
// whichever part of a split it is taken from.
func (d *Dataset) Interaction(i int) schemas.Interaction {
	e := &d.Events[i]
	interaction := schemas.Interaction{
		UserID:     d.Users[e.User].ID,
		ItemID:     d.Items[e.Item].ItemID,
		Type:       e.Type,
		OccurredAt: time.UnixMilli(e.At).UTC(),
	}
	interaction.EventID = fmt.Sprintf("%s-%s-%s-%d-%d", d.Name, interaction.UserID, interaction.ItemID, e.Type, e.At)
	if v := float64(e.Value); !math.IsNaN(v) {
		interaction.Value = &v
	}
	return interaction
}

// Kind is as which an event counts: its type, but for a low rating, which is a dislike.
func (d *Dataset) Kind(e *Event) schemas.InteractionType { return d.Ratings.Judge(e.Type, e.Value) }

// Histories are each user's items by which the user tower moves, oldest first, repeats included.
func (d *Dataset) Histories() [][]int32 {
	counts := make([]int, len(d.Users))
	total := 0
	for i := range d.Events {
		if towers.CountsForTaste(d.Kind(&d.Events[i])) {
			counts[d.Events[i].User]++
			total++
		}
	}
	all := make([]int32, 0, total)
	histories := make([][]int32, len(d.Users))
	for u, n := range counts {
		histories[u] = all[len(all) : len(all) : len(all)+n]
		all = all[:len(all)+n]
	}
	for i := range d.Events {
		if e := &d.Events[i]; towers.CountsForTaste(d.Kind(e)) {
			histories[e.User] = append(histories[e.User], e.Item)
		}
	}
	return histories
}

// part is the events from lo up to hi.
func (d *Dataset) part(lo, hi int) *Dataset {
	p := *d
	p.Events = d.Events[lo:hi:hi]
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if lo > 0 {
		from = math.MaxInt64
		if lo < len(d.Events) {
			from = d.Events[lo].At
		}
	}
	if hi < len(d.Events) {
		to = d.Events[hi].At
	}
	p.Searches = d.searchesBetween(from, to)
	return &p
}
