package schemas

import "time"

// InteractionType says what a user did with an item. Its values are the positions of the symbols of the Avro enum.
type InteractionType uint8

// UnknownInteraction is what a reader sees where the writer used a symbol that is newer than the reader. Limits.Interaction refuses
// it, so that such an event waits in the dead-letter topic for an upgraded consumer instead of being misread.
const (
	UnknownInteraction InteractionType = iota
	Impression
	View
	Click
	Like
	Dislike
	AddToCart
	Purchase
	Rating
	Complete
	Hide
)

// Interaction is one thing that one user did with one item. Its Kafka key is UserID.
type Interaction struct {
	// EventID is the producer's own id of the event; the same id sent twice counts once.
	EventID string          `json:"event_id"`
	UserID  string          `json:"user_id"`
	ItemID  string          `json:"item_id"`
	Type    InteractionType `json:"type"`
	// Value is the rating, the fraction watched or the like; nil where the type has none.
	Value *float64 `json:"value,omitempty"`
	// OccurredAt is when the user acted, to the millisecond.
	OccurredAt time.Time `json:"occurred_at"`
	// RequestID names the recommendation request that showed the item; empty where there was none.
	RequestID string `json:"request_id,omitempty"`
	// Surface is the place in the product: "home", "cart"; empty where unknown.
	Surface string `json:"surface,omitempty"`
	// Context holds whatever else the producer wants to keep with the event. Freshet itself looks at ContextQuery alone.
	Context map[string]string `json:"context,omitempty"`
}

// ContextQuery is the key of an interaction's context that holds the text by which the user searched and found the item. The
// query tower learns from it.
const ContextQuery = "query"
