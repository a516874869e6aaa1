package stream

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBatchesKeepEveryRecordOnceAndTheirBounds(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{MaxRecords: 1 + rng.IntN(10), MaxBytes: 1 + rng.IntN(200)}
		if seed%2 == 0 {
			cfg.MaxWait = time.Millisecond
		}
		const total = 200
		fetched := make(chan []Record)
		go func() {
			for sent := 0; sent < total; {
				n := min(1+rng.IntN(20), total-sent)
				records := make([]Record, n)
				for i := range records {
					records[i] = Record{Offset: int64(sent + i), Value: make([]byte, rng.IntN(60))}
				}
				sent += n
				fetched <- records
			}
		}()
		b := &batcher{cfg: cfg, fetched: fetched}
		for next := int64(0); next < total; {
			batch := b.next(t.Context())
			require.NotEmpty(t, batch)
			require.LessOrEqual(t, len(batch), cfg.MaxRecords)
			bytes := 0
			for _, r := range batch {
				require.Equal(t, next, r.Offset)
				next++
				bytes += r.Bytes()
			}
			require.True(t, bytes <= cfg.MaxBytes || len(batch) == 1, "%d bytes, the most is %d", bytes, cfg.MaxBytes)
		}
	}
}

func TestBatchWaitsToFillUp(t *testing.T) {
	fetched := make(chan []Record, 3)
	for i := range int64(3) {
		fetched <- []Record{{Offset: i}}
	}
	b := &batcher{cfg: Config{MaxRecords: 3, MaxBytes: 100, MaxWait: time.Hour}, fetched: fetched}
	require.Len(t, b.next(t.Context()), 3)
}

func TestNoBatchBeginsAfterTheEnd(t *testing.T) {
	b := &batcher{cfg: Config{MaxRecords: 3, MaxBytes: 100}, rest: []Record{{}, {}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Nil(t, b.next(ctx))
}
