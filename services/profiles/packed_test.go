package profiles

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func sampleHistory() history {
	return history{
		{ItemID: "b", Type: schemas.Rating, OccurredAt: time.UnixMilli(9).UTC(), Value: 4.5, HasValue: true,
			Position: schemas.Position{Partition: 1, Offset: 300}, fingerprint: 1},
		{ItemID: "", Type: schemas.Hide, OccurredAt: time.UnixMilli(9).UTC(), Position: schemas.Position{Offset: 2},
			fingerprint: math.MaxUint64},
		{ItemID: strings.Repeat("ü", 128), Type: schemas.View, OccurredAt: time.UnixMilli(math.MinInt64).UTC(),
			Position: schemas.Position{Partition: math.MaxInt32, Offset: math.MaxInt64}},
	}
}

func TestPackedValuesComeBack(t *testing.T) {
	h, err := unpackHistory(string(packHistory(sampleHistory())))
	require.NoError(t, err)
	require.Equal(t, sampleHistory(), h)
	h, err = unpackHistory(string(packHistory(nil)))
	require.NoError(t, err)
	require.Empty(t, h)

	marks := watermarks{{Partition: 7, Offset: math.MaxInt64}, {Partition: 0, Offset: 0}}
	w, err := unpackWatermarks(string(packWatermarks(marks)))
	require.NoError(t, err)
	require.Equal(t, marks, w)

	c, err := unpackCounters(string(packCounters(Counters{0, math.MaxUint64, 3})))
	require.NoError(t, err)
	require.Equal(t, Counters{0, math.MaxUint64, 3}, c)

	p, err := unpackPast(string(packPast(samplePast())))
	require.NoError(t, err)
	require.Equal(t, *samplePast(), p)

	turned, err := unpackTurned(string(packTurned(sampleTurned())))
	require.NoError(t, err)
	require.Equal(t, sampleTurned(), turned)
	turned, err = unpackTurned("\x01\x01\x01\x02\x03\x04\x06") // format 1, by hand
	require.NoError(t, err)
	require.Equal(t, turnedDown{{item: 0x04030201, at: 3}}, turned)
}

// The bytes of format 1, written by hand: what is in Redis must stay readable.
func TestFormatOne(t *testing.T) {
	h, err := unpackHistory("\x01\x02" +
		"\x08\x07\x06\x05\x04\x03\x02\x01" + "\x88" + "\xd0\x0f" + "\x03" + "\xac\x02" + "\x00\x00\x90\x40" + "\x02ab" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" + "\x02" + "\xe8\x07" + "\x00" + "\x05" + "\x00")
	require.NoError(t, err)
	require.Equal(t, history{
		{ItemID: "ab", Type: schemas.Rating, OccurredAt: time.UnixMilli(1000).UTC(), Value: 4.5, HasValue: true,
			Position: schemas.Position{Partition: 3, Offset: 300}, fingerprint: 0x0102030405060708},
		{ItemID: "", Type: schemas.View, OccurredAt: time.UnixMilli(0).UTC(), Position: schemas.Position{Offset: 5}},
	}, h)
	w, err := unpackWatermarks("\x01\x02\x01\xac\x02\x00\x00")
	require.NoError(t, err)
	require.Equal(t, watermarks{{Partition: 1, Offset: 300}, {}}, w)
	c, err := unpackCounters("\x01\x02\x00\x05")
	require.NoError(t, err)
	require.Equal(t, Counters{0, 5}, c)
	p, err := unpackPast("\x01\xdc\x0b" + "\x01\x01\x02\x03\x04\x21" + "\x0b\x00\x0f\x07" + "\x00\x00\x00\x00\x00\x00")
	require.NoError(t, err)
	want := newPast()
	want.compactAt = 1500
	want.left = window{tail: []uint32{0x04030201}, tailNewest: 5, halves: [2]int64{never, 7}, horizon: 3, blocks: 33}
	require.Equal(t, want, p)
	got := unpackTaste("\x02\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x80\x3f", "\x00\x00\x00\x40", 2, towerOf(1, 1))
	require.NotNil(t, got)
	require.Equal(t, []float32{1}, got.state.Values())
	require.Equal(t, packedTime(time.UnixMilli(-1)), string(got.state.Append(nil)[:8]))
	require.Equal(t, []float32{2}, got.embedding)
}

// towerOf is one of a dimension and a number of layers: a state has as many values as both multiplied.
func towerOf(dim, layers int) *towers.UserTower {
	_, tower := towertest.Towers(towertest.Shape{Dim: dim, Layers: layers}, nil)
	return tower
}

func TestUnreadablePackedValues(t *testing.T) {
	good := string(packHistory(sampleHistory()))
	swapped := sampleHistory()
	swapped[0], swapped[1] = swapped[1], swapped[0]
	for want, value := range map[string]string{
		"ends too early":    good[:len(good)-1],
		"1 bytes follow":    good + "x",
		"out of order":      string(packHistory(swapped)),
		"unknown format 0":  "\x00",
		"has format 2":      "\x02" + good[1:],
		"more than 4096":    "\x01\xff\xff\x03",
		"more than 64 bits": "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	} {
		_, err := unpackHistory(value)
		require.ErrorContains(t, err, want)
	}
	_, err := unpackHistory("")
	require.ErrorIs(t, err, errTruncated)
	_, err = unpackHistory("\x01\x80\x20short")
	require.ErrorIs(t, err, errTruncated, "a count is believed only as far as there are bytes")
	_, err = unpackWatermarks("\x01\x02\x01\x05\x01\x06")
	require.ErrorContains(t, err, "name a partition twice")
	_, err = unpackWatermarks("\x01\x02\x01\x05\x02")
	require.ErrorIs(t, err, errTruncated)
	_, err = unpackCounters("\x01\x81\x02")
	require.ErrorContains(t, err, "more than 256")
}

func sampleState() string {
	t := taste{state: *towertest.StateOf([]float32{1, 2})}
	return string(t.packState(5))
}

// A taste is made anew from the history, so one that cannot be used is none, and no error.
func TestUnusableTasteIsNone(t *testing.T) {
	state, embedding := sampleState(), string(packFloats([]float32{3}))
	require.NotNil(t, unpackTaste(state, embedding, 5, towerOf(1, 2)))
	require.NotNil(t, unpackTaste(state, embedding, 5, nil))
	for name, none := range map[string]*taste{
		"another stamp":      unpackTaste(state, embedding, 6, towerOf(1, 2)),
		"another state size": unpackTaste(state, embedding, 5, towerOf(1, 3)),
		"another dimension":  unpackTaste(state, embedding, 5, towerOf(2, 1)),
		"no embedding":       unpackTaste(state, "", 5, towerOf(1, 2)),
		"half a float":       unpackTaste(state, "abc", 5, towerOf(1, 2)),
		"half a value":       unpackTaste(state[:len(state)-1], embedding, 5, nil),
		"no time":            unpackTaste(state[:9], embedding, 5, nil),
		"no state":           unpackTaste("", embedding, 5, towerOf(1, 2)),
		"a newer format":     unpackTaste("\x03"+state[1:], embedding, 5, towerOf(1, 2)),
		"the format before":  unpackTaste("\x01"+state[1:9]+state[17:], embedding, 5, towerOf(1, 2)),
	} {
		require.Nil(t, none, name)
	}
}

func FuzzUnpackHistory(f *testing.F) {
	good := string(packHistory(sampleHistory()))
	for n := range len(good) {
		f.Add(good[:n])
	}
	f.Add(good)
	f.Add("\x01\x01" + good)
	f.Fuzz(func(t *testing.T, value string) {
		h, err := unpackHistory(value)
		if err != nil {
			return
		}
		again, err := unpackHistory(string(packHistory(h)))
		require.NoError(t, err)
		requireEqualHistories(t, h, again)
	})
}

// requireEqualHistories compares values by their bits, as a stored NaN equals itself.
func requireEqualHistories(t *testing.T, a, b history) {
	t.Helper()
	require.Len(t, b, len(a))
	for i := range a {
		x, y := a[i], b[i]
		require.Equal(t, math.Float32bits(x.Value), math.Float32bits(y.Value))
		x.Value, y.Value = 0, 0
		require.Equal(t, x, y)
	}
}

func FuzzUnpackWatermarks(f *testing.F) {
	f.Add(string(packWatermarks(watermarks{{Partition: 7, Offset: math.MaxInt64}, {}})))
	f.Add("")
	f.Add("\x01\xff\xff\x03")
	f.Fuzz(func(t *testing.T, value string) {
		if w, err := unpackWatermarks(value); err == nil {
			again, err := unpackWatermarks(string(packWatermarks(w)))
			require.NoError(t, err)
			require.Equal(t, w, again)
		}
	})
}

func FuzzUnpackCounters(f *testing.F) {
	f.Add(string(packCounters(Counters{1, math.MaxUint64})))
	f.Add("")
	f.Add("\x01\xff\x7f")
	f.Fuzz(func(t *testing.T, value string) {
		if c, err := unpackCounters(value); err == nil {
			again, err := unpackCounters(string(packCounters(c)))
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
	})
}

func sampleTurned() turnedDown {
	return turnedDown{{item: 7, at: -3}, {item: math.MaxUint32, at: 1_700_000_000_000}}
}

func FuzzUnpackTurned(f *testing.F) {
	good := string(packTurned(sampleTurned()))
	for n := range len(good) {
		f.Add(good[:n])
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, value string) {
		if turned, err := unpackTurned(value); err == nil {
			again, err := unpackTurned(string(packTurned(turned)))
			require.NoError(t, err)
			require.Equal(t, turned, again)
		}
	})
}

func samplePast() *past {
	p := newPast()
	p.compactAt, p.shown.horizon = 1500, math.MaxInt64
	p.left = window{tail: []uint32{0, math.MaxUint32}, tailNewest: -5, halves: [2]int64{math.MinInt64 + 1, 7}, horizon: 3, blocks: 33}
	return &p
}

func FuzzUnpackPast(f *testing.F) {
	good := string(packPast(samplePast()))
	for n := range len(good) {
		f.Add(good[:n])
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, value string) {
		if p, err := unpackPast(value); err == nil {
			again, err := unpackPast(string(packPast(&p)))
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
	})
}

func FuzzUnpackTaste(f *testing.F) {
	f.Add(sampleState(), string(packFloats([]float32{3})), uint64(5))
	f.Add("", "", uint64(0))
	f.Fuzz(func(t *testing.T, state, embedding string, stamp uint64) {
		if taste := unpackTaste(state, embedding, stamp, nil); taste != nil {
			require.Equal(t, state, string(taste.packState(stamp)))
			require.Equal(t, embedding, string(packFloats(taste.embedding)))
		}
	})
}

// A fuzzed profile hash is read or refused, with the key's name, and never both.
func FuzzReadStored(f *testing.F) {
	f.Add("r", string(packHistory(sampleHistory())), "\x01\x00", "\x01\x00", "12", string(packPast(samplePast())), string(packTurned(sampleTurned())))
	f.Add("", "", "", "", "", "", "")
	s := &Store{cfg: DefaultConfig()}
	f.Fuzz(func(t *testing.T, r, h, w, c, u, p, d string) {
		st, err := s.readStored([]any{r, h, w, c, u, p, d})
		if err == nil {
			require.NotNil(t, st)
			return
		}
		require.Nil(t, st)
		require.ErrorContains(t, err, `"freshet:{…}:profile"`)
		require.Equal(t, redisdb.IsCorrupt(err), !strings.Contains(err.Error(), "run the release that wrote it"))
	})
}
