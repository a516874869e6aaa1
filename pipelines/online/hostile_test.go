package online

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// hostileBytes are values that are no record of any schema here, from a good one of the topic.
func hostileBytes(rng *rand.Rand, good []byte) [][]byte {
	values := [][]byte{{}, {0}, {0, 0, 0, 0}, good[:5], []byte("{}"), []byte(strings.Repeat("x", 950_000))}
	for cut := 6; cut < len(good); cut += 1 + len(good)/8 { // truncated
		values = append(values, good[:cut])
	}
	for _, id := range []uint32{0, 99, 1 << 31, 1<<32 - 1} { // wrong schema ids
		values = append(values, append(binary.BigEndian.AppendUint32([]byte{0}, id), good[5:]...))
	}
	for _, length := range []int64{1 << 20, 1 << 31, 1<<62 - 1, -1, -1 << 62} { // lengths that nothing follows
		for at := 5; at < len(good); at += 1 + len(good)/6 {
			values = append(values, binary.AppendVarint(append([]byte{}, good[:at]...), length))
		}
	}
	for range 40 { // random, with and without a good frame
		b := make([]byte, 1+rng.IntN(300))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		values = append(values, b, append(append([]byte{}, good[:5]...), b...))
	}
	return values
}

func long(n int) string { return strings.Repeat("ü", n/2) }

// TestHostileBytesAreDeadLettersAndTheStreamGoesOn runs all roles on all three topics.
func TestHostileBytesAreDeadLettersAndTheStreamGoesOn(t *testing.T) {
	w := newWorld(t)
	w.fillCatalogue()
	m := w.join(AllRoles()...)
	m.awaitReady()
	rng := rand.New(rand.NewPCG(1, 1))
	s := w.settings.Topics

	event := schemas.Interaction{EventID: "e", UserID: "ann", ItemID: itemID(1), Type: schemas.Like, OccurredAt: time.Now()}
	change := itemChange(0, 2)
	request := recommendationRequest("ann")
	goodEvent, goodChange := w.events.Append(nil, &event), w.items.Append(nil, &change)
	goodRequest := w.requests.Append(nil, &request)

	events := append(hostileBytes(rng, goodEvent), goodChange, goodRequest)
	for _, spoil := range []func(*schemas.Interaction){
		func(e *schemas.Interaction) { e.UserID = long(950_000) },
		func(e *schemas.Interaction) { e.ItemID = long(950_000) },
		func(e *schemas.Interaction) { e.Surface = long(950_000) },
		func(e *schemas.Interaction) { e.Context = map[string]string{"k": long(950_000)} },
	} {
		bad := event
		spoil(&bad)
		events = append(events, w.events.Append(nil, &bad))
	}
	changes := append(hostileBytes(rng, goodChange), goodEvent, goodRequest)
	for _, spoil := range []func(*schemas.ItemChange){
		func(c *schemas.ItemChange) { c.ItemID = long(950_000) },
		func(c *schemas.ItemChange) { c.Description = long(950_000) },
		func(c *schemas.ItemChange) { c.Categories = strings.Split(long(300_000), "") },
	} {
		bad := change
		spoil(&bad)
		changes = append(changes, w.items.Append(nil, &bad))
	}
	requests := append(hostileBytes(rng, goodRequest), goodEvent, goodChange)

	before := memory()
	for i, value := range events {
		w.send(w.keyed(s.Interactions, fmt.Sprint(i), value))
	}
	for i, value := range changes {
		w.send(w.keyed(s.Items, fmt.Sprint(i), value))
	}
	for i, value := range requests {
		q := w.question(request, fmt.Sprint("hostile", i))
		q.Key, q.Value = []byte(fmt.Sprint(i)), value
		w.send(q)
	}
	// The good ones come last on each partition.
	for p := range int32(s.Interactions.Partitions) {
		good := event
		good.EventID, good.UserID = fmt.Sprint("good", p), fmt.Sprint("good", p)
		w.send(kafkaio.Message{Topic: s.Interactions.Name, Partition: p, Key: []byte(good.UserID), Value: w.events.Append(nil, &good)})
		next := itemChange(100+int(p), 1)
		w.send(kafkaio.Message{Topic: s.Items.Name, Partition: p, Key: []byte(next.ItemID), Value: w.items.Append(nil, &next)})
		q := w.question(recommendationRequest("bob"), fmt.Sprint("good", p))
		q.Partition = p
		w.send(q)
	}
	w.awaitDone(Interactions, s.Interactions)
	w.awaitDone(Catalogue, s.Items)
	w.awaitDone(Recommendations, s.Requests)
	used := memory() - before

	w.requireLetters(s.Interactions, len(events))
	w.requireLetters(s.Items, len(changes))
	w.requireLetters(s.Requests, len(requests))
	replies := w.repliesByCorrelation()
	for i := range requests {
		require.Equal(t, schemas.StatusInvalidRequest, replies[fmt.Sprint("hostile", i)].Status)
	}
	for p := range s.Interactions.Partitions {
		loaded, err := m.Profiles.Load(t.Context(), []string{fmt.Sprint("good", p)}, modelID)
		require.NoError(t, err)
		require.Len(t, loaded[0].History, 1)
		items, err := m.Items.Load(t.Context(), []string{itemID(100 + p)})
		require.NoError(t, err)
		require.NotNil(t, items[0])
		require.Equal(t, schemas.StatusOK, replies[fmt.Sprint("good", p)].Status)
	}
	select {
	case <-m.ended:
		t.Fatalf("a role has ended: %v", m.err)
	default:
	}
	// What stays is in the embedded Kafka: the records themselves, and their dead letters.
	require.Less(t, used, int64(96<<20))
	t.Logf("%d hostile records on the interactions, %d on the items, %d on the requests topic; heap grew by %d MB",
		len(events), len(changes), len(requests), used>>20)
}

func (w *world) requireLetters(topic topics.Topic, n int) {
	w.t.Helper()
	letters := w.letters(topic)
	require.Len(w.t, letters, n, topic.Name)
	for _, l := range letters {
		require.NotEmpty(w.t, l.Reason)
		require.LessOrEqual(w.t, len(l.Reason), 1024+3)
	}
}

// memory is the live heap.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestRecordsThatClaimMuchTakeLittle: many small records, each of which claims gigabytes; all that they ever had allocated, in
// the servers too, is a few KB each.
func TestRecordsThatClaimMuchTakeLittle(t *testing.T) {
	w := newWorld(t)
	m := w.join(Interactions, Catalogue)
	m.awaitReady()
	s := w.settings.Topics
	event := schemas.Interaction{EventID: "e", UserID: "u", ItemID: "i", Type: schemas.Like, OccurredAt: time.Now()}
	change := itemChange(0, 2)
	goodEvent, goodChange := w.events.Append(nil, &event), w.items.Append(nil, &change)
	const each = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range each {
		claim := int64(1<<33) + int64(i)
		at := 5 + i%(len(goodEvent)-5)
		w.send(w.keyed(s.Interactions, "u", binary.AppendVarint(append([]byte{}, goodEvent[:at]...), claim)))
		at = 5 + i%(len(goodChange)-5)
		w.send(w.keyed(s.Items, "i", binary.AppendVarint(append([]byte{}, goodChange[:at]...), claim)))
	}
	w.awaitDone(Interactions, s.Interactions)
	w.awaitDone(Catalogue, s.Items)
	runtime.ReadMemStats(&after)
	w.requireLetters(s.Interactions, each)
	w.requireLetters(s.Items, each)
	perRecord := (after.TotalAlloc - before.TotalAlloc) / (2 * each)
	require.Less(t, perRecord, uint64(1<<20))
	t.Logf("%d KB allocated in all for each of %d records", perRecord>>10, 2*each)
}
