package schemas

import (
	"fmt"
	"math"
	"time"
)

// Limits bounds what a record may hold. Decoding says whether bytes are a record; the methods Interaction, ItemChange and
// Request say whether the record makes sense.
type Limits struct {
	// MaxIDBytes bounds each id; it is at most 256, which the candidate collections hold. No id has control characters.
	MaxIDBytes int `yaml:"max_id_bytes" env:"MAX_ID_BYTES"`
	// MaxStringBytes bounds each short string: a title, a tag, a surface, a key or value of context and attributes.
	MaxStringBytes int `yaml:"max_string_bytes" env:"MAX_STRING_BYTES"`
	// MaxTextBytes bounds an item's description.
	MaxTextBytes int `yaml:"max_text_bytes" env:"MAX_TEXT_BYTES"`
	// MaxListLength bounds an item's categories, tags and regions, and the entries of context and attributes.
	MaxListLength int `yaml:"max_list_length" env:"MAX_LIST_LENGTH"`
	// MaxCount bounds the page that a request may ask for.
	MaxCount int `yaml:"max_count" env:"MAX_COUNT"`
	// MaxFilterBytes bounds a request's filter expression; it is at most 4096.
	MaxFilterBytes int `yaml:"max_filter_bytes" env:"MAX_FILTER_BYTES"`
	// MaxQueryBytes bounds the text that a request searches for.
	MaxQueryBytes int `yaml:"max_query_bytes" env:"MAX_QUERY_BYTES"`
	// MaxExcluded bounds a request's exclude_item_ids.
	MaxExcluded int `yaml:"max_excluded" env:"MAX_EXCLUDED"`
	// MaxRecent bounds a request's recent events.
	MaxRecent int `yaml:"max_recent" env:"MAX_RECENT"`
	// MaxFutureSkew is how far ahead of now an event may lie: clocks differ. An event in the far future would stay the newest of its
	// user's history for good.
	MaxFutureSkew time.Duration `yaml:"max_future_skew" env:"MAX_FUTURE_SKEW"`
}

// What no setting can raise, since whatever is behind the limits is made for it.
const (
	MostIDBytes     = 256
	MostFilterBytes = 4096
)

// DefaultLimits are generous to people and small beside a Kafka message's megabyte.
func DefaultLimits() Limits {
	return Limits{
		MaxIDBytes:     MostIDBytes,
		MaxStringBytes: 1024,
		MaxTextBytes:   64 << 10,
		MaxListLength:  128,
		MaxCount:       1000,
		MaxFilterBytes: MostFilterBytes,
		MaxQueryBytes:  512,
		MaxExcluded:    1000,
		MaxRecent:      256,
		MaxFutureSkew:  5 * time.Minute,
	}
}

// Validate checks the limits themselves.
func (l Limits) Validate() error {
	for _, setting := range []struct {
		name  string
		value int
	}{
		{"max_id_bytes", l.MaxIDBytes},
		{"max_string_bytes", l.MaxStringBytes},
		{"max_text_bytes", l.MaxTextBytes},
		{"max_list_length", l.MaxListLength},
		{"max_count", l.MaxCount},
		{"max_filter_bytes", l.MaxFilterBytes},
		{"max_query_bytes", l.MaxQueryBytes},
		{"max_excluded", l.MaxExcluded},
		{"max_recent", l.MaxRecent},
	} {
		if setting.value < 1 {
			return invalid(setting.name, fmt.Sprint(setting.value), "give a number from 1")
		}
	}
	if l.MaxIDBytes > MostIDBytes {
		return invalid("max_id_bytes", fmt.Sprint(l.MaxIDBytes),
			fmt.Sprintf("give at most %d, which is what the candidate collections hold", MostIDBytes))
	}
	if l.MaxFilterBytes > MostFilterBytes {
		return invalid("max_filter_bytes", fmt.Sprint(l.MaxFilterBytes),
			fmt.Sprintf("give at most %d, which is what the compiler of filters takes", MostFilterBytes))
	}
	if l.MaxFutureSkew < 0 {
		return invalid("max_future_skew", l.MaxFutureSkew.String(), "give a duration from 0, such as 5m")
	}
	return nil
}

// Interaction checks that e makes sense at the time now. The error is an *InvalidError for the first field that does not.
func (l Limits) Interaction(e *Interaction, now time.Time) error {
	c := checker{limits: l, now: now}
	c.id("event_id", e.EventID)
	c.id("user_id", e.UserID)
	c.id("item_id", e.ItemID)
	checkSymbol(&c, "type", e.Type, interactionTypes)
	if e.Value != nil {
		c.number("value", *e.Value, math.Inf(-1))
	}
	c.past("occurred_at", e.OccurredAt)
	c.optionalID("request_id", e.RequestID)
	c.text("surface", e.Surface, l.MaxStringBytes)
	c.entries("context", e.Context)
	return c.err
}

// ItemChange checks that change makes sense at the time now. The error is an *InvalidError for the first field that does not.
// An item may be published in the future: catalogues announce.
func (l Limits) ItemChange(change *ItemChange, now time.Time) error {
	c := checker{limits: l, now: now}
	c.id("item_id", change.ItemID)
	checkSymbol(&c, "op", change.Op, itemOps)
	c.atLeast("version", change.Version, 1)
	c.past("occurred_at", change.OccurredAt)
	c.text("title", change.Title, l.MaxStringBytes)
	c.text("description", change.Description, l.MaxTextBytes)
	c.texts("categories", change.Categories)
	c.texts("tags", change.Tags)
	c.text("brand", change.Brand, l.MaxStringBytes)
	if change.Price != nil {
		c.number("price", *change.Price, 0)
	}
	c.text("currency", change.Currency, l.MaxStringBytes)
	c.texts("regions", change.Regions)
	if !change.PublishedAt.IsZero() {
		c.moment("published_at", change.PublishedAt, PublishedRemedy(change.PublishedAt))
	}
	c.atLeast("min_age", int64(change.MinAge), 0)
	c.entries("attributes", change.Attributes)
	return c.err
}

// Request checks that q makes sense at the time now. The error is an *InvalidError for the first field that does not. A
// deadline that has passed is no nonsense: its answer is deadline_exceeded. One in another unit than milliseconds is.
func (l Limits) Request(q *RecommendationRequest, now time.Time) error {
	c := checker{limits: l, now: now}
	c.id("request_id", q.RequestID)
	c.id("user_id", q.UserID)
	c.atLeast("count", int64(q.Count), 1)
	c.atMost("count", int64(q.Count), l.MaxCount)
	c.text("surface", q.Surface, l.MaxStringBytes)
	c.optionalID("seed_item_id", q.SeedItemID)
	c.text("filter", q.Filter, l.MaxFilterBytes)
	c.length("exclude_item_ids", len(q.ExcludeItemIDs), l.MaxExcluded)
	for i, id := range q.ExcludeItemIDs {
		c.element("exclude_item_ids", i, "", id, c.idRemedy(id))
	}
	c.text("region", q.Region, l.MaxStringBytes)
	if q.Age != nil {
		c.atLeast("age", int64(*q.Age), 0)
	}
	c.length("recent", len(q.Recent), l.MaxRecent)
	for i := range q.Recent {
		c.recent(i, &q.Recent[i])
	}
	if p := q.SeenThrough; p != nil {
		c.atLeast("seen_through.partition", int64(p.Partition), 0)
		c.atLeast("seen_through.offset", p.Offset, 0)
	}
	if !q.Deadline.IsZero() {
		c.moment("deadline", q.Deadline, DeadlineRemedy(q.Deadline))
	}
	c.text("variant", q.Variant, l.MaxStringBytes)
	c.query(q)
	return c.err
}
