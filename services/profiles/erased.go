package profiles

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/services/redisdb"
)

// ErasedAt tells by the profile whether a user was erased, and when by the time of the tombstone. The time is zero where it was not
// known. A user who has come back since was erased all the same; once ErasedRetention is over, nothing is known any more.
func (s *Store) ErasedAt(ctx context.Context, user string) (at time.Time, erased bool, err error) {
	fields, err := s.rdb.HMGet(ctx, s.profileKey(user), fieldErasedAt, fieldWatermarks, fieldCounters).Result()
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading when the user was erased: %w", err)
	}
	if fields[0] == nil {
		// Nothing but watermarks: erased by a tombstone without a time, or by a release that did not keep it.
		return time.Time{}, fields[1] != nil && fields[2] == nil, nil
	}
	millis, err := strconv.ParseInt(text(fields[0]), 10, 64)
	if err != nil {
		err = redisdb.ReadError(unnamedKey(s.cfg.KeyPrefix), remedyProfile, errors.New("the time of the erasure is no number"))
		return time.Time{}, false, err
	}
	return time.UnixMilli(millis).UTC(), true, nil
}

// Traces counts the keys of Redis that bear a user's id, beside the profile itself.
type Traces struct {
	// Seen items; 1 or 0.
	Seen int
	// Shadows are keys of rebuilds.
	Shadows int
}

// Traces looks through all keys for a user: for keys that bear the id, and for the items without a vector that the user waits for. It
// is for an erasure, which has the time: it walks over the whole of Redis.
func (s *Store) Traces(ctx context.Context, user string) (t Traces, waiting int, err error) {
	own := strings.TrimPrefix(redisdb.Key("", user, ""), ":")
	pattern := redisdb.EscapePattern(s.cfg.KeyPrefix) + "*:" + redisdb.EscapePattern(own) + "*"
	err = redisdb.EachKey(ctx, s.rdb, pattern, func(keys []string) error {
		for _, key := range keys {
			switch {
			case key == s.seenKey(user):
				t.Seen++
			case strings.HasPrefix(key, s.cfg.KeyPrefix+shadowInfix):
				t.Shadows++
			}
		}
		return nil
	})
	if err == nil {
		waiting, err = s.waiters().Of(ctx, user)
	}
	if err != nil {
		return t, waiting, fmt.Errorf("looking through Redis: %w", err)
	}
	return t, waiting, nil
}
