package ranking

import (
	"fmt"
	"time"
)

// Config weighs the parts of the linear ranker's score. Retrieval is in standard deviations over the candidates, so that
// its weight means the same whatever the scale of a model's vectors; the other parts lie between 0 and 1.
type Config struct {
	Retrieval     float64 `yaml:"retrieval" env:"RETRIEVAL"`
	Recency       float64 `yaml:"recency" env:"RECENCY"`
	Popularity    float64 `yaml:"popularity" env:"POPULARITY"`
	PriceAffinity float64 `yaml:"price_affinity" env:"PRICE_AFFINITY"`
	// RecencyHalfLife is the age at which the recency part has fallen to a half.
	RecencyHalfLife time.Duration `yaml:"recency_half_life" env:"RECENCY_HALF_LIFE"`
	// NewWithin is the age up to which a reason calls an item new.
	NewWithin time.Duration `yaml:"new_within" env:"NEW_WITHIN"`
}

// DefaultConfig lets retrieval lead: the other parts decide between items that the towers hold for about equal.
func DefaultConfig() Config {
	return Config{
		Retrieval: 1, Recency: 0.1, Popularity: 0.1, PriceAffinity: 0.1,
		RecencyHalfLife: 30 * 24 * time.Hour, NewWithin: 14 * 24 * time.Hour,
	}
}

// Validate names the first setting that makes no sense.
func (c Config) Validate() error {
	for _, w := range []struct {
		name  string
		value float64
	}{
		{"retrieval", c.Retrieval}, {"recency", c.Recency}, {"popularity", c.Popularity}, {"price_affinity", c.PriceAffinity},
	} {
		if !finite(w.value) || w.value < -maxWeight || w.value > maxWeight {
			return fmt.Errorf("%s: %v is no weight: give a number from -%d to %d", w.name, w.value, maxWeight, maxWeight)
		}
	}
	if c.RecencyHalfLife <= 0 {
		return fmt.Errorf("recency_half_life: %s is not positive: give a duration such as 720h, "+
			"or set recency to 0 to leave recency out", c.RecencyHalfLife)
	}
	if c.NewWithin < 0 {
		return fmt.Errorf("new_within: %s is negative: give 0 to call nothing new", c.NewWithin)
	}
	return nil
}

// maxWeight keeps scores far from the bounds of float32.
const maxWeight = 1_000_000
