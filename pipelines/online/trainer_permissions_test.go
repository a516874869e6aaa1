package online_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/commands"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
)

// offline is the commands that read topics and end.
type offline struct {
	commands.Global
	Train    commands.Train    `cmd:""`
	Evaluate commands.Evaluate `cmd:""`
	Export   commands.Export   `cmd:""`
}

// TestTrainerNeedsItsRights trains, measures and exports with the rights of trainer alone, takes each away, and tries what they do
// not hold. Redis and Milvus are nowhere.
func TestTrainerNeedsItsRights(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *site{"embedded": embeddedSite, "real": realSite} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.cleanTopics(t)
			r := readRights(t, w.name)
			require.Empty(t, r["trainer"].Redis.Keys)
			require.Empty(t, r["trainer"].Milvus)
			for user, parts := range map[string][]string{"trainer": {"trainer"}, "operator": {"operator"}, "app": {"publisher"}} {
				w.allow(t, r.kafkaACLs(user, parts...)...)
			}
			_, err := topics.Ensure(t.Context(), w.as("operator").Kafka, w.settings.Topics)
			require.NoError(t, err)
			w.publishShop(t)
			w.environment(t, "trainer")

			bundle, folder := filepath.Join(t.TempDir(), "bundle"), t.TempDir()
			run := func(args ...string) (string, error) {
				var out, errs bytes.Buffer
				var table offline
				if commands.Execute(t.Context(), &table, &table.Global, args, commands.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}) != 0 {
					return "", fmt.Errorf("%v: %s", args, &errs)
				}
				return out.String(), nil
			}
			ok := func(args ...string) string {
				t.Helper()
				out, err := run(args...)
				require.NoError(t, err)
				return out
			}
			train := []string{"train", "--from-topics", "--epochs", "1", "--out", bundle}
			require.Contains(t, ok(train...), "written to "+bundle)
			require.Contains(t, ok("evaluate", "--from-topics", "--bundle", bundle, "--k", "3"), "popularity")
			require.Contains(t, ok("export", "all", "--out", folder), fmt.Sprintf("%d items and %d interactions", shopItems, shopUsers*shopEvents))

			// Each kind of record by itself, by the topic that it takes.
			of := w.settings.Topics
			alone := map[string][]string{
				of.Interactions.Name: {"export", "interactions", "--out", folder}, of.Items.Name: {"export", "items", "--out", folder},
			}
			missed := map[string]bool{}
			for _, entry := range r.acls("trainer", "trainer") {
				missed[entry.ResourceName] = true
				lacking := func() error {
					_, err := run(alone[entry.ResourceName]...)
					return err
				}
				w.without(t, lacking, func() {
					for _, args := range [][]string{train, {"export", "all", "--out", folder}, alone[entry.ResourceName]} {
						_, err := run(args...)
						require.ErrorContains(t, err, entry.ResourceName, "%v without %s", args, entry.Operation)
						require.ErrorContains(t, err, "grant the user what infra/permissions lists")
					}
					for topic, args := range alone {
						if topic != entry.ResourceName {
							ok(args...)
						}
					}
				}, entry)
			}
			require.Equal(t, map[string]bool{of.Interactions.Name: true, of.Items.Name: true}, missed)
			w.describesOnly(t, of.Items.Name, func() error {
				_, err := run(alone[of.Items.Name]...)
				return err
			})

			for _, topic := range of.Names() {
				require.Error(t, w.write(t, "trainer", topic), "trainer writes to %s", topic)
			}
			rows, err := w.readRecall(t, "trainer")
			require.Empty(t, rows)
			if err != nil {
				require.Equal(t, secure.Denied, kafkaio.ProblemOf(err), "%v", err)
			}
		})
	}
}

// describesOnly leaves the trainer the right to see a topic, and takes that to read it: reading is refused, and does not hang.
func (w *site) describesOnly(t *testing.T, topic string, reads func() error) {
	t.Helper()
	entry := kafka.ACLEntry{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafka.PatternTypeLiteral,
		Principal: "User:trainer", Host: "*", Operation: kafka.ACLOperationTypeDescribe, PermissionType: kafka.ACLPermissionTypeAllow,
	}
	w.allow(t, entry)
	entry.Operation = kafka.ACLOperationTypeRead
	w.without(t, reads, func() {
		err := reads()
		require.ErrorContains(t, err, "reading "+topic)
		require.ErrorContains(t, err, "grant the user what infra/permissions lists")
	}, entry)
}

const (
	shopItems  = 12
	shopUsers  = 8
	shopEvents = 6 // of each user
)

// publishShop publishes a catalogue, and events of users who each like some of it.
func (w *site) publishShop(t *testing.T) {
	t.Helper()
	publisher, err := producers.NewEventPublisher(t.Context(), w.as("app").Producer(new(recorder).logger()))
	require.NoError(t, err)
	defer func() { require.NoError(t, publisher.Close(t.Context())) }()
	begin := time.Now().Add(-24 * time.Hour)
	item := func(n int) string { return fmt.Sprint("item-", n%shopItems) }
	for n := range shopItems {
		_, err := publisher.PublishItem(t.Context(), &schemas.ItemChange{
			ItemID: item(n), Op: schemas.UpsertItem, Version: 1, OccurredAt: begin, Title: fmt.Sprint("thing ", n),
			Categories: []string{fmt.Sprint("kind ", n%3)}, Available: true, PublishedAt: begin,
		})
		require.NoError(t, err)
	}
	for n := range shopUsers * shopEvents {
		user, at := n%shopUsers, n/shopUsers
		_, err := publisher.PublishInteraction(t.Context(), &schemas.Interaction{
			EventID: fmt.Sprint("event ", n), UserID: fmt.Sprint("user ", user), ItemID: item(user + 3*at + at/4), Type: schemas.Like,
			OccurredAt: begin.Add(time.Duration(n) * time.Minute),
		})
		require.NoError(t, err)
	}
}

// environment has commands be a user at the site's Kafka, and find neither Redis nor Milvus.
func (w *site) environment(t *testing.T, user string) {
	t.Helper()
	s := w.as(user)
	for name, value := range map[string]string{
		"CONFIG": "", "KAFKA_BROKERS": s.Kafka.Brokers[0], "KAFKA_TLS_ENABLED": "true", "KAFKA_TLS_CA_FILE": s.Kafka.TLS.CAFile,
		"KAFKA_SASL_MECHANISM": s.Kafka.SASL.Mechanism, "KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": s.Kafka.SASL.Password.Reveal(),
		"TOPICS_INTERACTIONS_NAME": s.Topics.Interactions.Name, "TOPICS_ITEMS_NAME": s.Topics.Items.Name,
		"REDIS_ADDRESSES": "127.0.0.1:1", "MILVUS_ADDRESS": "127.0.0.1:1",
		"TRAINING_DIM": "8", "TRAINING_LAYERS": "1", "TRAINING_WORKERS": "1", "TRAINING_MAX_WINDOW": "10",
	} {
		t.Setenv("FRESHET_"+name, value)
	}
}
