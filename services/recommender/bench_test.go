package recommender_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

// BenchmarkRecommend answers pages of 10 from a catalogue of 2000 items on the embedded servers, a batch at a time, and
// reports what one request takes: in all, and, asked to explain in a run of its own, in each stage.
func BenchmarkRecommend(b *testing.B) {
	const users = 64
	r := newRig(b, func(o *options) {
		o.ranking = ranking.DefaultConfig()
		o.LiveRefresh, o.ShelfRefresh = 1<<40, 1<<40
	})
	r.stock(b, 2000, nil)
	for u := range users {
		r.click(b, fmt.Sprint("user", u), itemIDs(7*u, 7*u+10)...)
	}
	for _, n := range []int{1, 32, 64} {
		batch := make([]schemas.RecommendationRequest, n)
		for i := range batch {
			batch[i] = request(fmt.Sprint("user", i), 10)
		}
		b.Run(fmt.Sprint("batch=", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Recommend(b.Context(), batch, func(_ int, reply schemas.RecommendationReply) {
					if len(reply.Items) != 10 {
						b.Errorf("%+v", reply)
					}
				})
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/request")
			b.StopTimer()
			for stage, micros := range r.stages(b, batch) {
				b.ReportMetric(micros/float64(n), stage+"-µs/request")
			}
		})
	}
}

// stages is how long each stage takes for a whole batch, on average over some runs. Only one request asks to explain, since
// explaining costs by itself.
func (r *rig) stages(b *testing.B, batch []schemas.RecommendationRequest) map[string]float64 {
	const runs = 20
	batch[0].Explain = true
	defer func() { batch[0].Explain = false }()
	sums := map[string]float64{}
	for range runs {
		reply := r.askAll(b, batch...)[0]
		require.NotEmpty(b, reply.Timings)
		for _, timing := range reply.Timings {
			if timing.Stage != "plan" { // all but nothing without explaining
				sums[timing.Stage] += float64(timing.Micros) / runs
			}
		}
	}
	return sums
}
