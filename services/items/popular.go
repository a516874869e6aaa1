package items

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/freshet/freshet/services/redisdb"
)

// Scored is an item with its popularity.
type Scored struct {
	ItemID string
	Score  float64
}

//go:embed popular.lua
var popularSource string

var popularScript = redisdb.NewScript(popularSource)

// An event of weight w at time t counts w * 2^(-(now - t) / half-life). Weights are not made smaller as time passes; newer
// ones are made larger instead (forward decay: Cormode et al., ICDE 2009): stored is w * 2^((t - landmark) / half-life), so
// that the order never changes without an event. The landmark is a whole number of half-lives and stays; when events are
// more than 512 half-lives past it, all weights are multiplied by one exact power of two and the landmark moves. A stored
// weight is therefore below 2^513 times what has been added, far from the 2^1023 of a float64, for ever.
//
// The half-life is part of the keys: after a change of the setting popularity starts anew instead of mixing two scales. The
// old keys go with time, as all do after 512 half-lives without an event.
func (s *Store) popularKeys() []string {
	kind := "popular:" + strconv.FormatInt(s.cfg.PopularHalfLife.Milliseconds(), 10)
	return []string{redisdb.Key(s.cfg.KeyPrefix, "shelf", kind), redisdb.Key(s.cfg.KeyPrefix, "shelf", kind+":clock")}
}

// popularChunk bounds how long one script keeps Redis busy.
const popularChunk = 100

// AddPopularity adds weights to items' popularity, for events around the broker's time at. It is not part of the exactly-once
// effect of events: a crash between a profile's write and this call loses weights, a repeated call adds them twice.
func (s *Store) AddPopularity(ctx context.Context, weights map[string]float64, at time.Time) error {
	ids := slices.Sorted(maps.Keys(weights))
	var calls []redisdb.Call
	for chunk := range slices.Chunk(ids, popularChunk) {
		args := []any{s.cfg.PopularHalfLife.Milliseconds(), at.UnixMilli(), s.cfg.PopularKept}
		for _, id := range chunk {
			w := weights[id]
			if math.IsNaN(w) || math.IsInf(w, 0) {
				return fmt.Errorf("popularity weight of item %q is %v: give a finite number", id, w)
			}
			args = append(args, id, w)
		}
		calls = append(calls, redisdb.Call{Keys: s.popularKeys(), Args: args})
	}
	for _, answer := range popularScript.Run(ctx, s.rdb, calls) {
		if err := answer.Err(); err != nil {
			return fmt.Errorf("adding to popularity: %w", err)
		}
	}
	return nil
}

// Popular lists up to n items by popularity, highest first. Scores are decayed to the time of the latest event.
func (s *Store) Popular(ctx context.Context, n int) ([]Scored, error) {
	if n <= 0 {
		return nil, nil
	}
	keys := s.popularKeys()
	pipe := s.rdb.Pipeline()
	weights := pipe.ZRevRangeWithScores(ctx, keys[0], 0, int64(n)-1)
	clock := pipe.HMGet(ctx, keys[1], "landmark", "latest")
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the shelf of popular items: %w", err)
	}
	decay, err := s.decay(clock.Val())
	if err != nil {
		return nil, redisdb.ReadError(keys[1], "delete the key; popularity starts anew", err)
	}
	popular := make([]Scored, len(weights.Val()))
	for i, z := range weights.Val() {
		id, _ := z.Member.(string)
		popular[i] = Scored{ItemID: id, Score: z.Score * decay}
	}
	return popular, nil
}

// decay turns a weight at the landmark into one at the time of the latest event.
func (s *Store) decay(clock []any) (float64, error) {
	if clock[0] == nil && clock[1] == nil {
		return 1, nil
	}
	var parsed [2]float64
	for i, v := range clock {
		text, _ := v.(string)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, errors.New("landmark or latest is no number")
		}
		parsed[i] = n
	}
	halfLife := float64(s.cfg.PopularHalfLife.Milliseconds())
	return math.Exp2((parsed[0]*halfLife - parsed[1]) / halfLife), nil
}
