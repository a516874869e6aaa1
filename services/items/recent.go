package items

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

//go:embed shelve.lua
var shelveSource string

var shelveScript = redisdb.NewScript(shelveSource)

func (s *Store) recentKey() string { return s.cfg.KeyPrefix + ":recent" }

// shelveRecent puts what was written onto the shelf of recent items, or takes it off, in one round trip. The shelf lies in
// another slot than the items and follows them a step later: whoever shows its items looks at their records first. A crash
// in between is made good by the replay, for which the shelf is written again.
func (s *Store) shelveRecent(ctx context.Context, changes []Change, outcomes []Outcome) error {
	var shown []redis.Z
	var gone []any
	for i, o := range outcomes {
		if o.Status != Applied && o.Status != Replayed {
			continue
		}
		c := &changes[i].Record
		if changes[i].Tombstone || o.Mark.Deleted || !c.Available {
			gone = append(gone, c.ItemID)
			continue
		}
		shown = append(shown, redis.Z{Score: float64(publishedMillis(c)), Member: c.ItemID})
	}
	pipe := s.rdb.Pipeline()
	if len(gone) > 0 {
		pipe.ZRem(ctx, s.recentKey(), gone...)
	}
	if len(shown) > 0 {
		pipe.ZAdd(ctx, s.recentKey(), shown...)
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("writing the shelf of recent items: %w", err)
	}
	if len(shown) == 0 {
		return nil
	}
	call := redisdb.Call{Keys: []string{s.recentKey()}, Args: []any{time.Now().UnixMilli(), s.cfg.RecentKept}}
	if err := shelveScript.Run(ctx, s.rdb, []redisdb.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("bounding the shelf of recent items: %w", err)
	}
	return nil
}

// publishedMillis dates an item without a date of publication by its last change.
func publishedMillis(c *schemas.ItemChange) int64 {
	if c.PublishedAt.IsZero() {
		return c.OccurredAt.UnixMilli()
	}
	return c.PublishedAt.UnixMilli()
}

// Recent lists up to n items that were available when they were last written: those whose time of publication has come, most recently
// published first, and behind them those to come, the soonest first. Nobody moves an item when its time comes.
func (s *Store) Recent(ctx context.Context, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	now, most := strconv.FormatInt(time.Now().UnixMilli(), 10), int64(n)
	pipe := s.rdb.Pipeline()
	come := pipe.ZRangeArgs(ctx, redis.ZRangeArgs{Key: s.recentKey(), Start: now, Stop: "-inf", ByScore: true, Rev: true, Count: most})
	ahead := pipe.ZRangeArgs(ctx, redis.ZRangeArgs{Key: s.recentKey(), Start: "(" + now, Stop: "+inf", ByScore: true, Count: most})
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the shelf of recent items: %w", err)
	}
	ids := append(come.Val(), ahead.Val()...)
	return ids[:min(n, len(ids))], nil
}
