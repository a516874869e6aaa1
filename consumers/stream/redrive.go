package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// Selection says which letters of a dead-letter topic are meant. The zero Selection means all that are still there.
type Selection struct {
	// Pending leaves out the letters that a Redrive has published again.
	Pending bool
	// Match leaves out the letters for which it returns false; nil leaves out none.
	Match func(*DeadLetter) bool
	// Limit is the most letters, 0 for no limit.
	Limit int
	// About returns the ids that a record of the original topic is about, or its key names: Redrive looks for their tombstones. An
	// error ends the Redrive. Without it keys are compared as bytes.
	About func(context.Context, *Record) ([]string, error)
}

func (s Selection) about(ctx context.Context, r *Record) ([]string, error) {
	switch {
	case s.About != nil:
		return s.About(ctx, r)
	case len(r.Key) == 0:
		return nil, nil // nobody's
	}
	return []string{string(r.Key)}, nil
}

func (s Selection) matches(l *DeadLetter) bool { return s.Match == nil || s.Match(l) }

// Redriven is what a Redrive did.
type Redriven struct {
	// Letters were there, those left out that Pending leaves out. Of them, Matched are those that Match does not leave out.
	Letters, Matched int
	// Republished were written to the original topic.
	Republished int
	// Erased were left alone: a tombstone of whom they are about is younger than the record was.
	Erased int
	// Found had been published again by a Redrive that ended before it could say so. They count as redriven now.
	Found int
	// Unusable were left alone: they are no dead letters of the topic, or lack a part of their value.
	Unusable int
}

// List calls each for every selected dead letter of a topic, partition by partition, oldest first. What is not a dead letter
// is given with a Reason that says so, and nothing but its Position, time, and bytes as the Original.
func (d *DeadLetters) List(ctx context.Context, topic string, s Selection, each func(DeadLetter) error) error {
	b, err := d.open(ctx, topic)
	if err != nil {
		return err
	}
	defer b.topic.Close()
	if s.Pending {
		if err := b.readMarks(ctx, nil); err != nil {
			return err
		}
	}
	n := 0
	return b.letters(ctx, s, func(_ Record, letter *DeadLetter, _ bool) error {
		if !s.matches(letter) {
			return nil
		}
		if err := each(*letter); err != nil {
			return err
		}
		if n++; n == s.Limit {
			return errEnough
		}
		return nil
	})
}

// Redrive writes the selected dead letters of a topic to that topic again, each by its key, with its value, and its headers
// without those of the dead letter. What a letter says about its original topic is only compared, never trusted: it cannot
// have anything written elsewhere.
//
// A letter is left alone if there is a tombstone of whom it is about that is younger than the record was: the user was erased, the
// item taken down, and publishing the record behind the tombstone would bring it back. See lookback for what is younger.
//
// The letters stay where they are, and what was redriven is noted beside them, letter by letter, in records that have no
// original topic but the header kafka_dlt-redriven: a note lasts as long as the letters do, for every process that comes later,
// whatever its Match. A Redrive that is cut off between publishing and noting is found out too, since what it published says
// which letter it was:
//
//	first: publishes letter 7 ... dies
//	second: .......................... reads letters and notes: 7 is pending; looks back: 7 was published; notes it, publishes 8
func (d *DeadLetters) Redrive(ctx context.Context, topic string, s Selection) (Redriven, error) {
	var did Redriven
	b, err := d.open(ctx, topic)
	if err != nil {
		return did, err
	}
	defer b.topic.Close()
	back := newLookback(s)
	err = b.readMarks(ctx, func(r Record) error {
		if letter, usable := b.parse(r); usable && s.matches(letter) {
			return back.want(ctx, letter)
		}
		return nil
	})
	if err != nil {
		return did, err
	}
	if s.Pending {
		back.forget(b.marks)
	}
	if err := back.read(ctx, d.kafka, topic); err != nil {
		return did, fmt.Errorf("looking for tombstones that are younger than the letters: %w", err)
	}
	notes := notes{letters: d, topic: b.topic.Name}
	err = b.letters(ctx, s, func(r Record, letter *DeadLetter, usable bool) error {
		did.Letters++
		if !s.matches(letter) {
			return nil
		}
		did.Matched++
		switch {
		case !usable:
			did.Unusable++
			return nil
		case s.Pending && back.published(letter):
			did.Found++
		case back.erased(letter):
			did.Erased++
			return nil
		default:
			if err := d.republish(ctx, topic, letter); err != nil {
				return err
			}
			did.Republished++
		}
		if err := notes.add(ctx, r.Partition, r.Offset); err != nil {
			return err
		}
		if did.Republished == s.Limit && s.Limit > 0 {
			return errEnough
		}
		return nil
	})
	return did, errors.Join(err, notes.write(context.WithoutCancel(ctx)))
}

func (d *DeadLetters) republish(ctx context.Context, topic string, letter *DeadLetter) error {
	at := letter.Position
	_, err := d.writer.Write(ctx, kafkaio.Message{
		Topic: topic, Partition: kafkaio.AnyPartition, Key: letter.Original.Key, Value: letter.Original.Value,
		Headers: append(letter.Original.Headers, kafkaio.Header{Key: headerRedriven, Value: []byte(letterName(at))}),
	})
	if err != nil {
		return fmt.Errorf("redriving the dead letter at %d@%d: %w", at.Partition, at.Offset, err)
	}
	return nil
}

// letterName tells a letter among those of its topic.
func letterName(at kafkaio.Position) string { return fmt.Sprintf("%d@%d", at.Partition, at.Offset) }

// box is one dead-letter topic as of now.
type box struct {
	topic    *partition.Topic
	original string
	spans    map[int32]partition.Span
	marks    marks
}

func (d *DeadLetters) open(ctx context.Context, topic string) (*box, error) {
	t, spans, err := partition.Open(ctx, d.kafka, DeadLetterTopic(topic))
	if err != nil {
		return nil, err
	}
	return &box{topic: t, original: topic, spans: spans, marks: marks{}}, nil
}

// readMarks learns what was redriven. each, unless it is nil, gets the letters meanwhile, also those that were.
func (b *box) readMarks(ctx context.Context, each func(Record) error) error {
	return b.topic.Scan(ctx, b.spans, func(r Record) error {
		if !b.marks.take(r) && each != nil {
			return each(r)
		}
		return nil
	})
}

// errEnough ends letters early, without an error.
var errEnough = errors.New("enough")

// letters calls each for every letter; of those that were redriven only where s is not for the pending ones.
func (b *box) letters(ctx context.Context, s Selection, each func(r Record, letter *DeadLetter, usable bool) error) error {
	err := b.topic.Scan(ctx, b.spans, func(r Record) error {
		if isNote(r) || s.Pending && b.marks.has(r.Partition, r.Offset) {
			return nil
		}
		letter, usable := b.parse(r)
		return each(r, letter, usable)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// parse reads a letter, and tells whether it can be redriven.
func (b *box) parse(r Record) (letter *DeadLetter, usable bool) {
	l, err := ParseDeadLetter(r)
	if err != nil {
		return &DeadLetter{
			Position: kafkaio.Position{Partition: r.Partition, Offset: r.Offset}, Written: r.Time,
			Original: Record{Key: r.Key, Value: r.Value, Headers: r.Headers}, Reason: err.Error(),
		}, false
	}
	return &l, l.Original.Topic == b.original && l.Truncated != TruncatedValue
}
