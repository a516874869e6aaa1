package stream

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream/streamtest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// BenchmarkRead compares a Consumer and a Gatherer whose handlers do nothing with kafka-go's bare Reader, over the same
// partition in the same run. One op is a pass over all of its records.
func BenchmarkRead(b *testing.B) {
	const records = 300_000
	w := newWorld(b, 1)
	value := make([]byte, 110)
	for range records / 1000 {
		batch := make([]kafka.Record, 1000)
		for i := range batch {
			batch[i] = kafka.Record{Key: kafka.NewBytes([]byte("user-123456")), Value: kafka.NewBytes(value)}
		}
		_, err := w.Client.Produce(b.Context(), &kafka.ProduceRequest{
			Topic: testTopic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(batch...),
		})
		require.NoError(b, err)
	}
	report := func(b *testing.B) { b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s") }

	b.Run("reader", func(b *testing.B) {
		for b.Loop() {
			r := kafka.NewReader(kafka.ReaderConfig{
				Brokers: w.Config.Brokers, Topic: testTopic, MinBytes: 1, MaxBytes: 1 << 20, QueueCapacity: 1000,
				MaxWait: 100 * time.Millisecond, ReadLagInterval: -1,
			})
			for range records {
				_, err := r.FetchMessage(b.Context())
				require.NoError(b, err)
			}
			require.NoError(b, r.Close())
		}
		report(b)
	})
	b.Run("consumer", func(b *testing.B) {
		for b.Loop() {
			var n int
			all := make(chan struct{})
			cfg := DefaultConfig()
			handler := HandlerFunc(func(_ context.Context, batch []Record) error {
				if n += len(batch); n == records {
					close(all)
				}
				return nil
			})
			c := NewConsumer(w.Config, cfg, b.Name()+time.Now().String(), testTopic, handler, w.letters(), streamtest.Quiet())
			run := start(b, c)
			<-all
			require.NoError(b, run.drain())
		}
		report(b)
	})
	b.Run("gatherer", func(b *testing.B) {
		for b.Loop() {
			var n atomic.Int64
			all := make(chan struct{})
			g := NewGatherer(w.Config, DefaultGatherConfig(), b.Name()+time.Now().String(), testTopic,
				GatherFunc(func(_ context.Context, batch []*Delivery) {
					for _, d := range batch {
						d.Done(nil)
					}
					if n.Add(int64(len(batch))) == records {
						close(all)
					}
				}), w.letters(), streamtest.Quiet())
			run := start(b, g)
			<-all
			require.NoError(b, run.drain())
		}
		report(b)
	})
}

// BenchmarkLatency measures one lone record: from before it is written to when its handler has it, and, for comparison, the
// write alone.
func BenchmarkLatency(b *testing.B) {
	w := newWorld(b, 8)
	send := func(b *testing.B) {
		_, err := w.Writer.Write(b.Context(), kafkaio.Message{Topic: testTopic, Partition: 3, Value: []byte("v")})
		require.NoError(b, err)
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			send(b)
		}
	})
	arrived := make(chan struct{}, 1)
	b.Run("consumer", func(b *testing.B) {
		cfg := DefaultConfig()
		cfg.Group.StartAt = StartLast
		c := NewConsumer(w.Config, cfg, "consumer"+time.Now().String(), testTopic, HandlerFunc(func(context.Context, []Record) error {
			arrived <- struct{}{}
			return nil
		}), w.letters(), streamtest.Quiet())
		run := start(b, c)
		require.Eventually(b, c.Ready, patience, tick)
		for b.Loop() {
			send(b)
			<-arrived
		}
		require.NoError(b, run.drain())
	})
	b.Run("gatherer", func(b *testing.B) {
		cfg := DefaultGatherConfig()
		cfg.Group.StartAt = StartLast
		g := NewGatherer(w.Config, cfg, "gatherer"+time.Now().String(), testTopic, GatherFunc(func(_ context.Context, batch []*Delivery) {
			for _, d := range batch {
				d.Done(nil)
				arrived <- struct{}{}
			}
		}), w.letters(), streamtest.Quiet())
		run := start(b, g)
		require.Eventually(b, g.Ready, patience, tick)
		for b.Loop() {
			send(b)
			<-arrived
		}
		require.NoError(b, run.drain())
	})
}
