package commands_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/commands"
	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// asCommand has the test binary be the command itself, for tests that want processes of their own.
const asCommand = "FRESHET_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		var table commands.Table
		os.Exit(commands.Execute(context.Background(), &table, &table.Global, os.Args[1:], commands.Standard()))
	}
	goleak.VerifyTestMain(m)
}

// outcome is what a command left.
type outcome struct {
	code     int
	out, err string
}

// execute runs a command to its end.
func execute(ctx context.Context, in string, args ...string) outcome {
	return executeFrom(ctx, strings.NewReader(in), args...)
}

func executeFrom(ctx context.Context, in io.Reader, args ...string) outcome {
	var table commands.Table
	var out, errs buffer
	code := commands.Execute(ctx, &table, &table.Global, args, commands.Streams{In: in, Out: &out, Err: &errs})
	return outcome{code, out.String(), errs.String()}
}

// buffer may be read while a command writes.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// patience is the most that anything awaited takes on a slow machine.
const patience = 30 * time.Second

// background runs a command until stop is called, which returns what it left.
func background(t *testing.T, args ...string) (errs *buffer, stop func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var table commands.Table
	var out buffer
	errs = &buffer{}
	ended := make(chan int, 1)
	go func() {
		ended <- commands.Execute(ctx, &table, &table.Global, args, commands.Streams{In: strings.NewReader(""), Out: &out, Err: errs})
	}()
	stop = sync.OnceValue(func() outcome {
		cancel()
		return outcome{<-ended, out.String(), errs.String()}
	})
	t.Cleanup(func() { stop() })
	return errs, stop
}

// awaitReady returns when a `run` in the background has all that it needs.
func awaitReady(t *testing.T, errs *buffer) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(errs.String(), "msg=ready") }, patience, time.Millisecond,
		"the roles get ready: %s", errs)
}

// installation is servers for one test, which the commands use under names of the test's own.
type installation struct {
	*servertest.Stack
	bundle string
}

func install(t *testing.T) installation {
	t.Helper()
	i := installation{Stack: servertest.StartStack(t)}
	i.bundle = configure(t, i.Kafka.Addr(), i.Redis.Addresses[0], i.Milvus.Addr())
	for name, value := range map[string]string{
		"TOPICS_INTERACTIONS_NAME": i.topic("interactions"), "TOPICS_ITEMS_NAME": i.topic("items"),
		"TOPICS_REQUESTS_NAME": i.topic("requests"), "TOPICS_REPLIES_NAME": i.topic("replies"), "TOPICS_RECALL_NAME": i.topic("recall"),
		"CONSUMERS_REPLIES_REPLY_TOPIC_PREFIXES": i.topic("replies"), "CONSUMERS_GROUP": i.Kafka.Name("group"),
		"PROFILES_KEY_PREFIX": i.Redis.Prefix, "ITEMS_KEY_PREFIX": i.Redis.Prefix,
		"MILVUS_COLLECTION": i.Milvus.Collection, "MILVUS_ALIAS": i.Milvus.Alias,
	} {
		t.Setenv("FRESHET_"+name, value)
	}
	return i
}

func (i installation) topic(name string) string { return i.Kafka.Name("freshet." + name) }

// configure points the commands to servers and to a bundle in a folder of the test, and keeps training small.
func configure(t testing.TB, kafka, redis, milvus string) (bundle string) {
	t.Helper()
	folder := t.TempDir()
	bundle = filepath.Join(folder, "bundle")
	path := filepath.Join(folder, "freshet.yaml")
	text := fmt.Sprintf(`
kafka: {brokers: [%q], dial_timeout: 1s}
redis: {addresses: [%q]}
milvus: {address: %q}
bundle: %s
admin: {address: "off"}
topics:
  interactions: {partitions: 2}
  items: {partitions: 2}
  requests: {partitions: 2}
  replies: {partitions: 2}
training: {dim: 8, layers: 1, epochs: 2, workers: 1, max_window: 20}
`, kafka, redis, milvus, bundle)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	t.Setenv("FRESHET_CONFIG", path)
	return bundle
}

// nowhere is an address at which nobody listens.
const nowhere = "127.0.0.1:1"

// freeAddress is a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

const films, viewers = 60, 40

// writeMovieLens makes a data set in the format of ml-latest-small: films of two genres, viewers who like one of them.
func writeMovieLens(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var movies, ratings strings.Builder
	movies.WriteString("movieId,title,genres\n")
	genres := []string{"Comedy", "Horror"}
	for i := range films {
		fmt.Fprintf(&movies, "%d,Film %d (2001),%s\n", i+1, i+1, genres[i%2])
	}
	ratings.WriteString("userId,movieId,rating,timestamp\n")
	lots := rand.New(rand.NewPCG(1, 2))
	for u := range viewers {
		for at, film := range lots.Perm(films / 2)[:12] {
			fmt.Fprintf(&ratings, "%d,%d,%d,%d\n", u+1, 2*film+u%2+1, 3+at%3, 1_000_000_000+at*1000+u)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "movies.csv"), []byte(movies.String()), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ratings.csv"), []byte(ratings.String()), 0o600))
	return dir
}

// jsonLines renders the data set as `freshet publish` reads it.
func jsonLines(t *testing.T, dir string) (items, interactions string) {
	t.Helper()
	data, err := dataset.ReadMovieLens(dir)
	require.NoError(t, err)
	var i, e bytes.Buffer
	for at := range data.Items {
		encode(t, &i, &data.Items[at])
	}
	for at := range data.Events {
		event := data.Interaction(at)
		encode(t, &e, &event)
	}
	return i.String(), e.String()
}

func encode(t *testing.T, w io.Writer, record any) {
	t.Helper()
	require.NoError(t, json.NewEncoder(w).Encode(record))
}
