package topics

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
)

// Topic is the wish for one topic.
type Topic struct {
	Name string `yaml:"name" env:"NAME"`
	// Partitions bound how many members of a consumer group share the work. Choose it for years: a key's partition depends
	// on it.
	Partitions int `yaml:"partitions" env:"PARTITIONS"`
	// Retention is for how long a record is kept at least; 0 keeps records for ever. A compacted topic keeps the last
	// record of each key for ever, whatever this says.
	Retention time.Duration `yaml:"retention" env:"RETENTION"`
	// How ids stand in the keys. Only those of interactions and items are read: a record without a value is about the id in its key.
	schemas.KeyConfig `yaml:",inline"`
}

// DeadLetters is the wish for the dead-letter topics, one for each topic that is consumed: <topic>.dlt.
type DeadLetters struct {
	Partitions int           `yaml:"partitions" env:"PARTITIONS"`
	Retention  time.Duration `yaml:"retention" env:"RETENTION"`
}

// Config is the wish for all topics.
type Config struct {
	// Interactions tell what users do.
	Interactions Topic `yaml:"interactions" envPrefix:"INTERACTIONS_"`
	// Items tell how the catalogue changes. The topic is compacted.
	Items Topic `yaml:"items" envPrefix:"ITEMS_"`
	// Requests ask for recommendations.
	Requests Topic `yaml:"requests" envPrefix:"REQUESTS_"`
	// Replies answer the requests.
	Replies Topic `yaml:"replies" envPrefix:"REPLIES_"`
	// Recall has what the role recall found. The topic is compacted.
	Recall      Topic       `yaml:"recall" envPrefix:"RECALL_"`
	DeadLetters DeadLetters `yaml:"dead_letters" envPrefix:"DEAD_LETTERS_"`
	// Replication is on how many brokers each partition lies; 0 leaves it to the brokers (default.replication.factor). In
	// production it is 3, with min.insync.replicas=2 at the brokers.
	Replication int `yaml:"replication" env:"REPLICATION"`
}

const day = 24 * time.Hour

// DefaultConfig keeps interactions for as long as one may want to rebuild user states from them.
func DefaultConfig() Config {
	raw := schemas.KeyConfig{Format: schemas.KeyRaw}
	return Config{
		Interactions: Topic{Name: "freshet.interactions", Partitions: 8, Retention: 180 * day, KeyConfig: raw},
		Items:        Topic{Name: "freshet.items", Partitions: 8, KeyConfig: raw},
		Requests:     Topic{Name: "freshet.requests", Partitions: 8, Retention: time.Hour, KeyConfig: raw},
		Replies:      Topic{Name: "freshet.replies", Partitions: 8, Retention: time.Hour, KeyConfig: raw},
		Recall:       Topic{Name: "freshet.recall", Partitions: 1, KeyConfig: raw},
		DeadLetters:  DeadLetters{Partitions: 1, Retention: 30 * day},
	}
}

// legalName is what Kafka takes (its Topic.validate).
var legalName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,245}$`)

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	used := make(map[string]string)
	for _, t := range []struct {
		field string
		Topic
	}{
		{"interactions", c.Interactions},
		{"items", c.Items},
		{"requests", c.Requests},
		{"replies", c.Replies},
		{"recall", c.Recall},
		{"dead_letters", Topic{Name: "dlt", Partitions: c.DeadLetters.Partitions, Retention: c.DeadLetters.Retention}},
	} {
		if !legalName.MatchString(t.Name) || t.Name == "." || t.Name == ".." {
			errs = append(errs, fmt.Errorf("%s.name is %q: use 1 to 245 letters, digits, '.', '_' or '-'", t.field, t.Name))
		}
		if other, taken := used[t.Name]; taken {
			errs = append(errs, fmt.Errorf("%s.name is %q, as is %s.name: give each its own topic", t.field, t.Name, other))
		}
		used[t.Name] = t.field
		if t.Partitions < 1 {
			errs = append(errs, fmt.Errorf("%s.partitions is %d: give at least 1", t.field, t.Partitions))
		}
		if t.Retention != 0 && t.Retention < time.Second {
			errs = append(errs, fmt.Errorf("%s.retention is %s: give at least 1s, or 0 to keep records for ever",
				t.field, t.Retention))
		}
	}
	for _, t := range []struct {
		field string
		keys  schemas.KeyConfig
		read  bool
	}{
		{"interactions", c.Interactions.KeyConfig, true},
		{"items", c.Items.KeyConfig, true},
		{"requests", c.Requests.KeyConfig, false},
		{"replies", c.Replies.KeyConfig, false},
		{"recall", c.Recall.KeyConfig, false},
	} {
		if err := t.keys.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s.%w", t.field, err))
		} else if !t.read && t.keys.Format != schemas.KeyRaw {
			errs = append(errs, fmt.Errorf("%s.key_format is %q: leave it raw, these keys are never read", t.field, t.keys.Format))
		}
	}
	if c.Replication < 0 {
		errs = append(errs, fmt.Errorf("replication is %d: give a number of brokers, or 0 for the brokers' default",
			c.Replication))
	}
	return errors.Join(errs...)
}

// The names of topic settings that Freshet depends on.
const (
	cleanupPolicy = "cleanup.policy"
	retentionMs   = "retention.ms"
)

// wish is a topic as it should be.
type wish struct {
	Topic
	field       string // in Config, for remedies
	replication int
	settings    map[string]string
}

// wishes returns what each topic should be, in a fixed order. Replies and recall have no dead letters, since nobody consumes
// them in a group.
func (c Config) wishes() []wish {
	list := []wish{
		{Topic: c.Interactions, field: "interactions"},
		{Topic: c.Items, field: "items"},
		{Topic: c.Requests, field: "requests"},
		{Topic: c.Replies, field: "replies"},
		{Topic: c.Recall, field: "recall"},
	}
	for _, of := range []Topic{c.Interactions, c.Items, c.Requests} {
		t := Topic{Name: stream.DeadLetterTopic(of.Name), Partitions: c.DeadLetters.Partitions, Retention: c.DeadLetters.Retention}
		list = append(list, wish{Topic: t, field: "dead_letters"})
	}
	for i := range list {
		list[i].replication = c.Replication
		list[i].settings = settings(list[i].Retention, list[i].field == "items" || list[i].field == "recall")
	}
	return list
}

func settings(retention time.Duration, compacted bool) map[string]string {
	if compacted {
		return map[string]string{cleanupPolicy: "compact"}
	}
	ms := int64(-1)
	if retention > 0 {
		ms = retention.Milliseconds()
	}
	return map[string]string{cleanupPolicy: "delete", retentionMs: strconv.FormatInt(ms, 10)}
}

// InteractionKeys reads the keys of the interactions topic, for everybody who reads it.
func (c Config) InteractionKeys(limits schemas.Limits, registry schemas.Registry) *schemas.Keys {
	return schemas.NewKeys(c.Interactions.KeyConfig, "topics.interactions", limits, registry)
}

// ItemKeys is InteractionKeys for the items topic.
func (c Config) ItemKeys(limits schemas.Limits, registry schemas.Registry) *schemas.Keys {
	return schemas.NewKeys(c.Items.KeyConfig, "topics.items", limits, registry)
}

// Names lists the topics of the configuration, dead-letter topics included.
func (c Config) Names() []string {
	var names []string
	for _, w := range c.wishes() {
		names = append(names, w.Name)
	}
	return names
}
