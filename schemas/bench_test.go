package schemas

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The typed codec beside goavro on the same record, in the same run: go test -bench . ./schemas.
func BenchmarkEncodeInteraction(b *testing.B) {
	benchmarkEncode(b, &sampleInteraction, interactionNative)
}
func BenchmarkDecodeInteraction(b *testing.B) {
	benchmarkDecode(b, &sampleInteraction, interactionNative)
}
func BenchmarkEncodeReply(b *testing.B) { benchmarkEncode(b, &sampleReply, replyNative) }
func BenchmarkDecodeReply(b *testing.B) { benchmarkDecode(b, &sampleReply, replyNative) }

func benchmarkEncode[T Record](b *testing.B, record *T, native func(*T) map[string]any) {
	c, o := codecOf[T](), newOracle(b, native)
	b.Run("typed", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = c.encode(buf[:0], record)
		}
		b.SetBytes(int64(len(buf)))
	})
	b.Run("goavro", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf, _ = o.BinaryFromNative(buf[:0], o.native(record))
		}
		b.SetBytes(int64(len(buf)))
	})
}

// goavro's half stops at the map; turning it into a record would cost more.
func benchmarkDecode[T Record](b *testing.B, record *T, native func(*T) map[string]any) {
	c, o := codecOf[T](), newOracle(b, native)
	body := c.encode(nil, record)
	b.Run("typed", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := c.decode(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("goavro", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, _, err := o.NativeFromBinary(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDecodeForeign is what a rolling upgrade costs the readers that are not upgraded yet.
func BenchmarkDecodeForeign(b *testing.B) {
	text, err := os.ReadFile("testdata/evolution/interaction.newer.avsc")
	require.NoError(b, err)
	s, err := NewSerde[Interaction](b.Context(), &scripted{texts: map[int]string{5: string(text)}}, "topic")
	require.NoError(b, err)
	// session null, event_id e, user_id u, item_id i, type like, value null, occurred_at 1, request_id r, surface and context
	// none, weight 0
	framed := frame(5, append([]byte{0, 2, 'e', 2, 'u', 2, 'i', 10, 0, 2, 0, 2, 'r', 0, 0}, make([]byte, 8)...))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Decode(b.Context(), framed, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLimits(b *testing.B) {
	limits := DefaultLimits()
	b.ReportAllocs()
	for b.Loop() {
		if err := limits.Interaction(&sampleInteraction, testNow); err != nil {
			b.Fatal(err)
		}
	}
}
