package items

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

var errCrash = errors.New("crashed here")

// crash is a go-redis hook that lets the first `done` commands of the nth pipeline reach Redis and loses all answers.
type crash struct{ until, done int }

func (c *crash) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *crash) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (c *crash) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name == "hello" || name == "client" { // the client's own, on a new connection
			return next(ctx, cmds)
		}
		if c.until--; c.until != -1 {
			return next(ctx, cmds)
		}
		if n := min(c.done, len(cmds)); n > 0 {
			_ = next(ctx, cmds[:n])
		}
		for _, cmd := range cmds {
			cmd.SetErr(errCrash)
		}
		return errCrash
	}
}

// A catalogue consumer that dies at any step, in Write or in MarkIndexed, and whose successor replays the batch, leaves what
// an undisturbed one leaves: records, vectors, shelf, and an index that has heard of each item.
func TestCrashAtAnyStepIsMadeGoodByTheReplay(t *testing.T) {
	hidden := upsert("c", 3, 3)
	hidden.Record.Available = false
	batch := []Change{upsert("a", 2, 1), upsert("b", 2, 2), tombstone("b"), hidden, upsert("a", 1, 9), deletion("d", 5)}
	for until := range 5 {
		for done := range 5 {
			t.Run(fmt.Sprint(until, done), func(t *testing.T) {
				s := newStore(t)
				write(t, s, upsert("c", 2, 3), upsert("b", 1, 4), upsert("d", 4, 4))
				index := map[string]bool{}
				consume := func() {
					outcomes, err := s.Write(t.Context(), batch)
					if err != nil {
						require.ErrorIs(t, err, errCrash)
						return
					}
					var marks []Mark
					for _, o := range outcomes {
						if o.Err != nil {
							require.ErrorIs(t, o.Err, errCrash)
							return
						}
						if o.NeedsIndex {
							index[o.Mark.ItemID] = !o.Mark.Deleted
							marks = append(marks, o.Mark)
						}
					}
					moved, err := s.MarkIndexed(t.Context(), "m1", marks)
					if err != nil {
						require.ErrorIs(t, err, errCrash)
						return
					}
					require.Empty(t, moved)
				}
				hook := &crash{until: until, done: done}
				s.rdb.AddHook(hook)
				consume()
				hook.until = -1
				consume()
				require.Equal(t, map[string]bool{"a": true, "b": false, "c": true, "d": false}, index)
				for _, o := range write(t, s, batch...) {
					require.False(t, o.NeedsIndex, "every item was marked")
				}
				require.Equal(t, int64(2), load(t, s, "a").Version)
				require.True(t, load(t, s, "b").Deleted)
				require.Equal(t, int64(2), load(t, s, "b").Version)
				require.False(t, load(t, s, "c").Available)
				require.True(t, load(t, s, "d").Deleted)
				require.Equal(t, []float32{1}, vector(t, s, "m1", "a"))
				recent, err := s.Recent(t.Context(), 9)
				require.NoError(t, err)
				require.Equal(t, []string{"a"}, recent)
			})
		}
	}
}
