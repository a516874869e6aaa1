package faults

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/local"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers/towertest"
)

const (
	modelID  = "m1"
	shop     = 200
	people   = 120
	deadline = 2 * time.Second
	patience = 60 * time.Second
)

// servers are those of infra/local, program is freshet. TestMain sets them.
var (
	servers *local.Servers
	program string
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// world is the topics, keys, collections and processes of one case.
type world struct {
	t       *testing.T
	name    string
	s       settings.Settings // of the roles
	direct  settings.Settings // of the test itself: around the proxies
	stores  *online.Connections
	config  string
	logs    string
	mu      sync.Mutex
	running map[online.Role]*exec.Cmd
}

func newWorld(t *testing.T, change func(w *world, s *settings.Settings)) *world {
	t.Helper()
	name := fmt.Sprintf("faults_%d", time.Now().UnixMilli())
	w := &world{t: t, name: name, s: settings.Default(), running: map[online.Role]*exec.Cmd{}}
	d, s := servers.Description(), &w.s
	s.Kafka.Brokers, s.Redis.Addresses, s.Milvus.Address = []string{d.Kafka.Plaintext}, []string{d.Redis.Address}, d.Milvus.Address
	s.Milvus.DialTimeout = 30 * time.Second
	for _, topic := range []*topics.Topic{&s.Topics.Interactions, &s.Topics.Items, &s.Topics.Requests, &s.Topics.Replies} {
		topic.Name, topic.Partitions = name+"."+topic.Name, 2
	}
	s.Topics.Replies.Partitions, s.Consumers.Replies.ReplyTopicPrefixes = 1, []string{name}
	s.Consumers.Group, s.Admin.Address = name, "off"
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = name, name
	s.Milvus.Collection, s.Milvus.Alias = name, name+"_live"
	s.Bundle = towertest.Write(t, towertest.Shape{Version: modelID, Dim: 16, Reads: towertest.Everything}, nil)
	w.direct = *s
	if change != nil {
		change(w, s)
	}
	w.direct.Redis = w.around(s)
	require.NoError(t, s.Validate())
	text, err := s.YAML()
	require.NoError(t, err)
	dir := t.TempDir()
	w.config, w.logs = filepath.Join(dir, "freshet.yaml"), filepath.Join(dir, "log")
	require.NoError(t, os.WriteFile(w.config, text, 0o600))
	_, err = topics.Ensure(t.Context(), w.direct.Kafka, w.direct.Topics)
	require.NoError(t, err)
	t.Cleanup(w.clean)
	w.stores, err = online.Inspect(t.Context(), w.direct, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.stores.Close()) })
	return w
}

// around keeps a cluster and its sentinels, and goes by no proxy otherwise.
func (w *world) around(s *settings.Settings) redisdb.Config {
	if len(s.Redis.Addresses) > 1 || s.Redis.Sentinel.Master != "" {
		return s.Redis
	}
	return w.direct.Redis
}

// start runs a role in a process of its own.
func (w *world) start(role online.Role) {
	w.t.Helper()
	log, err := os.OpenFile(w.logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	defer log.Close()
	cmd := exec.Command(program, "run", string(role), "-c", w.config)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w.t, cmd.Start())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[role] = cmd
}

func (w *world) startAll() {
	for _, role := range online.AllRoles() {
		w.start(role)
		if role == online.Catalogue { // it makes the collection that the others look for
			w.eventually("a live collection", func(ctx context.Context) bool {
				_, err := w.stores.Index.Live(ctx)
				return err == nil
			})
		}
	}
}

// end sends a signal to a role's process and waits for it.
func (w *world) end(role online.Role, signal syscall.Signal) {
	w.mu.Lock()
	cmd := w.running[role]
	delete(w.running, role)
	w.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(signal)
	_ = cmd.Wait()
}

// alive fails the test if a role has ended by itself: a fault of a server must not end a role.
func (w *world) alive() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for role, cmd := range w.running {
		require.NoError(w.t, cmd.Process.Signal(syscall.Signal(0)), "role %s has ended", role)
	}
}

// command runs freshet to its end.
func (w *world) command(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), program, append(args, "-c", w.config)...)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "freshet %v: %s", args, out)
	return string(out)
}

func (w *world) eventually(what string, done func(ctx context.Context) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			require.Fail(w.t, "it does not come to "+what, "the roles say:\n%s", w.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// log is all that the roles have said.
func (w *world) log() string {
	text, _ := os.ReadFile(w.logs)
	return string(text)
}

// tail is the end of the roles' log.
func (w *world) tail() string {
	text := w.log()
	return text[max(0, len(text)-6000):]
}

func (w *world) lag(ctx context.Context, role online.Role, topic string) (int64, error) {
	return topics.Lag(ctx, w.direct.Kafka, role.Group(w.s.Consumers.Group), topic)
}

// drained says that the consumers have worked off what is in their topics.
func (w *world) behind(ctx context.Context) (int64, error) {
	events, err := w.lag(ctx, online.Interactions, w.s.Topics.Interactions.Name)
	if err != nil {
		return 0, err
	}
	items, err := w.lag(ctx, online.Catalogue, w.s.Topics.Items.Name)
	return events + items, err
}

func (w *world) drain() {
	w.t.Helper()
	w.eventually("an end of the topics", func(ctx context.Context) bool {
		lag, err := w.behind(ctx)
		return err == nil && lag == 0
	})
}

// clean ends the processes and removes what the case has left on the servers.
func (w *world) clean() {
	for _, role := range online.AllRoles() {
		w.end(role, syscall.SIGTERM)
	}
	if w.t.Failed() {
		w.t.Logf("the roles say:\n%s", w.tail())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := w.direct.Kafka.Client()
	defer kafkaio.CloseIdle(client)
	deleteTopics(ctx, client, w.direct.Topics.Names()...)
	if c, err := online.Inspect(ctx, w.direct, quiet()); err == nil {
		_ = c.Index.Drop(ctx, modelID)
		_ = c.Close()
	}
	rdb := w.redis()
	defer rdb.Close()
	if single, ok := rdb.(*redis.Client); ok {
		keys := single.Scan(ctx, 0, w.name+"*", 1000).Iterator()
		for keys.Next(ctx) {
			single.Unlink(ctx, keys.Val())
		}
	}
}

// redis is a connection of the test's own.
func (w *world) redis() redis.UniversalClient {
	w.t.Helper()
	rdb, err := redisdb.Connect(context.WithoutCancel(w.t.Context()), w.direct.Redis)
	require.NoError(w.t, err)
	return rdb
}
