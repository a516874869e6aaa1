package training

import (
	"fmt"
	"math"

	"github.com/freshet/freshet/services/towers"
)

// QueryConfig says how to train the query tower, which turns the text of a search into a vector among the items'. Items whose
// vectors are found are asked for by pieces of their own text, and by what people searched for where the data tells.
type QueryConfig struct {
	// Enabled trains a query tower wherever items have text or the data has searches.
	Enabled bool `yaml:"enabled" env:"ENABLED"`
	// Epochs is how often training goes over all items with text and all searches, with other pieces of text each time.
	Epochs int `yaml:"epochs" env:"EPOCHS"`
	// MaxSteps bounds the steps, and so the time, whatever the size of the catalogue.
	MaxSteps int `yaml:"max_steps" env:"MAX_STEPS"`
	// Batch is how many texts make a step; 0 means a twelfth of them, between 16 and 128, since a small catalogue needs its steps.
	Batch        int     `yaml:"batch" env:"BATCH"`
	LearningRate float64 `yaml:"learning_rate" env:"LEARNING_RATE"`
	// MaxBuckets bounds the buckets into which words and n-grams are hashed, which are some ten for each different one. A bucket
	// takes 4 bytes of the bundle, a word or n-gram 4 x dim.
	MaxBuckets int `yaml:"max_buckets" env:"MAX_BUCKETS"`
	// Typos is the share of texts in which a letter is swapped, dropped or replaced; Prefixes that of texts whose last word is cut
	// short, as by somebody who has not typed it all.
	Typos    float64 `yaml:"typos" env:"TYPOS"`
	Prefixes float64 `yaml:"prefixes" env:"PREFIXES"`
	// Popularity is the power of an item's events by which a text that fits many items asks for each of them: 0 for all alike.
	Popularity float64 `yaml:"popularity" env:"POPULARITY"`
}

// DefaultQueryConfig trains in a second or two on some thousand items.
func DefaultQueryConfig() QueryConfig {
	return QueryConfig{
		Enabled: true, Epochs: 40, MaxSteps: 4000, LearningRate: 0.1, MaxBuckets: 1 << 20,
		Typos: 0.4, Prefixes: 0.1, Popularity: 0.5,
	}
}

// Validate names the first setting that cannot work.
func (c QueryConfig) Validate() error {
	share := func(v float64) bool { return v >= 0 && v <= 1 }
	for _, check := range []struct {
		ok     bool
		field  string
		value  any
		remedy string
	}{
		{c.Epochs >= 1, "epochs", c.Epochs, "set it to 1 or more, or enabled to false"},
		{c.MaxSteps >= 1, "max_steps", c.MaxSteps, "set it to 1 or more, or enabled to false"},
		{c.Batch >= 0, "batch", c.Batch, "set it to 0 (by the number of texts) or more"},
		{c.LearningRate > 0 && !math.IsInf(c.LearningRate, 0), "learning_rate", c.LearningRate, "set it above 0 (0.1 is a good start)"},
		{c.MaxBuckets >= 1 && c.MaxBuckets <= towers.MaxQueryBuckets && c.MaxBuckets&(c.MaxBuckets-1) == 0, "max_buckets", c.MaxBuckets,
			fmt.Sprintf("set it to a power of two up to %d", towers.MaxQueryBuckets)},
		{share(c.Typos), "typos", c.Typos, "set it between 0 and 1"},
		{share(c.Prefixes), "prefixes", c.Prefixes, "set it between 0 and 1"},
		{c.Popularity >= 0 && c.Popularity <= 2, "popularity", c.Popularity, "set it between 0 and 2"},
	} {
		if !check.ok {
			return fmt.Errorf("%s is %v: %s", check.field, check.value, check.remedy)
		}
	}
	return nil
}

// batch is how many of so many texts make a step.
func (c *QueryConfig) batch(texts int) int {
	if c.Batch > 0 {
		return c.Batch
	}
	return min(max(texts/12, 16), 128)
}
