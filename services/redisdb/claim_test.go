package redisdb

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

func TestClaimIsOneProcesssAtATime(t *testing.T) {
	server := servertest.StartRedis(t)
	key := server.Prefix + ":claim"
	held, first, err := TakeClaim(t.Context(), server.Client, key, 300*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, first.Check(t.Context()))

	impatient, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	_, _, err = TakeClaim(impatient, server.Client, key, 300*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded, "the first renews it")
	require.NoError(t, held.Err())

	require.NoError(t, server.Client.Del(t.Context(), key).Err()) // FLUSHALL
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), ErrClaimLost)
	require.ErrorIs(t, first.Check(t.Context()), ErrClaimLost)

	_, second, err := TakeClaim(t.Context(), server.Client, key, time.Minute)
	require.NoError(t, err)
	require.NoError(t, first.Release(t.Context()))
	require.NoError(t, second.Check(t.Context()), "the first does not give back what is the second's")
	require.NoError(t, second.Release(t.Context()))
	require.Zero(t, server.Client.Exists(t.Context(), key).Val())
}

func TestWholeIsAllOrNothing(t *testing.T) {
	server := servertest.StartRedis(t)
	w := NewWhole(server.Client, server.Prefix, "things")
	is := func() bool {
		whole, err := w.Is(t.Context())
		require.NoError(t, err)
		return whole
	}
	require.False(t, is())
	require.NoError(t, w.Mark(t.Context()))
	require.True(t, is())
	require.NoError(t, server.Client.Del(t.Context(), w.keys[7]).Err())
	require.False(t, is(), "a node of a cluster has lost its part")
	require.NoError(t, w.Mark(t.Context()))
	require.NoError(t, w.Unmark(t.Context()))
	require.False(t, is())
}

func TestEachKeyTakesThePrefixLiterally(t *testing.T) {
	server := servertest.StartRedis(t)
	for _, key := range []string{":a*b:1", ":a*b:2", ":aXb:3"} {
		require.NoError(t, server.Client.Set(t.Context(), server.Prefix+key, "", 0).Err())
	}
	n, err := Remove(t.Context(), server.Client, EscapePattern(server.Prefix+":a*b")+":*")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.Equal(t, []string{server.Prefix + ":aXb:3"}, server.Keys(t))
}
