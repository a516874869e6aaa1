package items

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// Of counts the items whose vectors a user waits for, over all of Redis.
func (w *Waiters) Of(ctx context.Context, user string) (items int, err error) {
	rdb := w.store.rdb
	pattern := redisdb.EscapePattern(w.store.cfg.KeyPrefix) + ":*:waiting:*"
	err = redisdb.EachKey(ctx, rdb, pattern, func(keys []string) error {
		pipe := rdb.Pipeline()
		var scores []*redis.FloatCmd
		for _, key := range keys {
			if strings.HasSuffix(key, ":"+w.prefix) {
				scores = append(scores, pipe.ZScore(ctx, key, user))
			}
		}
		if len(scores) == 0 {
			return nil
		}
		_, _ = pipe.Exec(ctx) // its error is the first of the commands' own
		for _, score := range scores {
			switch err := score.Err(); {
			case err == nil:
				items++
			case !errors.Is(err, redis.Nil):
				return err
			}
		}
		return nil
	})
	return items, err
}
