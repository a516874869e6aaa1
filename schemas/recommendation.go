package schemas

import "time"

// RecommendationRequest asks for a page of items for a user. Its Kafka key is UserID.
type RecommendationRequest struct {
	RequestID string
	UserID    string
	// Count is the wished length of the page.
	Count   int32
	Surface string
	// SeedItemID asks for items similar to this one instead of items for the user's taste.
	SeedItemID string
	// Filter is a rule expression over the item's fields, such as `item.price < 20`.
	Filter         string
	ExcludeItemIDs []string
	// IncludeSeen keeps items that the user has interacted with.
	IncludeSeen bool
	// Region filters items by where they may be shown; empty means no check.
	Region string
	// Age filters items by MinAge; nil means unknown, which only sees items for everybody.
	Age *int32
	// Recent holds events that the user's profile may not have yet.
	Recent []RecentEvent
	// SeenThrough asks that the profile has applied the user's event at this position (read your writes).
	SeenThrough *Position
	// Deadline is when the asker stops waiting; the zero time means the server's default.
	Deadline time.Time
	// Explain asks for reasons, waterfall and timings.
	Explain bool
	// Variant names an arm of an experiment; empty means the default.
	Variant string
}

// RecentEvent is an interaction carried by the request itself.
type RecentEvent struct {
	ItemID     string
	Type       InteractionType
	OccurredAt time.Time
}

// Position is a place in a topic's partition.
type Position struct {
	Partition int32
	Offset    int64
}

// ReplyStatus says what a RecommendationReply is worth.
type ReplyStatus uint8

const (
	// UnknownStatus stands for a symbol newer than the reader.
	UnknownStatus ReplyStatus = iota
	// StatusOK is an answer with everything that was asked for.
	StatusOK
	// StatusDegraded is an answer made without something: Error says without what.
	StatusDegraded
	// StatusInvalidRequest: Error names field, value and remedy.
	StatusInvalidRequest
	StatusDeadlineExceeded
	// StatusUnavailable: nothing could be recommended, trying later may help.
	StatusUnavailable
	StatusInternal
)

// RecommendationReply answers one RecommendationRequest. Its Kafka key is the request's.
type RecommendationReply struct {
	RequestID string
	UserID    string
	Status    ReplyStatus
	// Error is for people; empty where Status is StatusOK.
	Error     string
	Items     []RecommendedItem
	Freshness Freshness
	// Waterfall tells, in order, how many candidates went into each stage or rule and how many came out.
	Waterfall []WaterfallStep
	// Fallback names what filled the page where retrieval could not: "popular", "recent"; empty where nothing had to.
	Fallback string
	Timings  []StageTiming
}

// RecommendedItem is one place of the page.
type RecommendedItem struct {
	ItemID string
	Score  float32
	// Source says where the candidate came from: "retrieval", "similar", "popular", "recent".
	Source  string
	Reasons []string
}

// Freshness says what the answer was made from.
type Freshness struct {
	ModelVersion string
	IndexVersion string
	// Profile is the position of the last event of the user that the profile holds; nil where there is no profile.
	Profile *Position
	// ProfileAgeMillis is how long ago, in ms, the profile was last written; 0 where there is none.
	ProfileAgeMillis int64
	// SeenThroughSatisfied is nil where the request did not ask.
	SeenThroughSatisfied *bool
}

// WaterfallStep counts the candidates into and out of one stage.
type WaterfallStep struct {
	Stage string
	In    int32
	Out   int32
}

// StageTiming is how long one stage took, in microseconds.
type StageTiming struct {
	Stage  string
	Micros int64
}
