package producers

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// Config is for EventPublisher and RecommendationClient alike.
type Config struct {
	Kafka    kafkaio.Config         `yaml:"kafka" envPrefix:"KAFKA_"`
	Writer   kafkaio.WriterConfig   `yaml:"writer" envPrefix:"WRITER_"`
	Registry schemas.RegistryConfig `yaml:"registry" envPrefix:"REGISTRY_"`
	Limits   schemas.Limits         `yaml:"limits" envPrefix:"LIMITS_"`
	Topics   Topics                 `yaml:"topics" envPrefix:"TOPICS_"`
	Replies  Replies                `yaml:"replies" envPrefix:"REPLIES_"`
	// Logger gets what goes wrong and is retried; nil keeps quiet.
	Logger *slog.Logger `yaml:"-" env:"-"`
}

// Topics names the topics.
type Topics struct {
	Interactions string `yaml:"interactions" env:"INTERACTIONS"`
	Items        string `yaml:"items" env:"ITEMS"`
	Requests     string `yaml:"requests" env:"REQUESTS"`
	Replies      string `yaml:"replies" env:"REPLIES"`
	// How the ids stand in the keys of interactions and items, as the roles have it in topics.interactions and topics.items; raw where
	// nothing is set. Keys of requests are the user's id.
	InteractionKeys schemas.KeyConfig `yaml:"interaction_keys" envPrefix:"INTERACTION_"`
	ItemKeys        schemas.KeyConfig `yaml:"item_keys" envPrefix:"ITEM_"`
}

// Replies says where a RecommendationClient gets its answers and for how long it waits.
//
// Without a setting, a client picks one partition of Topics.Replies. Two that pick the same one read each other's answers
// and ignore them, which costs some bandwidth and nothing else; so this needs no co-ordination and no rights beyond reading
// and writing. With Partition, deployments that number their instances keep them apart. With Instance, the client makes a
// topic of its own, and deletes it on Close, for which it needs the right to do so.
type Replies struct {
	// Partition of Topics.Replies; -1 picks one at random.
	Partition int32 `yaml:"partition" env:"PARTITION"`
	// Instance, when not empty, is a name that no other running client has: answers come over the topic
	// <Topics.Replies>.<Instance>.
	Instance string `yaml:"instance" env:"INSTANCE"`
	// Timeout is the deadline of a call whose context has none.
	Timeout time.Duration `yaml:"timeout" env:"TIMEOUT"`
}

// DefaultConfig is Freshet's default topics on a broker on this machine.
func DefaultConfig() Config {
	return Config{
		Kafka:    kafkaio.DefaultConfig(),
		Writer:   kafkaio.DefaultWriterConfig(),
		Registry: schemas.DefaultRegistryConfig(),
		Limits:   schemas.DefaultLimits(),
		Topics: Topics{
			Interactions: "freshet.interactions",
			Items:        "freshet.items",
			Requests:     "freshet.requests",
			Replies:      "freshet.replies",

			InteractionKeys: schemas.KeyConfig{Format: schemas.KeyRaw},
			ItemKeys:        schemas.KeyConfig{Format: schemas.KeyRaw},
		},
		Replies: Replies{Partition: kafkaio.AnyPartition, Timeout: 2 * time.Second},
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, part := range []struct {
		name string
		err  error
	}{
		{"kafka", c.Kafka.Validate()},
		{"writer", c.Writer.Validate()},
		{"registry", c.Registry.Validate()},
		{"limits", c.Limits.Validate()},
		{"topics", c.Topics.validate()},
		{"replies", c.Replies.validate()},
	} {
		if part.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, part.err))
		}
	}
	return errors.Join(errs...)
}

func (t Topics) validate() error {
	var errs []error
	for field, name := range map[string]string{
		"interactions": t.Interactions, "items": t.Items, "requests": t.Requests, "replies": t.Replies,
	} {
		if name == "" {
			errs = append(errs, fmt.Errorf("%s is empty: name the topic, such as freshet.%s", field, field))
		}
	}
	for field, keys := range map[string]schemas.KeyConfig{"interaction_keys": t.InteractionKeys, "item_keys": t.ItemKeys} {
		if keys == (schemas.KeyConfig{}) {
			continue
		}
		if err := keys.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s.%w", field, err))
		}
	}
	return errors.Join(errs...)
}

func (r Replies) validate() error {
	switch {
	case r.Partition < kafkaio.AnyPartition:
		return fmt.Errorf("partition is %d: give a partition from 0, or -1 for any", r.Partition)
	case r.Partition > 0 && r.Instance != "":
		return fmt.Errorf("partition is %d and instance %q: a topic of the instance's own has partition 0 only, so give one of the two",
			r.Partition, r.Instance)
	case r.Timeout <= 0:
		return fmt.Errorf("timeout is %s: give a positive duration, such as 2s", r.Timeout)
	}
	return nil
}

func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}
