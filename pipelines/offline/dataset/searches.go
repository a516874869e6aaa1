package dataset

import "github.com/freshet/freshet/schemas"

// Search is a text by which somebody searched and found an item.
type Search struct {
	// At is in ms since 1970.
	At   int64
	Text string
	Item int32
}

// SearchOf is what an interaction tells of a search, where its context does; item is the interaction's, as an index.
func SearchOf(i *schemas.Interaction, item int32) (Search, bool) {
	text := i.Context[schemas.ContextQuery]
	return Search{At: i.OccurredAt.UnixMilli(), Text: text, Item: item}, text != "" && i.Type != schemas.Impression
}

// searchesBetween are those from the moment from up to, but not at, the moment to.
func (d *Dataset) searchesBetween(from, to int64) []Search {
	var kept []Search
	for _, s := range d.Searches {
		if s.At >= from && s.At < to {
			kept = append(kept, s)
		}
	}
	return kept
}
