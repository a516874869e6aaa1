package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/consumers/recommendations"
	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/pipelines/training"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
)

// Settings is everything that an operator can set.
type Settings struct {
	Kafka    kafkaio.Config         `yaml:"kafka" envPrefix:"KAFKA_"`
	Writer   kafkaio.WriterConfig   `yaml:"writer" envPrefix:"WRITER_"`
	Topics   topics.Config          `yaml:"topics" envPrefix:"TOPICS_"`
	Registry schemas.RegistryConfig `yaml:"registry" envPrefix:"REGISTRY_"`
	Limits   schemas.Limits         `yaml:"limits" envPrefix:"LIMITS_"`
	Redis    redisdb.Config         `yaml:"redis" envPrefix:"REDIS_"`
	Milvus   candidates.Config      `yaml:"milvus" envPrefix:"MILVUS_"`

	// Bundle is the folder of the model that is served.
	Bundle string `yaml:"bundle" env:"BUNDLE"`
	// RulesFile holds the business rules; empty serves the built-in set. It is read again when it changes.
	RulesFile string `yaml:"rules_file" env:"RULES_FILE"`

	Profiles    profiles.Config    `yaml:"profiles" envPrefix:"PROFILES_"`
	Items       items.Config       `yaml:"items" envPrefix:"ITEMS_"`
	Ranking     ranking.Config     `yaml:"ranking" envPrefix:"RANKING_"`
	Recommender recommender.Config `yaml:"recommender" envPrefix:"RECOMMENDER_"`

	Consumers Consumers       `yaml:"consumers" envPrefix:"CONSUMERS_"`
	Training  training.Config `yaml:"training" envPrefix:"TRAINING_"`
}

// Consumers configures the three roles that read from Kafka.
type Consumers struct {
	// Group begins the names of the consumer groups: <group>.interactions, <group>.catalogue, <group>.recommendations.
	Group        string                 `yaml:"group" env:"GROUP"`
	Interactions stream.Config          `yaml:"interactions" envPrefix:"INTERACTIONS_"`
	Catalogue    stream.Config          `yaml:"catalogue" envPrefix:"CATALOGUE_"`
	Requests     stream.GatherConfig    `yaml:"requests" envPrefix:"REQUESTS_"`
	Replies      recommendations.Config `yaml:"replies" envPrefix:"REPLIES_"`
}

// EnvPrefix begins the name of every environment variable that overrides a setting: FRESHET_KAFKA_BROKERS.
const EnvPrefix = "FRESHET_"

// Default suits Kafka, Redis and Milvus on this machine at their usual ports.
func Default() Settings {
	return Settings{
		Kafka:       kafkaio.DefaultConfig(),
		Writer:      kafkaio.DefaultWriterConfig(),
		Topics:      topics.DefaultConfig(),
		Registry:    schemas.DefaultRegistryConfig(),
		Limits:      schemas.DefaultLimits(),
		Redis:       redisdb.DefaultConfig(),
		Milvus:      candidates.DefaultConfig(),
		Bundle:      "bundle",
		Profiles:    profiles.DefaultConfig(),
		Items:       items.DefaultConfig(),
		Ranking:     ranking.DefaultConfig(),
		Recommender: recommender.DefaultConfig(),
		Consumers: Consumers{
			Group:        "freshet",
			Interactions: stream.DefaultConfig(),
			Catalogue:    stream.DefaultConfig(),
			Requests:     stream.DefaultGatherConfig(),
			Replies:      recommendations.DefaultConfig(),
		},
		Training: training.DefaultConfig(),
	}
}

// Load reads the file at path over the defaults, then the environment over both. An empty path reads no file.
func Load(path string) (Settings, error) {
	s := Default()
	if path != "" {
		text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return s, fmt.Errorf("reading the configuration: %w", err)
		}
		if err := s.merge(text); err != nil {
			return s, fmt.Errorf("reading the configuration %s: %w", path, err)
		}
	}
	if err := env.ParseWithOptions(&s, env.Options{Prefix: EnvPrefix}); err != nil {
		return s, fmt.Errorf("reading the environment: %w", err)
	}
	return s, s.Validate()
}

// merge lays YAML over the settings; a key that is no setting is an error.
func (s *Settings) merge(text []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) { // an empty file changes nothing
		return err
	}
	return nil
}

type validator interface{ Validate() error }

// Validate reports every section that cannot work, by its path in the file.
func (s Settings) Validate() error {
	errs := validateTree("", reflect.ValueOf(s))
	if s.Bundle == "" {
		errs = append(errs, errors.New("bundle is empty: name the folder of a trained model"))
	}
	if s.Consumers.Group == "" {
		errs = append(errs, errors.New("consumers.group is empty: name the consumer groups' common beginning"))
	}
	return errors.Join(errs...)
}

// validateTree asks every section that can validate itself, but not the sections inside it: those are its own business.
func validateTree(path string, v reflect.Value) []error {
	var errs []error
	for i := range v.NumField() {
		field := v.Field(i)
		if field.Kind() != reflect.Struct {
			continue
		}
		at := path + yamlName(v.Type().Field(i))
		if section, ok := field.Interface().(validator); ok {
			if err := section.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", at, err))
			}
			continue
		}
		errs = append(errs, validateTree(at+".", field)...)
	}
	return errs
}

func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// Producer is what a publisher or a client of this configuration needs.
func (s Settings) Producer(log *slog.Logger) producers.Config {
	c := producers.DefaultConfig()
	c.Kafka, c.Writer, c.Registry, c.Limits, c.Logger = s.Kafka, s.Writer, s.Registry, s.Limits, log
	c.Topics = producers.Topics{
		Interactions: s.Topics.Interactions.Name, Items: s.Topics.Items.Name,
		Requests: s.Topics.Requests.Name, Replies: s.Topics.Replies.Name,
	}
	return c
}
