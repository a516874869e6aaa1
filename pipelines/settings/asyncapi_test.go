package settings

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
)

// asyncAPI is what asyncapi.yaml says of topics, groups and headers; schemas holds the rest of it.
type asyncAPI struct {
	Channels map[string]struct {
		Address        string
		DefaultAddress string `yaml:"x-default-address"`
		Bindings       struct {
			Kafka struct {
				Partitions         int
				TopicConfiguration struct {
					Cleanup   []string `yaml:"cleanup.policy"`
					Retention *int64   `yaml:"retention.ms"`
				} `yaml:"topicConfiguration"`
			}
		}
	}
	Operations map[string]struct {
		Reply    struct{ Address struct{ Location string } }
		Bindings struct {
			Kafka struct {
				Group struct{ Const string } `yaml:"groupId"`
			}
		}
	}
	Components struct {
		Correlation map[string]struct{ Location string } `yaml:"correlationIds"`
		Schemas     map[string]struct {
			Required   []string
			Properties map[string]any
		}
	}
}

func readAsyncAPI(t *testing.T) (a asyncAPI) {
	t.Helper()
	text, err := os.ReadFile("../../schemas/asyncapi.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &a))
	return a
}

func TestAsyncAPIHasTheDefaultTopics(t *testing.T) {
	a := readAsyncAPI(t)
	c := Default().Topics
	letters := func(of topics.Topic) topics.Topic {
		return topics.Topic{Name: stream.DeadLetterTopic(of.Name), Partitions: c.DeadLetters.Partitions, Retention: c.DeadLetters.Retention}
	}
	want := map[string]topics.Topic{
		"interactions": c.Interactions, "items": c.Items, "requests": c.Requests, "replies": c.Replies,
		"recall":                  c.Recall,
		"interactionsDeadLetters": letters(c.Interactions), "itemsDeadLetters": letters(c.Items), "requestsDeadLetters": letters(c.Requests),
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(a.Channels)))
	var names []string
	for channel, topic := range want {
		got := a.Channels[channel]
		names = append(names, topic.Name)
		if channel == "replies" {
			require.Empty(t, got.Address, "a request names it")
			got.Address = got.DefaultAddress
		}
		require.Equal(t, topic.Name, got.Address)
		kafka := got.Bindings.Kafka
		require.Equal(t, topic.Partitions, kafka.Partitions, channel)
		if channel == "items" || channel == "recall" {
			require.Equal(t, []string{"compact"}, kafka.TopicConfiguration.Cleanup)
			require.Nil(t, kafka.TopicConfiguration.Retention)
			continue
		}
		require.Equal(t, []string{"delete"}, kafka.TopicConfiguration.Cleanup, channel)
		require.Equal(t, topic.Retention, time.Duration(*kafka.TopicConfiguration.Retention)*time.Millisecond, channel)
	}
	require.ElementsMatch(t, c.Names(), names)
}

func TestAsyncAPIHasTheConsumerGroups(t *testing.T) {
	a := readAsyncAPI(t)
	group := Default().Consumers.Group
	for operation, role := range map[string]string{
		"applyInteractions": "interactions", "indexItems": "catalogue", "recommend": "recommendations",
	} {
		require.Equal(t, group+"."+role, a.Operations[operation].Bindings.Kafka.Group.Const)
	}
}

func TestAsyncAPIHasTheHeaders(t *testing.T) {
	a := readAsyncAPI(t)
	const at = "$message.header#/"
	require.Equal(t, at+kafkaio.HeaderReplyTopic, a.Operations["recommend"].Reply.Address.Location)
	require.Equal(t, at+kafkaio.HeaderCorrelationID, a.Components.Correlation["byHeader"].Location)
	headers := func(schema string) (all, required []string) {
		s := a.Components.Schemas[schema]
		return slices.Collect(maps.Keys(s.Properties)), s.Required
	}
	trace := []string{"traceparent", "tracestate"}
	all, required := headers("trace")
	require.ElementsMatch(t, trace, all)
	require.Empty(t, required)
	all, required = headers("requestHeaders")
	require.ElementsMatch(t,
		append([]string{kafkaio.HeaderCorrelationID, kafkaio.HeaderReplyTopic, kafkaio.HeaderReplyPartition}, trace...), all)
	require.ElementsMatch(t, []string{kafkaio.HeaderCorrelationID, kafkaio.HeaderReplyTopic}, required)
	all, required = headers("replyHeaders")
	require.ElementsMatch(t, append([]string{kafkaio.HeaderCorrelationID}, trace...), all)
	require.Equal(t, []string{kafkaio.HeaderCorrelationID}, required)
	letter := []string{
		kafkaio.HeaderDLTOriginalTopic, kafkaio.HeaderDLTOriginalPartition, kafkaio.HeaderDLTOriginalOffset,
		kafkaio.HeaderDLTOriginalTimestamp, kafkaio.HeaderDLTOriginalTimestampType, kafkaio.HeaderDLTOriginalConsumerGroup,
		kafkaio.HeaderDLTExceptionFQCN, kafkaio.HeaderDLTExceptionMessage,
	}
	all, required = headers("deadLetterHeaders")
	require.ElementsMatch(t, append(slices.Clone(letter), kafkaio.HeaderDLTPrefix+"truncated"), all)
	require.ElementsMatch(t, letter, required)
}
