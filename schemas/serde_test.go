package schemas

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSerdeFrames(t *testing.T) {
	s, err := NewSerde[Interaction](t.Context(), EmbeddedRegistry(), "freshet.interactions")
	require.NoError(t, err)
	framed := s.Append([]byte("before"), &sampleInteraction)
	require.Equal(t, []byte("before\x00FR\x00\x01"), framed[:len("before")+frameBytes], "Confluent's wire format")
	require.Equal(t, AppendInteraction(nil, &sampleInteraction), framed[len("before")+frameBytes:])
	back, err := s.Decode(t.Context(), framed[len("before"):], nil)
	require.NoError(t, err)
	require.Equal(t, sampleInteraction, back)
}

func TestSerdesOfEachRecord(t *testing.T) {
	roundTrip(t, &sampleInteraction)
	roundTrip(t, &sampleItem)
	roundTrip(t, &sampleRequest)
	roundTrip(t, &sampleReply)
}

func roundTrip[T Record](t *testing.T, record *T) {
	s, err := NewSerde[T](t.Context(), EmbeddedRegistry(), "topic")
	require.NoError(t, err)
	back, err := s.Decode(t.Context(), s.Append(nil, record), nil)
	require.NoError(t, err)
	require.Equal(t, *record, back)
}

// scripted is a registry of the schemas in texts that counts questions and fails while it is down.
type scripted struct {
	texts map[int]string
	down  atomic.Bool
	asked atomic.Int64
}

var errDown = errors.New("connection refused")

func (r *scripted) Register(context.Context, string, string) (int, error) { return 1, nil }

func (r *scripted) Latest(context.Context, string) (int, Schema, error) {
	return 0, Schema{}, ErrUnknownSchema
}

func (r *scripted) Schema(_ context.Context, id SchemaID) (Schema, error) {
	r.asked.Add(1)
	if r.down.Load() {
		return Schema{}, errDown
	}
	if text, ok := r.texts[int(id.number)]; ok && id.space == registryIDs {
		return Schema{Text: text}, nil
	}
	return Schema{}, ErrUnknownSchema
}

func frame(id uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{frameMagic}, id), body...)
}

func TestSerdeTellsMalformedFromUnreachable(t *testing.T) {
	r := &scripted{texts: map[int]string{
		2: embeddedSchemas().current["item_change"],
		3: `{"type": "record"`,
		4: `"string"`,
		5: embeddedSchemas().current["interaction"],
	}}
	s, err := NewSerde[Interaction](t.Context(), r, "topic")
	require.NoError(t, err)
	body := AppendInteraction(nil, &sampleInteraction)
	for _, c := range []struct {
		name   string
		framed []byte
		want   string
	}{
		{"half a frame", []byte{0, 0, 0, 0}, "begins with a zero byte"},
		{"a frame alone", frame(1, nil), "byte 0: the record ends"},
		{"a byte too many", append(frame(1, body), 0), "follow the record"},
		{"another record's schema", frame(2, AppendItemChange(nil, &sampleItem)),
			"freshet.v1.ItemChange cannot be read as freshet.v1.Interaction"},
		{"a broken schema", frame(3, body), "schema id 3: parsing schema"},
		{"another type", frame(4, body), "string cannot be read as freshet.v1.Interaction"},
		{"an unknown id", frame(6, body), "unknown schema"},
		{"an id above all", frame(math.MaxUint32, body), "schema id 4294967295 is none that a registry gives"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second time from what is remembered
				got, err := s.Decode(t.Context(), c.framed, nil)
				require.ErrorContains(t, err, c.want)
				require.True(t, IsMalformed(err))
				require.Zero(t, got)
			}
		})
	}
	t.Run("registry out of reach, and back", func(t *testing.T) {
		r.down.Store(true)
		_, err := s.Decode(t.Context(), frame(5, body), nil)
		require.ErrorIs(t, err, errDown)
		require.False(t, IsMalformed(err))
		r.down.Store(false)
		got, err := s.Decode(t.Context(), frame(5, body), nil)
		require.NoError(t, err)
		require.Equal(t, sampleInteraction, got)
	})
	require.False(t, IsMalformed(nil))
}

// A record of each schema asks the registry once; thousands of records with one unknown id do too.
func TestSerdeAsksOnce(t *testing.T) {
	r := &scripted{texts: map[int]string{5: embeddedSchemas().current["interaction"]}}
	s, err := NewSerde[Interaction](t.Context(), r, "topic")
	require.NoError(t, err)
	body := AppendInteraction(nil, &sampleInteraction)
	for range 10 {
		_, err = s.Decode(t.Context(), frame(5, body), nil)
		require.NoError(t, err)
		_, err = s.Decode(t.Context(), frame(6, body), nil)
		require.True(t, IsMalformed(err))
	}
	require.EqualValues(t, 2, r.asked.Load())
	for id := range uint32(3 * maxUnknown) {
		_, err = s.Decode(t.Context(), frame(1000+id, body), nil)
		require.True(t, IsMalformed(err))
	}
	require.LessOrEqual(t, len(s.writers.unknown), maxUnknown, "hostile ids take bounded memory")
}

func TestSerdeIsSafeForConcurrentUse(t *testing.T) {
	text, err := os.ReadFile("testdata/evolution/interaction.newer.avsc")
	require.NoError(t, err)
	r := &scripted{texts: map[int]string{5: embeddedSchemas().current["interaction"], 7: string(text)}}
	s, err := NewSerde[Interaction](t.Context(), r, "topic")
	require.NoError(t, err)
	body := AppendInteraction(nil, &sampleInteraction)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 200 {
				got, err := s.Decode(t.Context(), frame([]uint32{1, 5}[i%2], body), nil)
				if err != nil || got.EventID != sampleInteraction.EventID || got.Context["app"] != "ios" {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
	group.Wait()
}

// The buffer that foreign records are rewritten in is used again; no record may live in it.
func TestForeignRecordsKeepTheirStrings(t *testing.T) {
	r := &scripted{texts: map[int]string{5: embeddedSchemas().current["interaction"]}}
	s, err := NewSerde[Interaction](t.Context(), r, "topic")
	require.NoError(t, err)
	first, err := s.Decode(t.Context(), frame(5, AppendInteraction(nil, &Interaction{EventID: "first"})), nil)
	require.NoError(t, err)
	for range 10 {
		_, err = s.Decode(t.Context(), frame(5, AppendInteraction(nil, &Interaction{EventID: "other"})), nil)
		require.NoError(t, err)
	}
	require.Equal(t, "first", first.EventID)
}

func TestRegistryMayRefuseTheSchema(t *testing.T) {
	_, err := NewSerde[Interaction](t.Context(), &refusing{}, "topic")
	require.ErrorIs(t, err, errDown)
	_, err = NewSerde[Interaction](t.Context(), givingID(-1), "topic")
	require.ErrorContains(t, err, "schema id -1, which no frame can carry")
}

type refusing struct{ scripted }

func (*refusing) Register(context.Context, string, string) (int, error) { return 0, errDown }

type givingID int

func (givingID) Latest(context.Context, string) (int, Schema, error) {
	return 0, Schema{}, ErrUnknownSchema
}

func (id givingID) Register(context.Context, string, string) (int, error) { return int(id), nil }
func (givingID) Schema(context.Context, SchemaID) (Schema, error) {
	return Schema{}, ErrUnknownSchema
}

// FuzzSerde holds that any bytes on a topic give a record or a malformed error, whichever of the known schemas they name.
func FuzzSerde(f *testing.F) {
	r := &scripted{texts: make(map[int]string)}
	for i, name := range []string{"interaction.older", "interaction.newer", "item_change.newer"} {
		text, err := os.ReadFile("testdata/evolution/" + name + ".avsc")
		require.NoError(f, err)
		r.texts[2+i] = string(text)
	}
	s, err := NewSerde[Interaction](f.Context(), r, "topic")
	require.NoError(f, err)
	body := AppendInteraction(nil, &sampleInteraction)
	for id := range uint32(6) {
		f.Add(frame(id, body))
	}
	f.Add(frame(3, bytes.Repeat([]byte{2}, 200)))
	f.Fuzz(func(t *testing.T, framed []byte) {
		record, err := s.Decode(t.Context(), framed, nil)
		if err != nil {
			require.True(t, IsMalformed(err), "%v", err)
			return
		}
		_, err = s.Decode(t.Context(), s.Append(nil, &record), nil)
		require.NoError(t, err)
	})
}
