package schemas

import "time"

// ItemOp says what an ItemChange does.
type ItemOp uint8

const (
	// UnknownItemOp stands for a symbol newer than the reader; Validate refuses it.
	UnknownItemOp ItemOp = iota
	UpsertItem
	DeleteItem
)

// ItemChange is the whole new state of one catalogue item, or its removal. Its Kafka key is ItemID; the topic is compacted.
type ItemChange struct {
	ItemID string
	Op     ItemOp
	// Version grows with each change of one item; of two changes the larger version wins, whatever their order of arrival.
	Version    int64
	OccurredAt time.Time

	Title       string
	Description string
	Categories  []string
	Tags        []string
	Brand       string
	// Price is in Currency's main unit; nil where the item has none.
	Price    *float64
	Currency string
	// Available is false while the item must not be recommended.
	Available bool
	// Regions lists where the item may be shown; empty means everywhere.
	Regions []string
	// PublishedAt is the zero time where unknown.
	PublishedAt time.Time
	// MinAge is the least age in years of a user who may see the item; 0 means everybody.
	MinAge     int32
	Attributes map[string]string
}
