package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas/secure"
)

// leaf is a setting that is no section.
type leaf struct {
	path     string // as in the file: kafka.brokers
	variable string // by its env tags: FRESHET_KAFKA_BROKERS
	reflect.StructField
}

// leaves lists all settings in the order of the file. It reads the tags apart from the code under test.
func leaves(v reflect.Value) []leaf {
	var all []leaf
	var walk func(path, prefix string, of reflect.Type)
	walk = func(path, prefix string, of reflect.Type) {
		for f := range of.Fields() {
			if !f.IsExported() {
				continue
			}
			if f.Type.Kind() != reflect.Struct {
				all = append(all, leaf{path + yamlName(f), prefix + f.Tag.Get("env"), f})
				continue
			}
			inner := path
			if !f.Anonymous {
				inner += yamlName(f) + "."
			}
			walk(inner, prefix+f.Tag.Get("envPrefix"), f.Type)
		}
	}
	walk("", EnvPrefix, v.Type())
	return all
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "freshet.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	require.NoError(t, Default().Validate())
}

func TestEverySettingHasItsKeyAndItsVariable(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range leaves(reflect.ValueOf(Default())) {
		require.NotEmpty(t, f.Tag.Get("yaml"), "%s.%s", f.path, f.Name)
		require.NotEmpty(t, f.Tag.Get("env"), "%s", f.path)
		require.Regexp(t, `^[a-z0-9_.]+$`, f.path)
		require.Equal(t, EnvPrefix+strings.ToUpper(strings.ReplaceAll(f.path, ".", "_")), f.variable, "the path in capitals")
		require.False(t, seen[f.variable], "%s is the variable of two settings", f.variable)
		seen[f.variable] = true
	}
	require.Greater(t, len(seen), 100)
}

func TestSecrets(t *testing.T) {
	var secrets []string
	for _, f := range leaves(reflect.ValueOf(Default())) {
		name := strings.ToLower(f.Name)
		looks := false
		for _, word := range []string{"password", "secret", "token", "credential", "passphrase", "apikey", "privatekey", "headers"} {
			looks = looks || strings.Contains(name, word) && f.Type.Kind() == reflect.String && !strings.HasSuffix(name, "file")
		}
		tagged := f.Tag.Get("secret") == "true"
		require.Equal(t, looks, tagged, "%s", f.path)
		if tagged {
			require.Equal(t, reflect.TypeFor[secure.Secret](), f.Type, "%s", f.path)
			secrets = append(secrets, f.path)
			t.Setenv(f.variable, "hunter2")
		}
	}
	require.Equal(t, []string{
		"kafka.sasl.password", "registry.password", "redis.password", "redis.sentinel.password", "milvus.password", "milvus.token",
		"telemetry.otlp.headers",
	}, secrets)

	s := Default()
	require.NoError(t, env.ParseWithOptions(&s, env.Options{Prefix: EnvPrefix}))
	text, err := s.YAML()
	require.NoError(t, err)
	require.NotContains(t, string(text), "hunter2")
	require.Equal(t, len(secrets), strings.Count(string(text), masked))
	require.Equal(t, "hunter2", s.Redis.Password.Reveal(), "printing leaves the settings alone")

	text, err = Default().YAML()
	require.NoError(t, err)
	require.NotContains(t, string(text), masked, "a secret that is not set is not masked")
}

func TestWhatIsPrintedCanBeRead(t *testing.T) {
	t.Setenv("FRESHET_KAFKA_BROKERS", "a:1,b:2")
	t.Setenv("FRESHET_TOPICS_INTERACTIONS_RETENTION", "90m")
	printed, err := Load("")
	require.NoError(t, err)
	text, err := printed.YAML()
	require.NoError(t, err)
	require.NoError(t, os.Unsetenv("FRESHET_KAFKA_BROKERS"))
	require.NoError(t, os.Unsetenv("FRESHET_TOPICS_INTERACTIONS_RETENTION"))
	read, err := Load(write(t, string(text)))
	require.NoError(t, err)
	require.Equal(t, printed, read)
}

func TestFileOverDefaultsAndEnvironmentOverBoth(t *testing.T) {
	path := write(t, `
kafka:
  brokers: [kafka-1:9092, kafka-2:9092]
  dial_timeout: 250ms
consumers:
  group: shop
  requests:
    in_flight: 8
    drain_timeout: 2s
    backoff: {initial: 10ms}
    group: {start_at: last}
limits:
`)
	for name, value := range map[string]string{
		"FRESHET_KAFKA_BROKERS":                          "a:1,b:2",
		"FRESHET_CONSUMERS_REQUESTS_DRAIN_TIMEOUT":       "1m30s",
		"FRESHET_CONSUMERS_REQUESTS_GROUP_START_AT":      "first",
		"FRESHET_CONSUMERS_INTERACTIONS_BACKOFF_INITIAL": "1ms",
		"FRESHET_TRAINING_SEED":                          "7",
		"FRESHET_TRAINING_VOCABULARY_MAX_WORD_SHARE":     "0.5",
		"FRESHET_REDIS_CLUSTER":                          "true",
		"FRESHET_BUNDLE":                                 "/srv/bundle",
		// Long enough for the longer drain time.
		"FRESHET_CONSUMERS_REQUESTS_GROUP_SESSION_TIMEOUT":   "3m",
		"FRESHET_CONSUMERS_REQUESTS_GROUP_REBALANCE_TIMEOUT": "3m",
	} {
		t.Setenv(name, value)
	}
	got, err := Load(path)
	require.NoError(t, err)

	want := Default()
	want.Kafka.Brokers = []string{"a:1", "b:2"}
	want.Kafka.DialTimeout = 250 * time.Millisecond
	want.Consumers.Group = "shop"
	want.Consumers.Requests.InFlight = 8
	want.Consumers.Requests.DrainTimeout = 90 * time.Second
	want.Consumers.Requests.Backoff.Initial = 10 * time.Millisecond
	want.Consumers.Requests.Group.StartAt = stream.StartFirst
	want.Consumers.Requests.Group.SessionTimeout = 3 * time.Minute
	want.Consumers.Requests.Group.RebalanceTimeout = 3 * time.Minute
	want.Consumers.Interactions.Backoff.Initial = time.Millisecond
	want.Training.Seed, want.Training.Vocabulary.MaxWordShare = 7, 0.5
	want.Redis.Cluster, want.Bundle = true, "/srv/bundle"
	require.Equal(t, want, got)
}

func TestAnEmptyFileChangesNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		s, err := Load(write(t, text))
		require.NoError(t, err, "%q", text)
		require.Equal(t, Default(), s, "%q", text)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, file, variable, value string
		want                        []string
	}{
		{name: "unknown section", file: "kafak:\n  brokers: [a:1]\n", want: []string{"line 1", "kafak"}},
		{name: "unknown key", file: "kafka:\n  brokres: [a:1]\n", want: []string{"line 2", "brokres"}},
		{name: "unknown inlined key", file: "consumers:\n  requests:\n    runtime: {}\n", want: []string{"line 3", "runtime"}},
		{name: "key twice", file: "bundle: a\nbundle: b\n", want: []string{"line 2", "bundle"}},
		{name: "second document", file: "bundle: a\n---\nbundle: b\n", want: []string{"one document"}},
		{name: "no duration", file: "kafka:\n  dial_timeout: soon\n", want: []string{"line 2", "soon"}},
		{name: "no YAML", file: "kafka: [", want: []string{"yaml"}},
		{name: "value out of range", file: "consumers:\n  catalogue:\n    max_records: 0\n",
			want: []string{"consumers.catalogue.max_records is 0: give at least 1"}},
		{name: "variable that is no duration", variable: "FRESHET_KAFKA_DIAL_TIMEOUT", value: "soon",
			want: []string{"FRESHET_KAFKA_DIAL_TIMEOUT", "soon"}},
		{name: "variable that is no number", variable: "FRESHET_CONSUMERS_REQUESTS_IN_FLIGHT", value: "many",
			want: []string{"FRESHET_CONSUMERS_REQUESTS_IN_FLIGHT", "many"}},
		{name: "moved key", file: "consumers:\n  replies:\n    default_deadline: 5s\n",
			want: []string{"line 3: consumers.replies.default_deadline is recommender.default_deadline now"}},
		{name: "moved variable", variable: "FRESHET_CONSUMERS_REPLIES_DEFAULT_DEADLINE", value: "5s",
			want: []string{"FRESHET_CONSUMERS_REPLIES_DEFAULT_DEADLINE is FRESHET_RECOMMENDER_DEFAULT_DEADLINE now"}},
		{name: "variable out of range", variable: "FRESHET_MILVUS_HNSW_EF", value: "0", want: []string{"milvus.hnsw.ef is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.variable != "" {
				t.Setenv(c.variable, c.value)
			}
			_, err := Load(write(t, c.file))
			require.Error(t, err)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
	_, err := Load(filepath.Join(t.TempDir(), "nowhere.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestErrorsBeginWithThePath breaks a setting of each section: every line of the error must begin with that setting's path,
// and name it once.
func TestErrorsBeginWithThePath(t *testing.T) {
	for want, spoil := range map[string]func(*Settings){
		"kafka.brokers is empty":                          func(s *Settings) { s.Kafka.Brokers = nil },
		"kafka.request_timeout is 0s":                     func(s *Settings) { s.Kafka.RequestTimeout = 0 },
		"writer.max_batch_messages is 0":                  func(s *Settings) { s.Writer.MaxBatchMessages = 0 },
		"topics.items.partitions is 0":                    func(s *Settings) { s.Topics.Items.Partitions = 0 },
		"topics.dead_letters.retention is 1ms":            func(s *Settings) { s.Topics.DeadLetters.Retention = time.Millisecond },
		`registry.url is "ftp://x": `:                     func(s *Settings) { s.Registry.URL = "ftp://x" },
		"limits.max_count is 0: ":                         func(s *Settings) { s.Limits.MaxCount = 0 },
		"redis.db is -1":                                  func(s *Settings) { s.Redis.DB = -1 },
		"milvus.address is empty":                         func(s *Settings) { s.Milvus.Address = "" },
		"milvus.hnsw: ":                                   func(s *Settings) { s.Milvus.HNSW.M = 1 },
		"bundle is empty":                                 func(s *Settings) { s.Bundle = "" },
		"profiles.history_length is 0":                    func(s *Settings) { s.Profiles.HistoryLength = 0 },
		"profiles.key_prefix is empty":                    func(s *Settings) { s.Profiles.KeyPrefix = "" },
		"items.recent_kept is 0":                          func(s *Settings) { s.Items.RecentKept = 0 },
		"ranking.retrieval: 1e+09 is no weight":           func(s *Settings) { s.Ranking.Retrieval = 1e9 },
		"recommender.candidates is 0":                     func(s *Settings) { s.Recommender.Candidates = 0 },
		"consumers.group is empty":                        func(s *Settings) { s.Consumers.Group = "" },
		"consumers.interactions.max_records is 0":         func(s *Settings) { s.Consumers.Interactions.MaxRecords = 0 },
		"consumers.catalogue.backoff.initial is 0s":       func(s *Settings) { s.Consumers.Catalogue.Backoff.Initial = 0 },
		"consumers.requests.in_flight is 0":               func(s *Settings) { s.Consumers.Requests.InFlight = 0 },
		"consumers.requests.linger is -1ns":               func(s *Settings) { s.Consumers.Requests.Linger = -1 },
		"consumers.replies.reply_topic_prefixes is empty": func(s *Settings) { s.Consumers.Replies.ReplyTopicPrefixes = nil },
		"training.epochs is 0":                            func(s *Settings) { s.Training.Epochs = 0 },
		"training.vocabulary.min_items is 0":              func(s *Settings) { s.Training.Vocabulary.MinItems = 0 },
	} {
		s := Default()
		spoil(&s)
		err := s.Validate()
		require.Error(t, err, want)
		require.True(t, strings.HasPrefix(err.Error(), want), "%q instead of %q", err, want)
	}
}

func TestEveryErrorIsReportedOnALineOfItsOwn(t *testing.T) {
	s := Default()
	s.Kafka.DialTimeout, s.Kafka.MetadataTTL = 0, 0
	s.Consumers.Requests.MaxRecords, s.Consumers.Requests.HandleTimeout = 0, 0
	s.Bundle = ""
	var began []string
	for line := range strings.SplitSeq(s.Validate().Error(), "\n") {
		path, _, _ := strings.Cut(line, " ")
		began = append(began, path)
	}
	require.Equal(t, []string{
		"kafka.dial_timeout", "kafka.metadata_ttl", "consumers.requests.max_records", "consumers.requests.handle_timeout", "bundle",
	}, began)
}

// TestEverySectionIsValidated: a new section without a Validate would be taken as it is.
func TestEverySectionIsValidated(t *testing.T) {
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		for f := range of.Fields() {
			if !f.IsExported() {
				continue
			}
			if f.Type.Kind() != reflect.Struct {
				inRoot := []string{"bundle", "rules_file", "consumers.group"}
				require.Contains(t, inRoot, path+yamlName(f), "validated in Settings.Validate")
				continue
			}
			if !f.Type.Implements(reflect.TypeFor[validator]()) {
				walk(path+yamlName(f)+".", f.Type)
			}
		}
	}
	walk("", reflect.TypeFor[Settings]())
}

func TestProducerTakesOverWhatProducersShare(t *testing.T) {
	s := Default()
	s.Kafka.Brokers, s.Limits.MaxCount, s.Registry.URL = []string{"a:1"}, 5, "http://registry:8081"
	s.Topics.Interactions.Name, s.Topics.Items.Name = "i", "c"
	s.Topics.Requests.Name, s.Topics.Replies.Name = "q", "r"
	c := s.Producer(nil)
	require.Equal(t, s.Kafka, c.Kafka)
	require.Equal(t, s.Limits, c.Limits)
	require.Equal(t, s.Registry, c.Registry)
	require.Equal(t, s.Writer, c.Writer)
	require.Equal(t, []string{"i", "c", "q", "r"}, []string{c.Topics.Interactions, c.Topics.Items, c.Topics.Requests, c.Topics.Replies})
}

// TestMovedSettings: what they are called now is a setting, and what they were called is none.
func TestMovedSettings(t *testing.T) {
	paths := map[string]bool{}
	for _, f := range leaves(reflect.ValueOf(Default())) {
		paths[f.path] = true
	}
	for old, now := range moved {
		require.False(t, paths[old], "%s", old)
		require.True(t, paths[now], "%s", now)
	}
}

func TestVariablesThatAreNoSettings(t *testing.T) {
	for name, refused := range map[string]bool{
		"FRESHET_KAFKA_BROKER": true, "FRESHET_TESTS": true, "FRESHET_KAFKA_BROKERS": false, "FRESHET_CONFIG": false,
		"FRESHET_TEST_KAFKA": false, "FRESHET_DATA": false, "OTHER_KAFKA_BROKER": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "127.0.0.1:1")
			_, err := Load("")
			if refused {
				require.ErrorContains(t, err, name+" is no setting")
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// TestRenamedSections: the old name works, in the file and in the environment, and is told.
func TestRenamedSections(t *testing.T) {
	s, err := Load(write(t, "# evaluation: no key\nbundle: evaluation\nevaluation:\n  sample_share: 0.5\n"))
	require.NoError(t, err)
	require.Equal(t, "evaluation", s.Bundle)
	require.InDelta(t, 0.5, s.Recall.SampleShare, 0)
	require.Equal(t, []string{"section evaluation is called recall now: rename it in the configuration"}, s.Notices())

	_, err = Load(write(t, "evaluation:\n  sample_share: 0.5\nrecall:\n  sample_share: 0.1\n"))
	require.ErrorContains(t, err, "move the settings of evaluation into recall")
	_, err = Load(write(t, "bundle: b\n\"evaluation\": {sampel_share: 0.5}\n"))
	require.ErrorContains(t, err, "line 2: field sampel_share not found")

	t.Setenv("FRESHET_EVALUATION_SAMPLE_SHARE", "0.25")
	s, err = Load("")
	require.NoError(t, err)
	require.InDelta(t, 0.25, s.Recall.SampleShare, 0)
	require.Equal(t, []string{"variable FRESHET_EVALUATION_SAMPLE_SHARE is called FRESHET_RECALL_SAMPLE_SHARE now"}, s.Notices())

	t.Setenv("FRESHET_RECALL_SAMPLE_SHARE", "0.25")
	_, err = Load("")
	require.NoError(t, err, "both, and the same")
	t.Setenv("FRESHET_RECALL_SAMPLE_SHARE", "0.5")
	_, err = Load("")
	require.ErrorContains(t, err, "FRESHET_EVALUATION_SAMPLE_SHARE and FRESHET_RECALL_SAMPLE_SHARE are one setting, and differ")

	t.Setenv("FRESHET_EVALUATION_SAMPEL_SHARE", "1")
	_, err = Load("")
	require.ErrorContains(t, err, "FRESHET_")
}
