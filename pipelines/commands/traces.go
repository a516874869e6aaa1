package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/services/telemetry/collector"
	"github.com/freshet/freshet/services/terminal"
)

// Traces shows traces on a laptop.
type Traces struct {
	Listen string        `default:"127.0.0.1:4317" placeholder:"HOST:PORT" help:"Address at which spans are taken by OTLP over gRPC."`
	Quiet  time.Duration `default:"6s" help:"Time without a new span after which a trace counts as complete."`
}

// Help tells how the others are pointed here.
func (*Traces) Help() string {
	return `In other terminals, have the processes of the pipeline send here all that happens:

  export FRESHET_TELEMETRY_TRACES_EXPORTER=otlp FRESHET_TELEMETRY_TRACES_SAMPLE_RATIO=1
  freshet run
  freshet recommend u1`
}

// Run prints each trace when it is complete, until a signal ends it, and then what is left.
func (c *Traces) Run(env *Env) error {
	if c.Quiet <= 0 {
		return usage("--quiet is %s: give a positive duration, such as 6s", c.Quiet)
	}
	spans, err := collector.Listen(env.Context, c.Listen)
	if err != nil {
		return fmt.Errorf("%w: give another address with --listen", err)
	}
	defer spans.Close()
	env.Log.Info("waiting for spans", "address", spans.Addr())
	open := map[string]*openTrace{}
	for env.Context.Err() == nil {
		c.wait(env.Context, spans)
		if err := c.print(env, spans, open, time.Now().Add(-c.Quiet)); err != nil {
			return err
		}
	}
	return c.print(env, spans, open, time.Now().Add(c.Quiet))
}

// openTrace is a trace that may still get spans.
type openTrace struct {
	spans []collector.Span
	last  time.Time // when a span came
}

// wait returns when something has come, or a trace may have become complete.
func (c *Traces) wait(ctx context.Context, spans *collector.Collector) {
	select {
	case <-spans.Came():
	case <-time.After(c.Quiet / 4):
	case <-ctx.Done():
	}
}

// print prints and forgets the traces of which no span has come since.
func (c *Traces) print(env *Env, spans *collector.Collector, open map[string]*openTrace, since time.Time) error {
	for _, s := range spans.Take() {
		if open[s.Trace] == nil {
			open[s.Trace] = &openTrace{}
		}
		open[s.Trace].spans = append(open[s.Trace].spans, s)
		open[s.Trace].last = time.Now()
	}
	var complete []collector.Span
	for id, trace := range open {
		if !trace.last.After(since) {
			complete = append(complete, trace.spans...)
			delete(open, id)
		}
	}
	for _, trace := range collector.Traces(complete) {
		if err := collector.WriteTree(env.Out, trace); err != nil {
			return err
		}
		_, _ = terminal.Fprintln(env.Out)
	}
	return nil
}
