package recommender

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/schemas"
)

const scope = "github.com/freshet/freshet/services/recommender"

// stageBoundaries are seconds, from half a millisecond to half a minute; batchBoundaries are requests.
var (
	stageBoundaries = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	batchBoundaries = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
)

// instruments observe a Service. Without an SDK they allocate nothing.
type instruments struct {
	tracer trace.Tracer
	stage  metric.Float64Histogram
	batch  metric.Int64Histogram
	ruled  metric.Int64Counter
	live   metric.Registration
	// stages are the attributes of each stage, made once.
	stages map[string]stageAttributes
	rules  ruleAttributes
}

type stageAttributes struct {
	record []metric.RecordOption
	start  []trace.SpanStartOption
}

// newInstruments drops the errors of the meter: the API's own never fails, and an SDK reports through otel.Handle what it
// refuses and returns an instrument that drops what it is given.
func newInstruments(live func() string) *instruments {
	meter := otel.Meter(scope)
	in := &instruments{tracer: otel.Tracer(scope), stages: map[string]stageAttributes{}}
	in.stage, _ = meter.Float64Histogram("freshet.stage.duration", metric.WithUnit("s"),
		metric.WithDescription("How long each stage of answering a batch of requests takes."),
		metric.WithExplicitBucketBoundaries(stageBoundaries...))
	in.batch, _ = meter.Int64Histogram("freshet.stage.batch", metric.WithUnit("{request}"),
		metric.WithDescription("How many requests are answered together."),
		metric.WithExplicitBucketBoundaries(batchBoundaries...))
	in.ruled, _ = meter.Int64Counter("freshet.rule.candidates", metric.WithUnit("{candidate}"),
		metric.WithDescription("Candidates before (in) and after (out) each rule of the replies' pages."))
	gauge, _ := meter.Int64ObservableGauge("freshet.model.live",
		metric.WithDescription("1 for the version of the model that serves; 0 for \"none\" where none does."))
	in.live, _ = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		version, value := live(), int64(1)
		if version == "" {
			version, value = "none", 0
		}
		o.ObserveInt64(gauge, value, metric.WithAttributes(attribute.String("model", version)))
		return nil
	}, gauge)
	for _, name := range stages {
		a := attribute.String("stage", name)
		in.stages[name] = stageAttributes{
			record: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(a))},
			start:  []trace.SpanStartOption{trace.WithAttributes(attribute.String("freshet.stage", name))},
		}
	}
	return in
}

// close stops observing which model is live: nobody asks for it any more once close has returned.
func (in *instruments) close() {
	if in.live != nil {
		_ = in.live.Unregister()
	}
}

// begin starts a span for a stage of some requests, where ctx has one that records; else the span is nil.
func (in *instruments) begin(ctx context.Context, stage string, requests int) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, nil
	}
	ctx, span := in.tracer.Start(ctx, stage, in.stages[stage].start...)
	span.SetAttributes(attribute.Int("freshet.requests", requests))
	return ctx, span
}

func (in *instruments) end(ctx context.Context, stage string, spent time.Duration, span trace.Span) {
	in.stage.Record(ctx, spent.Seconds(), in.stages[stage].record...)
	if span != nil {
		span.End()
	}
}

// countRules counts what the rules left of the candidates of a batch, in one addition for each rule.
func (in *instruments) countRules(ctx context.Context, jobs []*job) {
	if !in.ruled.Enabled(ctx) {
		return
	}
	var sums []ruleSum
	for _, j := range jobs {
		for i := range j.ruled {
			sums = addStep(sums, i, &j.ruled[i])
		}
	}
	for _, sum := range sums {
		a := in.rules.of(sum.rule)
		in.ruled.Add(ctx, sum.in, a.in...)
		in.ruled.Add(ctx, sum.out, a.out...)
	}
}

type ruleSum struct {
	rule    string
	in, out int64
}

// addStep finds a rule's sum where it mostly is: at the place that the rule has among the steps of each job.
func addStep(sums []ruleSum, place int, s *schemas.WaterfallStep) []ruleSum {
	if place >= len(sums) || sums[place].rule != s.Stage {
		for place = 0; place < len(sums) && sums[place].rule != s.Stage; place++ {
		}
	}
	if place == len(sums) {
		sums = append(sums, ruleSum{rule: s.Stage})
	}
	sums[place].in += int64(s.In)
	sums[place].out += int64(s.Out)
	return sums
}

// ruleAttributes remembers the attributes of each rule. The rules file bounds the names; it may be changed while Freshet
// runs, so that what is remembered is forgotten at times.
type ruleAttributes struct {
	mu    sync.Mutex
	known map[string]directions
}

type directions struct{ in, out []metric.AddOption }

// rulesRemembered is more than any rules file has.
const rulesRemembered = 1024

func (r *ruleAttributes) of(rule string) directions {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.known[rule]
	if ok {
		return known
	}
	if r.known == nil || len(r.known) >= rulesRemembered {
		r.known = map[string]directions{}
	}
	towards := func(direction string) []metric.AddOption {
		set := attribute.NewSet(attribute.String("rule", rule), attribute.String("direction", direction))
		return []metric.AddOption{metric.WithAttributeSet(set)}
	}
	known = directions{in: towards("in"), out: towards("out")}
	r.known[rule] = known
	return known
}
