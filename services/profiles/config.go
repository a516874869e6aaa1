package profiles

import (
	"fmt"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// Config has the settings of the users' keys.
type Config struct {
	// KeyPrefix begins each key; the items' prefix may be the same.
	KeyPrefix string `yaml:"key_prefix" env:"KEY_PREFIX"`
	// HistoryLength is how many events a profile keeps: a late event, a duplicate and a new model are dealt with from them.
	HistoryLength int `yaml:"history_length" env:"HISTORY_LENGTH"`
	// EventIDs is how many ids of older events a profile keeps beyond its history, in 4 bytes each, and as many of impressions,
	// so that an event that comes again is not counted again; at least half of it at any time. What comes later than the
	// youngest event whose id is forgotten is not counted at all.
	EventIDs int `yaml:"event_ids" env:"EVENT_IDS"`
	// SeenItems is how many items a profile knows as seen, in 4 to 6 bytes each: those that the user met last.
	SeenItems int `yaml:"seen_items" env:"SEEN_ITEMS"`
	// Ratings is the scale of the values of ratings. A rating below its middle counts as a dislike wherever events are read:
	// in profiles, popularity, reasons, recall and training. What was turned down before a change stays so until a rebuild.
	Ratings schemas.RatingScale `yaml:"ratings" envPrefix:"RATINGS_"`
	// InactiveTTL is how long a profile lives after its user's last event, to within a hundredth.
	InactiveTTL time.Duration `yaml:"inactive_ttl" env:"INACTIVE_TTL"`
	// ErasedRetention is how long an erased user's watermarks (nothing else of the user is kept) still refuse a replay of
	// the events before the erasure. It should be longer than such an event can stay unread in its topic.
	ErasedRetention time.Duration `yaml:"erased_retention" env:"ERASED_RETENTION"`
	// RememberedUsers is how many users' profiles a process keeps of those it wrote last, about 8 KB each, so that their next
	// events need not read them. What another process changes is noticed by each write. 0 reads always.
	RememberedUsers int `yaml:"remembered_users" env:"REMEMBERED_USERS"`
	// WaitingUsers is how many users may wait for one item's record after their events with it: their embeddings are made anew
	// when it comes. Each takes some hundred bytes until then.
	WaitingUsers int `yaml:"waiting_users" env:"WAITING_USERS"`
}

// maxHistory bounds HistoryLength and what a stored history may claim to hold.
const maxHistory = 4096

// maxEventIDs and maxSeen bound EventIDs and SeenItems by what is read of one user at a time.
const (
	maxEventIDs = 1 << 16
	maxSeen     = 1 << 20
)

// maxRemembered bounds RememberedUsers to what some processes' memory can hold.
const maxRemembered = 10_000_000

// DefaultConfig keeps the 64 events that the user tower needs (see DESIGN.md) for half a year.
func DefaultConfig() Config {
	return Config{
		KeyPrefix:       "freshet",
		HistoryLength:   64,
		EventIDs:        4096,
		SeenItems:       1 << 16,
		Ratings:         schemas.DefaultRatingScale(),
		InactiveTTL:     180 * 24 * time.Hour,
		ErasedRetention: 30 * 24 * time.Hour,
		RememberedUsers: 8192,
		WaitingUsers:    100_000,
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if err := redisdb.ValidatePrefix("key_prefix", c.KeyPrefix); err != nil {
		return err
	}
	if c.HistoryLength < 1 || c.HistoryLength > maxHistory {
		return fmt.Errorf("history_length is %d: give 1 to %d; 64 is enough for the user tower", c.HistoryLength, maxHistory)
	}
	if c.EventIDs < ringBlocks || c.EventIDs > maxEventIDs {
		return fmt.Errorf("event_ids is %d: give %d to %d; it is rounded down to a multiple of %d",
			c.EventIDs, ringBlocks, maxEventIDs, ringBlocks)
	}
	if c.SeenItems < 1 || c.SeenItems > maxSeen {
		return fmt.Errorf("seen_items is %d: give 1 to %d", c.SeenItems, maxSeen)
	}
	if err := c.Ratings.Validate(); err != nil {
		return err
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"inactive_ttl", c.InactiveTTL}, {"erased_retention", c.ErasedRetention}} {
		if d.value < time.Second {
			return fmt.Errorf("%s is %v: give at least 1s", d.field, d.value)
		}
	}
	if c.RememberedUsers < 0 || c.RememberedUsers > maxRemembered {
		return fmt.Errorf("remembered_users is %d: give 0 to %d", c.RememberedUsers, maxRemembered)
	}
	if c.WaitingUsers < 1 || c.WaitingUsers > maxRemembered {
		return fmt.Errorf("waiting_users is %d: give 1 to %d", c.WaitingUsers, maxRemembered)
	}
	return nil
}
