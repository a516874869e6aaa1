package training

import (
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/freshet/freshet/services/towers"
)

// Config says how to train.
type Config struct {
	// Heads is how many towers are trained, one after the other from seeds of their own, and then served side by side as one: a
	// vector is Heads x Dim long and a score the mean of theirs. Dim is the length of a head's vector, Layers its depth.
	Heads  int `yaml:"heads" env:"HEADS"`
	Dim    int `yaml:"dim" env:"DIM"`
	Layers int `yaml:"layers" env:"LAYERS"`

	// LearningRate is the rate after warm-up (one epoch); it falls along a cosine to 2 % at the end.
	LearningRate float64 `yaml:"learning_rate" env:"LEARNING_RATE"`
	// Epochs is how often training goes over all windows, at the most.
	Epochs int `yaml:"epochs" env:"EPOCHS"`
	// TimeBudget ends training early, the cosine with it; 0 means no limit. The result then depends on the machine's speed. The
	// query tower has a fifth of it, on top.
	TimeBudget time.Duration `yaml:"time_budget" env:"TIME_BUDGET"`
	// BatchSequences is how many windows make one step; 0 means a hundredth of them, between 8 and 64, since a small data set
	// needs its steps more than it needs quiet gradients. MaxWindow is how many events a window spans at most.
	BatchSequences int `yaml:"batch_sequences" env:"BATCH_SEQUENCES"`
	MaxWindow      int `yaml:"max_window" env:"MAX_WINDOW"`

	// Dropout is the share of activations left out in training.
	Dropout float64 `yaml:"dropout" env:"DROPOUT"`
	// IDDropout is the share of items that a step knows by their content alone, so that the vectors of items without an id
	// embedding learn to stand beside the others.
	IDDropout float64 `yaml:"id_dropout" env:"ID_DROPOUT"`
	// MinItemEvents is the least number of events that earns an item an id embedding; the others live by their content.
	MinItemEvents int `yaml:"min_item_events" env:"MIN_ITEM_EVENTS"`

	// Up to FullSoftmaxMaxItems items the loss ranks the next item against all others; beyond it, against about Negatives
	// of them, drawn anew for each step.
	FullSoftmaxMaxItems int `yaml:"full_softmax_max_items" env:"FULL_SOFTMAX_MAX_ITEMS"`
	Negatives           int `yaml:"negatives" env:"NEGATIVES"`
	// Mixture says where those come from.
	Mixture Mixture `yaml:"mixture" envPrefix:"MIXTURE_"`

	// BothDirections learns every sequence a second time from its end to its beginning: for sessions, whose order says little, and of
	// which many items only ever came first and so would never be a target. Users' long histories are better learnt forwards alone.
	BothDirections bool `yaml:"both_directions" env:"BOTH_DIRECTIONS"`

	// Repeats says whether an item that the user had before is worth predicting; it always moves the tower.
	Repeats bool `yaml:"repeats" env:"REPEATS"`

	// EventKinds and EventGaps say whether the user tower reads what a user did (a purchase, a view) and the time since the
	// user's event before: auto where the data has at least two kinds, or times; always; never. With kinds, what users turned
	// down (dislike, hide) moves the tower too.
	EventKinds Use `yaml:"event_kinds" env:"EVENT_KINDS"`
	EventGaps  Use `yaml:"event_gaps" env:"EVENT_GAPS"`

	// ValidationUsers is how many users' last events are held out to choose the best epoch; Patience is how many epochs
	// without a better one end training; ValidationWindow is how much of a history validation encodes.
	ValidationUsers  int `yaml:"validation_users" env:"VALIDATION_USERS"`
	ValidationWindow int `yaml:"validation_window" env:"VALIDATION_WINDOW"`
	Patience         int `yaml:"patience" env:"PATIENCE"`

	// WarmStart says how much of the training is done when it begins with an earlier bundle.
	WarmStart WarmStart `yaml:"warm_start" envPrefix:"WARM_START_"`

	// Workers is how many goroutines share a step; 0 means one for each core.
	Workers int `yaml:"workers" env:"WORKERS"`
	// Seed decides all that is drawn by lot: with as many workers it gives the same model again.
	Seed uint64 `yaml:"seed" env:"SEED"`

	// Vocabulary says which tokens of a catalogue get a content embedding.
	Vocabulary towers.VocabularyConfig `yaml:"vocabulary" envPrefix:"VOCABULARY_"`
	// Query says how to train the query tower, once the other two are.
	Query QueryConfig `yaml:"query" envPrefix:"QUERY_"`
}

// DefaultConfig is the recipe that won the study of ml-1m.
func DefaultConfig() Config {
	return Config{
		Heads: 1, Dim: 64, Layers: 2,
		LearningRate: 0.015, Epochs: 14, MaxWindow: 200,
		Dropout: 0.2, IDDropout: 0.05, MinItemEvents: 3,
		EventKinds: Auto, EventGaps: Auto,
		FullSoftmaxMaxItems: 5000, Negatives: 2048, Mixture: DefaultMixture(),
		ValidationUsers: 512, ValidationWindow: 64, Patience: 5,
		WarmStart: DefaultWarmStart(),
		Seed:      1, Vocabulary: towers.DefaultVocabularyConfig(),
		Query: DefaultQueryConfig(),
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	share := func(v float64) bool { return v >= 0 && v < 1 }
	checks := []struct {
		ok     bool
		field  string
		value  any
		remedy string
	}{
		{c.Heads >= 1 && c.Heads <= 64, "heads", c.Heads, "set it between 1 and 64 (2 or 3 rank better than one, at as many times the cost)"},
		{c.Dim >= 1 && c.Dim <= 4096, "dim", c.Dim, "set it between 1 and 4096 (64 is a good start)"},
		{c.Heads*c.Dim <= 4096, "heads", c.Heads, fmt.Sprintf("of dim %d make more than 4096 values: set one of them lower", c.Dim)},
		{c.Layers >= 1 && c.Layers <= 64, "layers", c.Layers, "set it between 1 and 64 (2 is a good start)"},
		{c.LearningRate > 0 && !math.IsInf(c.LearningRate, 0), "learning_rate", c.LearningRate,
			"set it above 0 (0.015 is a good start)"},
		{c.Epochs >= 1, "epochs", c.Epochs, "set it to 1 or more"},
		{c.TimeBudget >= 0, "time_budget", c.TimeBudget, "set it to 0 (no limit) or more"},
		{c.BatchSequences >= 0, "batch_sequences", c.BatchSequences, "set it to 0 (by the data's size) or more"},
		{c.MaxWindow >= 2, "max_window", c.MaxWindow, "set it to 2 or more events"},
		{share(c.Dropout), "dropout", c.Dropout, "set it to 0 or more, below 1"},
		{share(c.IDDropout), "id_dropout", c.IDDropout, "set it to 0 or more, below 1"},
		{c.MinItemEvents >= 1, "min_item_events", c.MinItemEvents, "set it to 1 or more"},
		{c.FullSoftmaxMaxItems >= 0, "full_softmax_max_items", c.FullSoftmaxMaxItems, "set it to 0 (always sample) or more"},
		{c.Negatives >= 1, "negatives", c.Negatives, "set it to 1 or more (some thousands rank well)"},
		{c.EventKinds.known(), "event_kinds", c.EventKinds, "set it to auto, always or never"},
		{c.EventGaps.known(), "event_gaps", c.EventGaps, "set it to auto, always or never"},
		{c.ValidationUsers >= 0, "validation_users", c.ValidationUsers, "set it to 0 (no validation) or more"},
		{c.ValidationWindow >= 1, "validation_window", c.ValidationWindow, "set it to 1 or more events"},
		{c.Patience >= 1, "patience", c.Patience, "set it to 1 or more epochs"},
		{c.Workers >= 0, "workers", c.Workers, "set it to 0 (one for each core) or more"},
	}
	for _, check := range checks {
		if !check.ok {
			return fmt.Errorf("%s is %v: %s", check.field, check.value, check.remedy)
		}
	}
	if err := c.Mixture.Validate(); err != nil {
		return fmt.Errorf("mixture.%w", err)
	}
	if err := c.WarmStart.Validate(); err != nil {
		return fmt.Errorf("warm_start.%w", err)
	}
	if err := c.Vocabulary.Validate(); err != nil {
		return fmt.Errorf("vocabulary.%w", err)
	}
	if err := c.Query.Validate(); err != nil {
		return fmt.Errorf("query.%w", err)
	}
	return nil
}

// batchSize is how many of so many windows make one step.
func (c *Config) batchSize(windows int) int {
	if c.BatchSequences > 0 {
		return c.BatchSequences
	}
	return min(max(windows/100, 8), 64)
}

func (c *Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.GOMAXPROCS(0)
}
