package items

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/freshet/freshet/services/redisdb"
)

// ForgetAllIndexed removes the marks of what the index of a model holds: it was emptied, or lost rows. Each change that comes
// from now on, a replay too, then asks to be indexed, and a live writer's as well, which would otherwise take a vector for
// indexed that is nearly the old one:
//
//	live writer: .................. version 2, nearly as version 1, which is marked: nothing to index
//	rebuild:     begins its replay .................................................. version 1: stale, nothing to index
func (s *Store) ForgetAllIndexed(ctx context.Context, model string) error {
	return redisdb.EachKey(ctx, s.rdb, redisdb.EscapePattern(s.cfg.KeyPrefix)+":*:vectors", func(keys []string) error {
		return s.forgetIndexed(ctx, model, keys)
	})
}

// ForgetIndexed removes the marks of some items.
func (s *Store) ForgetIndexed(ctx context.Context, model string, ids []string) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = s.vectorsKey(id)
	}
	return s.forgetIndexed(ctx, model, keys)
}

func (s *Store) forgetIndexed(ctx context.Context, model string, keys []string) error {
	pipe := s.rdb.Pipeline()
	for _, key := range keys {
		pipe.HDel(ctx, key, markField(model))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("forgetting what is indexed: %w", err)
	}
	return nil
}

const (
	claimLife = 15 * time.Second
	claimKind = ":rebuild:items"
)

// Claim is the right to make the catalogue anew; see redisdb.TakeClaim.
func (s *Store) Claim(ctx context.Context) (context.Context, *redisdb.Claim, error) {
	return redisdb.TakeClaim(ctx, s.rdb, s.cfg.KeyPrefix+claimKind, claimLife)
}

// BesideShelf returns a store whose shelves lie under another prefix, to be made anew there. ReplacePopularity puts the
// popular one in place.
func (s *Store) BesideShelf(prefix string) *Store {
	beside := *s
	beside.cfg.KeyPrefix = prefix
	return &beside
}

//go:embed shelf.lua
var shelfSource string

var shelfScript = redisdb.NewScript(shelfSource)

// ReplacePopularity puts the shelf of popular items of another store of the same settings in place of this one's, in one step.
// Where the other has none, nothing changes.
func (s *Store) ReplacePopularity(ctx context.Context, other *Store) error {
	call := redisdb.Call{Keys: append(s.popularKeys(), other.popularKeys()...)}
	if err := shelfScript.Run(ctx, s.rdb, []redisdb.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("replacing the shelf of popular items: %w", err)
	}
	return nil
}

// AnyVector tells whether the catalogue holds a vector of the model, by looking at the recent items.
func (s *Store) AnyVector(ctx context.Context, model string) (bool, error) {
	ids, err := s.Recent(ctx, s.cfg.RecentKept)
	if err != nil {
		return false, err
	}
	vectors, err := s.Vectors(ctx, model, ids)
	if err != nil {
		return false, err
	}
	for _, v := range vectors {
		if v != nil {
			return true, nil
		}
	}
	return false, nil
}

// Whole is the mark that the catalogue has all that the topic says.
func (s *Store) Whole() redisdb.Whole { return redisdb.NewWhole(s.rdb, s.cfg.KeyPrefix, "items") }
