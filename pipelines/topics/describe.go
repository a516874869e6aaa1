package topics

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Description is a topic as it is.
type Description struct {
	Name string
	// Missing says that there is no such topic; the other fields are then empty.
	Missing    bool
	Partitions []Partition
	// Replication is the least number of replicas of a partition.
	Replication int
	// Settings are the topic's effective settings by Kafka's names, the brokers' defaults included.
	Settings map[string]string
}

// Partition is a partition as it is.
type Partition struct {
	ID int32
	// Leader is the id of the leading broker; -1 while there is none.
	Leader int
	// Replicas and InSync are broker ids.
	Replicas, InSync []int
	// Begin and End are the offsets of the first record and of the next one to be written. Both are -1 without a leader.
	Begin, End int64
}

// Records is how many offsets the topic's partitions span: the number of records, but for those that compaction removed.
func (d Description) Records() int64 {
	var n int64
	for _, p := range d.Partitions {
		n += p.End - p.Begin
	}
	return n
}

// Describe tells how topics stand, in the order of names.
func Describe(ctx context.Context, k kafkaio.Config, names ...string) ([]Description, error) {
	client := k.Client()
	defer kafkaio.CloseIdle(client)
	list, err := describe(ctx, client, names)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := addOffsets(ctx, client, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// describe is Describe without offsets.
func describe(ctx context.Context, client *kafka.Client, names []string) ([]Description, error) {
	list, err := look(ctx, client, names)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, d := range list {
		if !d.Missing {
			known = append(known, d.Name)
		}
	}
	settings, err := topicSettings(ctx, client, known)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Settings = settings[list[i].Name]
	}
	return list, nil
}

// look is describe without settings: those take a right of their own, which only operators need.
func look(ctx context.Context, client *kafka.Client, names []string) ([]Description, error) {
	resp, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: slices.Clone(names)})
	if err != nil {
		return nil, fmt.Errorf("asking the brokers at %s for topics: %w", client.Addr, err)
	}
	list := make([]Description, len(names))
	for i, t := range resp.Topics {
		list[i].Name = t.Name
		switch {
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition):
			list[i].Missing = true
		case t.Error != nil && !errors.Is(t.Error, kafka.LeaderNotAvailable):
			return nil, fmt.Errorf("asking for topic %s: %w", t.Name, t.Error)
		default:
			list[i].addPartitions(t.Partitions)
		}
	}
	return list, nil
}

func (d *Description) addPartitions(partitions []kafka.Partition) {
	for i, p := range partitions {
		leader := p.Leader.ID
		if p.Leader.Host == "" {
			leader = -1
		}
		d.Partitions = append(d.Partitions, Partition{
			ID: int32(p.ID), Leader: leader, Replicas: brokerIDs(p.Replicas), InSync: brokerIDs(p.Isr), Begin: -1, End: -1,
		})
		if i == 0 || len(p.Replicas) < d.Replication {
			d.Replication = len(p.Replicas)
		}
	}
}

func brokerIDs(brokers []kafka.Broker) []int {
	ids := make([]int, len(brokers))
	for i, b := range brokers {
		ids[i] = b.ID
	}
	return ids
}

// topicSettings returns the effective settings of topics.
func topicSettings(ctx context.Context, client *kafka.Client, names []string) (map[string]map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	req := &kafka.DescribeConfigsRequest{}
	for _, name := range names {
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: name,
		})
	}
	resp, err := client.DescribeConfigs(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("asking for topic settings: %w", err)
	}
	settings := make(map[string]map[string]string, len(names))
	for _, r := range resp.Resources {
		if r.Error != nil {
			return nil, fmt.Errorf("asking for the settings of %s: %w", r.ResourceName, r.Error)
		}
		settings[r.ResourceName] = make(map[string]string, len(r.ConfigEntries))
		for _, e := range r.ConfigEntries {
			settings[r.ResourceName][e.ConfigName] = e.ConfigValue
		}
	}
	return settings, nil
}

// addOffsets fills in the ranges of the partitions that have a leader.
func addOffsets(ctx context.Context, client *kafka.Client, d *Description) error {
	var led []int32
	for _, p := range d.Partitions {
		if p.Leader >= 0 {
			led = append(led, p.ID)
		}
	}
	if len(led) == 0 {
		return nil
	}
	ranges, err := kafkaio.Ranges(ctx, client, d.Name, led...)
	if err != nil {
		return err
	}
	for i := range d.Partitions {
		if r, ok := ranges[d.Partitions[i].ID]; ok {
			d.Partitions[i].Begin, d.Partitions[i].End = r.Begin, r.End
		}
	}
	return nil
}
