package stream

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers/kafkaio"
)

// giveUp writes a record and its dead letter.
func (w *world) giveUp(key, reason string) {
	w.T.Helper()
	r := w.sendAt(0, key, []byte("value of "+key))
	require.NoError(w.T, w.letters().Write(w.T.Context(), &r, "g", errors.New(reason)))
}

// sendAt writes a record, a tombstone where value is nil.
func (w *world) sendAt(partition int32, key string, value []byte) Record {
	w.T.Helper()
	at := w.End(testTopic, partition)
	w.Send(kafkaio.Message{Topic: testTopic, Partition: partition, Key: []byte(key), Value: value})
	return Record{Topic: testTopic, Partition: partition, Offset: at, Key: []byte(key), Value: value, Time: time.Now()}
}

func (w *world) redrive(s Selection) Redriven {
	w.T.Helper()
	did, err := w.letters().Redrive(w.T.Context(), testTopic, s)
	require.NoError(w.T, err)
	return did
}

func (w *world) pending() (keys []string) {
	w.T.Helper()
	require.NoError(w.T, w.letters().List(w.T.Context(), testTopic, Selection{Pending: true}, func(l DeadLetter) error {
		keys = append(keys, string(l.Original.Key))
		return nil
	}))
	return keys
}

// TestRedriveLeavesTheErasedAlone: the tombstone lies behind the record, in its partition or, as partitions were added, in another.
func TestRedriveLeavesTheErasedAlone(t *testing.T) {
	w := newWorld(t, 2)
	w.sendAt(0, "came-back", nil)
	for _, key := range []string{"came-back", "erased", "erased-elsewhere", "stays"} {
		w.giveUp(key, "why")
	}
	w.sendAt(0, "erased", nil)
	w.sendAt(1, "erased-elsewhere", nil)
	before := w.End(testTopic, 0) + w.End(testTopic, 1)
	want := Redriven{Letters: 4, Matched: 4, Republished: 2, Erased: 2}
	require.Equal(t, want, w.redrive(Selection{Pending: true}))
	require.Equal(t, before+2, w.End(testTopic, 0)+w.End(testTopic, 1))
	require.ElementsMatch(t, []string{"erased", "erased-elsewhere"}, w.pending())
	require.Equal(t, Redriven{Letters: 2, Matched: 2, Erased: 2}, w.redrive(Selection{Pending: true}))
	require.Equal(t, 2, w.redrive(Selection{}).Erased, "not even when all are published again")
}

// TestRedriveKnowsWhomALetterIsAbout: key and value need not say the same, and a tombstone need not have the same key.
func TestRedriveKnowsWhomALetterIsAbout(t *testing.T) {
	w := newWorld(t, 1)
	for _, key := range []string{`"by-key"`, "someone", "stays"} {
		w.giveUp(key, "why")
	}
	w.sendAt(0, "{by-key}", nil)
	w.sendAt(0, "by-value", nil)
	about := func(_ context.Context, r *Record) (ids []string, err error) {
		if string(r.Value) == "value of someone" {
			ids = append(ids, "by-value")
		}
		return append(ids, strings.Trim(string(r.Key), `"{}`)), nil
	}
	require.Equal(t, Redriven{Letters: 3, Matched: 3, Republished: 1, Erased: 2}, w.redrive(Selection{Pending: true, About: about}))
	require.ElementsMatch(t, []string{`"by-key"`, "someone"}, w.pending())
	_, err := w.letters().Redrive(t.Context(), testTopic, Selection{About: func(context.Context, *Record) ([]string, error) {
		return nil, errors.New("the registry is away")
	}})
	require.ErrorContains(t, err, "asking whom the dead letter at 0@0 is about: the registry is away")
}

func TestWhatIsYounger(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	letter := func(edit func(*DeadLetter)) *DeadLetter {
		l := &DeadLetter{Written: noon.Add(time.Second), Original: Record{Partition: 1, Offset: 7, Key: []byte("u"), Time: noon}}
		edit(l)
		return l
	}
	same := func(*DeadLetter) {}
	for name, c := range map[string]struct {
		letter *DeadLetter
		stone  tombstone
		want   bool
	}{
		"behind":                            {letter(same), tombstone{1, 8, noon}, true},
		"behind, by a clock that is slow":   {letter(same), tombstone{1, 8, noon.Add(-time.Hour)}, true},
		"before":                            {letter(same), tombstone{1, 6, noon}, false},
		"before, in a topic made anew":      {letter(same), tombstone{1, 2, noon.Add(time.Hour)}, true},
		"another partition, later":          {letter(same), tombstone{2, 1, noon.Add(time.Second)}, true},
		"another partition, a clock behind": {letter(same), tombstone{2, 1, noon.Add(-time.Minute)}, true},
		"another partition, long before":    {letter(same), tombstone{2, 1, noon.Add(-time.Hour)}, false},
		"a record whose time is ahead": {letter(func(l *DeadLetter) { l.Original.Time = noon.Add(24 * time.Hour) }),
			tombstone{2, 1, noon.Add(time.Minute)}, true},
		"a record without a key": {letter(func(l *DeadLetter) { l.Original.Key = nil }), tombstone{1, 8, noon}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newLookback(Selection{})
			require.NoError(t, b.want(t.Context(), c.letter))
			b.ids[string(c.letter.Original.Key)] = []tombstone{c.stone}
			require.Equal(t, c.want, b.erased(c.letter))
		})
	}
}

// TestWhatWasRedrivenIsNotLookedFor: the topic would be read from the oldest letter on at each Redrive.
func TestWhatWasRedrivenIsNotLookedFor(t *testing.T) {
	b := newLookback(Selection{})
	for _, offset := range []int64{3, 7} {
		l := &DeadLetter{Position: kafkaio.Position{Offset: offset}, Original: Record{Offset: 10 * offset, Key: []byte("u")}}
		require.NoError(t, b.want(t.Context(), l))
	}
	b.forget(marks{0: {3: {}}})
	require.Len(t, b.letters, 1)
	require.EqualValues(t, 70, b.letters[kafkaio.Position{Offset: 7}].offset)
}

// TestRedriveKnowsWhatItDid, letter by letter, whatever older ones it left alone, and another process knows as much.
func TestRedriveKnowsWhatItDid(t *testing.T) {
	w := newWorld(t, 1)
	w.giveUp("older", "a bad id")
	w.giveUp("ahead", "occurred_at is ahead")
	w.giveUp("ahead-too", "occurred_at is ahead")
	ahead := func(l *DeadLetter) bool { return l.Reason == "occurred_at is ahead" }
	require.Equal(t, Redriven{Letters: 2, Matched: 1, Republished: 1}, w.redrive(Selection{Pending: true, Match: ahead, Limit: 1}),
		"it ends at the limit")
	require.Equal(t, []string{"older", "ahead-too"}, w.pending())
	require.Equal(t, Redriven{Letters: 2, Matched: 1, Republished: 1}, w.redrive(Selection{Pending: true, Match: ahead}))
	require.Equal(t, Redriven{Letters: 1}, w.redrive(Selection{Pending: true, Match: ahead}))
	require.Equal(t, []string{"older"}, w.pending())
	require.Equal(t, Redriven{Letters: 3, Matched: 2, Republished: 2}, w.redrive(Selection{Match: ahead}), "asked for again")
	require.Len(t, w.deadLetters(), 3, "the notes are no letters")
}

// TestARedriveThatWasCutOff between publishing and noting it: the next one finds what was published.
func TestARedriveThatWasCutOff(t *testing.T) {
	w := newWorld(t, 2)
	w.giveUp("published", "why")
	w.giveUp("not-yet", "why")
	letters := w.deadLetters()
	for i := range letters {
		if string(letters[i].Original.Key) == "published" {
			require.NoError(t, w.letters().republish(t.Context(), testTopic, &letters[i]))
		}
	}
	// Anybody may write such a header: of another key it says nothing.
	for i := range letters {
		w.Send(kafkaio.Message{Topic: testTopic, Partition: 1, Key: []byte("somebody"), Value: []byte("x"), Headers: []kafkaio.Header{
			{Key: headerRedriven, Value: []byte(letterName(letters[i].Position))},
		}})
	}
	require.Equal(t, Redriven{Letters: 2, Matched: 2, Republished: 1, Found: 1}, w.redrive(Selection{Pending: true}))
	require.Empty(t, w.pending())
}

func FuzzNotes(f *testing.F) {
	f.Add([]byte("1,2,7"))
	f.Add([]byte(",-1,99999999999999999999,x"))
	f.Fuzz(func(t *testing.T, value []byte) {
		m := marks{}
		require.True(t, m.take(Record{Partition: 3, Offset: 10, Value: value, Headers: noteHeaders}))
		for offset := range m[3] {
			require.True(t, offset >= 0 && offset < 10, "a note tells of what lies before it")
		}
	})
}
