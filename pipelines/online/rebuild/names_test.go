package rebuild_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/schemas"
)

// logged is a log that several goroutines write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestNobodyIsNamedInLogsRepliesOrSpans while Redis refuses and fails, events make no sense, and a user is erased: who reads logs and
// traces has no right to know who the users are.
func TestNobodyIsNamedInLogsRepliesOrSpans(t *testing.T) {
	const canary = "canary-of-the-mine"
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	otel.SetTracerProvider(provider)
	t.Cleanup(func() {
		otel.SetTracerProvider(noop.NewTracerProvider())
		require.NoError(t, provider.Shutdown(context.WithoutCancel(t.Context())))
	})
	w := newWorld(t)
	w.startWith(w.s, online.Catalogue)
	w.fill()
	log := &logged{}
	w.startLogged(w.s, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), online.Interactions, online.Recommendations)
	publish := func(id string) {
		w.published++
		_, err := w.publisher.PublishInteraction(t.Context(), &schemas.Interaction{
			EventID: id, UserID: canary, ItemID: "item3", Type: schemas.Click, OccurredAt: time.Now(),
		})
		require.NoError(t, err)
	}
	publish("1")
	w.drain()

	redis := w.stack.Redis
	redis.Fail("EVALSHA", faults.Every, "OOM command not allowed when used memory > 'maxmemory'.")
	before := redis.Calls("EVALSHA")
	publish("2")
	require.Eventually(t, func() bool { return redis.Calls("EVALSHA") > before+3 }, patience, 5*time.Millisecond)
	redis.ClearFaults()
	w.drain()
	redis.Fail("HMGET", faults.Every, "LOADING Redis is loading the dataset in memory")
	_, err := w.tryPage(canary, 5)
	require.ErrorContains(t, err, "LOADING")
	require.NotContains(t, err.Error(), canary)
	redis.ClearFaults()
	serde, err := schemas.NewSerde[schemas.Interaction](t.Context(), schemas.EmbeddedRegistry(), w.s.Topics.Interactions.Name)
	require.NoError(t, err)
	tx := w.stack.Kafka.Transactions()
	tx.Write(
		w.at(w.s.Topics.Interactions, canary, []byte("no Avro of "+canary)),
		w.at(w.s.Topics.Interactions, canary, serde.Append(nil, &schemas.Interaction{
			EventID: "ahead", UserID: canary, ItemID: "item3", Type: schemas.Click, OccurredAt: time.Now().Add(1000 * time.Hour),
		})),
		w.at(w.s.Topics.Interactions, "another-key", serde.Append(nil, &schemas.Interaction{
			EventID: "keyed", UserID: canary, ItemID: "item3", Type: schemas.Click, OccurredAt: time.Now(),
		})),
		w.at(w.s.Topics.Interactions, canary+"-unknown", nil),
	)
	tx.End(kgo.TryCommit)
	_, err = w.publisher.EraseUser(t.Context(), canary)
	require.NoError(t, err)
	w.drain()

	require.Contains(t, log.String(), "OOM", "the log has what went wrong")
	require.NotContains(t, log.String(), canary)
	spans := recorder.Ended()
	require.NotEmpty(t, spans)
	for _, s := range spans {
		said := fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status())
		require.NotContains(t, said, canary, s.Name())
	}
}
