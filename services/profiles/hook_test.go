package profiles

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

var errCrash = errors.New("crashed here")

// steps is a go-redis hook that does something at the nth pipeline from now on, once, and tells a watcher of every one.
type steps struct {
	until int // pipelines until act; below 0: never
	act   func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error
	after func()
}

func (s *steps) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (s *steps) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (s *steps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) (err error) {
		if name := cmds[0].Name(); name == "hello" || name == "client" { // the client's own, on a new connection
			return next(ctx, cmds)
		}
		s.until--
		if s.until == -1 {
			err = s.act(ctx, cmds, next)
		} else {
			err = next(ctx, cmds)
		}
		if s.after != nil {
			s.after()
		}
		return err
	}
}

// crashAfter lets the first n commands reach Redis and loses all their answers.
func crashAfter(n int) func(context.Context, []redis.Cmder, redis.ProcessPipelineHook) error {
	return func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		if n = min(n, len(cmds)); n > 0 {
			_ = next(ctx, cmds[:n])
		}
		for _, c := range cmds {
			c.SetErr(errCrash)
		}
		return errCrash
	}
}
