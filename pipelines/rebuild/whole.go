package rebuild

import (
	"context"
	"errors"

	"github.com/freshet/freshet/services/redisdb"
)

// markWhole sets the mark first and then looks whether the claim is still there, since Redis may be emptied at any moment:
//
//	looks: there ............... sets the mark: on an empty Redis, for good
//	............. FLUSHALL ...
//
// In the other order either the look finds the claim gone, or what empties Redis afterwards takes the mark as well.
func markWhole(ctx context.Context, mark redisdb.Whole, check func(context.Context) error) error {
	if err := mark.Mark(ctx); err != nil {
		return err
	}
	err := check(ctx)
	if errors.Is(err, redisdb.ErrClaimLost) {
		err = errors.Join(err, mark.Unmark(ctx))
	}
	return err
}
