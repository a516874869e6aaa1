package schemas

import "slices"

// Degradation is the code of something that an answer had to do without. It is a text on the wire and not an enum: a reader gets a code
// that is newer than itself as it was written, and a new code needs no new version of the schema. What to do about each is in
// docs/contract.md.
type Degradation string

const (
	// DegradedCandidateIndex says: no model is live, Milvus did not answer, or rows are missing. Nothing was retrieved.
	DegradedCandidateIndex Degradation = "candidate_index"
	// DegradedDeadline says: Redis or Milvus did not answer in time. The page is what was popular a moment ago.
	DegradedDeadline Degradation = "deadline"
	// DegradedItemRecords says: item records could not be read or are lost. The page may show items as they were.
	DegradedItemRecords Degradation = "item_records"
	// DegradedItemVectors says: item vectors could not be read. The seed item or the request's own events took no part.
	DegradedItemVectors Degradation = "item_vectors"
	// DegradedQuery says: the live model cannot read the text that was searched for.
	DegradedQuery Degradation = "query"
	// DegradedSeedItem says: the live model does not know the seed item.
	DegradedSeedItem Degradation = "seed_item"
	// DegradedSeenThrough says: the profile had not reached the position that the request named.
	DegradedSeenThrough Degradation = "seen_through"
	// DegradedUserProfile says: the user's profile could not be read, or profiles are lost. Seen items may be on the page.
	DegradedUserProfile Degradation = "user_profile"
	// DegradedUserTower says: the live model's user tower is not loaded. Events took no part that the profile's embedding does not hold.
	DegradedUserTower Degradation = "user_tower"
)

// degradations are in alphabetical order; a test finds each in the documents.
var degradations = []Degradation{
	DegradedCandidateIndex, DegradedDeadline, DegradedItemRecords, DegradedItemVectors, DegradedQuery, DegradedSeedItem,
	DegradedSeenThrough, DegradedUserProfile, DegradedUserTower,
}

// Degradations returns the codes that this version writes, in alphabetical order.
func Degradations() []Degradation { return slices.Clone(degradations) }
