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
	// floodGuest is an id that a shop's app gives to everybody who has not logged in.
	floodGuest = "guest-of-the-flood"
	// floodBatch is how many of its events are applied at a time; they are about one of floodDistinct items of the shop.
	floodBatch    = 1000
	floodDistinct = 5
	// guestShare: one of so many requests is the guest's, and floodRate is how many events a second go on coming meanwhile.
	guestShare = 8
	floodRate  = 1000
	// floodLoad is the share of what openAt waiting callers reach, with the events, at which requests come.
	floodLoad = 0.25
	// sayEvery is how often the progress of the flood is told, in events.
	sayEvery = 1_000_000
)

// Flood measures what one id with so many events costs the others: their replies beside its requests and its events.
//
// The floor is the same load on both roles, where an ordinary user asks in place of the guest, and the events are of all users.
func Flood(ctx context.Context, o Options, events int) (report *Report, err error) {
	if events < floodBatch {
		return nil, fmt.Errorf("flood is %d: give %d events or more", events, floodBatch)
	}
	l, err := openLab(ctx, o, needs{milvus: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	f, err := l.prepareFlood(ctx, events)
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

// flood is one run of the bench.
type flood struct {
	*serve
	world     *world
	events    int
	publisher *producers.EventPublisher
	failed    firstError // of publishing
	rate      float64    // requests a second
	// applied is how many of the guest's events a second were applied, bytes what its keys take.
	applied float64
	bytes   int64
}

func (l *lab) prepareFlood(ctx context.Context, events int) (f *flood, err error) {
	f = &flood{serve: &serve{lab: l, ours: map[string][]float64{}, floor: map[string][]float64{}}, events: events}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close(ctx))
		}
	}()
	if f.world, err = l.makeWorld(l.Events); err != nil {
		return f, err
	}
	if err := l.fill(ctx, f.world); err != nil {
		return f, err
	}
	if _, err := f.findUsers(ctx, f.world); err != nil {
		return f, err
	}
	if err := f.rise(ctx); err != nil {
		return f, err
	}
	if f.roles, err = l.start(ctx, l.settings(""), online.Interactions, online.Recommendations); err != nil {
		return f, err
	}
	if f.client, err = producers.NewRecommendationClient(ctx, l.settings("").Producer(l.Log)); err != nil {
		return f, err
	}
	if f.publisher, err = producers.NewEventPublisher(ctx, l.settings("").Producer(l.Log)); err != nil {
		return f, err
	}
	err = f.beside(ctx, f.ordinary(0), func() error {
		if err := f.warm(ctx, openAt, f.ask); err != nil {
			return err
		}
		_, reached, err := closedLoop(ctx, openAt, f.Duration, f.ask)
		f.rate = reached * floodLoad
		return err
	})
	return f, err
}

// rise applies the guest's events, by the code and in batches of the size that the role has.
func (f *flood) rise(ctx context.Context) error {
	store := f.profiles(f.world, "")
	begin := time.Now()
	start := begin.Add(-time.Duration(f.events) * time.Millisecond)
	for done := 0; done < f.events; {
		batch := make([]profiles.Event, min(floodBatch, f.events-done))
		for i := range batch {
			n := done + i
			batch[i] = profiles.Event{
				Interaction: f.guestEvent(fmt.Sprint("flood-", n), n, start.Add(time.Duration(n)*time.Millisecond)),
				Offset:      int64(n), EndOffset: int64(f.events), Time: time.Now(),
			}
		}
		report, err := store.Apply(ctx, batch)
		if err != nil {
			return fmt.Errorf("applying the flood: %w", err)
		}
		if report.Applied != len(batch) {
			return fmt.Errorf("of %d events of the flood %d were applied: %v", len(batch), report.Applied, report.Failed)
		}
		if done += len(batch); done%sayEvery == 0 || done == f.events {
			f.say("  %d of %d events of one id, %.0f/s", done, f.events, perSecond(done, time.Since(begin)))
		}
	}
	f.applied = perSecond(f.events, time.Since(begin))
	loaded, err := store.Load(ctx, []string{floodGuest}, f.world.userTower.Version())
	if err != nil {
		return err
	}
	if p := loaded[0]; p == nil || p.Err != nil || p.Counters.Of(schemas.Click) != uint64(f.events) {
		return errors.New("the profile of the flood's id does not count its events")
	}
	return f.weigh(ctx)
}

// weigh adds up what the guest's keys hold.
func (f *flood) weigh(ctx context.Context) error {
	prefix := f.settings("").Profiles.KeyPrefix
	fields, err := f.rdb.HGetAll(ctx, redisdb.Key(prefix, floodGuest, "profile")).Result()
	if err != nil {
		return fmt.Errorf("reading the guest's profile: %w", err)
	}
	seen, err := f.rdb.StrLen(ctx, redisdb.Key(prefix, floodGuest, "seen")).Result()
	if err != nil {
		return fmt.Errorf("reading the guest's seen items: %w", err)
	}
	f.bytes = seen
	for _, value := range fields {
		f.bytes += int64(len(value))
	}
	return nil
}

func (f *flood) guestEvent(id string, n int, at time.Time) schemas.Interaction {
	item := f.world.Items[n%(len(f.world.Items)/floodDistinct)].ItemID
	return schemas.Interaction{EventID: id, UserID: floodGuest, ItemID: item, Type: schemas.Click, OccurredAt: at}
}

// ordinary are events of all users.
func (f *flood) ordinary(repeat int) func(i int) schemas.Interaction {
	return func(i int) schemas.Interaction {
		e := f.world.event(i % len(f.world.Events))
		e.EventID, e.OccurredAt = fmt.Sprintf("ordinary-%d-%d", repeat, i), time.Now()
		return e
	}
}

func (f *flood) ofTheGuest(repeat int) func(i int) schemas.Interaction {
	return func(i int) schemas.Interaction {
		return f.guestEvent(fmt.Sprintf("on-%d-%d", repeat, i), i, time.Now())
	}
}

// beside does something while events go on coming.
func (f *flood) beside(ctx context.Context, event func(i int) schemas.Interaction, do func() error) error {
	sending, stop := context.WithCancel(ctx)
	var sender sync.WaitGroup
	sender.Go(func() {
		const endless = 1 << 30
		f.failed.keep(paced(sending, floodRate, endless, func(i int, _ time.Time) error {
			e := event(i)
			return f.publisher.PublishInteractionAsync(ctx, &e, func(_ schemas.Position, err error) { f.failed.keep(err) })
		}))
	})
	err := do()
	stop()
	sender.Wait()
	if published := f.failed.err(); published != nil && !errors.Is(published, context.Canceled) {
		err = errors.Join(err, published)
	}
	f.failed.at.Store(nil)
	return err
}

func (f *flood) measure(ctx context.Context, repeat int) error {
	during := max(f.Duration, time.Duration(2*guestShare/f.rate*float64(time.Second))) // others are among them on a slow machine, too
	for _, side := range []struct {
		what  string
		guest string
		event func(int) schemas.Interaction
		into  map[string][]float64
	}{
		{"floor", f.user(0), f.ordinary(repeat + 1), f.floor},
		{"ours", floodGuest, f.ofTheGuest(repeat), f.ours},
	} {
		var all samples
		err := f.beside(ctx, side.event, func() (err error) {
			all, err = openLoop(ctx, f.rate, during, func(ctx context.Context, i int) error { return f.askAs(ctx, i, side.guest) })
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", side.what, err)
		}
		var guests, others samples
		for i, latency := range all {
			if i%guestShare == 0 {
				guests = append(guests, latency)
			} else {
				others = append(others, latency)
			}
		}
		f.say("  %-5s at %.0f/s: others p95 %.2f ms, the guest p95 %.2f ms", side.what, f.rate, others.quantile(.95), guests.quantile(.95))
		add(side.into, keyOthersP50, others.p50())
		add(side.into, keyOthersP95, others.quantile(.95))
		add(side.into, keyGuestP95, guests.quantile(.95))
	}
	return nil
}

// askAs asks for the guest's page now and then, else for another user's.
func (f *flood) askAs(ctx context.Context, i int, guest string) error {
	q := f.request(i + 1)
	if i%guestShare == 0 {
		q.UserID = guest
	}
	return f.count(f.client.Recommend(ctx, q))
}

const (
	keyOthersP50 = "others' replies, p50"
	keyOthersP95 = "others' replies, p95"
	keyGuestP95  = "replies to the guest, p95"
)

func (f *flood) report(ctx context.Context) (*Report, error) {
	r, err := f.lab.report(ctx, "flood", fmt.Sprintf("%d events of one id", f.events),
		fmt.Sprintf("%d distinct items of %d", len(f.world.Items)/floodDistinct, f.Items), fmt.Sprintf("%d users", len(f.users)),
		fmt.Sprintf("%.0f requests/s, one of %d the guest's", f.rate, guestShare), fmt.Sprintf("%d events/s meanwhile", floodRate),
		fmt.Sprintf("%s a load", f.Duration))
	if err != nil {
		return nil, err
	}
	r.compare(keyOthersP50, "ms", f.ours[keyOthersP50], f.floor[keyOthersP50], nil)
	r.compare(keyOthersP95, "ms", f.ours[keyOthersP95], f.floor[keyOthersP95], atMost(1.1))
	r.compare(keyGuestP95, "ms", f.ours[keyGuestP95], f.floor[keyGuestP95], nil)
	r.tell("events of the guest applied", "events/s", []float64{f.applied})
	r.tell("the guest's profile and seen items", "bytes", []float64{float64(f.bytes)})
	r.note("the floor is the same load with an ordinary user in the guest's place, and events of all users; latency counts from when a "+
		"request was due; %d replies were degraded or refused", f.degraded.Load())
	return r, nil
}

// close ends clients before the roles.
func (f *flood) close(ctx context.Context) error {
	var err error
	if f.publisher != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTimeout)
		defer cancel()
		err = f.publisher.Close(closing)
	}
	return errors.Join(err, f.serve.close(ctx))
}
