package redisdb

import (
	"context"
	"fmt"

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

// Run runs the script for each call, in one pipeline, and returns the answers in the order of the calls; each has its own
// error. The order of execution is that of the calls only where they are for one key, and only if the server knew the
// script: calls that a server refuses because it does not know the script yet (a new server, a failover, SCRIPT FLUSH)
// are sent again with the source, in a second pipeline.
func (s *Script) Run(ctx context.Context, rdb redis.UniversalClient, calls []Call) []*redis.Cmd {
	answers := make([]*redis.Cmd, len(calls))
	if len(calls) == 0 {
		return answers
	}
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
