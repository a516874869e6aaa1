package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/producers/kafkaio"
)

func poison() *Record {
	return &Record{
		Topic: testTopic, Partition: 3, Offset: 1 << 40, Key: []byte("user"), Value: []byte{0, 0xff, 1},
		Headers: []kafkaio.Header{
			{Key: "traceparent", Value: []byte("00-1")},
			{Key: kafkaio.HeaderDLTOriginalTopic, Value: []byte("freshet.replies")}, // forged
			{Key: headerTruncated, Value: []byte(TruncatedValue)},                   // forged
			{Key: "empty"},
		},
		Time: time.UnixMilli(1_700_000_000_123).UTC(),
	}
}

func TestDeadLetterKeepsTheRecordAndTellsWhy(t *testing.T) {
	w := newWorld(t, 1)
	r := poison()
	require.NoError(t, w.letters().Write(t.Context(), r, testGroup, Permanent(fmt.Errorf("decoding: %w", context.Canceled))))
	letters := w.deadLetters()
	require.Len(t, letters, 1)
	l := letters[0]
	want := *r
	want.Headers = []kafkaio.Header{r.Headers[0], r.Headers[3]}
	got := l.Original
	require.Len(t, got.Headers, 2)
	require.Empty(t, got.Headers[1].Value)
	got.Headers[1].Value, want.Headers[1].Value = nil, nil
	require.Equal(t, want, got)
	assert.Equal(t, testGroup, l.Group)
	assert.Equal(t, "*fmt.wrapError", l.Kind)
	assert.Equal(t, "decoding: context canceled", l.Reason)
	assert.Empty(t, l.Truncated)
	assert.WithinDuration(t, time.Now(), l.Written, time.Minute)
}

func TestDeadLetterHasSpringsHeaders(t *testing.T) {
	r := poison()
	r.BrokerTime = true
	got := make(map[string]string)
	for _, h := range letterHeaders(r, testGroup, errors.New("why")) {
		got[h.Key] = string(h.Value)
	}
	require.Equal(t, map[string]string{
		"kafka_dlt-original-topic":          testTopic,
		"kafka_dlt-original-partition":      "\x00\x00\x00\x03",
		"kafka_dlt-original-offset":         "\x00\x00\x01\x00\x00\x00\x00\x00",
		"kafka_dlt-original-timestamp":      string(binary.BigEndian.AppendUint64(nil, 1_700_000_000_123)),
		"kafka_dlt-original-timestamp-type": "LogAppendTime",
		"kafka_dlt-original-consumer-group": testGroup,
		"kafka_dlt-exception-fqcn":          "*errors.errorString",
		"kafka_dlt-exception-message":       "why",
	}, got)
}

func TestDeadLetterOfATombstone(t *testing.T) {
	w := newWorld(t, 1)
	r := &Record{Topic: testTopic, Key: []byte("k"), Time: time.UnixMilli(5)}
	require.NoError(t, w.letters().Write(t.Context(), r, testGroup, errors.New("x")))
	r.Value = []byte{}
	require.NoError(t, w.letters().Write(t.Context(), r, testGroup, errors.New("x")))
	letters := w.deadLetters()
	require.Len(t, letters, 2)
	require.Nil(t, letters[0].Original.Value)
	require.NotNil(t, letters[1].Original.Value)
}

func TestDeadLetterBoundsAndCleansTheReason(t *testing.T) {
	reason := text(errors.New(strings.Repeat("ä\xff", 5000)))
	require.LessOrEqual(t, len(reason), 3*maxReasonBytes)
	require.NotContains(t, reason, "\xff")
}

func TestDeadLetterThatIsTooLargeLeavesSomethingOut(t *testing.T) {
	const limit = 1_000_000 // the Writer's
	for _, c := range []struct {
		name      string
		header    int
		value     int
		truncated string
	}{
		{"fits", 1000, limit / 2, ""},
		{"without its headers", limit / 2, limit * 6 / 10, TruncatedHeaders},
		{"without the rest of its value", 1000, limit, TruncatedValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			r := &Record{
				Topic: testTopic, Key: []byte("k"), Value: make([]byte, c.value), Time: time.UnixMilli(5),
				Headers: []kafkaio.Header{{Key: "h", Value: make([]byte, c.header)}},
			}
			require.NoError(t, w.letters().Write(t.Context(), r, testGroup, errors.New("x")))
			letters := w.deadLetters()
			require.Len(t, letters, 1)
			require.Equal(t, c.truncated, letters[0].Truncated)
			did, err := w.letters().Redrive(t.Context(), testTopic, Selection{})
			require.NoError(t, err)
			if c.truncated == TruncatedValue {
				require.Equal(t, Redriven{Letters: 1, Matched: 1, Unusable: 1}, did)
				require.Len(t, letters[0].Original.Value, maxKeptValue)
			} else {
				require.Equal(t, Redriven{Letters: 1, Matched: 1, Republished: 1}, did)
				require.Len(t, letters[0].Original.Value, c.value)
			}
		})
	}
}

// While the dead-letter topic fails, the partition waits: the letter must be written before the offset is committed.
func TestNothingIsCommittedWhileDeadLettersFail(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "good", "bad", "after")
	fault := w.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: DeadLetterTopic(testTopic), Err: kerr.InvalidRequiredAcks, Count: -1,
	})
	cfg := fastConfig()
	cfg.MaxRecords = 2
	var seen tally
	handler := func(_ context.Context, batch []Record) error {
		seen.addBatch(batch)
		var failed Failures
		for i, r := range batch {
			if string(r.Value) == "bad" {
				failed = append(failed, Failure{Index: i, Err: Permanent(errors.New("bad"))})
			}
		}
		if failed != nil {
			return failed
		}
		return nil
	}
	run := start(t, w.consumer(cfg, handler))
	require.NoError(t, fault.Wait(t.Context(), 3))
	require.Equal(t, []string{"good", "bad"}, seen.inOrder(), "handled once, and nothing after it")
	require.NoError(t, run.drain())
	require.Equal(t, int64(1), w.committed(0), "up to the poison")
	require.Empty(t, w.deadLetters())

	fault.Remove()
	run = start(t, w.consumer(cfg, handler))
	w.requireCommitted(0, 3)
	require.NoError(t, run.drain())
	require.Len(t, w.deadLetters(), 1)
}

func TestGathererCommitsNothingWhileDeadLettersFail(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "good", "bad", "after")
	fault := w.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: DeadLetterTopic(testTopic), Err: kerr.InvalidRequiredAcks, Count: -1,
	})
	run := start(t, w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			if string(d.Value) == "bad" {
				d.Done(Permanent(errors.New("bad")))
				continue
			}
			d.Done(nil)
		}
	}))
	require.NoError(t, fault.Wait(t.Context(), 3))
	w.requireCommitted(0, 1)
	fault.Remove()
	w.requireCommitted(0, 3)
	require.NoError(t, run.drain())
	require.Len(t, w.deadLetters(), 1)
}

// The letter is written, its acknowledgement is lost: there is a second letter, and both name the same record.
func TestSecondDeadLetterAfterALostCommit(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "bad")
	w.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: testGroup, Err: kerr.IllegalGeneration, Count: 2,
		When: func(r kmsg.Request) bool { return r.(*kmsg.OffsetCommitRequest).Topics[0].Partitions[0].Offset == 1 },
	})
	run := start(t, w.consumer(fastConfig(), func(context.Context, []Record) error {
		return Failures{{Index: 0, Err: Permanent(errors.New("bad"))}}
	}))
	w.requireCommitted(0, 1)
	require.NoError(t, run.drain())
	letters := w.deadLetters()
	require.GreaterOrEqual(t, len(letters), 2)
	for _, l := range letters {
		require.Equal(t, int64(0), l.Original.Offset)
	}
}

func TestRedriveRoundTrip(t *testing.T) {
	w := newWorld(t, 2)
	for i := range 6 {
		w.Send(kafkaio.Message{Key: fmt.Append(nil, "user", i), Value: fmt.Append(nil, i), Partition: kafkaio.AnyPartition,
			Headers: []kafkaio.Header{{Key: "kafka_correlationId", Value: []byte{byte(i)}}}})
	}
	mended := make(chan struct{})
	got := make(chan Record, 100)
	start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		select {
		case <-mended:
			for _, r := range batch {
				got <- r
			}
			return nil
		default:
			var failed Failures
			for i := range batch {
				failed = append(failed, Failure{Index: i, Err: Permanent(errors.New("the code is broken"))})
			}
			return failed
		}
	}))
	require.Eventually(t, func() bool { return len(w.deadLetters()) == 6 }, patience, tick)
	close(mended)
	letters := w.letters()
	did, err := letters.Redrive(t.Context(), testTopic, Selection{Pending: true, Limit: 4})
	require.NoError(t, err)
	require.Equal(t, 4, did.Republished)
	did, err = letters.Redrive(t.Context(), testTopic, Selection{Pending: true})
	require.NoError(t, err)
	require.Equal(t, Redriven{Letters: 2, Matched: 2, Republished: 2}, did, "it goes on where the last one ended")
	did, err = letters.Redrive(t.Context(), testTopic, Selection{Pending: true})
	require.NoError(t, err)
	require.Zero(t, did)
	seen := make(map[string]bool)
	for range 6 {
		r := <-got
		seen[string(r.Key)] = true
		require.Len(t, r.Headers, 2, "nothing of the dead letter is left but its name")
		require.Equal(t, headerRedriven, r.Headers[1].Key)
		require.Equal(t, "kafka_correlationId", r.Headers[0].Key)
		require.Equal(t, fmt.Sprint("user", r.Headers[0].Value[0]), string(r.Key))
	}
	require.Len(t, seen, 6)

	third := func(l *DeadLetter) bool { return string(l.Original.Key) == "user3" }
	did, err = letters.Redrive(t.Context(), testTopic, Selection{Match: third})
	require.NoError(t, err)
	require.Equal(t, Redriven{Letters: 6, Matched: 1, Republished: 1}, did)
	require.Equal(t, "user3", string((<-got).Key))
	var pending int
	require.NoError(t, letters.List(t.Context(), testTopic, Selection{Pending: true}, func(DeadLetter) error {
		pending++
		return nil
	}))
	require.Zero(t, pending)
}

// What lies in a dead-letter topic may have been written by anybody.
func TestRedriveTrustsNoHeader(t *testing.T) {
	w := newWorld(t, 1)
	victim := w.Name("victim")
	w.Create(victim, 1)
	foreign := &Record{Topic: victim, Time: time.UnixMilli(1), Value: []byte("x")}
	w.Send(kafkaio.Message{
		Topic: DeadLetterTopic(testTopic), Value: []byte("x"), Headers: letterHeaders(foreign, "g", errors.New("r")),
	})
	w.Send(kafkaio.Message{Topic: DeadLetterTopic(testTopic), Value: []byte("no headers at all")})
	w.Send(kafkaio.Message{Topic: DeadLetterTopic(testTopic), Headers: []kafkaio.Header{
		{Key: kafkaio.HeaderDLTOriginalTopic, Value: make([]byte, 500_000)},
	}})
	did, err := w.letters().Redrive(t.Context(), testTopic, Selection{})
	require.NoError(t, err)
	require.Equal(t, Redriven{Letters: 3, Matched: 3, Unusable: 3}, did)
	require.Zero(t, w.End(victim, 0))
	letters := w.deadLetters()
	require.Len(t, letters, 3)
	require.Contains(t, letters[1].Reason, "kafka_dlt-original-topic is missing")
}

func TestListEndsWhenToldTo(t *testing.T) {
	w := newWorld(t, 1)
	for i := range 5 {
		r := &Record{Topic: testTopic, Offset: int64(i), Time: time.UnixMilli(1), Value: []byte("x")}
		require.NoError(t, w.letters().Write(t.Context(), r, "g", errors.New("r")))
	}
	n := 0
	count := func(DeadLetter) error { n++; return nil }
	require.NoError(t, w.letters().List(t.Context(), testTopic, Selection{Limit: 3}, count))
	require.Equal(t, 3, n)
	stop := errors.New("stop")
	require.ErrorIs(t, w.letters().List(t.Context(), testTopic, Selection{}, func(DeadLetter) error { return stop }), stop)
	require.NoError(t, w.letters().List(t.Context(), "nothing", Selection{}, count), "no topic, no letters")
}

func FuzzParseDeadLetter(f *testing.F) {
	seed := func(headers ...kafkaio.Header) {
		flat := []byte{}
		for _, h := range headers {
			flat = append(flat, byte(len(h.Key)))
			flat = append(flat, h.Key...)
			flat = append(flat, byte(len(h.Value)))
			flat = append(flat, h.Value...)
		}
		f.Add(flat)
	}
	full := letterHeaders(poison(), testGroup, errors.New("why"))
	seed(full...)
	seed(append(full, kafkaio.Header{Key: kafkaio.HeaderDLTOriginalOffset, Value: []byte{1}})...)
	seed(full[1:]...)
	negative := append([]kafkaio.Header(nil), full...)
	negative[1].Value = []byte{0xff, 0xff, 0xff, 0xff}
	seed(negative...)
	seed()
	f.Add([]byte{200, 1, 2})
	f.Fuzz(func(t *testing.T, flat []byte) {
		var headers []kafkaio.Header
		next := func() []byte {
			if len(flat) == 0 {
				return nil
			}
			n := min(int(flat[0]), len(flat)-1)
			field := flat[1 : 1+n]
			flat = flat[1+n:]
			return field
		}
		for len(flat) > 0 {
			headers = append(headers, kafkaio.Header{Key: string(next()), Value: next()})
		}
		l, err := ParseDeadLetter(Record{Topic: "x.dlt", Headers: headers, Value: []byte("v")})
		if err != nil {
			require.Contains(t, err.Error(), kafkaio.HeaderDLTPrefix)
			return
		}
		require.NotEmpty(t, l.Original.Topic)
		require.GreaterOrEqual(t, l.Original.Offset, int64(0))
		require.GreaterOrEqual(t, l.Original.Partition, int32(0))
		require.Equal(t, "v", string(l.Original.Value))
		// What was read is written and read again as the same.
		headers = append(slices.Clip(l.Original.Headers), letterHeaders(&l.Original, l.Group, errors.New(l.Reason))...)
		again, err := ParseDeadLetter(Record{Headers: headers, Value: []byte("v")})
		require.NoError(t, err)
		require.Equal(t, l.Original, again.Original)
		require.Equal(t, l.Group, again.Group)
	})
}
