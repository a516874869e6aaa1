package redisdb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script that runs for many keys in one round trip.
type Script struct {
	lua *redis.Script
}

// NewScript makes a script from Lua source.
func NewScript(source string) *Script { return &Script{lua: redis.NewScript(source)} }

// Call is one run of a script. All its Keys have the same hash tag.
type Call struct {
	Keys []string
	Args []any
}

// callsAtOnce bounds a pipeline: what takes longer than the read timeout fails as a whole, and would with every attempt.
const callsAtOnce = 250

// Run runs the script for each call, in pipelines of a bounded size, and returns the answers in the order of the calls; each has its
// own error. Calls must be for different keys: calls that a server refuses because it does not know the script yet (a new server, a
// failover, SCRIPT FLUSH) are sent again with the source, after the others of their pipeline. Where none of a pipeline is answered, the
// calls behind it are not sent, and fail as it did.
func (s *Script) Run(ctx context.Context, rdb redis.UniversalClient, calls []Call) []*redis.Cmd {
	answers := make([]*redis.Cmd, 0, len(calls))
	for some := range slices.Chunk(calls, callsAtOnce) {
		done := s.run(ctx, rdb, some)
		answers = append(answers, done...)
		if err := unanswered(done); err != nil {
			for range len(calls) - len(answers) {
				answers = append(answers, redis.NewCmdResult(nil, err))
			}
			break
		}
	}
	return answers
}

// unanswered returns the error of calls of which the server answered none, not even with a refusal.
func unanswered(answers []*redis.Cmd) error {
	for _, answer := range answers {
		if _, refused := errors.AsType[redis.Error](answer.Err()); answer.Err() == nil || refused {
			return nil
		}
	}
	return answers[0].Err()
}

func (s *Script) run(ctx context.Context, rdb redis.UniversalClient, calls []Call) []*redis.Cmd {
	answers := make([]*redis.Cmd, len(calls))
	pipe := rdb.Pipeline()
	for i, c := range calls {
		answers[i] = s.lua.EvalSha(ctx, pipe, c.Keys, c.Args...)
	}
	// The error of Exec is the first of the calls' own errors.
	_, _ = pipe.Exec(ctx)

	again := rdb.Pipeline()
	for i, c := range calls {
		if redis.HasErrorPrefix(answers[i].Err(), "NOSCRIPT") {
			answers[i] = s.lua.Eval(ctx, again, c.Keys, c.Args...)
		}
	}
	if again.Len() > 0 {
		_, _ = again.Exec(ctx)
	}
	for _, answer := range answers {
		if err := answer.Err(); redis.HasErrorPrefix(err, "TRYAGAIN") {
			answer.SetErr(fmt.Errorf("%w: its slot of the Redis Cluster is being moved to another node; if it stays so, "+
				"run `redis-cli --cluster fix HOST:PORT`", err))
		}
	}
	return answers
}
