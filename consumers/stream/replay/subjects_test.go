package replay

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// byValue is a Handler for which a record is about its value.
type byValue struct{ away bool }

func (byValue) Handle(context.Context, []partition.Record) error { return nil }

func (v byValue) Subject(_ context.Context, r *partition.Record) (string, error) {
	switch {
	case len(r.Value) == 0:
		return "", partition.PermanentFor(partition.ReasonOther, errors.New("of nobody"))
	case v.away:
		return "", errors.New("the registry is away")
	}
	return string(r.Value), nil
}

// TestAReplayKeepsTheOrderOfASubject, whatever the keys of its records are.
func TestAReplayKeepsTheOrderOfASubject(t *testing.T) {
	var batch []partition.Record
	for i := range 64 {
		subject := []byte{'a' + byte(i%4)}
		batch = append(batch, partition.Record{Offset: int64(i), Key: []byte{byte(i)}, Value: subject})
	}
	batch = append(batch, partition.Record{Offset: 64, Key: []byte("k")}, partition.Record{Offset: 65, Key: []byte("k")})
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
	require.Equal(t, [][]partition.Record{batch}, sharded(t.Context(), byValue{away: true}, batch, 3), "one part, while nobody can tell")
}
