package profiles

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
		err = redisdb.ReadError(s.profileKey(user), remedyProfile, errors.New("the time of the erasure is no number"))
		return time.Time{}, false, err
	}
	return time.UnixMilli(millis).UTC(), true, nil
}
