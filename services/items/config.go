package items

import (
	"fmt"
	"math"
	"time"

	"github.com/freshet/freshet/services/redisdb"
)

// Config has the settings of the catalogue's keys.
type Config struct {
	// KeyPrefix begins each key; the profiles' prefix may be the same.
	KeyPrefix string `yaml:"key_prefix" env:"KEY_PREFIX"`
	// DeletedRetention is how long a deleted item still refuses older changes. It should be longer than a change can stay
	// unread in its topic.
	DeletedRetention time.Duration `yaml:"deleted_retention" env:"DELETED_RETENTION"`
	// VectorTolerance is the greatest distance, relative to the length of the vector that is indexed, at which a new vector
	// is taken for the same and not indexed again.
	VectorTolerance float64 `yaml:"vector_tolerance" env:"VECTOR_TOLERANCE"`
	// RecentKept is how many of the most recently published items the shelf of recent items keeps.
	RecentKept int `yaml:"recent_kept" env:"RECENT_KEPT"`
	// PopularHalfLife is the time after which an event counts half for popularity.
	PopularHalfLife time.Duration `yaml:"popular_half_life" env:"POPULAR_HALF_LIFE"`
	// PopularKept is how many items the shelf of popular items keeps. An item beyond it starts again from nothing.
	PopularKept int `yaml:"popular_kept" env:"POPULAR_KEPT"`
}

// DefaultConfig suits a catalogue of up to some millions of items.
func DefaultConfig() Config {
	return Config{
		KeyPrefix:        "freshet",
		DeletedRetention: 30 * 24 * time.Hour,
		VectorTolerance:  1e-3,
		RecentKept:       1000,
		PopularHalfLife:  7 * 24 * time.Hour,
		PopularKept:      10_000,
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if err := redisdb.ValidatePrefix("key_prefix", c.KeyPrefix); err != nil {
		return err
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"deleted_retention", c.DeletedRetention}, {"popular_half_life", c.PopularHalfLife}} {
		if d.value < time.Second {
			return fmt.Errorf("%s is %v: give at least 1s", d.field, d.value)
		}
	}
	if math.IsNaN(c.VectorTolerance) || c.VectorTolerance < 0 || c.VectorTolerance >= 1 {
		return fmt.Errorf("vector_tolerance is %v: give 0 (index every change) up to, but not, 1", c.VectorTolerance)
	}
	for _, n := range []struct {
		field string
		value int
	}{{"recent_kept", c.RecentKept}, {"popular_kept", c.PopularKept}} {
		if n.value < 1 {
			return fmt.Errorf("%s is %d: give at least 1", n.field, n.value)
		}
	}
	return nil
}
