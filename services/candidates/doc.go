// Package candidates is the vector index of items: one Milvus collection for each model version, named
// <collection>_<model>, and an alias for the one that serves. It finds the ids of the items nearest to a user; what is shown of
// them comes from services/items. It alone imports milvus-sdk-go; of the project it imports schemas, services/filter
// and calls.
//
// What always holds:
//   - every call has a deadline: the caller's or CallTimeout, whichever comes first. Nothing is retried here, since the SDK's own
//     retries outlast any deadline; IsUnavailable tells the caller what is worth another try.
//   - a status other than success is an error, whichever of Milvus's two error codes carries it.
//   - writes are idempotent: an upsert replaces the row of its id, a delete of an unknown id is none.
//   - nothing is flushed: one flush a write would make one segment a write.
//
// Columns that expressions may name, and what stands for a value that an item lacks:
//
//	item_id      VARCHAR         the primary key
//	available    BOOL
//	price        FLOAT           -1 (NoPrice) without one: ask for price >= 0 as well where price is bounded from above
//	published_at INT64           Unix milliseconds, 0 where unknown
//	categories   ARRAY<VARCHAR>  empty without one
//	regions      ARRAY<VARCHAR>  ["*"] (Everywhere) for an item without regions: array_contains_any(regions, ["*", "DE"])
//	brand        VARCHAR         "" without one
//	min_age      INT32           0 for everybody
//
// No other room writes Milvus's language: Pushes makes expressions of conditions, which are true of every row whose item the condition
// holds for, and are left out where that is all rows. Whoever searches looks at the records again.
//
// An upsert is visible to searches a moment later (0.4 s on a real server with default settings), as the consistency of searches
// is Bounded or Eventually; Count and Get wait for it.
package candidates
