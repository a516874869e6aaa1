package items

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

//go:embed judged.lua
var judgedSource string

var judgedScript = redisdb.NewScript(judgedSource)

func (s *Store) judgedKey() string { return s.cfg.KeyPrefix + ":judged" }

func judgedField(topic string, partition int32) string {
	return topic + "/" + strconv.Itoa(int(partition))
}

// Judged returns the last offset of a partition whose change this catalogue has judged, -1 where it knows of none; end is one past
// the partition's newest record. A change up to there that is refused now is one that was read again, by a new group or after a
// reset of its offsets: what won over it either lies behind it in the topic, or was published again when it was refused first.
func (s *Store) Judged(ctx context.Context, topic string, partition int32, end int64) (int64, error) {
	offset, err := s.rdb.HGet(ctx, s.judgedKey(), judgedField(topic, partition)).Int64()
	switch {
	case errors.Is(err, redis.Nil):
		return -1, nil
	case err != nil:
		return 0, fmt.Errorf("reading from %s how far %s/%d is judged: %w", s.judgedKey(), topic, partition, err)
	case offset >= end: // of a topic of the name that was deleted
		return -1, nil
	}
	return offset, nil
}

// MarkJudged notes that the changes up to an offset are judged, and that what won over refused ones is in the topic again.
func (s *Store) MarkJudged(ctx context.Context, topic string, partition int32, offset, end int64) error {
	call := redisdb.Call{Keys: []string{s.judgedKey()}, Args: []any{judgedField(topic, partition), offset, end}}
	if err := judgedScript.Run(ctx, s.rdb, []redisdb.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("noting in %s that %s/%d is judged up to %d: %w", s.judgedKey(), topic, partition, offset, err)
	}
	return nil
}
