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
	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/pipelines/online/recall"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/telemetry"
)

//go:generate go test -run ^TestExampleFile$ -update

// Settings is everything that an operator can set. The comments of all fields, here and in the sections, make the comments
// of freshet.example.yaml.
type Settings struct {
	// How to reach Kafka.
	Kafka kafkaio.Config `yaml:"kafka" envPrefix:"KAFKA_"`
	// How records are sent: events, replies, dead letters.
	Writer kafkaio.WriterConfig `yaml:"writer" envPrefix:"WRITER_"`
	// The topics, as `freshet topics create` makes them.
	Topics topics.Config `yaml:"topics" envPrefix:"TOPICS_"`
	// Where the schemas of the records are kept.
	Registry schemas.RegistryConfig `yaml:"registry" envPrefix:"REGISTRY_"`
	// What a record may hold. One beyond the limits is refused when it is published, and is a dead letter where it is read.
	Limits schemas.Limits `yaml:"limits" envPrefix:"LIMITS_"`
	// Where Redis is, which holds profiles and item records.
	Redis redisdb.Config `yaml:"redis" envPrefix:"REDIS_"`
	// Where Milvus is, which holds the candidates, and how its collections are made.
	Milvus candidates.Config `yaml:"milvus" envPrefix:"MILVUS_"`

	// Bundle is the folder of the model that is served; `freshet train` writes it.
	Bundle string `yaml:"bundle" env:"BUNDLE"`
	// RulesFile holds the business rules; empty serves the built-in set. It is read again when it changes.
	RulesFile string `yaml:"rules_file" env:"RULES_FILE"`

	// The users' profiles in Redis.
	Profiles profiles.Config `yaml:"profiles" envPrefix:"PROFILES_"`
	// The items' records in Redis.
	Items items.Config `yaml:"items" envPrefix:"ITEMS_"`
	// The weights of the second stage. Retrieval counts in standard deviations over the candidates, so that its weight means
	// the same whatever the scale of a model's vectors; the other parts lie between 0 and 1.
	Ranking ranking.Config `yaml:"ranking" envPrefix:"RANKING_"`
	// How much work one request may cause.
	Recommender recommender.Config `yaml:"recommender" envPrefix:"RECOMMENDER_"`

	// The roles that read from Kafka.
	Consumers Consumers `yaml:"consumers" envPrefix:"CONSUMERS_"`
	// The role recall, which measures recall while the others serve and writes it to topics.recall. It runs where it is named:
	// `freshet run recall`, in one process.
	Recall recall.Config `yaml:"recall" envPrefix:"RECALL_"`
	// What is told of a process, and to whom.
	Telemetry telemetry.Config `yaml:"telemetry" envPrefix:"TELEMETRY_"`
	// Where `freshet run` can be asked how it is.
	Admin telemetry.AdminConfig `yaml:"admin" envPrefix:"ADMIN_"`

	// How `freshet train` trains.
	Training training.Config `yaml:"training" envPrefix:"TRAINING_"`

	notices []string
}

// Consumers configures the three roles that read from Kafka.
type Consumers struct {
	// Group begins the names of the consumer groups: <group>.interactions, <group>.catalogue, <group>.recommendations.
	Group string `yaml:"group" env:"GROUP"`
	// The role interactions.
	Interactions stream.Config `yaml:"interactions" envPrefix:"INTERACTIONS_"`
	// The role catalogue.
	Catalogue stream.Config `yaml:"catalogue" envPrefix:"CATALOGUE_"`
	// The role recommendations, as it reads requests: all that have queued go on as one batch.
	Requests stream.GatherConfig `yaml:"requests" envPrefix:"REQUESTS_"`
	// The role recommendations, as it replies.
	Replies recommendations.Config `yaml:"replies" envPrefix:"REPLIES_"`
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
			Catalogue:    catalogueConfig(),
			Requests:     stream.DefaultGatherConfig(),
			Replies:      recommendations.DefaultConfig(),
		},
		Recall:    recall.DefaultConfig(),
		Telemetry: telemetry.DefaultConfig(),
		Admin:     telemetry.DefaultAdminConfig(),
		Training:  training.DefaultConfig(),
	}
}

// catalogueConfig has batches of what one call of Milvus takes: a smaller one costs it as much time as a full one.
func catalogueConfig() stream.Config {
	c := stream.DefaultConfig()
	c.MaxRecords = 1000
	return c
}

// Load reads the file at path over the defaults, then the environment over both. An empty path reads no file.
func Load(path string) (Settings, error) {
	s := Default()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return s, fmt.Errorf("reading the configuration: %w", err)
		}
		if err := s.merge(text); err != nil {
			return s, fmt.Errorf("reading the configuration %s: %w", path, err)
		}
	}
	variables, notices, err := environment()
	if err == nil {
		err = refuseUnknownVariables(variables)
	}
	if err != nil {
		return s, fmt.Errorf("reading the environment: %w", err)
	}
	if err := env.ParseWithOptions(&s, env.Options{Prefix: EnvPrefix, Environment: variables}); err != nil {
		return s, fmt.Errorf("reading the environment: %w", nameVariable(err, variables))
	}
	s.notices = append(s.notices, notices...)
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("checking the configuration: %w", err)
	}
	return s, nil
}

// nameVariable finds the variables behind err, which itself knows the Go names of fields alone: it sets them one by one.
func nameVariable(err error, set map[string]string) error {
	scratch := Default()
	variables, paramsErr := env.GetFieldParamsWithOptions(&scratch, env.Options{Prefix: EnvPrefix})
	if paramsErr != nil {
		return errors.Join(err, paramsErr)
	}
	var named []error
	for _, v := range variables {
		value, is := set[v.Key]
		if !is {
			continue
		}
		alone := env.Options{Prefix: EnvPrefix, Environment: map[string]string{v.Key: value}}
		if cause, ok := errors.AsType[env.ParseError](env.ParseWithOptions(&scratch, alone)); ok {
			named = append(named, fmt.Errorf("%s: %w", v.Key, cause.Err))
		}
	}
	if len(named) == 0 {
		return err
	}
	return errors.Join(named...)
}

// merge lays YAML over the settings; a key that is no setting is an error.
func (s *Settings) merge(text []byte) error {
	text, notices, err := renameSections(text)
	if err != nil {
		return err
	}
	s.notices = append(s.notices, notices...)
	var document yaml.Node
	if yaml.Unmarshal(text, &document) == nil { // else the decoder says what is wrong
		if err := refuseMoved(&document); err != nil {
			return err
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) { // an empty file changes nothing
		return err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("the file holds more than one document: keep one, without ---")
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
		if section, ok := reflect.TypeAssert[validator](field); ok {
			if err := section.Validate(); err != nil {
				errs = append(errs, under(at, err)...)
			}
			continue
		}
		errs = append(errs, validateTree(at+".", field)...)
	}
	return errs
}

// under puts a section's path before the field that each of its errors begins with.
func under(path string, err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, one := range joined.Unwrap() {
			errs = append(errs, under(path, one)...)
		}
		return errs
	}
	if invalid := new(schemas.InvalidError); errors.As(err, &invalid) {
		return []error{fmt.Errorf("%s.%s is %s: %s", path, invalid.Field, invalid.Value, invalid.Remedy)}
	}
	return []error{fmt.Errorf("%s.%w", path, err)}
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
		InteractionKeys: s.Topics.Interactions.KeyConfig, ItemKeys: s.Topics.Items.KeyConfig,
	}
	return c
}
