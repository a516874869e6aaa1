package recommendations

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func TestRepliesGoWhereTheyWereAskedFor(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	const perPartition = 5
	for i := range perPartition * partitions {
		r.ask(request(fmt.Sprint("user", i)), headers(replyTopic, int32(i%partitions), fmt.Sprint("\x00\xff", i)))
	}
	byKey := headers(replyTopic, 0, "by key")
	r.ask(request("keyed"), append(byKey[:1:1], byKey[2]))

	replies := r.settle()
	require.Len(t, replies, perPartition*partitions+1)
	for i := range perPartition * partitions {
		record := replies[fmt.Sprint("\x00\xff", i)]
		require.EqualValues(t, i%partitions, record.Partition, "the partition is honoured, whatever the key says")
		require.Equal(t, fmt.Sprint("user", i), string(record.Key))
		reply := r.decode(record)
		require.Equal(t, schemas.StatusOK, reply.Status, reply.Error)
		require.Equal(t, fmt.Sprint("user", i), reply.UserID)
		require.Equal(t, fmt.Sprint("request of user", i), reply.RequestID)
		require.Len(t, reply.Items, 5)
	}
	require.Equal(t, kafkaio.JavaPartition([]byte("keyed"), partitions), replies["by key"].Partition)
	require.Empty(t, r.letters())
}

func TestRequestsThatCannotBeAnswered(t *testing.T) {
	good := headers(replyTopic, 1, "")
	for name, c := range map[string]struct {
		headers func(correlation kafkaio.Header) []kafkaio.Header
		reason  string
	}{
		"interactions as reply topic": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers("freshet.interactions", 0, "")[:2], c)
		}, "reply_topic_prefixes"},
		"its own topic": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers(requestTopic, 0, "")[:2], c)
		}, "reply_topic_prefixes"},
		"its dead letters": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers(requestTopic+".dlt", 0, "")[:2], c)
		}, "reply_topic_prefixes"},
		"prefix in another case": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers("Freshet.Replies", 0, "")[:2], c)
		}, "reply_topic_prefixes"},
		"hostile name": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers(strings.Repeat("\x1b\xff", 10_000), 0, "")[:2], c)
		}, "reply_topic_prefixes"},
		"the last header counts": {func(c kafkaio.Header) []kafkaio.Header {
			return append(append([]kafkaio.Header{}, good[0], good[1], c), headers("freshet.interactions", 0, "")[0])
		}, "reply_topic_prefixes"},
		"no reply topic": {func(c kafkaio.Header) []kafkaio.Header {
			return []kafkaio.Header{good[1], c}
		}, kafkaio.HeaderReplyTopic + " is missing"},
		"partition that is not there": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers(replyTopic, partitions, "")[:2], c)
		}, "has no partition 4"},
		"topic that is not there": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers(replyTopic+".nobody", 0, "")[:2], c)
		}, "there is no topic"},
		"topic with an illegal name": {func(c kafkaio.Header) []kafkaio.Header {
			return append(headers(replyTopic+"/../x", 0, "")[:2], c)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.run(r.writer)
			id := kafkaio.Header{Key: kafkaio.HeaderCorrelationID, Value: []byte("hostile")}
			r.ask(request("ann"), c.headers(id))
			r.ask(request("ann"), headers(replyTopic, 0, "good"))
			replies := r.settle()
			require.Len(t, replies, 1, "nothing but the good request is answered")
			require.Contains(t, replies, "good")
			letters := r.letters()
			require.Len(t, letters, 1)
			require.Contains(t, letters["hostile"], c.reason)
			require.Empty(t, r.records("freshet.interactions"))
			require.Len(t, r.records(requestTopic), 2)
			require.Len(t, r.records(requestTopic+".dlt"), 1)
		})
	}
}

// A client that writes the partition as text, or as two bytes, waits on some partition of its topic: a refusal by key may reach it,
// silence would not.
func TestAPartitionThatCannotBeReadIsRefusedByKey(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	values := map[string][]byte{"two bytes": {0, 1}, "text": []byte("3"), "negative": {255, 255, 255, 255}, "nothing": {}}
	for name, value := range values {
		r.ask(request("ann"), []kafkaio.Header{
			{Key: kafkaio.HeaderReplyTopic, Value: []byte(replyTopic)}, {Key: kafkaio.HeaderReplyPartition, Value: value},
			{Key: kafkaio.HeaderCorrelationID, Value: []byte(name)},
		})
	}
	replies := r.settle()
	require.Len(t, replies, len(values))
	for name := range values {
		reply := r.decode(replies[name])
		require.Equal(t, schemas.StatusInvalidRequest, reply.Status, name)
		require.Contains(t, reply.Error, kafkaio.HeaderReplyPartition, name)
		require.Equal(t, kafkaio.JavaPartition([]byte("ann"), partitions), replies[name].Partition, name)
	}
	require.Empty(t, r.letters())
}

func TestRequestWithoutCorrelationID(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	r.ask(request("ann"), headers(replyTopic, 0, "")[:2])
	r.ask(request("ann"), headers(replyTopic, 0, ""))
	require.Empty(t, r.settle())
	require.Contains(t, r.letters()[""], kafkaio.HeaderCorrelationID+" is missing")
	require.Len(t, r.records(requestTopic+".dlt"), 2)
}

func TestBytesThatAreNoRequestGetAnErrorReplyAndADeadLetter(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	q := request("ann")
	good := r.requests.Append(nil, &q)
	event := schemas.AppendInteraction([]byte{0, 0, 0, 0, 1}, &schemas.Interaction{EventID: "e", OccurredAt: time.Now()})
	hostile := map[string][]byte{
		"tombstone":      nil,
		"empty":          {},
		"text":           []byte(`{"user_id":"ann"}`),
		"unknown schema": []byte("\x00\x7f\xff\xff\xffrest"),
		"truncated":      good[:len(good)-3],
		"trailing":       append(append([]byte{}, good...), 7),
		"wrong record":   event,
		"huge length":    append(append([]byte{}, good[:5]...), 0xfe, 0xff, 0xff, 0xff, 0x0f),
		"a megabyte":     []byte(strings.Repeat("x", 900_000)),
	}
	for name, value := range hostile {
		r.askRaw("key of "+name, value, headers(replyTopic, 2, name))
	}
	r.askRaw("\xff\xfe", []byte("no UTF-8"), headers(replyTopic, 2, "bad key"))
	r.ask(q, headers(replyTopic, 2, "good"))

	replies, letters := r.settle(), r.letters()
	require.Len(t, replies, len(hostile)+2)
	require.Len(t, letters, len(hostile)+1)
	for name := range hostile {
		require.EqualValues(t, 2, replies[name].Partition)
		require.Equal(t, "key of "+name, string(replies[name].Key))
		reply := r.decode(replies[name])
		require.Equal(t, schemas.StatusInvalidRequest, reply.Status, name)
		require.Contains(t, reply.Error, "request: ", name)
		require.Less(t, len(reply.Error), 1000, name)
		require.NotEmpty(t, letters[name], name)
	}
	require.Equal(t, schemas.StatusInvalidRequest, r.decode(replies["bad key"]).Status)
	require.Equal(t, schemas.StatusOK, r.decode(replies["good"]).Status)
}

func TestRequestsThatMakeNoSenseGetAnErrorReplyOnly(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	for name, c := range map[string]struct {
		change func(*schemas.RecommendationRequest)
		field  string
	}{
		"no user":        {func(q *schemas.RecommendationRequest) { q.UserID = "" }, "user_id"},
		"negative count": {func(q *schemas.RecommendationRequest) { q.Count = -1 }, "count"},
		"huge count":     {func(q *schemas.RecommendationRequest) { q.Count = 1 << 30 }, "count"},
		"bad filter":     {func(q *schemas.RecommendationRequest) { q.Filter = "item.price <" }, "filter"},
		"hostile filter": {func(q *schemas.RecommendationRequest) { q.Filter = "all(1..1000000000, true)" }, "filter"},
		"long filter":    {func(q *schemas.RecommendationRequest) { q.Filter = strings.Repeat("(", 900_000) }, "filter"},
		"long user":      {func(q *schemas.RecommendationRequest) { q.UserID = strings.Repeat("u", 600_000) }, "user_id"},
		"long id":        {func(q *schemas.RecommendationRequest) { q.RequestID = strings.Repeat("i", 990_000) }, "request_id"},
	} {
		q := request("ann")
		c.change(&q)
		r.askRaw("ann", r.requests.Append(nil, &q), headers(replyTopic, 3, name))
		reply := r.decode(r.settle()[name])
		require.Equal(t, schemas.StatusInvalidRequest, reply.Status, name)
		require.Contains(t, reply.Error, c.field, name)
		require.Less(t, len(reply.Error), 1000, name)
	}
	require.Empty(t, r.letters())
}

// TestARefusalThatRepeatsTooMuchIsShortened: the request fits into a message, but its reply, which repeats both ids and has
// the request's key as well, does not.
func TestARefusalThatRepeatsTooMuchIsShortened(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	q := request(strings.Repeat("u", 400_000))
	q.RequestID = strings.Repeat("i", 400_000)
	r.askRaw(strings.Repeat("k", 190_000), r.requests.Append(nil, &q), headers(replyTopic, 0, strings.Repeat("c", 500)))
	replies := r.settle()
	require.Len(t, replies, 1)
	for _, record := range replies {
		reply := r.decode(record)
		require.Equal(t, schemas.StatusInvalidRequest, reply.Status)
		require.Contains(t, reply.Error, "request_id")
	}
}

func TestAPageThatDoesNotFitIsAnErrorReply(t *testing.T) {
	r := newRig(t)
	narrow := kafkaio.DefaultWriterConfig()
	narrow.MaxBatchBytes = 700
	writer := kafkaio.NewWriter(r.cfg, narrow, quiet())
	t.Cleanup(func() { require.NoError(t, writer.Close(context.WithoutCancel(t.Context()))) })
	r.run(writer)
	q := request("ann")
	q.Count, q.Explain = 20, true
	r.ask(q, headers(replyTopic, 0, "large"))
	q.Count, q.Explain = 1, false
	r.ask(q, headers(replyTopic, 0, "small"))
	replies := r.settle()
	reply := r.decode(replies["large"])
	require.Equal(t, schemas.StatusInternal, reply.Status)
	require.Contains(t, reply.Error, "max_batch_bytes")
	require.Equal(t, q.RequestID, reply.RequestID)
	require.Equal(t, schemas.StatusOK, r.decode(replies["small"]).Status)
	require.Empty(t, r.letters())
}

func TestDeadlines(t *testing.T) {
	r := newRig(t)
	unbounded := request("ann")
	unbounded.Deadline = time.Time{}
	stale := r.requests.Append(nil, &unbounded)
	// It is there before anybody reads: whoever has seen the end of the log knows that it is younger than its timestamp says.
	r.askAt(time.Now().Add(-time.Minute), "ann", stale, headers(replyTopic, 0, "stale"))
	r.run(r.writer)
	late := request("ann")
	late.Deadline = time.Now().Add(-time.Second)
	r.ask(late, headers(replyTopic, 0, "late"))
	for name, unit := range map[string]int64{"one": 1, "seconds": time.Now().Unix(), "micros": time.Now().Add(time.Minute).UnixMicro()} {
		slip := request("ann")
		slip.Deadline = time.UnixMilli(unit)
		r.ask(slip, headers(replyTopic, 0, name))
	}
	r.ask(unbounded, headers(replyTopic, 0, "unbounded"))
	replies := r.settle()
	require.Equal(t, schemas.StatusDeadlineExceeded, r.decode(replies["late"]).Status)
	for _, name := range []string{"one", "seconds", "micros"} {
		reply := r.decode(replies[name])
		require.Equal(t, schemas.StatusInvalidRequest, reply.Status, name)
		require.Contains(t, reply.Error, "deadline", name)
	}
	require.Equal(t, schemas.StatusOK, r.decode(replies["unbounded"]).Status)
	require.Equal(t, schemas.StatusDeadlineExceeded, r.decode(replies["stale"]).Status, "the time in the queue counts")
}

// TestAReplyIsTriedUntilItIsAcknowledged: the broker refuses writes for a while; then the request is answered after all.
func TestAReplyIsTriedUntilItIsAcknowledged(t *testing.T) {
	r := newRig(t)
	r.run(r.writer)
	r.ask(request("ann"), headers(replyTopic, 0, "before"))
	r.settle()
	refused := 0
	r.kafka.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		produce := req.(*kmsg.ProduceRequest)
		r.kafka.KeepControl()
		if len(produce.Topics) == 0 || produce.Topics[0].Topic != r.kafka.Name(replyTopic) || refused == 3 {
			return nil, nil, false
		}
		refused++
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, in := range produce.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = in.Topic, in.TopicID
			for _, p := range in.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.NotEnoughReplicas.Code
				topic.Partitions = append(topic.Partitions, partition)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	r.ask(request("ann"), headers(replyTopic, 0, "meanwhile"))
	replies := r.settle()
	require.Equal(t, schemas.StatusOK, r.decode(replies["meanwhile"]).Status)
	require.Equal(t, 3, refused)
}

func TestAddressOf(t *testing.T) {
	c := DefaultConfig()
	to, err := c.addressOf(headers(replyTopic+".instance-7", 3, "\x00\x01"))
	require.NoError(t, err)
	require.Equal(t, address{topic: replyTopic + ".instance-7", partition: 3, correlation: []byte("\x00\x01")}, to)
	_, err = c.addressOf(nil)
	require.ErrorContains(t, err, "send the topic")
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for field, change := range map[string]func(*Config){
		"reply_topic_prefixes is empty":      func(c *Config) { c.ReplyTopicPrefixes = nil },
		"reply_topic_prefixes holds an empt": func(c *Config) { c.ReplyTopicPrefixes = []string{"a", ""} },
	} {
		c := DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), field)
	}
}
