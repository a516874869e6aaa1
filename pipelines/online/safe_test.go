package online_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/towers/towertest"
)

const (
	patience = 20 * time.Second
	modelID  = "m1"
)

// site is servers that speak TLS and ask who is there, and the settings of a user of each who may do everything.
type site struct {
	settings settings.Settings
	name     string          // begins the names of everything that the test makes
	stack    *embedded.Stack // nil where the servers are real
	// users are known to Kafka, with their passwords; those beside admin have no rights yet.
	users map[string]secure.Secret
}

var names = []string{"admin", "interactions", "catalogue", "recommendations", "recall", "trainer", "app", "operator", "nobody"}

// embeddedSite starts servers of the test's own.
func embeddedSite(t *testing.T) *site {
	t.Helper()
	authority, err := certs.New(t.TempDir())
	require.NoError(t, err)
	server, err := authority.Issue(certs.Wish{Name: "server"})
	require.NoError(t, err)
	w := &site{name: "freshet", users: map[string]secure.Secret{}, stack: &embedded.Stack{}, settings: settings.Default()}
	t.Cleanup(w.stack.Close)
	opts := []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs()}
	for _, name := range names {
		w.users[name] = secure.Secret("canary-" + name)
		user := kfake.User
		if name == "admin" {
			user = func(mechanism, name, password string, _ ...kfake.ACL) kfake.Opt {
				return kfake.Superuser(mechanism, name, password)
			}
		}
		opts = append(opts, user("SCRAM-SHA-512", name, w.users[name].Reveal()), user("PLAIN", name, w.users[name].Reveal()))
	}
	cfg := embedded.Config{TLS: server.Server()}
	w.stack.Kafka, err = embedded.StartKafka(t.Context(), cfg, opts...)
	require.NoError(t, err)
	w.stack.Redis, err = embedded.StartRedis(t.Context(), cfg)
	require.NoError(t, err)
	w.stack.Milvus, err = embedded.StartMilvus(t.Context(), cfg)
	require.NoError(t, err)
	for name, password := range w.users {
		w.stack.Redis.RequireUserAuth(name, password.Reveal())
	}
	w.stack.Milvus.RequireUser("admin", w.users["admin"].Reveal())
	w.settings.Kafka.Brokers = []string{w.stack.Kafka.Addr()}
	w.settings.Redis.Addresses = []string{w.stack.Redis.Addr()}
	w.settings.Milvus.Address = w.stack.Milvus.Addr()
	w.secure(authority.File)
	w.settings = w.as("admin")
	w.adapt(t)
	return w
}

// realSite is the servers of infra/local.
func realSite(t *testing.T) *site {
	t.Helper()
	folder := os.Getenv("FRESHET_TEST_SERVERS")
	if folder == "" {
		t.Skip("FRESHET_TEST_SERVERS names no folder of running servers (see infra/local): nothing to try the rights on")
	}
	text, err := os.ReadFile(filepath.Join(folder, "servers.json"))
	require.NoError(t, err)
	var d struct {
		CA    string
		Users map[string]struct{ Password secure.Secret }
		Kafka struct {
			SASL string `json:"sasl_ssl"`
		}
		Redis  struct{ TLS string }
		Milvus struct {
			Secure string
			Root   struct{ Password secure.Secret }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	w := &site{name: "test" + strings.ToLower(rand.Text()[:10]), users: map[string]secure.Secret{}, settings: settings.Default()}
	for name, user := range d.Users {
		w.users[name] = user.Password
	}
	s := &w.settings
	s.Kafka.Brokers, s.Redis.Addresses, s.Milvus.Address = []string{d.Kafka.SASL}, []string{d.Redis.TLS}, d.Milvus.Secure
	s.Milvus.DialTimeout = 30 * time.Second
	w.secure(d.CA)
	*s = w.as("admin")
	s.Milvus.Username, s.Milvus.Password = "root", d.Milvus.Root.Password
	w.adapt(t)
	return w
}

func (w *site) secure(ca string) {
	t := secure.TLS{Enabled: true, CAFile: ca}
	w.settings.Kafka.TLS, w.settings.Redis.TLS, w.settings.Milvus.TLS = t, t, t
}

// adapt gives everything the site's name, and notices soon what happens.
func (w *site) adapt(t *testing.T) {
	t.Helper()
	s := &w.settings
	for _, name := range []*string{
		&s.Topics.Interactions.Name, &s.Topics.Items.Name, &s.Topics.Requests.Name, &s.Topics.Replies.Name,
		&s.Topics.Recall.Name, &s.Consumers.Group,
		&s.Profiles.KeyPrefix, &s.Items.KeyPrefix, &s.Milvus.Collection, &s.Milvus.Alias,
	} {
		*name = strings.Replace(*name, "freshet", w.name, 1)
	}
	s.Consumers.Replies.ReplyTopicPrefixes = []string{s.Topics.Replies.Name}
	s.Topics.Replication = 1
	for _, n := range []*int{
		&s.Topics.Interactions.Partitions, &s.Topics.Items.Partitions, &s.Topics.Requests.Partitions, &s.Topics.Replies.Partitions,
	} {
		*n = 2
	}
	s.Bundle = towertest.Write(t, towertest.Shape{Version: modelID, Dim: 16}, nil)
	s.Milvus.DialTimeout, s.Milvus.CallTimeout, s.Recommender.StageTimeout = patience, patience, patience
	require.NoError(t, s.Validate())
}

// as is the settings of another user at every server.
func (w *site) as(user string) settings.Settings {
	s := w.settings
	s.Kafka.SASL = kafkaio.SASL{Mechanism: "scram-sha-512", Username: user, Password: w.users[user]}
	s.Redis.Username, s.Redis.Password = user, w.users[user]
	s.Milvus.Username, s.Milvus.Password = user, w.users[user]
	return s
}

// recorder is a log at debug level, kept.
type recorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *recorder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start opens and runs a role until it is stopped, at the end of the test at the latest, and returns when it is ready.
func start(t *testing.T, s settings.Settings, log *slog.Logger, roles ...online.Role) (stop func()) {
	t.Helper()
	y, err := online.Open(t.Context(), s, roles, log)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- y.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running %v: %v", roles, err)
		}
		require.NoError(t, y.Close())
	})
	t.Cleanup(stop)
	waiting, giveUp := context.WithTimeout(t.Context(), patience)
	defer giveUp()
	require.NoError(t, y.AwaitReady(waiting))
	return stop
}

// throughAll has a publisher publish items and an event, and an asker get a page that knows of both.
func throughAll(t *testing.T, publishing, asking settings.Settings, log *slog.Logger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	publisher, err := producers.NewEventPublisher(ctx, publishing.Producer(log))
	require.NoError(t, err)
	defer func() { require.NoError(t, publisher.Close(ctx)) }()
	for _, id := range []string{"item-a", "item-b", "item-c"} {
		price := 5.0
		_, err = publisher.PublishItem(ctx, &schemas.ItemChange{
			ItemID: id, Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now().Add(-time.Hour), Title: "title " + id,
			Categories: []string{"kind"}, Price: &price, Available: true, PublishedAt: time.Now().Add(-time.Hour),
		})
		require.NoError(t, err)
	}
	at, err := publisher.PublishInteraction(ctx, &schemas.Interaction{
		EventID: "e1", UserID: "ann", ItemID: "item-a", Type: schemas.Like, OccurredAt: time.Now().Add(-time.Minute),
	})
	require.NoError(t, err)
	client, err := producers.NewRecommendationClient(ctx, asking.Producer(log))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close(ctx)) }()
	var last schemas.RecommendationReply
	require.Eventually(t, func() bool {
		last, err = client.Recommend(ctx, &schemas.RecommendationRequest{UserID: "ann", Count: 2, SeenThrough: &at})
		return err == nil && last.Status == schemas.StatusOK && len(last.Items) > 0
	}, patience, 200*time.Millisecond, "%v %+v", err, last)
}
