package profiles

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

const (
	benchBatch = 500
	benchUsers = 400
	benchItems = 200
)

// benchRig has users with full histories, and a tower of production size.
func benchRig(b *testing.B) (*rig, func(batch int64) []Event) {
	r := newRig(b)
	_, tower := towertest.Towers(towertest.Shape{Version: "m1", Dim: 64, Layers: 2, Reads: towertest.Everything}, nil)
	r.live = []*towers.UserTower{tower}
	rng := random(1)
	for i := range benchItems {
		vector := make([]float32, tower.Dim())
		for j := range vector {
			vector[j] = float32(rng.NormFloat64())
		}
		r.putVector(b, "m1", fmt.Sprint("item-", i), vector)
	}
	events := func(batch int64) []Event {
		list := make([]Event, benchBatch)
		for i := range list {
			offset := batch*benchBatch + int64(i)
			list[i] = at(offset, offset, schemas.Click, fmt.Sprint("item-", rng.IntN(benchItems)))
			list[i].UserID = fmt.Sprint("user-", offset%benchUsers)
		}
		return list
	}
	for batch := range int64(r.cfg.HistoryLength * benchUsers / benchBatch) {
		r.apply(b, events(batch)...)
	}
	return r, events
}

// BenchmarkApply against BenchmarkRawWrite, in one run, tells what the fold and the tower cost over the bare writes.
func BenchmarkApply(b *testing.B) {
	r, events := benchRig(b)
	batch := int64(r.cfg.HistoryLength * benchUsers / benchBatch)
	for b.Loop() {
		b.StopTimer()
		list := events(batch)
		batch++
		b.StartTimer()
		require.Equal(b, benchBatch, r.apply(b, list...).Applied)
	}
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRawWrite writes the same bytes for the same users in one pipeline, and nothing else.
func BenchmarkRawWrite(b *testing.B) {
	r, _ := benchRig(b)
	profiles := make([]map[string]string, benchUsers)
	for i := range profiles {
		var err error
		profiles[i], err = r.client.HGetAll(b.Context(), r.profileKey(fmt.Sprint("user-", i))).Result()
		require.NoError(b, err)
	}
	for b.Loop() {
		pipe := r.client.Pipeline()
		for i, p := range profiles {
			pipe.HSet(b.Context(), r.profileKey(fmt.Sprint("user-", i)), p)
		}
		_, err := pipe.Exec(b.Context())
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "events/s")
}

// always is a model that every event moves.
type always struct{}

func (always) reads(int, schemas.InteractionType) bool { return true }
func (always) has(int, string) bool                    { return true }
func (always) reach(int) int                           { return 0 }

// BenchmarkFold is the part that neither Redis nor the tower has in it.
func BenchmarkFold(b *testing.B) {
	h := history{}
	for i := range int64(64) {
		e := at(i, i, schemas.Click, fmt.Sprint("item-", i))
		h, _, _ = h.insert(entryOf(&e, schemas.RatingScale{}), 64, func(*Entry) {})
	}
	packed, e := string(packHistory(h)), at(100, 100, schemas.Click, "item-3")
	for b.Loop() {
		st := &stored{}
		st.history, _ = unpackHistory(packed)
		p := foldUser(st, []*taste{{}}, []*Event{&e}, []int{0}, DefaultConfig().limits(), always{})
		packHistory(p.history)
	}
}
