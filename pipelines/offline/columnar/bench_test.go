//go:build unix

package columnar

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// event is a row of a table of interactions.
type event struct {
	EventID    string   `parquet:"event_id"`
	UserID     string   `parquet:"user_id,dict"`
	ItemID     string   `parquet:"item_id,dict"`
	Type       string   `parquet:"type,dict"`
	Value      *float64 `parquet:"value,optional"`
	OccurredAt int64    `parquet:"occurred_at,timestamp(millisecond)"`
}

func eventsFile(b *testing.B, n int, codec compress.Codec) []byte {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	users, items := rand.NewZipf(rng, 1.2, 1, 200_000), rand.NewZipf(rng, 1.15, 1, 50_000)
	events := make([]event, n)
	for i := range events {
		e := event{
			EventID: fmt.Sprintf("%016x", rng.Uint64()), UserID: fmt.Sprint("u", users.Uint64()), ItemID: fmt.Sprint("item-", items.Uint64()),
			Type: []string{"view", "click", "add_to_cart", "purchase"}[rng.IntN(4)], OccurredAt: 1_700_000_000_000 + int64(i)*500,
		}
		if rng.IntN(2) == 0 {
			e.Value = new(float64(rng.IntN(10_000)) / 100)
		}
		events[i] = e
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[event](&out, parquet.Compression(codec), parquet.PageBufferSize(1<<20))
	_, err := w.Write(events)
	require.NoError(b, err)
	require.NoError(b, w.Close())
	return out.Bytes()
}

// cpu is the time that this process has computed so far, which does not depend on what else the machine does.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkRows reads interactions, beside the floor of unpacking the same pages and no more. Compare cpu-ns/row within one run.
func BenchmarkRows(b *testing.B) {
	const n = 200_000
	for name, codec := range map[string]compress.Codec{"zstd": &parquet.Zstd, "snappy": &parquet.Snappy} {
		file := eventsFile(b, n, codec)
		f := open(b, file)
		report := func(b *testing.B, since time.Duration) {
			b.ReportMetric(float64(cpu(b)-since)/float64(b.N*n), "cpu-ns/row")
		}
		b.Run(name+"/rows", func(b *testing.B) {
			b.ReportAllocs()
			sum, begin := 0, cpu(b)
			for b.Loop() {
				rows, err := f.Rows(f.Names()...)
				require.NoError(b, err)
				for rows.Next() {
					for i := range rows.columns {
						sum += len(rows.Cell(i).Values[0].Text)
					}
				}
				require.NoError(b, rows.Err())
				rows.Close()
			}
			require.Positive(b, sum)
			report(b, begin)
		})
		b.Run(name+"/floor", func(b *testing.B) {
			begin := cpu(b)
			for b.Loop() {
				unpackAll(b, f)
			}
			report(b, begin)
		})
	}
}

// unpackAll unpacks all pages, and decodes none.
func unpackAll(b *testing.B, f *File) {
	b.Helper()
	shared := shared{most: 1 << 30}
	defer shared.close()
	for _, c := range f.columns {
		for g := range f.meta.RowGroups {
			p := pages{leaf: c.leaves[0], file: f, shared: &shared}
			require.NoError(b, p.begin(&f.meta.RowGroups[g].Columns[p.index]))
			for p.at < p.end {
				require.NoError(b, p.readHeader())
				packed, err := shared.sized(shared.packed, int64(p.header.Packed))
				require.NoError(b, err)
				shared.packed = packed
				require.NoError(b, f.readAt(packed, p.at))
				p.at += int64(len(packed))
				if p.header.Type == format.DataPageV2 {
					packed = packed[p.header.DataV2.V.RepetitionBytes+p.header.DataV2.V.DefinitionBytes:]
					p.header.Unpacked -= p.header.DataV2.V.RepetitionBytes + p.header.DataV2.V.DefinitionBytes
				}
				p.body, err = p.unpack(p.body, nil, packed, true)
				require.NoError(b, err)
			}
		}
	}
}
