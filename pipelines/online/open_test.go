package online

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestParseRoles(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  []Role
		err   string
	}{
		{nil, []Role{Catalogue, Interactions, Recommendations}, ""},
		{[]string{}, AllRoles(), ""},
		{[]string{"recommendations", "catalogue"}, []Role{Catalogue, Recommendations}, ""},
		{[]string{"interactions", "interactions"}, []Role{Interactions}, ""},
		{[]string{"interactions", "catalog"}, nil, `role "catalog" is unknown: use one of catalogue, interactions, recommendations`},
		{[]string{"evaluation", "recall"}, []Role{Recall}, ""}, // the old name
		{[]string{""}, nil, `role "" is unknown`},
		{[]string{"Catalogue"}, nil, "is unknown"},
	} {
		roles, err := ParseRoles(c.names)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, roles)
	}
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	away := nobody(t)
	for name, c := range map[string]struct {
		change func(*settings.Settings)
		says   []string
	}{
		"topics": {func(s *settings.Settings) { s.Topics.Items.Name = "other.items" },
			[]string{"other.items", "other.items.dlt", "do not exist", "freshet topics create"}},
		"Kafka": {func(s *settings.Settings) {
			s.Kafka.Brokers, s.Kafka.DialTimeout = []string{away}, 300*time.Millisecond
		},
			[]string{away, "topics", "connection refused", "start Kafka there, or correct kafka.brokers (FRESHET_KAFKA_BROKERS)"}},
		"Redis": {func(s *settings.Settings) { s.Redis.Addresses = []string{away} },
			[]string{"Redis at " + away + ": dial", "refused; remedy: start Redis there, or correct redis.addresses (FRESHET_REDIS_ADDRESSES)"}},
		"Milvus": {func(s *settings.Settings) { s.Milvus.Address, s.Milvus.DialTimeout = away, 300*time.Millisecond },
			[]string{"Milvus at " + away, "start Milvus there, or correct milvus.address (FRESHET_MILVUS_ADDRESS)"}},
		"bundle": {func(s *settings.Settings) { s.Bundle = filepath.Join(t.TempDir(), "none") },
			[]string{"tower", "none", "freshet train"}},
		"registry": {func(s *settings.Settings) { s.Registry.URL = "http://" + away },
			[]string{away, "start the schema registry there, or correct registry.url (FRESHET_REGISTRY_URL)"}},
		"rules": {func(s *settings.Settings) { s.RulesFile = filepath.Join(t.TempDir(), "rules.yaml") }, []string{"rules.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.settings
			c.change(&s)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := Open(ctx, s, AllRoles(), quiet())
			require.Error(t, err)
			for _, part := range c.says {
				require.ErrorContains(t, err, part)
			}
			require.NoError(t, ctx.Err(), "it does not wait for ever")
		})
	}
}

func TestADamagedBundleIsRefused(t *testing.T) {
	w := newWorld(t)
	files, err := os.ReadDir(w.settings.Bundle)
	require.NoError(t, err)
	for _, f := range files {
		path := filepath.Join(w.settings.Bundle, f.Name())
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
		_, err = Open(t.Context(), w.settings, AllRoles(), quiet())
		require.ErrorContains(t, err, "tower", f.Name())
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	y, err := Open(t.Context(), w.settings, AllRoles(), quiet())
	require.NoError(t, err)
	require.NoError(t, y.Close())
}

// TestAModelOfAnotherDimensionIsRefused: its collection is there already, with vectors of another length.
func TestAModelOfAnotherDimensionIsRefused(t *testing.T) {
	w := newWorld(t)
	y, err := Open(t.Context(), w.settings, []Role{Catalogue}, quiet())
	require.NoError(t, err)
	require.NoError(t, y.Close())
	w.settings.Bundle = towertest.Write(t, towertest.Shape{Version: modelID, Dim: 8}, nil)
	_, err = Open(t.Context(), w.settings, []Role{Catalogue}, quiet())
	require.ErrorContains(t, err, "role catalogue")
	require.ErrorContains(t, err, "dimensions")
}

// TestRolesNeedOnlyWhatTheyUse: interactions run without Milvus.
func TestRolesNeedOnlyWhatTheyUse(t *testing.T) {
	w := newWorld(t)
	w.stack.Milvus.Stop()
	m := w.join(Interactions)
	m.awaitReady()
	require.Nil(t, m.Index)
	e := schemas.Interaction{EventID: "e", UserID: "ann", ItemID: "i", Type: schemas.Like, OccurredAt: time.Now()}
	w.send(w.keyed(w.settings.Topics.Interactions, "ann", w.events.Append(nil, &e)))
	w.awaitDone(Interactions, w.settings.Topics.Interactions)
	loaded, err := m.Profiles.Load(t.Context(), []string{"ann"}, modelID)
	require.NoError(t, err)
	require.Len(t, loaded[0].History, 1)
}

func TestReadiness(t *testing.T) {
	w := newWorld(t)
	y, err := Open(t.Context(), w.settings, []Role{Interactions, Recommendations}, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, y.Close()) })
	missing := y.Missing(t.Context())
	require.Len(t, missing, 3, "%v", missing)
	require.Contains(t, missing[0], "role interactions has no partitions yet")
	require.Contains(t, missing[1], "role recommendations has no partitions yet")
	require.Contains(t, missing[2], "live collection")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = y.AwaitReady(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no partitions yet")

	serving := w.join(Interactions, Recommendations)
	require.Eventually(t, func() bool { return len(serving.Missing(t.Context())) == 1 }, patience, poll, "only the collection")
	require.Contains(t, serving.Missing(t.Context())[0], "live collection")
	catalogue := w.join(Catalogue)
	catalogue.awaitReady()
	serving.awaitReady()

	w.stack.Milvus.Stop()
	require.Len(t, serving.Missing(t.Context()), 1, "Milvus is away")
	require.NoError(t, w.stack.Milvus.Restart(t.Context()))
	serving.awaitReady()

	w.stack.Redis.Stop()
	require.Contains(t, strings.Join(serving.Missing(t.Context()), "; "), "Redis does not answer")
	require.Contains(t, strings.Join(catalogue.Missing(t.Context()), "; "), "Redis does not answer")
	require.NoError(t, w.stack.Redis.Restart())
	serving.awaitReady()
	catalogue.awaitReady()

	// Which model is live is decided by releases: a catalogue member with another model does not take over.
	w.settings.Bundle = towertest.Write(t, towertest.Shape{Version: "m2", Dim: 8}, nil)
	other := w.join(Catalogue)
	other.awaitReady()
	live, err := other.Index.Live(t.Context())
	require.NoError(t, err)
	require.Equal(t, modelID, live)
	for _, m := range []*member{serving, catalogue, other} {
		m.leave()
		require.NotEmpty(t, m.Missing(context.Background()))
	}
}

// TestATopicMadeAnewStopsTheRole: skipping its events silently would be worse, and so would be to commit them.
func TestATopicMadeAnewStopsTheRole(t *testing.T) {
	w := newWorld(t)
	topic := w.settings.Topics.Interactions
	e := schemas.Interaction{EventID: "1", UserID: "ann", ItemID: "i", Type: schemas.Like, OccurredAt: time.Now()}
	publish := func(id string) {
		e.EventID = id
		w.send(kafkaio.Message{Topic: topic.Name, Partition: 0, Key: []byte("ann"), Value: w.events.Append(nil, &e)})
	}
	for id := range 10 { // more than a write to a topic just made is tried: each attempt may leave a record
		publish(fmt.Sprint(id))
	}
	m := w.join(Interactions)
	w.awaitDone(Interactions, topic)
	m.leave()

	require.NoError(t, w.stack.Kafka.DeleteTopic(topic.Name))
	require.NoError(t, w.stack.Kafka.CreateTopic(topic.Name, int32(topic.Partitions), nil))
	require.Eventually(t, func() bool {
		_, err := w.writer.Write(t.Context(), kafkaio.Message{
			Topic: topic.Name, Partition: 0, Key: []byte("ann"), Value: w.events.Append(nil, &e),
		})
		return err == nil
	}, patience, poll)
	m = w.join(Interactions)
	select {
	case <-m.ended:
	case <-time.After(patience):
		t.Fatal("the role goes on")
	}
	require.ErrorContains(t, m.err, "role interactions")
	require.True(t, profiles.IsTopicRecreated(m.err), "%v", m.err)
	require.ErrorContains(t, m.err, "profiles.key_prefix")
	require.Empty(t, w.letters(topic))

	// The remedy that the error names works.
	w.settings.Profiles.KeyPrefix += "-anew"
	m = w.join(Interactions)
	w.awaitDone(Interactions, topic)
	loaded, err := m.Profiles.Load(t.Context(), []string{"ann"}, modelID)
	require.NoError(t, err)
	require.Len(t, loaded[0].History, 1)
}

// TestACorruptProfileBecomesADeadLetterAndTheOthersGoOn: end to end, with the remedy.
func TestACorruptProfileBecomesADeadLetterAndTheOthersGoOn(t *testing.T) {
	w := newWorld(t)
	topic := w.settings.Topics.Interactions
	key := redisdb.Key(w.settings.Profiles.KeyPrefix, "bad", "profile")
	require.NoError(t, w.stack.Redis.Client.HSet(t.Context(), key, "r", "12345678", "h", "\x01garbage").Err())
	for i, user := range []string{"ann", "bad", "ann", "bad"} {
		e := schemas.Interaction{
			EventID: itemID(i), UserID: user, ItemID: itemID(i), Type: schemas.Like, OccurredAt: time.Now().Add(-time.Minute),
		}
		w.send(kafkaio.Message{Topic: topic.Name, Partition: 1, Key: []byte(user), Value: w.events.Append(nil, &e)})
	}
	m := w.join(Interactions)
	w.awaitDone(Interactions, topic)
	letters := w.letters(topic)
	require.Len(t, letters, 2)
	for _, l := range letters {
		require.Equal(t, "bad", string(l.Original.Key))
		require.Contains(t, l.Reason, redisdb.Key(w.settings.Profiles.KeyPrefix, "…", "profile"), "which key, but not whose")
	}
	// The remedy that the reason names: delete the keys, and redrive.
	require.NoError(t, w.stack.Redis.Client.Del(t.Context(), key).Err())
	did, err := stream.NewDeadLetters(w.settings.Kafka, w.writer).Redrive(t.Context(), topic.Name, stream.Selection{})
	require.NoError(t, err)
	require.Equal(t, 2, did.Republished)
	w.awaitDone(Interactions, topic)
	for _, user := range []string{"ann", "bad"} {
		loaded, err := m.Profiles.Load(t.Context(), []string{user}, modelID)
		require.NoError(t, err)
		require.NoError(t, loaded[0].Err)
		require.Len(t, loaded[0].History, 2, user)
	}
}

// TestInspectNeedsNoModel: it is for looking into the stores when the rest is not there.
func TestInspectNeedsNoModel(t *testing.T) {
	stack := servertest.StartStack(t)
	s := testSettings(stack)
	s.Kafka.Brokers, s.Bundle = []string{nobody(t)}, "none"
	c, err := Inspect(t.Context(), s, quiet())
	require.NoError(t, err)
	require.NoError(t, c.Close())
	stack.Milvus.Stop()
	c, err = OpenItems(t.Context(), s, quiet())
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
