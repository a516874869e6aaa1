package items

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

// TestAChangeCountsAtOnce: what one store has read and decoded, another changes; the very next read of the first has the change.
func TestAChangeCountsAtOnce(t *testing.T) {
	server := servertest.StartRedis(t)
	cfg := DefaultConfig()
	cfg.KeyPrefix = server.Prefix
	reader, writer := New(server.Client, cfg), New(server.Client, cfg)
	write := func(c Change) {
		outcomes, err := writer.Write(t.Context(), []Change{c})
		require.NoError(t, err)
		require.Equal(t, Applied, outcomes[0].Status)
	}
	load := func() *Item {
		loaded, err := reader.Load(t.Context(), []string{"i"})
		require.NoError(t, err)
		return loaded[0]
	}
	require.Nil(t, load())
	for version := int64(1); version < 10; version += 3 {
		write(upsert("i", version, 1))
		first := load()
		require.Equal(t, version, first.Version)
		require.Same(t, first, load(), "the same bytes are decoded once")
		write(deletion("i", version+1))
		require.True(t, load().Deleted)
	}
	require.NoError(t, server.Client.Del(t.Context(), reader.recordKey("i")).Err())
	require.Nil(t, load(), "a record that is gone is gone")
}

// TestOnlyLatelyReadRecordsAreRemembered: however many are read, what is remembered stays within its bound, and what is asked
// for again and again stays.
func TestOnlyLatelyReadRecordsAreRemembered(t *testing.T) {
	d := newDecoded()
	ids, values, favourite := make([]string, 100), make([]any, 100), &Item{}
	for n := range 5 * decodedKept / 100 {
		found := make([]*Item, 100)
		for i := range ids {
			ids[i], values[i] = fmt.Sprint("i", n, "-", i), fmt.Sprint("v", i)
		}
		ids[0], values[0] = "favourite", "v"
		if !d.find(ids, values, found) {
			for i := range found {
				if found[i] == nil {
					found[i] = &Item{}
				}
			}
			if n == 0 {
				found[0] = favourite
			}
			d.keep(ids, values, found)
		}
		require.LessOrEqual(t, len(d.young)+len(d.old), decodedKept)
		require.Same(t, favourite, found[0])
	}
	stale := []*Item{nil}
	require.False(t, d.find([]string{"favourite"}, []any{"other bytes"}, stale))
	require.Nil(t, stale[0])
}

// BenchmarkLoad reads the records of a page's candidates, beside plain reads of the same keys without any decoding.
func BenchmarkLoad(b *testing.B) {
	const candidates = 200
	server := servertest.StartRedis(b)
	cfg := DefaultConfig()
	cfg.KeyPrefix = server.Prefix
	s := New(server.Client, cfg)
	ids, keys := make([]string, candidates), make([]string, candidates)
	changes := make([]Change, candidates)
	for i := range ids {
		ids[i] = fmt.Sprintf("item-%05d", i)
		keys[i] = s.recordKey(ids[i])
		changes[i] = upsert(ids[i], 1, 1)
	}
	_, err := s.Write(b.Context(), changes)
	require.NoError(b, err)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			pipe := server.Client.Pipeline()
			for _, key := range keys {
				pipe.Get(b.Context(), key)
			}
			_, err := pipe.Exec(b.Context())
			require.NoError(b, err)
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Load(b.Context(), ids)
			require.NoError(b, err)
		}
	})
}
