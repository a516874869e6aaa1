package redisdb

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys one SCAN looks at; it bounds how long Redis is busy with it.
const scanCount = 1000

var patternEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// EscapePattern makes a pattern that matches text alone.
func EscapePattern(text string) string { return patternEscaper.Replace(text) }

// EachKey calls each, never twice at a time, with the keys that match a glob pattern, some hundreds at a time, on a cluster
// those of every master. A key that is there all the while comes at least once; one that comes or goes meanwhile may.
func EachKey(ctx context.Context, rdb redis.UniversalClient, pattern string, each func(keys []string) error) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return scan(ctx, rdb, pattern, each)
	}
	var one sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return scan(ctx, node, pattern, func(keys []string) error {
			one.Lock()
			defer one.Unlock()
			return each(keys)
		})
	})
}

func scan(ctx context.Context, node redis.Cmdable, pattern string, each func(keys []string) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, pattern, scanCount).Result()
		if err != nil {
			return fmt.Errorf("listing the keys %s: %w", pattern, err)
		}
		if len(keys) > 0 {
			if err := each(keys); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Remove deletes all keys that match a pattern and returns how many there were.
func Remove(ctx context.Context, rdb redis.UniversalClient, pattern string) (removed int64, err error) {
	err = EachKey(ctx, rdb, pattern, func(keys []string) error {
		pipe := rdb.Pipeline()
		for _, key := range keys {
			pipe.Unlink(ctx, key)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("removing the keys %s: %w", pattern, err)
		}
		removed += int64(len(keys))
		return nil
	})
	return removed, err
}
