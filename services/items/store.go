package items

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// Store is the catalogue in Redis. It is safe for concurrent use, also by several processes.
type Store struct {
	rdb redis.UniversalClient
	cfg Config
}

// New makes a store. The caller keeps rdb and closes it.
func New(rdb redis.UniversalClient, cfg Config) *Store { return &Store{rdb: rdb, cfg: cfg} }

// Item is what the catalogue holds of one item.
type Item struct {
	schemas.ItemChange
	// Deleted items keep nothing but ItemID and Version.
	Deleted bool
	// Err is why the stored record could not be read; Deleted is then true, so that nobody shows the item.
	Err error
}

func (s *Store) recordKey(id string) string  { return redisdb.Key(s.cfg.KeyPrefix, id, "item") }
func (s *Store) vectorsKey(id string) string { return redisdb.Key(s.cfg.KeyPrefix, id, "vectors") }

// Load reads items in one pipelined round trip; the answer is aligned with ids, nil for an unknown item. The error is about
// Redis alone: a record that cannot be read is an Item with Err.
func (s *Store) Load(ctx context.Context, ids []string) ([]*Item, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.rdb.Pipeline()
	reads := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		reads[i] = pipe.Get(ctx, s.recordKey(id))
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)

	loaded := make([]*Item, len(ids))
	for i, read := range reads {
		value, err := read.Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the record of item %q: %w", ids[i], err)
		}
		if loaded[i], err = decodeRecord(ids[i], value); err != nil {
			err = redisdb.ReadError(s.recordKey(ids[i]), remedyRecord, err)
			loaded[i] = &Item{ItemChange: schemas.ItemChange{ItemID: ids[i]}, Deleted: true, Err: err}
		}
	}
	return loaded, nil
}
