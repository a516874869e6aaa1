package stream

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet/freshet/producers/kafkaio"
)

// headerRedriven is on two kinds of records. In a dead-letter topic it makes a note: the value lists offsets of that partition
// whose letters were published again. On such a record in its original topic it names the letter.
const headerRedriven = kafkaio.HeaderDLTPrefix + "redriven"

func isNote(r Record) bool {
	_, original := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderDLTOriginalTopic)
	_, redriven := kafkaio.HeaderValue(r.Headers, headerRedriven)
	return redriven && !original
}

// marks are the offsets, by partition, whose letters were redriven.
type marks map[int32]map[int64]struct{}

func (m marks) has(partition int32, offset int64) bool {
	_, ok := m[partition][offset]
	return ok
}

// take notes what a note says, and tells whether it is one. What is no offset in it is passed over.
func (m marks) take(r Record) bool {
	if !isNote(r) {
		return false
	}
	if m[r.Partition] == nil {
		m[r.Partition] = map[int64]struct{}{}
	}
	for text := range strings.SplitSeq(string(r.Value), ",") {
		if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 && offset < r.Offset {
			m[r.Partition][offset] = struct{}{}
		}
	}
	return true
}

// mostNoted is how many letters one note holds.
const mostNoted = 100

// notes collects what was redriven, and writes it behind the letters.
type notes struct {
	letters *DeadLetters
	topic   string
	waiting map[int32][]int64
}

func (n *notes) add(ctx context.Context, partition int32, offset int64) error {
	if n.waiting == nil {
		n.waiting = map[int32][]int64{}
	}
	n.waiting[partition] = append(n.waiting[partition], offset)
	if len(n.waiting[partition]) < mostNoted {
		return nil
	}
	return n.write(ctx)
}

func (n *notes) write(ctx context.Context) error {
	for partition, offsets := range n.waiting {
		texts := make([]string, len(offsets))
		for i, offset := range offsets {
			texts[i] = strconv.FormatInt(offset, 10)
		}
		_, err := n.letters.writer.Write(ctx, kafkaio.Message{
			Topic: n.topic, Partition: partition, Key: []byte(headerRedriven), Value: []byte(strings.Join(texts, ",")),
			Headers: slices.Clone(noteHeaders),
		})
		if err != nil {
			return fmt.Errorf("noting what was redriven in %s/%d: %w", n.topic, partition, err)
		}
		delete(n.waiting, partition)
	}
	return nil
}

var noteHeaders = []kafkaio.Header{{Key: headerRedriven, Value: []byte("1")}}
