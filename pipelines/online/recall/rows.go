package recall

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// Rows reads what a topic holds: the newest row of each key, by model, window, segment and k. Records that are no rows, or make no
// sense, are left out.
func Rows(
	ctx context.Context, k kafkaio.Config, topic string, serde *schemas.Serde[schemas.Recall], limits schemas.Limits,
) ([]schemas.Recall, error) {
	newest := map[string]schemas.Recall{}
	err := replay.Scan(ctx, k, topic, func(r stream.Record) error {
		if r.Value == nil {
			delete(newest, string(r.Key))
			return nil
		}
		row, err := serde.Decode(ctx, r.Value, &r)
		if err != nil {
			return lasting(err)
		}
		if limits.Recall(&row, time.Now()) == nil {
			newest[string(r.Key)] = row
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the rows of %s: %w", topic, err)
	}
	rows := make([]schemas.Recall, 0, len(newest))
	for _, row := range newest {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b schemas.Recall) int {
		if c := strings.Compare(a.ModelVersion, b.ModelVersion); c != 0 {
			return c
		}
		if c := a.WindowStart.Compare(b.WindowStart); c != 0 {
			return c
		}
		if c := strings.Compare(a.Segment, b.Segment); c != 0 {
			return c
		}
		return int(a.K) - int(b.K)
	})
	return rows, nil
}

// reported is the end of the last window of a model whose rows are all there; the zero time where there is none. The row that is
// written last is that of all users with the largest k.
func reported(rows []schemas.Recall, model string) (end time.Time) {
	largest, last := map[int64]int32{}, map[int64]int32{} // by the window's end
	for i := range rows {
		r := &rows[i]
		if r.ModelVersion != model {
			continue
		}
		at := r.WindowEnd.UnixMilli()
		largest[at] = max(largest[at], r.K)
		if r.Segment == schemas.SegmentAll {
			last[at] = max(last[at], r.K)
		}
	}
	for at, k := range largest {
		if last[at] == k && time.UnixMilli(at).After(end) {
			end = time.UnixMilli(at).UTC()
		}
	}
	return end
}
