package online

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
)

// markWhole marks as whole what Redis holds of a topic whose role has yet to run for the first time: it will read the topic
// from the beginning. A group that has committed offsets will not. If the mark is missing then, Redis has lost what the group
// had written, and only a rebuild brings it back; serving says so in every reply until that is done.
func (y *System) markWhole(ctx context.Context) error {
	if y.Profiles == nil { // of a process that evaluates alone
		return nil
	}
	for _, part := range []struct {
		role   Role
		topic  string
		mark   redisdb.Whole
		remedy string
	}{
		{Catalogue, y.settings.Topics.Items.Name, y.Items.Whole(), remedyItems},
		{Interactions, y.settings.Topics.Interactions.Name, y.Profiles.Whole(), remedyProfiles},
	} {
		whole, err := part.mark.Is(ctx)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		committed, err := topics.EverCommitted(ctx, y.settings.Kafka, y.group(part.role), part.topic)
		if kafkaio.IsRefused(err) && !slices.Contains(y.roles, part.role) {
			continue // a process may have no right to another role's group; the role itself says what is whole
		}
		if err != nil {
			return fmt.Errorf("asking whether role %s ever ran: %w", part.role, err)
		}
		if committed {
			y.log.Warn("Redis does not hold what a role has written: it was emptied, or is another one",
				"role", part.role, "remedy", part.remedy)
			continue
		}
		if err := part.mark.Mark(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The remedies for what is not whole, in logs and in replies.
const (
	remedyItems    = "run `freshet rebuild candidates`"
	remedyProfiles = "run `freshet rebuild profiles`"
)

// lost looks at the marks for the recommender.
func (c *Connections) lost(ctx context.Context) (lost recommender.Losses, err error) {
	for _, part := range []struct {
		mark redisdb.Whole
		what *string
		says string
	}{
		{c.Profiles.Whole(), &lost.Profiles, "profiles are missing or being rebuilt: " + remedyProfiles},
		{c.Items.Whole(), &lost.Items, "item records are missing or being rebuilt: " + remedyItems},
	} {
		whole, err := part.mark.Is(ctx)
		if err != nil {
			return recommender.Losses{}, err
		}
		if !whole {
			*part.what = part.says
		}
	}
	lost.Index, err = c.lostRows(ctx)
	return lost, err
}

// lostRows looks at the mark of the live collection, by what Milvus said of it last: Redis alone is asked.
func (c *Connections) lostRows(ctx context.Context) (string, error) {
	if c.Index == nil {
		return "", nil
	}
	live := c.Index.LastLive()
	switch {
	case live == nil:
		return "", nil
	case live.Model == "":
		return "no collection is live: " + remedyItems, nil
	}
	state, err := c.Items.IndexState(ctx, live.Model, live.ID)
	if err != nil || state != items.IndexPartial { // unknown: the catalogue role has not started since there are marks
		return "", err
	}
	return fmt.Sprintf("rows of the live collection are missing or being rebuilt: %s with the bundle of model %s",
		remedyItems, live.Model), nil
}

// lossNoted tells a loss that is new from one that is known.
type lossNoted struct {
	mu   sync.Mutex
	last recommender.Losses
}

// lost looks at the marks, and logs what is newly missing or there again.
func (y *System) lost(ctx context.Context) (recommender.Losses, error) {
	lost, err := y.Connections.lost(ctx)
	if err != nil {
		return recommender.Losses{}, err
	}
	y.noted.mu.Lock()
	defer y.noted.mu.Unlock()
	last := listed(y.noted.last)
	for i, now := range listed(lost) {
		switch before := last[i]; {
		case now != "" && before == "":
			y.log.Warn("replies are degraded from now on", "reason", now)
		case now == "" && before != "":
			y.log.Info("replies are whole again", "was", before)
		}
	}
	y.noted.last = lost
	return lost, nil
}

func listed(l recommender.Losses) []string { return []string{l.Profiles, l.Items, l.Index} }

// Degraded lists what is done worse than it could be, with the remedy: what replies have to do without, and partitions that wait
// behind a record which fails again and again. What Redis has lost is not told while it gives no answer, which Missing tells.
func (y *System) Degraded(ctx context.Context) []string {
	degraded := y.stuck(time.Now())
	if y.Profiles == nil {
		return degraded
	}
	if y.Index != nil {
		_, _ = y.Index.Live(ctx) // for LastLive; while Milvus gives no answer, which Missing tells, the last one counts
	}
	lost, err := y.lost(ctx)
	if err != nil {
		return degraded
	}
	return slices.DeleteFunc(append(degraded, listed(lost)...), func(part string) bool { return part == "" })
}

// stuck lists the partitions of this process's roles that do not get on.
func (y *System) stuck(now time.Time) []string {
	var lines []string
	for _, role := range y.roles {
		consumer, ok := y.runners[role].(interface{ Stuck() []stream.Stuck })
		if !ok {
			continue // role recall is in no group
		}
		for _, s := range consumer.Stuck() {
			lines = append(lines, fmt.Sprintf("role %s: offset %d of %s/%d has failed for %s, and is tried on: %v",
				role, s.Offset, s.Topic, s.Partition, now.Sub(s.Since).Round(time.Second), s.Err))
		}
	}
	return lines
}
