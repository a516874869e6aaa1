package redisdb

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Whole is a mark in Redis that lives and dies with what it stands for: as long as it is there, Redis holds all that the
// topic says. A Redis that was emptied, or replaced by a new one, has lost it with the rest, and fills again only with what
// is new; without the mark every user would look like one whom nobody knows yet.
type Whole struct {
	rdb  redis.UniversalClient
	keys []string
}

// wholeKeys spreads the mark over the slots of a cluster: that one of three masters has none of the keys, so that its loss
// would not show, has a chance of (2/3)^16, 1 in 650.
const wholeKeys = 16

// NewWhole names the mark of kind under a key prefix.
func NewWhole(rdb redis.UniversalClient, prefix, kind string) Whole {
	w := Whole{rdb: rdb, keys: make([]string, wholeKeys)}
	for i := range w.keys {
		w.keys[i] = Key(prefix, strconv.Itoa(i), "whole-"+kind)
	}
	return w
}

// Is tells whether the mark is there, all of it.
func (w Whole) Is(ctx context.Context) (bool, error) {
	pipe := w.rdb.Pipeline()
	found := make([]*redis.IntCmd, len(w.keys))
	for i, key := range w.keys {
		found[i] = pipe.Exists(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("looking for the mark %s: %w", w.keys[0], err)
	}
	for _, f := range found {
		if f.Val() == 0 {
			return false, nil
		}
	}
	return true, nil
}

// Mark sets the mark.
func (w Whole) Mark(ctx context.Context) error {
	pipe := w.rdb.Pipeline()
	for _, key := range w.keys {
		pipe.Set(ctx, key, "1", 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("setting the mark %s: %w", w.keys[0], err)
	}
	return nil
}

// Unmark removes the mark.
func (w Whole) Unmark(ctx context.Context) error {
	pipe := w.rdb.Pipeline()
	for _, key := range w.keys {
		pipe.Del(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("removing the mark %s: %w", w.keys[0], err)
	}
	return nil
}
