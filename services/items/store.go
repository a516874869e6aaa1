package items

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// Store is the catalogue in Redis. It is safe for concurrent use, also by several processes.
type Store struct {
	rdb     redis.UniversalClient
	cfg     Config
	decoded *decoded
}

// New makes a store. The caller keeps rdb and closes it.
func New(rdb redis.UniversalClient, cfg Config) *Store {
	return &Store{rdb: rdb, cfg: cfg, decoded: newDecoded()}
}

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

// Load reads items in one pipelined round trip; the answer is aligned with ids, nil for an unknown item. Items are shared with
// other callers: they must not be changed. The error is about Redis alone: a record that cannot be read is an Item with Err.
func (s *Store) Load(ctx context.Context, ids []string) ([]*Item, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	values, err := s.values(ctx, ids)
	if err != nil {
		return nil, err
	}
	loaded := make([]*Item, len(ids))
	allFresh := s.decoded.find(ids, values, loaded)
	for i, id := range ids {
		value, there := values[i].(string)
		if !there || loaded[i] != nil {
			continue
		}
		if loaded[i], err = decodeRecord(id, []byte(value)); err != nil {
			err = redisdb.ReadError(s.recordKey(id), remedyRecord, err)
			loaded[i] = &Item{ItemChange: schemas.ItemChange{ItemID: id}, Deleted: true, Err: err}
		}
	}
	if !allFresh {
		s.decoded.keep(ids, values, loaded)
	}
	return loaded, nil
}

// keysACommand bounds a command that reads many keys: a server does nothing else meanwhile.
const keysACommand = 256

// values reads the values of records in one round trip: a string each, nil where there is none. A single server gives many in
// a command (MGET), at a fraction of what a command for each costs; the nodes of a cluster, whose keys lie in different slots,
// do not.
func (s *Store) values(ctx context.Context, ids []string) ([]any, error) {
	pipe := s.rdb.Pipeline()
	if _, single := s.rdb.(*redis.Client); !single {
		return s.valuesOneByOne(ctx, pipe, ids)
	}
	var reads []*redis.SliceCmd
	for chunk := range slices.Chunk(ids, keysACommand) {
		keys := make([]string, len(chunk))
		for i, id := range chunk {
			keys[i] = s.recordKey(id)
		}
		reads = append(reads, pipe.MGet(ctx, keys...))
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)
	values := make([]any, 0, len(ids))
	for _, read := range reads {
		if err := read.Err(); err != nil {
			return nil, fmt.Errorf("reading the record of item %q and %d others: %w", ids[0], len(ids)-1, err)
		}
		values = append(values, read.Val()...)
	}
	return values, nil
}

func (s *Store) valuesOneByOne(ctx context.Context, pipe redis.Pipeliner, ids []string) ([]any, error) {
	reads := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		reads[i] = pipe.Get(ctx, s.recordKey(id))
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)
	values := make([]any, len(ids))
	for i, read := range reads {
		value, err := read.Result()
		switch {
		case err == nil:
			values[i] = value
		case !errors.Is(err, redis.Nil):
			return nil, fmt.Errorf("reading the record of item %q: %w", ids[i], err)
		}
	}
	return values, nil
}
