package redisdb_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/services/redisdb"
)

const manyCalls = 1100 // several pipelines

func incrementAll(server *servertest.Redis) (calls []redisdb.Call) {
	for i := range manyCalls {
		calls = append(calls, redisdb.Call{Keys: []string{redisdb.Key(server.Prefix, fmt.Sprint(i), "n")}, Args: []any{i}})
	}
	return calls
}

// TestAScriptRunsForManyKeys, whether or not the server knows it, and the answers are in the order of the calls.
func TestAScriptRunsForManyKeys(t *testing.T) {
	server := servertest.StartRedis(t)
	script := redisdb.NewScript("redis.call('INCRBY', KEYS[1], ARGV[1]) return ARGV[1]")
	for round := range 2 {
		answers := script.Run(t.Context(), server.Client, incrementAll(server))
		require.Len(t, answers, manyCalls)
		for i, answer := range answers {
			got, err := answer.Text()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), got)
			require.Equal(t, fmt.Sprint((round+1)*i), server.Client.Get(t.Context(), redisdb.Key(server.Prefix, fmt.Sprint(i), "n")).Val())
		}
	}
	require.Empty(t, script.Run(t.Context(), server.Client, nil))
}

// TestCallsBehindAnUnansweredPipelineAreNotSent: a server that hangs must cost one timeout, not one for each pipeline. What it
// refuses it has answered.
func TestCallsBehindAnUnansweredPipelineAreNotSent(t *testing.T) {
	server := servertest.StartRedis(t)
	script := redisdb.NewScript("return 1")
	cfg := redisdb.DefaultConfig()
	cfg.Addresses = server.Addresses
	rdb := connect(t, cfg)
	require.NoError(t, script.Run(t.Context(), rdb, incrementAll(server))[0].Err())

	server.Fail("EVALSHA", faults.Every, "OOM command not allowed")
	before := server.Calls("EVALSHA")
	for _, answer := range script.Run(t.Context(), rdb, incrementAll(server)) {
		require.ErrorContains(t, answer.Err(), "OOM")
	}
	require.Equal(t, manyCalls, server.Calls("EVALSHA")-before)

	server.ClearFaults()
	server.Stop()
	answers := script.Run(t.Context(), rdb, incrementAll(server))
	require.Len(t, answers, manyCalls)
	for _, answer := range answers {
		require.Equal(t, answers[0].Err(), answer.Err())
		require.Error(t, answer.Err())
	}
	require.NoError(t, server.Restart())
}
