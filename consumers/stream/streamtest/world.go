package streamtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// World is a broker with a topic.
type World struct {
	*servertest.Kafka
	T      testing.TB
	Config kafkaio.Config
	Client *kafka.Client
	Writer *kafkaio.Writer
	Topic  string
}

// New returns a World whose topic has so many partitions.
func New(t testing.TB, partitions int) *World {
	t.Helper()
	k := servertest.StartKafka(t)
	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = []string{k.Addr()}
	w := &World{Kafka: k, T: t, Config: cfg, Client: cfg.Client(), Topic: k.Name("events")}
	w.Writer = kafkaio.NewWriter(cfg, kafkaio.DefaultWriterConfig(), Quiet())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.Writer.Close(ctx)
		kafkaio.CloseIdle(w.Client)
	})
	w.Create(w.Topic, partitions)
	return w
}

func (w *World) check(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Create makes a topic.
func (w *World) Create(name string, partitions int, settings ...kafka.ConfigEntry) {
	w.T.Helper()
	values := map[string]string{}
	for _, s := range settings {
		values[s.ConfigName] = s.ConfigValue
	}
	w.check(w.CreateTopic(name, int32(partitions), values))
}

// Write writes values to one partition of the topic.
func (w *World) Write(partition int32, values ...string) {
	w.T.Helper()
	for _, v := range values {
		w.Send(kafkaio.Message{Partition: partition, Key: []byte("k-" + v), Value: []byte(v)})
	}
}

// Send writes a message, to the topic unless it names another.
func (w *World) Send(m kafkaio.Message) kafkaio.Position {
	w.T.Helper()
	if m.Topic == "" {
		m.Topic = w.Topic
	}
	at, err := w.Writer.Write(w.T.Context(), m)
	w.check(err)
	return at
}

// Fill writes n numbered records to the partitions in turn, many at a time.
func (w *World) Fill(from, n, partitions int) {
	w.T.Helper()
	var acks sync.WaitGroup
	acks.Add(n)
	for i := from; i < from+n; i++ {
		m := kafkaio.Message{Topic: w.Topic, Partition: int32(i % partitions), Value: binary.BigEndian.AppendUint32(nil, uint32(i))}
		w.check(w.Writer.Enqueue(w.T.Context(), m, func(_ kafkaio.Position, err error) {
			defer acks.Done()
			if err != nil {
				w.T.Error(err)
			}
		}))
	}
	acks.Wait()
}

// NumberOf returns which record of Fill has a value.
func NumberOf(value []byte) int { return int(binary.BigEndian.Uint32(value)) }

// ProduceBatch writes records to partition 0 as one record batch.
func (w *World) ProduceBatch(records ...kafka.Record) {
	w.T.Helper()
	resp, err := w.Client.Produce(w.T.Context(), &kafka.ProduceRequest{
		Topic: w.Topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	w.check(err)
	w.check(resp.Error)
}

// Keyed is a record of so many zeroes.
func Keyed(key string, size int) kafka.Record {
	return kafka.Record{Key: kafka.NewBytes([]byte(key)), Value: kafka.NewBytes(make([]byte, size))}
}

// Plain are records of partition 0 to write in a transaction.
func (w *World) Plain(values ...string) (records []*kgo.Record) {
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: w.Topic, Partition: 0, Key: []byte("k"), Value: []byte(v)})
	}
	return records
}

// WriteTransactions writes to partition 0: two committed, two aborted, with an aborted one of another producer between the records
// of a committed one; a tombstone that is aborted; and at last an empty one, which leaves its marker alone.
func (w *World) WriteTransactions() (want []string) {
	w.T.Helper()
	a, b := w.Transactions(), w.Transactions()
	a.Write(w.Plain("a1", "a2")...)
	a.End(kgo.TryCommit)
	b.Write(w.Plain("aborted")...)
	a.Write(w.Plain("a3")...)
	b.Write(w.Plain("aborted too")...)
	b.Write(&kgo.Record{Topic: w.Topic, Key: []byte("k")})
	b.End(kgo.TryAbort)
	a.Write(w.Plain("a4")...)
	a.End(kgo.TryCommit)
	w.Send(kafkaio.Message{Key: []byte("k"), Value: []byte("plain")})
	b.Write(w.Plain("b1")...)
	b.End(kgo.TryCommit)
	b.Write(w.Plain("aborted last")...)
	b.End(kgo.TryAbort)
	return []string{"a1", "a2", "a3", "a4", "plain", "b1"}
}

// Seen is a value that was read of WriteTransactions.
func (w *World) Seen(value []byte) string {
	w.T.Helper()
	if value == nil {
		w.T.Error("a tombstone that was aborted")
	}
	return string(value)
}

// Values are n values.
func Values(n int) []string {
	v := make([]string, n)
	for i := range v {
		v[i] = fmt.Sprintf("v%03d", i)
	}
	return v
}

// Quiet logs nothing, or with -v everything.
func Quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}
