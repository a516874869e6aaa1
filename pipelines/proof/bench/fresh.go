package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
)

const (
	// loadShare is the share of the full load at which freshness is measured, and rateStep by how much each rate that is tried
	// for the full load is less than the one before.
	loadShare = 0.5
	rateStep  = 0.8
	// keptUp is what no event may take at full load.
	keptUp = time.Second
	// probes is how many events a second are watched for; each is the first of a user of its own, so that its embedding is
	// there or is not.
	probes = 200
	// watchPause is how often the watcher looks, and so the resolution of all figures.
	watchPause = 250 * time.Microsecond
	// freshTimeout is how long a probe may take.
	freshTimeout = 10 * time.Second
)

// Fresh measures how long it takes from when an event was due to be published until a reader of Redis sees the user's
// embedding, at half of the rate that was kept up with just before.
//
// The floor sends, at the same rate, the bytes of the same events through Kafka to a plain consumer, which writes the bytes
// of a profile under the user's key for each. Both are watched in the same way, by a reader that looks each quarter of a
// millisecond for all probes that are on their way.
func Fresh(ctx context.Context, o Options) (report *Report, err error) {
	l, err := openLab(ctx, o, needs{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	f, err := l.prepareFresh(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	for repeat := range o.Repeats {
		l.say("repeat %d of %d", repeat+1, o.Repeats)
		if err := f.measure(ctx, repeat); err != nil {
			return nil, err
		}
	}
	return f.report(ctx)
}

// fresh is one run of the bench; its slices have an entry for each repeat.
type fresh struct {
	*lab
	world     *world
	rate      float64 // events a second, probes included
	roles     *running
	publisher *producers.EventPublisher
	store     *profiles.Store
	raw       *relay
	failed    firstError // of publishing

	ours50, ours99, floor50, floor99 []float64
}

func (l *lab) prepareFresh(ctx context.Context) (f *fresh, err error) {
	f = &fresh{lab: l}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close(ctx))
		}
	}()
	if f.world, err = l.makeWorld(l.Warmup + l.Events); err != nil {
		return f, err
	}
	f.store = l.profiles(f.world, "")
	g := &ingest{lab: l, world: f.world}
	if err := l.storeItems(ctx, f.world, ""); err != nil {
		return f, err
	}
	if err := g.warmUp(ctx); err != nil {
		return f, err
	}
	if f.roles, err = l.start(ctx, l.settings(""), online.Interactions); err != nil {
		return f, err
	}
	if f.publisher, err = producers.NewEventPublisher(ctx, l.settings("").Producer(l.Log)); err != nil {
		return f, err
	}
	value, err := f.calibrate(ctx, g)
	if err != nil {
		return f, err
	}
	f.raw, err = l.startRelay(ctx, value)
	return f, err
}

// calibrate sets the rate: the share of the highest one at which events that are sent without waiting for any answer are all
// readable within keptUp. Working off a backlog is faster than that, by whole batches and without producers, so the search
// begins below what was just measured of it. It returns as many bytes as the profiles have then.
func (f *fresh) calibrate(ctx context.Context, g *ingest) ([]byte, error) {
	begin := time.Now()
	part, err := f.publishEvents(ctx, f.world, f.Warmup, f.Warmup+f.Events)
	if err != nil {
		return nil, err
	}
	s := f.settings("")
	group := online.Interactions.Group(s.Consumers.Group)
	if err := f.awaitCommitted(ctx, f.roles, group, s.Topics.Interactions.Name, part.ends()); err != nil {
		return nil, err
	}
	f.rate = perSecond(f.Events, time.Since(begin))
	f.say("%.0f events/s published and applied, as fast as it goes", f.rate)
	for step := 0; ; step++ {
		f.rate *= rateStep
		w, err := f.load(ctx, fmt.Sprintf("full-%d", step), f.ours())
		if err != nil {
			return nil, err
		}
		f.say("  at %.0f/s the last one is readable after %.0f ms", f.rate, w.latencies.quantile(1))
		if w.latencies.quantile(1) <= millis(keptUp) {
			break
		}
	}
	f.rate *= loadShare
	return g.averageProfile(ctx, part)
}

// side is one of the two that are compared.
type side struct {
	// send publishes an event; it returns before the event is acknowledged.
	send func(ctx context.Context, e *schemas.Interaction) error
	// key is where a new user's value appears, all of it in one step. The watcher asks only whether it is there: reading
	// whole profiles thousands of times a second is a load that would be measured, too.
	key func(user string) string
}

func (f *fresh) measure(ctx context.Context, repeat int) error {
	floor := side{send: f.raw.send, key: f.raw.key}
	raw, err := f.load(ctx, fmt.Sprintf("floor-%d", repeat), floor)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	if err := f.raw.failed.err(); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	applied, err := f.load(ctx, fmt.Sprintf("ours-%d", repeat), f.ours())
	if err != nil {
		return fmt.Errorf("ours: %w", err)
	}
	if err := f.verify(ctx, applied.seen); err != nil {
		return err
	}
	times, below := applied.latencies, raw.latencies
	f.say("  ours p50 %.2f ms, p99 %.2f ms; floor p50 %.2f ms, p99 %.2f ms", times.p50(), times.p99(), below.p50(), below.p99())
	f.ours50, f.ours99 = append(f.ours50, times.p50()), append(f.ours99, times.p99())
	f.floor50, f.floor99 = append(f.floor50, below.p50()), append(f.floor99, below.p99())
	return nil
}

func (f *fresh) ours() side {
	return side{key: f.profileKey, send: func(ctx context.Context, e *schemas.Interaction) error {
		return f.publisher.PublishInteractionAsync(ctx, e, func(_ schemas.Position, err error) { f.failed.keep(err) })
	}}
}

func (f *fresh) profileKey(user string) string {
	return redisdb.Key(f.settings("").Profiles.KeyPrefix, user, "profile")
}

// verify fails unless each probe has the embedding that its key promised.
func (f *fresh) verify(ctx context.Context, users []string) error {
	loaded, err := f.store.Load(ctx, users, f.world.userTower.Version())
	if err != nil {
		return err
	}
	for i, p := range loaded {
		if p == nil || p.Err != nil || p.Embedding == nil {
			return fmt.Errorf("user %s: the profile was written without an embedding", users[i])
		}
	}
	return nil
}

// load sends events at the rate of the bench, and has a watcher look for those that are probes. The sending must not wait
// for the watching: each probe's time begins when it was due.
func (f *fresh) load(ctx context.Context, trial string, s side) (*watcher, error) {
	each := max(int(f.rate/probes), 1) // one of so many events is a probe
	w := newWatcher(f.rdb, s.key)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watcher sync.WaitGroup
	watcher.Go(func() { w.run(watching) })
	err := paced(ctx, f.rate, int(f.rate*f.Duration.Seconds()), func(i int, due time.Time) error {
		e := f.world.event(i % len(f.world.Events))
		e.EventID, e.OccurredAt = fmt.Sprintf("%s-%d", trial, i), time.Now() // else it would be a late one of its user
		if i%each == 0 {
			e.UserID, e.Type = e.EventID, schemas.View
			w.expect(e.UserID, due)
		}
		return s.send(ctx, &e)
	})
	if err == nil {
		err = w.await(ctx, freshTimeout)
	}
	stop()
	watcher.Wait()
	return w, errors.Join(err, w.err, f.failed.err())
}

func (f *fresh) report(ctx context.Context) (*Report, error) {
	r, err := f.lab.report(ctx, "fresh", fmt.Sprintf("%.0f events/s", f.rate), fmt.Sprintf("%d users", f.Users),
		fmt.Sprintf("%d items", f.Items), fmt.Sprintf("%d of the events/s watched", probes), fmt.Sprintf("%s a load", f.Duration))
	if err != nil {
		return nil, err
	}
	r.compare("publish to embedding readable, p50", "ms", f.ours50, f.floor50, atMost(2))
	r.compare("publish to embedding readable, p99", "ms", f.ours99, f.floor99, atMost(2))
	r.note("the load, the same for both sides, is half of the rate at which all events were readable within %s; time counts from when an "+
		"event was due to be sent to when a reader that looks every %s has seen the value", keptUp, watchPause)
	r.note("the floor sends the same events through a topic of its own to a consumer that SETs %d bytes, an average profile, for each",
		len(f.raw.value))
	return r, nil
}

// close ends clients before the roles.
func (f *fresh) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTimeout)
	defer cancel()
	var errs []error
	if f.publisher != nil {
		errs = append(errs, f.publisher.Close(ctx))
	}
	if f.raw != nil {
		errs = append(errs, f.raw.close(ctx))
	}
	if f.roles != nil {
		errs = append(errs, f.roles.stop())
	}
	return errors.Join(errs...)
}
