package servertest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/infra/embedded"
)

// Kafka is an embedded broker of the test's own, or the real one. It is asked and changed by Kafka's protocol on both.
type Kafka struct {
	t        testing.TB
	addr     string
	embedded *embedded.Kafka // nil where the broker is real
	admin    *kgo.Client
	prefix   string
}

// StartKafka returns a broker for the test, without topics. Name begins with what is unique to the test.
func StartKafka(t testing.TB) *Kafka {
	t.Helper()
	k := &Kafka{t: t, addr: os.Getenv(envKafka), prefix: Name()}
	if k.addr == "" {
		broker, err := embedded.StartKafka(t.Context(), embedded.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(broker.Close)
		k.embedded, k.addr = broker, broker.Addr()
	}
	k.connect()
	if k.embedded == nil {
		cleanup(t, "topics "+k.prefix, k.deleteAll)
	}
	return k
}

// KafkaOf lets a test ask and change a cluster of embedded brokers that it has made itself.
func KafkaOf(t testing.TB, cluster *kfake.Cluster) *Kafka {
	t.Helper()
	k := &Kafka{t: t, addr: cluster.ListenAddrs()[0], embedded: &embedded.Kafka{Cluster: cluster}, prefix: Name()}
	k.connect()
	return k
}

func (k *Kafka) connect() {
	k.t.Helper()
	var err error
	if k.admin, err = kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.MetadataMinAge(10*time.Millisecond)); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(k.admin.Close)
}

// Addr is the broker's host:port.
func (k *Kafka) Addr() string { return k.addr }

// Real says whether the broker is one: it is not the test's to close.
func (k *Kafka) Real() bool { return k.embedded == nil }

// Name makes the name of a topic or a group the test's own.
func (k *Kafka) Name(base string) string { return k.prefix + "." + base }

// Embedded returns the embedded broker, and skips the test on a real one. why says what only the embedded one can do.
func (k *Kafka) Embedded(t testing.TB, why string) *embedded.Kafka {
	t.Helper()
	if k.embedded == nil {
		t.Skipf("%s: only the embedded Kafka can", why)
	}
	return k.embedded
}

// scripted is what a test needs that dictates answers.
const scripted = "scripts the broker's answers"

// Fault is the embedded broker's; the test is skipped on a real one, as by the other methods that script answers.
func (k *Kafka) Fault(f kfake.Fault) *kfake.FaultHandle { return k.Embedded(k.t, scripted).Fault(f) }

// ControlKey is the embedded broker's.
func (k *Kafka) ControlKey(key int16, answer func(kmsg.Request) (kmsg.Response, error, bool)) {
	k.Embedded(k.t, scripted).ControlKey(key, answer)
}

// KeepControl is the embedded broker's.
func (k *Kafka) KeepControl() { k.Embedded(k.t, scripted).KeepControl() }

// SleepControl is the embedded broker's.
func (k *Kafka) SleepControl(wakeup func()) { k.Embedded(k.t, scripted).SleepControl(wakeup) }

// Close takes the broker away.
func (k *Kafka) Close() { k.Embedded(k.t, "takes the broker away").Close() }

const requestTimeout = 20 * time.Second

func request[R kmsg.Response](k *Kafka, req kmsg.Request) (resp R, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.t.Context()), requestTimeout)
	defer cancel()
	got, err := k.admin.Request(ctx, req)
	if err != nil {
		return resp, fmt.Errorf("asking Kafka at %s: %w", k.addr, err)
	}
	return got.(R), nil
}

// CreateTopic makes a topic and returns once each of its partitions can be written to.
func (k *Kafka) CreateTopic(name string, partitions int32, settings map[string]string) error {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	for key, value := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = key, &value
		topic.Configs = append(topic.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	req.Topics = append(req.Topics, topic)
	// A topic of the name that has just been deleted may not be quite gone.
	err := eventually(func() error {
		resp, err := request[*kmsg.CreateTopicsResponse](k, req)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}, kerr.TopicAlreadyExists)
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", name, err)
	}
	return eventually(func() error {
		for p := range partitions {
			if _, err := k.offset(name, p, latest); err != nil {
				return err
			}
		}
		return nil
	}, kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition)
}

// eventually tries again while the error is one of those that pass.
func eventually(try func() error, passing ...error) error {
	for deadline := time.Now().Add(requestTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		again := false
		for _, p := range passing {
			again = again || errors.Is(err, p)
		}
		if !again || time.Now().After(deadline) {
			return err
		}
	}
}

// DeleteTopic deletes a topic.
func (k *Kafka) DeleteTopic(name string) error { return k.delete(name) }

func (k *Kafka) delete(names ...string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	req.TopicNames = names
	for _, name := range names {
		topic := kmsg.NewDeleteTopicsRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	resp, err := request[*kmsg.DeleteTopicsResponse](k, req)
	if err != nil {
		return err
	}
	for _, topic := range resp.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			return fmt.Errorf("deleting topics %v: %w", names, err)
		}
	}
	return nil
}

// deleteAll deletes the topics and the groups of the test's name.
func (k *Kafka) deleteAll(context.Context) error {
	all, err := request[*kmsg.MetadataResponse](k, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return err
	}
	var names []string
	for _, topic := range all.Topics {
		if topic.Topic != nil && strings.HasPrefix(*topic.Topic, k.prefix) {
			names = append(names, *topic.Topic)
		}
	}
	if len(names) > 0 {
		err = k.delete(names...)
	}
	groups, listErr := request[*kmsg.ListGroupsResponse](k, kmsg.NewPtrListGroupsRequest())
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	req := kmsg.NewPtrDeleteGroupsRequest()
	for _, g := range groups.Groups {
		if strings.HasPrefix(g.Group, k.prefix) {
			req.Groups = append(req.Groups, g.Group)
		}
	}
	if len(req.Groups) > 0 { // one that still has members is left to its retention
		_, deleteErr := request[*kmsg.DeleteGroupsResponse](k, req)
		err = errors.Join(err, deleteErr)
	}
	return err
}

// DeleteRecords deletes the records of a partition before an offset.
func (k *Kafka) DeleteRecords(topic string, partition int32, before int64) error {
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, before
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	req.Topics = append(req.Topics, t)
	resp, err := request[*kmsg.DeleteRecordsResponse](k, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// latest asks for the offset of the next record.
const latest = -1

func (k *Kafka) offset(topic string, partition int32, at int64) (int64, error) {
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, at, -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, t)
	resp, err := request[*kmsg.ListOffsetsResponse](k, req)
	if err != nil {
		return 0, err
	}
	got := resp.Topics[0].Partitions[0]
	return got.Offset, kerr.ErrorForCode(got.ErrorCode)
}

// End returns the offset of the next record of a partition.
func (k *Kafka) End(topic string, partition int32) int64 {
	k.t.Helper()
	end, err := k.offset(topic, partition, latest)
	if err != nil {
		k.t.Fatalf("asking for the end of %s/%d: %v", topic, partition, err)
	}
	return end
}

// HasTopic says whether there is a topic of this name.
func (k *Kafka) HasTopic(name string) bool {
	k.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	resp, err := request[*kmsg.MetadataResponse](k, req)
	if err != nil {
		k.t.Fatal(err)
	}
	return !errors.Is(kerr.ErrorForCode(resp.Topics[0].ErrorCode), kerr.UnknownTopicOrPartition)
}

// Leader returns the id of the broker that leads a partition.
func (k *Kafka) Leader(topic string, partition int32) int {
	k.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := request[*kmsg.MetadataResponse](k, req)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.Partition == partition {
			return int(p.Leader)
		}
	}
	k.t.Fatalf("%s has no partition %d", topic, partition)
	return -1
}

// Group is a consumer group as its coordinator sees it.
type Group struct {
	State   string // "Stable", "PreparingRebalance", …
	Members int
}

// Group asks for a group; one that is not there is the zero Group.
func (k *Kafka) Group(name string) Group {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{name}
	resp, err := request[*kmsg.DescribeGroupsResponse](k, req)
	if err != nil || resp.Groups[0].ErrorCode != 0 {
		return Group{}
	}
	g := resp.Groups[0]
	return Group{State: g.State, Members: len(g.Members)}
}

// Committed returns what a group has committed for a partition, -1 for nothing.
func (k *Kafka) Committed(group, topic string, partition int32) int64 {
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = group, append(g.Topics, t)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Groups = append(req.Groups, g)
	resp, err := request[*kmsg.OffsetFetchResponse](k, req)
	if err != nil || len(resp.Groups) == 0 || len(resp.Groups[0].Topics) == 0 {
		return -1
	}
	return resp.Groups[0].Topics[0].Partitions[0].Offset
}

// AwaitStable returns once a group is stable and has so many members.
func (k *Kafka) AwaitStable(ctx context.Context, group string, members int) error {
	for {
		found := k.Group(group)
		if found == (Group{State: "Stable", Members: members}) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for group %s to be stable with %d members, it is %+v: %w", group, members, found, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Compact compacts the logs of compacted topics now, which only the embedded broker does when it is told to.
func (k *Kafka) Compact() { k.Embedded(k.t, "has the log compacted now").Compact() }

// leastSession is group.min.session.timeout.ms of a broker that nobody has told otherwise.
const leastSession = 6 * time.Second

// SessionTimeout returns the shortest session of group members from short on that the broker grants.
func SessionTimeout(short time.Duration) time.Duration {
	if os.Getenv(envKafka) == "" {
		return short
	}
	return max(short, leastSession)
}

// WriteStamped writes one record with any timestamp, in milliseconds; -1 says that it has none.
func (k *Kafka) WriteStamped(topic string, partition int32, stamp int64, key, value []byte) error {
	record := kmsg.Record{TimestampDelta64: 0, Key: key, Value: value}
	record.Length = int32(len(record.AppendTo(nil)) - 1)
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, FirstTimestamp: stamp, MaxTimestamp: stamp, ProducerID: -1, ProducerEpoch: -1,
		FirstSequence: -1, NumRecords: 1, Records: record.AppendTo(nil),
	}
	bytes := batch.AppendTo(nil)
	batch.Length = int32(len(bytes) - 12)
	bytes = batch.AppendTo(nil)
	batch.CRC = int32(crc32.Checksum(bytes[21:], crc32.MakeTable(crc32.Castagnoli)))
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch.AppendTo(nil)
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	about := kmsg.NewPtrMetadataRequest()
	about.Topics = append(about.Topics, asked)
	known, err := request[*kmsg.MetadataResponse](k, about)
	if err != nil {
		return err
	}
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID, t.Partitions = topic, known.Topics[0].TopicID, []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.Topics = -1, int32(requestTimeout.Milliseconds()), []kmsg.ProduceRequestTopic{t}
	resp, err := request[*kmsg.ProduceResponse](k, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
