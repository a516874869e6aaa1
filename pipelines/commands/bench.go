package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/pipelines/proof/bench"
)

// Bench groups the measurements.
type Bench struct {
	Ingest    BenchIngest    `cmd:"" help:"Events a second that reach the profiles in Redis, beside a consumer that does nothing and plain Redis writes."`
	Catalogue BenchCatalogue `cmd:"" help:"Item changes a second that reach Milvus, beside plain upserts of ready rows."`
	Serve     BenchServe     `cmd:"" help:"Requests for recommendations, alone and under load, beside an echo over Kafka with a plain search in Milvus."`
	Fresh     BenchFresh     `cmd:"" help:"Time from publishing an event to reading the embedding, beside the same bytes through Kafka into Redis."`
	Flood     BenchFlood     `cmd:"" help:"What one id with millions of events costs the replies to others, beside an ordinary user in its place."`
	Memory    BenchMemory    `cmd:"" help:"Bytes of a user and an item in Redis and in the roles, beside those of their values; needs a real Redis."`
}

// benchFlags are what all benches take.
type benchFlags struct {
	Embedded bool          `help:"Measure on embedded servers, started in this process, instead of the configured ones."`
	JSON     bool          `help:"Print the report as JSON."`
	Users    int           `default:"2000" help:"Users of the synthetic world."`
	Items    int           `default:"10000" help:"Items of the synthetic world."`
	Events   int           `default:"100000" help:"Events that a repeat works off, or that fill the profiles before requests are made."`
	Repeats  int           `default:"5" help:"How often each measurement is made; medians are reported."`
	Warmup   int           `default:"100000" help:"Events that are worked off before the first repeat, so that profiles have a history."`
	Duration time.Duration `default:"2s" help:"How long each load of calls goes on, such as 5s."`
	Profile  string        `type:"path" placeholder:"FILE" help:"Write a CPU profile of the run; what the roles do is labelled side=ours."`
}

// run makes one report and prints it.
func (f *benchFlags) run(env *Env, measure func(context.Context, bench.Options) (*bench.Report, error)) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	options := bench.Options{
		Settings: s, Embedded: f.Embedded, Users: f.Users, Items: f.Items, Events: f.Events, Repeats: f.Repeats, Warmup: f.Warmup,
		Duration: f.Duration, Progress: env.Err, Log: quietly(env.Err),
	}
	if err := options.Validate(); err != nil {
		return usageError{err}
	}
	stop, err := startProfile(f.Profile)
	if err != nil {
		return err
	}
	report, err := measure(env.Context, options)
	err = errors.Join(err, stop())
	if err != nil && env.Context.Err() != nil {
		return errors.Join(errors.New("the bench was interrupted before its end"), err)
	}
	if err != nil {
		return err
	}
	if f.JSON {
		return report.WriteJSON(env.Out)
	}
	return report.WriteTable(env.Out)
}

// startProfile begins a CPU profile; an empty path makes none.
func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making the file for the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the profile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// BenchIngest measures the role interactions.
type BenchIngest struct{ benchFlags }

// Run measures and prints the report.
func (c *BenchIngest) Run(env *Env) error { return c.run(env, bench.Ingest) }

// BenchServe measures the role recommendations.
type BenchServe struct{ benchFlags }

// Run measures and prints the report.
func (c *BenchServe) Run(env *Env) error { return c.run(env, bench.Serve) }

// BenchCatalogue measures the role catalogue.
type BenchCatalogue struct{ benchFlags }

// Run measures and prints the report.
func (c *BenchCatalogue) Run(env *Env) error { return c.run(env, bench.Catalogue) }

// BenchFresh measures freshness.
type BenchFresh struct{ benchFlags }

// Run measures and prints the report.
func (c *BenchFresh) Run(env *Env) error { return c.run(env, bench.Fresh) }

// BenchFlood measures what one id with very many events costs the others.
type BenchFlood struct {
	benchFlags
	Flood int `default:"1000000" help:"Events of the one id."`
}

// Run measures and prints the report.
func (c *BenchFlood) Run(env *Env) error {
	return c.run(env, func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Flood(ctx, o, c.Flood) })
}

// BenchMemory measures memory.
type BenchMemory struct {
	benchFlags
	Sizes []string `default:"10k,100k,1M" help:"Numbers of users and items, growing; k and M stand for thousands and millions."`
}

// Run measures and prints the report.
func (c *BenchMemory) Run(env *Env) error {
	sizes := make([]int, len(c.Sizes))
	for i, text := range c.Sizes {
		var err error
		if sizes[i], err = parseSize(text); err != nil {
			return err
		}
	}
	return c.run(env, func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Memory(ctx, o, sizes) })
}

// parseSize reads a number such as 10k or 1M.
func parseSize(text string) (int, error) {
	digits, unit := strings.TrimSuffix(text, "k"), 1
	if digits != text {
		unit = 1000
	} else if digits = strings.TrimSuffix(text, "M"); digits != text {
		unit = 1_000_000
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > maxSize/unit {
		return 0, usage("--sizes has %q: give numbers up to 100M such as 10k,100k,1M", text)
	}
	return n * unit, nil
}

const maxSize = 100_000_000
