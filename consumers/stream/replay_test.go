package stream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fetched is a tail whose fetches are there already; each number is the time of a record, in seconds.
func fetchedTail(partition int32, fetches ...[]int64) *tail {
	t := &tail{fetched: make(chan []Record, len(fetches))}
	offset := int64(0)
	for _, times := range fetches {
		var records []Record
		for _, at := range times {
			records = append(records, Record{Partition: partition, Offset: offset, Time: time.Unix(at, 0)})
			offset++
		}
		t.fetched <- records
	}
	close(t.fetched)
	return t
}

func TestMergeGoesByTimeAndKeepsPartitionsInOrder(t *testing.T) {
	m := merge{tails: []*tail{
		fetchedTail(0, []int64{1, 4}, []int64{3, 9}), // the clock of a producer went back
		fetchedTail(1, []int64{2, 5}, []int64{10}),
		fetchedTail(2),
	}}
	var got []Record
	for more := true; more; {
		var batch []Record
		batch, more = m.next(3)
		require.LessOrEqual(t, len(batch), 3)
		got = append(got, batch...)
	}
	var order [][2]int64
	for _, r := range got {
		order = append(order, [2]int64{int64(r.Partition), r.Offset})
	}
	require.Equal(t, [][2]int64{{0, 0}, {1, 0}, {0, 1}, {0, 2}, {1, 1}, {0, 3}, {1, 2}}, order)
}
