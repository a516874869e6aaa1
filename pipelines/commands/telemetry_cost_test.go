package commands_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/telemetry/collector"
	"github.com/freshet/freshet/services/towers/towertest"
)

// watched is how much of a process is seen.
type watched struct {
	name      string
	variables []string
	// sampled is which share of the records belongs to a trace that is followed; all name one.
	sampled float64
}

// scraped is how often a Prometheus reads the page in these measurements: more often than one does.
const scraped = time.Second

func degrees(endpoint string) []watched {
	admin, traces := "FRESHET_ADMIN_ADDRESS=127.0.0.1:0", []string{
		"FRESHET_ADMIN_ADDRESS=127.0.0.1:0", "FRESHET_TELEMETRY_TRACES_EXPORTER=otlp", "FRESHET_TELEMETRY_OTLP_ENDPOINT=" + endpoint}
	return []watched{
		{"off", []string{"FRESHET_ADMIN_ADDRESS=off"}, 0}, {"metrics", []string{admin}, 0}, {"traces-1%", traces, 0.01}, {"traces-all", traces, 1},
	}
}

// BenchmarkTelemetryCost compares `freshet run`, a process of its own, seen from outside to several degrees with one that is
// not: processor time (start-up included) and time on the clock, as ratios. The servers and the load are in this process. Each
// repeat measures all degrees in turn, and the medians count:
//
//	go test ./pipelines/commands -run '^$' -bench TelemetryCost -benchtime 5x
func BenchmarkTelemetryCost(b *testing.B) {
	for _, path := range []struct {
		name    string
		measure func(*testing.B, watched) (cpu, clock time.Duration)
	}{{"interactions", costOfInteractions}, {"requests", costOfRequests}} {
		b.Run(path.name, func(b *testing.B) {
			to, err := collector.Listen(b.Context(), "127.0.0.1:0")
			require.NoError(b, err)
			defer to.Close()
			all := degrees(to.Addr())
			cpu, clock := map[string][]time.Duration{}, map[string][]time.Duration{}
			for range b.N {
				for _, w := range all {
					used, took := path.measure(b, w)
					cpu[w.name], clock[w.name] = append(cpu[w.name], used), append(clock[w.name], took)
					to.Take()
				}
			}
			b.ReportMetric(0, "ns/op") // it would count all degrees together
			for _, w := range all[1:] {
				b.ReportMetric(ratio(cpu[w.name], cpu["off"]), "cpu:"+w.name+"/off")
				b.ReportMetric(ratio(clock[w.name], clock["off"]), "time:"+w.name+"/off")
			}
		})
	}
}

func ratio(of, to []time.Duration) float64 { return median(of).Seconds() / median(to).Seconds() }

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// Enough work for start-up to count little; a first try on a busy machine takes seconds.
const (
	costEvents   = 60_000
	costRequests = 4_000
	costUsers    = 1_000
	costWaiting  = 32
)

// site is servers with a catalogue.
type site struct {
	settings settings.Settings
	variable []string
	writer   *kafkaio.Writer
	stack    *embedded.Stack
}

// close makes room for the next.
func (c *site) close(b *testing.B) {
	require.NoError(b, c.writer.Close(b.Context()))
	c.stack.Close()
}

func newSite(b *testing.B, w watched) *site {
	stack, err := embedded.Start(b.Context(), embedded.Config{})
	require.NoError(b, err)
	configure(b, stack.Kafka.Addr(), stack.Redis.Addr(), stack.Milvus.Addr())
	b.Setenv("FRESHET_BUNDLE", towertest.Write(b, towertest.Shape{Version: "m1", Dim: 64}, nil))
	require.Zero(b, execute(b.Context(), "", "topics", "create").code)
	s, err := settings.Load(os.Getenv("FRESHET_CONFIG"))
	require.NoError(b, err)
	c := &site{settings: s, variable: w.variables, stack: stack, writer: kafkaio.NewWriter(s.Kafka, s.Writer, discard())}
	catalogue := start(b, []string{"FRESHET_ADMIN_ADDRESS=127.0.0.1:0"}, "run", "catalogue")
	events, err := producers.NewEventPublisher(b.Context(), s.Producer(discard()))
	require.NoError(b, err)
	defer events.Close(b.Context())
	for i := range shelf {
		_, err := events.PublishItem(b.Context(), &schemas.ItemChange{ItemID: fmt.Sprint("i", i), Op: schemas.UpsertItem, Version: 1,
			OccurredAt: time.Now(), Title: "A lamp", Categories: []string{"light"}, Available: true, PublishedAt: time.Now()})
		require.NoError(b, err)
	}
	c.await(b, online.Catalogue, s.Topics.Items.Name)
	require.NoError(b, catalogue.stop())
	return c
}

// await waits until a role has done all that its topic holds.
func (c *site) await(b *testing.B, role online.Role, topic string) {
	require.Eventually(b, func() bool {
		lag, err := topics.Lag(b.Context(), c.settings.Kafka, role.Group(c.settings.Consumers.Group), topic)
		return err == nil && lag == 0
	}, 4*patience, 10*time.Millisecond)
}

// context is that of a caller's span; the same share of the numbers n is sampled whatever their order.
func (w watched) context(ctx context.Context, n int) context.Context {
	var c trace.SpanContextConfig
	binary.BigEndian.PutUint64(c.TraceID[:8], uint64(n)+1)
	binary.BigEndian.PutUint64(c.SpanID[:], uint64(n)+1)
	if float64(n%100) < 100*w.sampled {
		c.TraceFlags = trace.FlagsSampled
	}
	c.Remote = true
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(c))
}

// run starts a role that is watched, and whoever watches it; end returns its processor time.
func (c *site) run(b *testing.B, role online.Role) (end func() time.Duration) {
	p := start(b, c.variable, "run", string(role))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for c.variable[0] != "FRESHET_ADMIN_ADDRESS=off" {
			select {
			case <-stop:
				return
			case <-time.After(scraped):
				p.get("/metrics")
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		<-stopped
		require.NoError(b, p.stop(), "%s", p.errs)
		return p.used
	}
}

func costOfInteractions(b *testing.B, w watched) (cpu, clock time.Duration) {
	c := newSite(b, w)
	defer c.close(b)
	topic := c.settings.Topics.Interactions.Name
	registry, err := schemas.NewRegistry(c.settings.Registry, nil)
	require.NoError(b, err)
	serde, err := schemas.NewSerde[schemas.Interaction](b.Context(), registry, topic)
	require.NoError(b, err)
	var all sync.WaitGroup
	for n := range costEvents {
		e := schemas.Interaction{EventID: fmt.Sprint("e", n), UserID: fmt.Sprint("u", n%costUsers), ItemID: fmt.Sprint("i", n%shelf),
			Type: schemas.Click, OccurredAt: time.Now()}
		headers := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(w.context(b.Context(), n), headers)
		all.Add(1)
		require.NoError(b, c.writer.Enqueue(b.Context(), kafkaio.Message{
			Topic: topic, Partition: kafkaio.AnyPartition, Key: []byte(e.UserID), Value: serde.Append(nil, &e),
			Headers: []kafkaio.Header{{Key: "traceparent", Value: []byte(headers["traceparent"])}},
		}, func(kafkaio.Position, error) { all.Done() }))
	}
	all.Wait()
	began := time.Now()
	end := c.run(b, online.Interactions)
	c.await(b, online.Interactions, topic)
	clock = time.Since(began)
	return end(), clock
}

func costOfRequests(b *testing.B, w watched) (cpu, clock time.Duration) {
	c := newSite(b, w)
	defer c.close(b)
	end := c.run(b, online.Recommendations)
	client, err := producers.NewRecommendationClient(b.Context(), c.settings.Producer(discard()))
	require.NoError(b, err)
	defer client.Close(b.Context())
	ask := func(n int) {
		ctx, cancel := context.WithTimeout(w.context(b.Context(), n), 2*patience)
		defer cancel()
		_, err := client.Recommend(ctx, &schemas.RecommendationRequest{UserID: fmt.Sprint("u", n%costUsers), Count: 5,
			Recent: []schemas.RecentEvent{{ItemID: fmt.Sprint("i", n%shelf), Type: schemas.Click, OccurredAt: time.Now()}}})
		if err != nil {
			b.Error(err)
		}
	}
	ask(0) // the role is up
	began := time.Now()
	numbers := make(chan int)
	var all sync.WaitGroup
	for range costWaiting {
		all.Go(func() {
			for n := range numbers {
				ask(n)
			}
		})
	}
	for n := range costRequests {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	clock = time.Since(began)
	return end(), clock
}
