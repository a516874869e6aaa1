package stream

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// byValue is a Handler for which a record is about its value.
type byValue struct{ away bool }

func (byValue) Handle(context.Context, []Record) error { return nil }

func (v byValue) Subject(_ context.Context, r *Record) (string, error) {
	switch {
	case len(r.Value) == 0:
		return "", Permanent(errors.New("of nobody"))
	case v.away:
		return "", errors.New("the registry is away")
	}
	return string(r.Value), nil
}

// TestAReplayKeepsTheOrderOfASubject, whatever the keys of its records are.
func TestAReplayKeepsTheOrderOfASubject(t *testing.T) {
	var batch []Record
	for i := range 64 {
		subject := []byte{'a' + byte(i%4)}
		batch = append(batch, Record{Offset: int64(i), Key: []byte{byte(i)}, Value: subject})
	}
	batch = append(batch, Record{Offset: 64, Key: []byte("k")}, Record{Offset: 65, Key: []byte("k")})
	parts := sharded(t.Context(), byValue{}, batch, 3)
	home, last, n := map[string]int{}, map[string]int64{}, 0
	for at, part := range parts {
		for _, r := range part {
			who := string(r.Value)
			if of, known := home[who]; known {
				require.Equal(t, of, at, who)
				require.Greater(t, r.Offset, last[who])
			}
			home[who], last[who] = at, r.Offset
			n++
		}
	}
	require.Equal(t, len(batch), n)
	require.Equal(t, [][]Record{batch}, sharded(t.Context(), byValue{away: true}, batch, 3), "one part, while nobody can tell")
}

// TestANoticeIsShort: at once, then once a minute, with the number of records that were not told.
func TestANoticeIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		n := NewNotice(slog.New(slog.NewTextHandler(&log, nil)), "odd", "mend it")
		for i := range 1000 {
			n.Of(&Record{Topic: "t", Partition: 2, Offset: int64(i), Key: []byte("secret")})
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 2, strings.Count(log.String(), "msg=odd"), "%s", &log)
		require.Contains(t, log.String(), "records=1 topic=t partition=2 offset=0 remedy=\"mend it\"")
		require.Contains(t, log.String(), "records=600 topic=t partition=2 offset=600")
		require.NotContains(t, log.String(), "secret")
	})
}
