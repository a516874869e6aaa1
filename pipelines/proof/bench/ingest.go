package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/services/redisdb"
)

// Ingest measures how many events a second the role interactions applies to profiles in Redis, from a backlog.
//
// The floor is two steps in series: a consumer that reads the same records and does nothing, then plain pipelined Redis writes
// of the bytes that the profiles hold, as often as the role writes them: once for each user of each batch.
func Ingest(ctx context.Context, o Options) (report *Report, err error) {
	l, err := openLab(ctx, o, needs{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	g, err := l.prepareIngest(ctx)
	if err != nil {
		return nil, err
	}
	for repeat := range o.Repeats {
		l.say("repeat %d of %d", repeat+1, o.Repeats)
		if err := g.measure(ctx, repeat); err != nil {
			return nil, err
		}
	}
	return g.report(ctx)
}

// ingest is one run of the bench; its slices have an entry for each repeat.
type ingest struct {
	*lab
	world *world
	// ours is events applied a second; reads and writes are the two parts of the floor.
	ours, reads, writes []float64
	bytesAnEvent        []float64
}

// prepareIngest stores what events refer to and has profiles get their length of history.
func (l *lab) prepareIngest(ctx context.Context) (*ingest, error) {
	w, err := l.makeWorld(l.Warmup + l.Repeats*l.Events)
	if err != nil {
		return nil, err
	}
	g := &ingest{lab: l, world: w}
	if err := l.storeItems(ctx, w, ""); err != nil {
		return nil, err
	}
	return g, g.warmUp(ctx)
}

// warmUp gives profiles a history.
func (g *ingest) warmUp(ctx context.Context) error {
	if g.Warmup == 0 {
		return nil
	}
	warm, err := g.publishEvents(ctx, g.world, 0, g.Warmup)
	if err != nil {
		return err
	}
	took, err := g.apply(ctx, warm)
	if err == nil {
		g.say("warm-up: %d events applied, %.0f/s", g.Warmup, perSecond(g.Warmup, took))
	}
	return err
}

func (g *ingest) apply(ctx context.Context, part *published) (time.Duration, error) {
	s := g.settings("")
	return g.workOff(ctx, s, online.Interactions, s.Topics.Interactions.Name, part.ends())
}

func (g *ingest) measure(ctx context.Context, repeat int) error {
	lo := g.Warmup + repeat*g.Events
	part, err := g.publishEvents(ctx, g.world, lo, lo+g.Events)
	if err != nil {
		return err
	}
	reading, err := g.consumeNothing(ctx, g.topic("interactions"), part)
	if err != nil {
		return err
	}
	applying, err := g.apply(ctx, part)
	if err != nil {
		return err
	}
	if err := g.verify(ctx, part); err != nil {
		return err
	}
	writing, bytes, err := g.writeRaw(ctx, part)
	if err != nil {
		return err
	}
	g.ours = append(g.ours, perSecond(g.Events, applying))
	g.reads = append(g.reads, perSecond(g.Events, reading))
	g.writes = append(g.writes, perSecond(g.Events, writing))
	g.bytesAnEvent = append(g.bytesAnEvent, float64(bytes)/float64(g.Events))
	g.say("  ours %.0f/s; floor: reading %.0f/s, writing %.0f/s, in series %.0f/s", g.ours[repeat], g.reads[repeat], g.writes[repeat],
		inSeries(g.reads[repeat], g.writes[repeat]))
	return nil
}

// verify fails unless the profile of each user holds the user's last event of the part: a fast figure of a role that lost
// events would be none.
func (g *ingest) verify(ctx context.Context, part *published) error {
	store := g.profiles(g.world, "")
	for partition, keys := range part.keys {
		last := map[string]int64{}
		for i, user := range keys {
			last[user] = part.first[partition] + int64(i)
		}
		for users := range slices.Chunk(slices.Collect(maps.Keys(last)), keysAtOnce) {
			loaded, err := store.Load(ctx, users, g.world.userTower.Version())
			if err != nil {
				return err
			}
			for i, p := range loaded {
				if p == nil || p.Err != nil || p.Watermarks[partition] < last[users[i]] {
					return fmt.Errorf("user %s: the profile does not hold the event at partition %d offset %d, which is committed",
						users[i], partition, last[users[i]])
				}
			}
		}
	}
	return nil
}

// writeRaw writes what the profiles hold now under other keys, as often as the role has written it, and returns how long that
// took and how many bytes it was.
func (g *ingest) writeRaw(ctx context.Context, part *published) (time.Duration, int64, error) {
	stored, err := g.storedProfiles(ctx, distinct(slices.Concat(slices.Collect(maps.Values(part.keys))...)))
	if err != nil {
		return 0, 0, err
	}
	batch := g.base.Consumers.Interactions.MaxRecords
	var bytes int64
	begin := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, keys := range part.keys {
		for chunk := range slices.Chunk(keys, batch) {
			for _, user := range distinct(chunk) {
				bytes += stored[user].bytes
			}
		}
		group.Go(func() error {
			for chunk := range slices.Chunk(keys, batch) {
				pipe := g.rdb.Pipeline()
				for _, user := range distinct(chunk) {
					pipe.HSet(groupCtx, stored[user].rawKey, stored[user].fields...)
					pipe.Append(groupCtx, stored[user].rawSeen, stored[user].seen)
				}
				if _, err := pipe.Exec(groupCtx); err != nil {
					return fmt.Errorf("writing raw profiles: %w", err)
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return time.Since(begin), bytes, err
}

// rawProfile is a profile as bytes, and where the floor writes it.
type rawProfile struct {
	rawKey, rawSeen string
	fields          []any
	seen            string // what one write appends to the set of seen items
	bytes           int64
}

// seenBytes is what one new item adds to the set of seen items.
const seenBytes = 4

func (g *ingest) storedProfiles(ctx context.Context, users []string) (map[string]*rawProfile, error) {
	prefix := g.settings("").Profiles.KeyPrefix
	stored := make(map[string]*rawProfile, len(users))
	for chunk := range slices.Chunk(users, keysAtOnce) {
		pipe := g.rdb.Pipeline()
		for _, user := range chunk {
			pipe.HGetAll(ctx, redisdb.Key(prefix, user, "profile"))
		}
		answers, err := pipe.Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the profiles: %w", err)
		}
		for i, user := range chunk {
			p := &rawProfile{
				rawKey: redisdb.Key(prefix+"-raw", user, "profile"), rawSeen: redisdb.Key(prefix+"-raw", user, "seen"),
				seen: string(make([]byte, seenBytes)), bytes: seenBytes,
			}
			hash, ok := answers[i].(interface{ Val() map[string]string })
			if !ok || len(hash.Val()) == 0 {
				return nil, fmt.Errorf("user %s has events and no profile: the role has lost them", user)
			}
			for field, value := range hash.Val() {
				p.fields = append(p.fields, field, value)
				p.bytes += int64(len(field) + len(value))
			}
			stored[user] = p
		}
	}
	return stored, nil
}

// averageProfile returns as many bytes as the profiles of a part have on average.
func (g *ingest) averageProfile(ctx context.Context, part *published) ([]byte, error) {
	stored, err := g.storedProfiles(ctx, distinct(slices.Concat(slices.Collect(maps.Values(part.keys))...)))
	if err != nil {
		return nil, err
	}
	var total int64
	for _, p := range stored {
		total += p.bytes
	}
	value := make([]byte, total/int64(len(stored)))
	_, _ = rand.Read(value) // which never fails
	return value, nil
}

func distinct(keys []string) []string {
	seen := make(map[string]struct{}, len(keys))
	var once []string
	for _, k := range keys {
		if _, again := seen[k]; !again {
			seen[k] = struct{}{}
			once = append(once, k)
		}
	}
	return once
}

func (g *ingest) report(ctx context.Context) (*Report, error) {
	r, err := g.lab.report(ctx, "ingest",
		fmt.Sprintf("%d events a repeat", g.Events), fmt.Sprintf("%d users", g.Users), fmt.Sprintf("%d items", g.Items),
		fmt.Sprintf("%d events before the first", g.Warmup))
	if err != nil {
		return nil, err
	}
	floor := make([]float64, len(g.ours))
	for i := range floor {
		floor[i] = inSeries(g.reads[i], g.writes[i])
	}
	r.compare("events applied to profiles", "events/s", g.ours, floor, atLeast(0.8))
	r.tell("floor, part 1: consumer that does nothing", "events/s", g.reads)
	r.tell("floor, part 2: pipelined HSET and APPEND of the same bytes", "events/s", g.writes)
	r.tell("bytes written for an event", "bytes", g.bytesAnEvent)
	r.note("ours runs from when the role has its partitions to when all offsets are committed; every profile was then found to hold " +
		"its events")
	r.note("the floor writes the profiles' bytes as they are after the repeat, once for each user of each batch of %d records",
		g.base.Consumers.Interactions.MaxRecords)
	return r, nil
}
