package recommendations

import (
	"fmt"

	"github.com/freshet/freshet/producers/kafkaio"
)

// address is where a request wants its reply, by Spring Kafka's request-reply headers.
type address struct {
	topic       string
	partition   int32
	correlation []byte
	// unreadable is why the partition that was asked for is not honoured: then the key chooses one.
	unreadable error
}

// addressOf reads the headers; the error says which one is missing or wrong, where nobody can be answered.
func (c Config) addressOf(headers []kafkaio.Header) (address, error) {
	to := address{partition: kafkaio.AnyPartition}
	topic, _ := kafkaio.HeaderValue(headers, kafkaio.HeaderReplyTopic)
	to.topic = string(topic)
	to.correlation, _ = kafkaio.HeaderValue(headers, kafkaio.HeaderCorrelationID)
	switch {
	case to.topic == "":
		return to, fmt.Errorf("header %s is missing: send the topic that the reply shall go to", kafkaio.HeaderReplyTopic)
	case len(to.correlation) == 0:
		return to, fmt.Errorf("header %s is missing: send any bytes that tell the reply apart", kafkaio.HeaderCorrelationID)
	case !c.allows(to.topic):
		return to, fmt.Errorf("header %s is %.80q: only topics that begin with one of %q may be written to (reply_topic_prefixes)",
			kafkaio.HeaderReplyTopic, to.topic, c.ReplyTopicPrefixes)
	}
	if value, given := kafkaio.HeaderValue(headers, kafkaio.HeaderReplyPartition); given {
		partition, err := kafkaio.DecodePartition(value)
		if err != nil {
			to.unreadable = fmt.Errorf("header %s: %w", kafkaio.HeaderReplyPartition, err)
			return to, nil
		}
		to.partition = partition
	}
	return to, nil
}
