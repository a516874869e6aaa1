package ranking

import (
	"math"
	"time"

	"github.com/freshet/freshet/schemas"
)

// Where a candidate came from, as a reply names it.
const (
	SourceRetrieval = "retrieval"
	SourceSimilar   = "similar"
	SourceSearch    = "search"
	SourcePopular   = "popular"
	SourceRecent    = "recent"
	SourcePinned    = "pinned"
)

// NotRetrieved is the retrieval score of a candidate that came another way than by a search.
var NotRetrieved = float32(math.NaN())

// Candidate is an item that may come on a user's page. Ranking and rules work on the same slice of them.
type Candidate struct {
	Item *schemas.ItemChange
	// Retrieval is the index's inner product of user and item vector; NotRetrieved where there is none.
	Retrieval float32
	// Score orders the page; rankers set it, rules may move it.
	Score float32
	// Source is one of the sources above.
	Source string
	// Reasons tell a person why the item is here; filled only where a query asks to explain.
	Reasons []string
}

// Query is what a ranker knows of the user and the moment.
type Query struct {
	Now time.Time
	// PriceTaste is what the user's recent items cost; the zero value says nothing.
	PriceTaste PriceTaste
	// Popularity is how often an item was wanted of late, in any unit, 0 for unknown items; nil where nobody counts.
	Popularity func(itemID string) float64
	// Explain asks for reasons.
	Explain bool
}

// A Ranker gives each candidate its score and sorts by it. It is safe for use by several goroutines.
type Ranker interface {
	Rank(q *Query, candidates []Candidate)
}
