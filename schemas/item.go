package schemas

import "time"

// ItemOp says what an ItemChange does.
type ItemOp uint8

const (
	// UnknownItemOp stands for a symbol newer than the reader; Limits.ItemChange refuses it.
	UnknownItemOp ItemOp = iota
	// UpsertItem replaces the whole item, or adds it.
	UpsertItem
	// DeleteItem removes the item.
	DeleteItem
)

// ItemChange is the whole new state of one catalogue item, or its removal. Its Kafka key is ItemID; the topic is compacted.
type ItemChange struct {
	ItemID string `json:"item_id"`
	Op     ItemOp `json:"op"`
	// Version grows with each change of one item; of two changes the larger version wins, whatever their order of arrival.
	Version    int64     `json:"version"`
	OccurredAt time.Time `json:"occurred_at"`

	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Categories  []string `json:"categories,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Brand       string   `json:"brand,omitempty"`
	// Price is in Currency's main unit; nil where the item has none.
	Price    *float64 `json:"price,omitempty"`
	Currency string   `json:"currency,omitempty"`
	// Available is false while the item must not be recommended.
	Available bool `json:"available"`
	// Regions lists where the item may be shown; empty means everywhere.
	Regions []string `json:"regions,omitempty"`
	// PublishedAt is the zero time where unknown.
	PublishedAt time.Time `json:"published_at,omitzero"`
	// MinAge is the least age in years of a user who may see the item; 0 means everybody.
	MinAge     int32             `json:"min_age,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}
