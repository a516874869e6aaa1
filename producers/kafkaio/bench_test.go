package kafkaio_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers/kafkaio"
)

// BenchmarkWrite has so many callers wait for their acknowledgement, and reports the median and the 99th percentile of the
// wait: group commit beside kafka-go's Writer, which waits for its timer.
func BenchmarkWrite(b *testing.B) {
	for _, partitions := range []int{1, 8} {
		for _, callers := range []int{1, 32, 256} {
			name := fmt.Sprintf("partitions=%d/callers=%d", partitions, callers)
			b.Run("group-commit/"+name, func(b *testing.B) {
				br := startBroker(b, int32(partitions), nil)
				w := br.writer(b, nil)
				benchCallers(b, callers, func(key, value []byte) error {
					_, err := w.Write(b.Context(), kafkaio.Message{
						Topic: br.topic, Partition: kafkaio.AnyPartition, Key: key, Value: value,
					})
					return err
				})
			})
			b.Run("kafka-go-writer/"+name, func(b *testing.B) {
				br := startBroker(b, int32(partitions), nil)
				transport := &kafka.Transport{}
				defer transport.CloseIdleConnections()
				w := &kafka.Writer{
					Transport: transport,
					Addr:      kafka.TCP(br.Addr()), Topic: br.topic, RequiredAcks: kafka.RequireAll,
					Balancer: kafka.Murmur2Balancer{}, BatchTimeout: time.Millisecond,
				}
				defer func() { require.NoError(b, w.Close()) }()
				benchCallers(b, callers, func(key, value []byte) error {
					return w.WriteMessages(b.Context(), kafka.Message{Key: key, Value: value})
				})
			})
		}
	}
}

// benchCallers shares b.N writes of 1 kB among concurrent callers.
func benchCallers(b *testing.B, callers int, write func(key, value []byte) error) {
	value := make([]byte, 1024)
	require.NoError(b, write([]byte("warm"), value))
	waits := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for i := c; i < b.N; i += callers {
				start := time.Now()
				if err := write(fmt.Appendf(nil, "user-%d", i), value); err != nil {
					b.Error(err)
					return
				}
				waits[c] = append(waits[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(waits...)
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkEnqueue writes without waiting for each answer.
func BenchmarkEnqueue(b *testing.B) {
	for _, partitions := range []int{1, 8} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			br := startBroker(b, int32(partitions), nil)
			w := br.writer(b, nil)
			value := make([]byte, 200)
			b.ReportAllocs()
			for i := range b.N {
				m := kafkaio.Message{
					Topic: br.topic, Partition: kafkaio.AnyPartition, Key: fmt.Appendf(nil, "user-%d", i), Value: value,
				}
				if err := w.Enqueue(b.Context(), m, func(_ kafkaio.Position, err error) {
					if err != nil {
						b.Error(err)
					}
				}); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, w.Close(b.Context()))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
