package items

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
)

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
		pipe.ZRemRangeByRank(ctx, s.recentKey(), 0, -int64(s.cfg.RecentKept)-1)
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("writing the shelf of recent items: %w", err)
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

// Recent lists up to n items that were available when they were last written, most recently published first.
func (s *Store) Recent(ctx context.Context, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	ids, err := s.rdb.ZRevRange(ctx, s.recentKey(), 0, int64(n)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the shelf of recent items: %w", err)
	}
	return ids, nil
}
