package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/producers/kafkaio"
)

// counting prints what it gets, and cannot read one of the records.
type counting struct{ done chan struct{} }

func (c counting) Handle(_ context.Context, batch []stream.Record) error {
	var failures stream.Failures
	for i, r := range batch {
		if string(r.Value) == "poison" {
			failures = append(failures, stream.Failure{Index: i, Err: stream.Permanent(errors.New("it makes no sense"))})
			continue
		}
		fmt.Println("handled", string(r.Value))
		if string(r.Value) == "last" {
			close(c.done)
		}
	}
	return failures
}

// A Consumer hands a topic to its Handler in order. What fails for good becomes a dead letter, and the rest goes on.
func ExampleConsumer() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	broker, err := embedded.StartKafka(ctx, embedded.Config{}) // yours has an address of its own
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	log := slog.New(slog.DiscardHandler)
	config := kafkaio.DefaultConfig()
	config.Brokers = []string{broker.Addr()}
	writer := kafkaio.NewWriter(config, kafkaio.DefaultWriterConfig(), log)
	for _, topic := range []string{"words", stream.DeadLetterTopic("words")} {
		if err := broker.CreateTopic(topic, 1, nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	letters := stream.NewDeadLetters(config, writer)
	for _, word := range []string{"first", "poison", "last"} {
		if _, err := writer.Write(ctx, kafkaio.Message{Topic: "words", Key: []byte("k"), Value: []byte(word)}); err != nil {
			fmt.Println(err)
			return
		}
	}

	handler := counting{make(chan struct{})}
	consumer := stream.NewConsumer(config, stream.DefaultConfig(), "counters", "words", handler, letters, log)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- consumer.Run(running) }()
	<-handler.done
	stop() // what is in the handler is finished and committed first
	fmt.Println("ended:", <-ended)
	_ = letters.List(ctx, "words", stream.Selection{}, func(l stream.DeadLetter) error {
		fmt.Println("dead letter:", string(l.Original.Value), "because", l.Reason)
		return nil
	})
	_ = writer.Close(ctx)

	// Output:
	// handled first
	// handled last
	// ended: <nil>
	// dead letter: poison because it makes no sense
}
