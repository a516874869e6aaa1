package schemas

import "time"

// RecommendationRequest asks for a page of items for a user. Its Kafka key is UserID.
type RecommendationRequest struct {
	RequestID string `json:"request_id"`
	UserID    string `json:"user_id"`
	// Count is the wished length of the page.
	Count   int32  `json:"count"`
	Surface string `json:"surface,omitempty"`
	// SeedItemID asks for items similar to this one instead of items for the user's taste.
	SeedItemID string `json:"seed_item_id,omitempty"`
	// Filter is a rule expression over the item's fields, such as `item.price < 20`.
	Filter         string   `json:"filter,omitempty"`
	ExcludeItemIDs []string `json:"exclude_item_ids,omitempty"`
	// IncludeSeen keeps items that the user has interacted with.
	IncludeSeen bool `json:"include_seen,omitempty"`
	// Region filters items by where they may be shown; empty means no check.
	Region string `json:"region,omitempty"`
	// Age filters items by MinAge; nil means unknown, which only sees items for everybody.
	Age *int32 `json:"age,omitempty"`
	// Recent holds events that the user's profile may not have yet.
	Recent []RecentEvent `json:"recent,omitempty"`
	// SeenThrough asks that the profile has applied the user's event at this position (read your writes).
	SeenThrough *Position `json:"seen_through,omitempty"`
	// Deadline is when the asker stops waiting; the zero time means the server's default.
	Deadline time.Time `json:"deadline,omitzero"`
	// Explain asks for reasons, waterfall and timings.
	Explain bool `json:"explain,omitempty"`
	// Variant names an arm of an experiment; empty means the default.
	Variant string `json:"variant,omitempty"`
	// Query is what the user searches for, in words: the page is of items that the text means, leaning to the user's taste. It
	// excludes SeedItemID.
	Query string `json:"query,omitempty"`
}

// RecentEvent is an interaction carried by the request itself.
type RecentEvent struct {
	ItemID     string          `json:"item_id"`
	Type       InteractionType `json:"type"`
	OccurredAt time.Time       `json:"occurred_at"`
}

// Position is a place in a topic's partition.
type Position struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// ReplyStatus says what a RecommendationReply is worth.
type ReplyStatus uint8

const (
	// UnknownStatus stands for a symbol newer than the reader.
	UnknownStatus ReplyStatus = iota
	// StatusOK is an answer with everything that was asked for.
	StatusOK
	// StatusDegraded is an answer made without something: Degraded says without what.
	StatusDegraded
	// StatusInvalidRequest refuses the request: Error names field, value and remedy.
	StatusInvalidRequest
	// StatusDeadlineExceeded says that no answer was ready by the deadline.
	StatusDeadlineExceeded
	// StatusUnavailable says that nothing could be recommended; trying later may help.
	StatusUnavailable
	// StatusInternal is a defect of the recommender; trying later need not help.
	StatusInternal
)

// RecommendationReply answers one RecommendationRequest. Its Kafka key is the request's.
type RecommendationReply struct {
	RequestID string      `json:"request_id"`
	UserID    string      `json:"user_id"`
	Status    ReplyStatus `json:"status"`
	// Error is for people; empty where Status is StatusOK. Programs read Status and Degraded.
	Error string `json:"error,omitempty"`
	// Degraded lists what a degraded or unavailable answer had to do without, each code once. It is empty in replies of the schema's
	// version 1, whose Error alone says it.
	Degraded  []Degradation     `json:"degraded,omitempty"`
	Items     []RecommendedItem `json:"items,omitempty"`
	Freshness Freshness         `json:"freshness"`
	// Waterfall tells, in order, how many candidates went into each stage or rule and how many came out.
	Waterfall []WaterfallStep `json:"waterfall,omitempty"`
	// Fallback names what filled the page where retrieval could not: "popular", "recent"; empty where nothing had to.
	Fallback string        `json:"fallback,omitempty"`
	Timings  []StageTiming `json:"timings,omitempty"`
}

// RecommendedItem is one place of the page.
type RecommendedItem struct {
	ItemID string  `json:"item_id"`
	Score  float32 `json:"score"`
	// Source says where the candidate came from: "retrieval", "similar", "search", "pinned", "popular", "recent".
	Source  string   `json:"source,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}

// Freshness says what the answer was made from.
type Freshness struct {
	ModelVersion string `json:"model_version,omitempty"`
	IndexVersion string `json:"index_version,omitempty"`
	// Profile is the position of the last event of the user that the profile holds; nil where there is no profile.
	Profile *Position `json:"profile,omitempty"`
	// ProfileAgeMillis is how long ago, in ms, the profile was last written; 0 where there is none.
	ProfileAgeMillis int64 `json:"profile_age_millis,omitempty"`
	// SeenThroughSatisfied is nil where the request did not ask.
	SeenThroughSatisfied *bool `json:"seen_through_satisfied,omitempty"`
}

// WaterfallStep counts the candidates into and out of one stage.
type WaterfallStep struct {
	Stage string `json:"stage"`
	In    int32  `json:"in"`
	Out   int32  `json:"out"`
}

// StageTiming is how long one stage took, in microseconds.
type StageTiming struct {
	Stage  string `json:"stage"`
	Micros int64  `json:"micros"`
}
