package topics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Report is what Ensure did and found.
type Report struct {
	// Created are the topics that were missing.
	Created []string
	// Differences are where a topic that exists is not as configured.
	Differences []Difference
}

// Difference is one property of a topic that is not as configured.
type Difference struct {
	Topic string
	// Property is "partitions", "replication" or a topic setting by Kafka's name.
	Property   string
	Want, Have string
	// Remedy says what an operator may do.
	Remedy string
}

func (d Difference) Error() string {
	return fmt.Sprintf("topic %s has %s %s instead of %s: %s", d.Topic, d.Property, d.Have, d.Want, d.Remedy)
}

// Err returns the differences as one error, nil when there are none.
func (r Report) Err() error {
	var errs []error
	for _, d := range r.Differences {
		errs = append(errs, d)
	}
	return errors.Join(errs...)
}

// Ensure creates the topics that are missing, waits until they can be written to, and reports how the others differ from the
// configuration. Many processes may do so at once.
func Ensure(ctx context.Context, k kafkaio.Config, c Config) (Report, error) {
	if err := c.Validate(); err != nil {
		return Report{}, fmt.Errorf("checking the topics' configuration: %w", err)
	}
	client := k.Client()
	defer kafkaio.CloseIdle(client)

	before, err := describe(ctx, client, c.Names())
	if err != nil {
		return Report{}, err
	}
	var missing []wish
	for i, w := range c.wishes() {
		if before[i].Missing {
			missing = append(missing, w)
		}
	}
	report := Report{}
	if report.Created, err = create(ctx, client, missing); err != nil {
		return report, err
	}
	after, err := awaitLeaders(ctx, client, c.Names())
	if err != nil {
		return report, err
	}
	for i, w := range c.wishes() {
		report.Differences = append(report.Differences, w.compare(after[i])...)
	}
	return report, nil
}

// create makes topics and returns those that it made. One that another process made in the meantime is no error: Ensure
// compares it like any other.
func create(ctx context.Context, client *kafka.Client, missing []wish) (created []string, err error) {
	if len(missing) == 0 {
		return nil, nil
	}
	req := &kafka.CreateTopicsRequest{}
	for _, w := range missing {
		t := kafka.TopicConfig{Topic: w.Name, NumPartitions: w.Partitions, ReplicationFactor: w.replication}
		if w.replication == 0 {
			t.ReplicationFactor = -1 // the broker's default (KIP-464)
		}
		for name, value := range w.settings {
			t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := client.CreateTopics(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("creating topics: %w", err)
	}
	var errs []error
	for _, w := range missing {
		switch err := resp.Errors[w.Name]; {
		case err == nil:
			created = append(created, w.Name)
		case !errors.Is(err, kafka.TopicAlreadyExists):
			errs = append(errs, fmt.Errorf("creating topic %s: %w", w.Name, err))
		}
	}
	return created, errors.Join(errs...)
}

// awaitLeaders describes topics once all of them exist and each partition has a leader that knows it is: a cluster takes a
// moment to spread the news of a topic.
func awaitLeaders(ctx context.Context, client *kafka.Client, names []string) ([]Description, error) {
	const pause = 100 * time.Millisecond
	for {
		list, err := describe(ctx, client, names)
		if err != nil {
			return nil, err
		}
		waiting, err := unready(ctx, client, list)
		if err != nil {
			return nil, err
		}
		if waiting == "" {
			return list, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for topic %s to get leaders: %w", waiting, ctx.Err())
		case <-time.After(pause):
		}
		kafkaio.CloseIdle(client) // the client would answer from what it saw last
	}
}

// unready names a topic that cannot be written to yet; empty when all can.
func unready(ctx context.Context, client *kafka.Client, list []Description) (string, error) {
	for _, d := range list {
		if d.Missing || len(d.Partitions) == 0 {
			return d.Name, nil
		}
		for _, p := range d.Partitions {
			if p.Leader < 0 {
				return d.Name, nil
			}
		}
		// The metadata may name a leader before that broker has heard of its election.
		err := addOffsets(ctx, client, &d)
		if errors.Is(err, kafka.NotLeaderForPartition) || errors.Is(err, kafka.UnknownTopicOrPartition) {
			return d.Name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
