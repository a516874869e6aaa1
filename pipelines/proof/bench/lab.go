package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/terminal"
)

// Options are what the benches have in common.
type Options struct {
	// Settings say where the servers are and how Freshet is configured; names and the bundle are the run's own.
	Settings settings.Settings
	// Embedded starts servers in this process instead.
	Embedded bool
	// Users, Items and Events are the size of the synthetic world; Events is how many each repeat works off.
	Users, Items, Events int
	// Repeats is how often each measurement is made, Warmup how many events or calls go before the first.
	Repeats, Warmup int
	// Duration is for how long a load is kept up.
	Duration time.Duration
	// Progress gets a line for each step.
	Progress io.Writer
	Log      *slog.Logger
}

// DefaultOptions take a minute or two for a bench on two cores.
func DefaultOptions() Options {
	return Options{
		Settings: settings.Default(), Users: 2000, Items: 10_000, Events: 100_000, Repeats: 5, Warmup: 100_000,
		Duration: 2 * time.Second, Progress: io.Discard, Log: slog.New(slog.DiscardHandler),
	}
}

// Validate names the first option that cannot work.
func (o Options) Validate() error {
	switch {
	case o.Users < 1:
		return fmt.Errorf("users is %d: give 1 or more", o.Users)
	case o.Items < leastItems:
		return fmt.Errorf("items is %d: give %d or more", o.Items, leastItems)
	case o.Events < o.Users:
		return fmt.Errorf("events is %d: give at least one for each of the %d users", o.Events, o.Users)
	case o.Repeats < 1:
		return fmt.Errorf("repeats is %d: give 1 or more", o.Repeats)
	case o.Warmup < 0:
		return fmt.Errorf("warmup is %d: give 0 or more", o.Warmup)
	case o.Duration < 100*time.Millisecond:
		return fmt.Errorf("duration is %s: give 100ms or more", o.Duration)
	}
	return nil
}

// lab is the servers, the names and the data of one run.
type lab struct {
	Options
	base    settings.Settings // as configured, or of the embedded servers
	name    string            // of this run, in all names of topics, groups, keys and collections
	folder  string            // holds the bundle
	kafka   *kafka.Client
	rdb     redis.UniversalClient
	milvus  client.Client // nil where the bench does not need it
	made    bool          // there may be something to remove
	closers []func()      // in order of opening
}

// serverTimeout bounds the wait for a server that does not answer, cleanupTimeout the removal of what a run has made.
const (
	serverTimeout  = 10 * time.Second
	cleanupTimeout = time.Minute
)

// needs says which servers a bench uses beside Kafka and Redis.
type needs struct{ milvus bool }

// openLab connects to the servers and creates the topics of the run. On an error nothing is left open.
func openLab(ctx context.Context, o Options, n needs) (l *lab, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	id := make([]byte, 4)
	_, _ = rand.Read(id) // which never fails
	l = &lab{Options: o, base: o.Settings, name: hex.EncodeToString(id)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close(ctx))
		}
	}()
	if l.folder, err = os.MkdirTemp("", "freshet-bench-"); err != nil {
		return l, fmt.Errorf("making a folder for the bench: %w", err)
	}
	if o.Embedded {
		if err := l.startEmbedded(ctx); err != nil {
			return l, err
		}
	}
	if err := l.connect(ctx, n); err != nil {
		return l, err
	}
	l.made = true
	s := l.settings("")
	l.say("creating topics %s…", s.Topics.Interactions.Name)
	return l, l.createTopics(ctx, s)
}

// createTopics returns once the brokers serve the topics: one that was just made has a leader before its broker knows of it,
// and plain requests to it are refused until then.
func (l *lab) createTopics(ctx context.Context, s settings.Settings) error {
	if _, err := topics.Ensure(ctx, s.Kafka, s.Topics); err != nil {
		return fmt.Errorf("creating the topics of the bench: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	for _, t := range []topics.Topic{s.Topics.Interactions, s.Topics.Items, s.Topics.Requests, s.Topics.Replies} {
		for {
			_, err := kafkaio.Ranges(ctx, l.kafka, t.Name, partitionsOf(t)...)
			if err == nil {
				break
			}
			if ctx.Err() != nil || !kafkaio.IsRetriable(err) {
				return fmt.Errorf("waiting for topic %s: %w", t.Name, err)
			}
			time.Sleep(topicPoll)
		}
	}
	return nil
}

// topicPoll is how often a new topic is tried.
const topicPoll = 20 * time.Millisecond

func partitionsOf(t topics.Topic) []int32 {
	partitions := make([]int32, t.Partitions)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	return partitions
}

func (l *lab) startEmbedded(ctx context.Context) error {
	stack, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		return fmt.Errorf("starting the embedded servers: %w", err)
	}
	l.closers = append(l.closers, stack.Close)
	// Only where the servers are changes: neither TLS nor passwords are theirs.
	d := settings.Default()
	l.base.Kafka, l.base.Redis, l.base.Milvus = d.Kafka, d.Redis, d.Milvus
	l.base.Kafka.Brokers = []string{stack.Kafka.Addr()}
	l.base.Redis.Addresses = []string{stack.Redis.Addr()}
	l.base.Milvus.Address = stack.Milvus.Addr()
	return nil
}

const remedyAway = "start it, point the configuration at one that runs, or use --embedded"

// connect refuses servers that are away, before anything is made.
func (l *lab) connect(ctx context.Context, n needs) error {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	l.kafka = l.base.Kafka.Client()
	l.closers = append(l.closers, func() { kafkaio.CloseIdle(l.kafka) })
	if _, err := l.kafka.Metadata(ctx, &kafka.MetadataRequest{}); err != nil {
		return fmt.Errorf("asking Kafka at %s (%s): %w", strings.Join(l.base.Kafka.Brokers, ", "), remedyAway, err)
	}
	rdb, err := redisdb.Connect(ctx, l.base.Redis)
	if err != nil {
		return fmt.Errorf("asking Redis (%s): %w", remedyAway, err)
	}
	l.rdb = rdb
	l.closers = append(l.closers, func() { _ = rdb.Close() })
	if !n.milvus {
		return nil
	}
	milvus, err := candidates.Dial(ctx, l.base.Milvus)
	if err != nil {
		return fmt.Errorf("asking Milvus (%s): %w", remedyAway, err)
	}
	l.milvus = milvus
	l.closers = append(l.closers, func() { _ = milvus.Close() })
	return nil
}

// settings are those of the run. trial tells apart what starts from nothing: keys, groups and collections have it in their
// names, topics have not.
func (l *lab) settings(trial string) settings.Settings {
	s := l.base
	s.Registry = schemas.DefaultRegistryConfig()
	s.Bundle, s.RulesFile = filepath.Join(l.folder, "bundle"), ""
	for _, t := range []struct {
		topic *topics.Topic
		kind  string
	}{
		{&s.Topics.Interactions, "interactions"}, {&s.Topics.Items, "items"}, {&s.Topics.Requests, "requests"},
		{&s.Topics.Replies, "replies"},
	} {
		t.topic.Name = l.topic(t.kind)
	}
	s.Consumers.Replies.ReplyTopicPrefixes = []string{s.Topics.Replies.Name}
	s.Consumers.Group = l.prefix() + trial
	s.Items.KeyPrefix, s.Profiles.KeyPrefix = l.prefix()+trial, l.prefix()+trial
	s.Milvus.Collection, s.Milvus.Alias = l.collection()+trial, l.collection()+trial+"_live"
	return s
}

func (l *lab) topic(kind string) string { return "freshet.bench." + l.name + "." + kind }

// prefix begins the names of the run's groups and keys, collection those of its collections.
func (l *lab) prefix() string     { return "freshet-bench-" + l.name }
func (l *lab) collection() string { return "freshet_bench_" + l.name }

// say tells the progress.
func (l *lab) say(format string, args ...any) {
	_, _ = terminal.Fprintf(l.Progress, format+"\n", args...)
}

// report begins the report of a bench.
func (l *lab) report(ctx context.Context, bench string, load ...string) (*Report, error) {
	servers, err := l.describeServers(ctx)
	if err != nil {
		return nil, err
	}
	return &Report{Bench: bench, Machine: thisMachine(), Servers: servers, Load: load}, nil
}

// close removes what the run has made and closes the connections. It does so also when ctx has ended.
func (l *lab) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	var errs []error
	if l.made {
		errs = append(errs, l.removeTopics(ctx), l.removeGroups(ctx), removeKeys(ctx, l.rdb, l.prefix()))
	}
	if l.made && l.milvus != nil {
		errs = append(errs, l.removeCollections(ctx))
	}
	for _, closer := range slices.Backward(l.closers) {
		closer()
	}
	if l.folder != "" {
		errs = append(errs, os.RemoveAll(l.folder))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing what the bench has made (%s*, %s*): %w", l.prefix(), l.collection(), err)
	}
	return nil
}
