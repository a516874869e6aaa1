package producers_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func ask(user string) *schemas.RecommendationRequest {
	return &schemas.RecommendationRequest{UserID: user, Count: 10}
}

func TestHundredsInFlight(t *testing.T) {
	const callers, calls = 400, 5
	c := start(t)
	c.serve(t, func(s *service, m kafka.Message) { s.answer(m, echo) })
	client := c.client(t, nil)
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for call := range calls {
				user := fmt.Sprintf("u-%d-%d", caller, call)
				reply, err := client.Recommend(t.Context(), ask(user))
				if err != nil || len(reply.Items) != 1 || reply.Items[0].ItemID != "for-"+user {
					t.Errorf("%s got %v, %v", user, reply.Items, err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, client.LateReplies())
	require.Zero(t, client.ForeignReplies())
}

func TestRequestOnTheWire(t *testing.T) {
	c := start(t)
	seen := make(chan kafka.Message, 1)
	c.serve(t, func(s *service, m kafka.Message) {
		seen <- m
		s.answer(m, echo)
	})
	client := c.client(t, func(cfg *producers.Config) { cfg.Replies.Partition = 3 })
	request := ask("u-1")
	reply, err := client.Recommend(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, ask("u-1"), request, "the caller's request is not changed")
	require.Equal(t, "u-1", reply.UserID)
	require.NotEmpty(t, reply.RequestID)

	m := <-seen
	require.Equal(t, "u-1", string(m.Key))
	topic, _ := kafkaio.HeaderValue(m.Headers, "kafka_replyTopic")
	require.Equal(t, c.cfg.Topics.Replies, string(topic))
	partition, _ := kafkaio.HeaderValue(m.Headers, "kafka_replyPartition")
	require.Equal(t, []byte{0, 0, 0, 3}, partition)
	correlation, _ := kafkaio.HeaderValue(m.Headers, "kafka_correlationId")
	require.Len(t, correlation, 16)
	require.EqualValues(t, 1, c.End(c.cfg.Topics.Replies, 3))
}

func TestDeadlines(t *testing.T) {
	c := start(t)
	deadlines := make(chan time.Time, 1)
	c.serve(t, func(s *service, m kafka.Message) {
		s.answer(m, func(q *schemas.RecommendationRequest) schemas.RecommendationReply {
			deadlines <- q.Deadline
			return echo(q)
		})
	})
	client := c.client(t, func(cfg *producers.Config) { cfg.Replies.Timeout = time.Minute })
	near := func(want time.Time) {
		t.Helper()
		require.WithinDuration(t, want, <-deadlines, 10*time.Second)
	}

	_, err := client.Recommend(t.Context(), ask("u"))
	require.NoError(t, err)
	near(time.Now().Add(time.Minute))

	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err = client.Recommend(ctx, ask("u"))
	require.NoError(t, err)
	near(time.Now().Add(time.Hour))

	own := ask("u")
	own.Deadline = time.Now().Add(30 * time.Minute)
	_, err = client.Recommend(ctx, own)
	require.NoError(t, err)
	near(time.Now().Add(30 * time.Minute))

	own.Deadline = time.Now().Add(2 * time.Hour)
	_, err = client.Recommend(ctx, own)
	require.NoError(t, err)
	near(time.Now().Add(time.Hour))

	own.Deadline = time.Now().Add(-time.Second)
	_, err = client.Recommend(ctx, own)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestReplyErrors(t *testing.T) {
	c := start(t)
	lacking := []schemas.Degradation{schemas.DegradedUserProfile, "a_code_of_tomorrow"}
	c.serve(t, func(s *service, m kafka.Message) {
		switch string(m.Key) {
		case "garbage":
			s.send(m, []byte("no Avro"))
		case "tombstone":
			s.send(m, nil)
		default:
			s.answer(m, func(q *schemas.RecommendationRequest) schemas.RecommendationReply {
				var status schemas.ReplyStatus
				_ = status.UnmarshalText([]byte(q.UserID))
				r := echo(q)
				r.Status, r.Error, r.Degraded = status, "because", lacking
				return r
			})
		}
	})
	client := c.client(t, nil)
	for _, status := range []schemas.ReplyStatus{
		schemas.UnknownStatus, schemas.StatusInvalidRequest, schemas.StatusDeadlineExceeded, schemas.StatusUnavailable,
		schemas.StatusInternal,
	} {
		reply, err := client.Recommend(t.Context(), ask(status.String()))
		var refused *producers.ReplyError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, producers.ReplyError{Status: status, Message: "because", Degraded: lacking}, *refused)
		require.Equal(t, status, reply.Status, "the reply comes along")
		require.ErrorContains(t, err, fmt.Sprintf(`asking for recommendations: the service replied %s: because`, status))
	}
	reply, err := client.Recommend(t.Context(), ask("degraded"))
	require.NoError(t, err)
	require.Equal(t, schemas.StatusDegraded, reply.Status)
	require.Equal(t, "because", reply.Error)
	require.Equal(t, lacking, reply.Degraded)
	for _, user := range []string{"garbage", "tombstone"} {
		_, err = client.Recommend(t.Context(), ask(user))
		require.True(t, schemas.IsMalformed(err), "%v", err)
	}
	_, err = client.Recommend(t.Context(), &schemas.RecommendationRequest{UserID: "u", Count: -1})
	require.True(t, schemas.IsInvalid(err), "%v", err)
}

func TestCancelledCallsLeaveNothingAndLateRepliesAreCounted(t *testing.T) {
	const calls = 50
	c := start(t)
	var mu sync.Mutex
	var held []kafka.Message
	s := c.serve(t, func(s *service, m kafka.Message) {
		if string(m.Key) == "prompt" {
			s.answer(m, echo)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		held = append(held, m)
	})
	client := c.client(t, nil)
	_, err := client.Recommend(t.Context(), ask("prompt"))
	require.NoError(t, err)
	before := runtime.NumGoroutine()

	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, calls)
	for range calls {
		go func() {
			_, err := client.Recommend(ctx, ask("slow"))
			errs <- err
		}()
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(held) == calls
	}, 10*time.Second, time.Millisecond)
	cancel()
	for range calls {
		require.ErrorIs(t, <-errs, context.Canceled)
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 }, 10*time.Second, 5*time.Millisecond)

	for _, m := range held {
		s.answer(m, echo)
	}
	require.Eventually(t, func() bool { return client.LateReplies() == calls }, 10*time.Second, time.Millisecond)
	_, err = client.Recommend(t.Context(), ask("prompt"))
	require.NoError(t, err)
}

func TestTwoClientsOnOnePartition(t *testing.T) {
	c := start(t)
	s := c.serve(t, func(s *service, m kafka.Message) { s.answer(m, echo) })
	on := func(cfg *producers.Config) { cfg.Replies.Partition = 2 }
	one, two := c.client(t, on), c.client(t, on)
	for _, client := range []*producers.RecommendationClient{one, two, one} {
		_, err := client.Recommend(t.Context(), ask("u"))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		return one.ForeignReplies() == 1 && two.ForeignReplies() == 2
	}, 10*time.Second, time.Millisecond)

	// A reply without a correlation id belongs to nobody.
	_, err := s.writer.Write(t.Context(), kafkaio.Message{Topic: c.cfg.Topics.Replies, Partition: 2, Value: []byte("x")})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return one.ForeignReplies() == 2 }, 10*time.Second, time.Millisecond)
	require.Zero(t, one.LateReplies())
}

func TestTopicOfTheInstancesOwn(t *testing.T) {
	c := start(t)
	c.serve(t, func(s *service, m kafka.Message) { s.answer(m, echo) })
	own := func(cfg *producers.Config) { cfg.Replies.Instance = "shop-1" }
	client := c.client(t, own)
	topic := c.cfg.Topics.Replies + ".shop-1"
	_, err := client.Recommend(t.Context(), ask("u"))
	require.NoError(t, err)
	require.EqualValues(t, 1, c.End(topic, 0))

	successor := c.client(t, own) // the predecessor's topic is still there, as after a crash
	_, err = successor.Recommend(t.Context(), ask("u"))
	require.NoError(t, err)
	require.NoError(t, successor.Close(t.Context()))
	// A broker answers the deletion before the last one has heard of it.
	require.Eventually(t, func() bool { return !c.HasTopic(topic) }, 10*time.Second, time.Millisecond)
}

func TestReplyTopicMissing(t *testing.T) {
	c := start(t)
	for _, change := range []func(*producers.Config){
		func(cfg *producers.Config) { cfg.Topics.Replies = "nowhere" },
		func(cfg *producers.Config) { cfg.Replies.Partition = partitions },
	} {
		cfg := c.cfg
		change(&cfg)
		_, err := producers.NewRecommendationClient(t.Context(), cfg)
		require.True(t, kafkaio.IsUnknownDestination(err), "%v", err)
	}
}

func TestCloseFailsWaitingCalls(t *testing.T) {
	const calls = 20
	c := start(t)
	arrived := make(chan struct{}, calls)
	c.serve(t, func(*service, kafka.Message) { arrived <- struct{}{} })
	client := c.client(t, nil)
	errs := make(chan error, calls)
	for range calls {
		go func() {
			_, err := client.Recommend(t.Context(), ask("u"))
			errs <- err
		}()
	}
	for range calls {
		<-arrived
	}
	require.NoError(t, client.Close(t.Context()))
	for range calls {
		require.ErrorIs(t, <-errs, producers.ErrClosed)
	}
	_, err := client.Recommend(t.Context(), ask("u"))
	require.ErrorIs(t, err, producers.ErrClosed)
	require.NoError(t, client.Close(t.Context()))
}

func TestRefusedRequestFailsItsCallAtOnce(t *testing.T) {
	c := start(t)
	client := c.client(t, nil)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed})
	_, err := client.Recommend(t.Context(), ask("u"))
	require.ErrorIs(t, err, kafka.TopicAuthorizationFailed)
}

// Fetches that fail, connections that are cut and a reply topic that is made anew: replies are found again.
func TestReconnectsAfterTrouble(t *testing.T) {
	c := start(t)
	c.serve(t, func(s *service, m kafka.Message) { s.answer(m, echo) })
	client := c.client(t, func(cfg *producers.Config) { cfg.Replies.Partition = 0 })
	askUntilAnswered := func() {
		t.Helper()
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := client.Recommend(ctx, ask("u"))
			return err == nil
		}, 20*time.Second, 10*time.Millisecond)
	}
	askUntilAnswered()

	c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Fetch}, Topic: c.cfg.Topics.Replies, Err: kerr.NotLeaderForPartition, Count: 3,
	})
	askUntilAnswered()

	for range 3 {
		c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, errors.New("cut"), true
		})
	}
	askUntilAnswered()

	require.NoError(t, c.DeleteRecords(c.cfg.Topics.Replies, 0, -1))
	askUntilAnswered()

	require.NoError(t, c.DeleteTopic(c.cfg.Topics.Replies))
	require.NoError(t, c.CreateTopic(c.cfg.Topics.Replies, partitions, nil))
	askUntilAnswered()
	require.Zero(t, client.ForeignReplies())
}

// BenchmarkRecommend is the round trip over an embedded Kafka to a service that answers at once.
func BenchmarkRecommend(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := start(b)
			c.serve(b, func(s *service, m kafka.Message) { s.answer(m, echo) })
			client := c.client(b, nil)
			_, err := client.Recommend(b.Context(), ask("warm"))
			require.NoError(b, err)
			waits := make([][]time.Duration, callers)
			var wg sync.WaitGroup
			b.ResetTimer()
			for caller := range callers {
				wg.Go(func() {
					for i := caller; i < b.N; i += callers {
						start := time.Now()
						if _, err := client.Recommend(b.Context(), ask(fmt.Sprint("u-", i))); err != nil {
							b.Error(err)
							return
						}
						waits[caller] = append(waits[caller], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			reportWaits(b, waits)
		})
	}
}
