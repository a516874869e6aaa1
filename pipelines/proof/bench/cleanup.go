package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// removeTopics deletes the topics of the run.
func (l *lab) removeTopics(ctx context.Context) error {
	kafkaio.CloseIdle(l.kafka) // its view of the cluster is from before the topics were made
	metadata, err := l.kafka.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return fmt.Errorf("listing the topics: %w", err)
	}
	var names []string
	for _, t := range metadata.Topics {
		if strings.HasPrefix(t.Name, l.topic("")) {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	resp, err := l.kafka.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("deleting the topics: %w", err)
	}
	return joined("deleting topic", resp.Errors, kafka.UnknownTopicOrPartition)
}

// removeGroups deletes the consumer groups of the run, whose members have left.
func (l *lab) removeGroups(ctx context.Context) error {
	listed, err := l.kafka.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err == nil {
		err = listed.Error
	}
	if err != nil {
		return fmt.Errorf("listing the groups: %w", err)
	}
	var names []string
	for _, g := range listed.Groups {
		if strings.HasPrefix(g.GroupID, l.prefix()) {
			names = append(names, g.GroupID)
		}
	}
	if len(names) == 0 {
		return nil
	}
	resp, err := l.kafka.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: names})
	if err != nil {
		return fmt.Errorf("deleting the groups: %w", err)
	}
	return joined("deleting group", resp.Errors, kafka.GroupIdNotFound)
}

// joined makes one error of those that a request had for each name; harmless is none.
func joined(what string, byName map[string]error, harmless error) error {
	var errs []error
	for name, err := range byName {
		if err != nil && !errors.Is(err, harmless) {
			errs = append(errs, fmt.Errorf("%s %s: %w", what, name, err))
		}
	}
	return errors.Join(errs...)
}

// keysAtOnce is how many keys one step of a removal looks at.
const keysAtOnce = 1000

// removeKeys removes all keys that begin with prefix.
func removeKeys(ctx context.Context, rdb redis.UniversalClient, prefix string) error {
	return eachNode(ctx, rdb, func(ctx context.Context, node redis.Cmdable) error { return removeNodeKeys(ctx, node, prefix) })
}

// eachNode calls do for each node of a cluster that holds keys, one after the other; for a single server once.
func eachNode(ctx context.Context, rdb redis.UniversalClient, do func(context.Context, redis.Cmdable) error) error {
	cluster, many := rdb.(*redis.ClusterClient)
	if !many {
		return do(ctx, rdb)
	}
	var mu sync.Mutex // ForEachMaster calls for all nodes at the same time
	var errs []error
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, do(ctx, node))
		return nil
	})
	return errors.Join(append(errs, err)...)
}

func removeNodeKeys(ctx context.Context, node redis.Cmdable, prefix string) error {
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, prefix+"*", keysAtOnce).Result()
		if err != nil {
			return fmt.Errorf("listing the keys %s*: %w", prefix, err)
		}
		pipe := node.Pipeline()
		for _, key := range keys {
			pipe.Unlink(ctx, key) // one by one: in a cluster's node the keys lie in different slots
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("removing the keys %s*: %w", prefix, err)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// removeCollections drops the collections of the run; their aliases go with them.
func (l *lab) removeCollections(ctx context.Context) error {
	all, err := l.milvus.ListCollections(ctx)
	if err != nil {
		return fmt.Errorf("listing the collections: %w", err)
	}
	var errs []error
	for _, c := range all {
		if strings.HasPrefix(c.Name, l.collection()) {
			errs = append(errs, l.milvus.DropCollection(ctx, c.Name))
		}
	}
	return errors.Join(errs...)
}
