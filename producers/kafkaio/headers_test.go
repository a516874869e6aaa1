package kafkaio

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartitionHeader(t *testing.T) {
	require.Equal(t, []byte{0, 0, 1, 2}, EncodePartition(258))
	for _, c := range []struct {
		value []byte
		want  int32
		err   string
	}{
		{value: []byte{0, 0, 1, 2}, want: 258},
		{value: []byte{0x7f, 0xff, 0xff, 0xff}, want: 1<<31 - 1},
		{value: []byte{0xff, 0xff, 0xff, 0xff}, err: "says -1"},
		{value: nil, err: "has 0 bytes"},
		{value: []byte("7"), err: "has 1 bytes"},
		{value: make([]byte, 8), err: "has 8 bytes"},
	} {
		got, err := DecodePartition(c.value)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func FuzzDecodePartition(f *testing.F) {
	f.Add([]byte{0, 0, 0, 3})
	f.Add([]byte{0x80, 0, 0, 0})
	f.Fuzz(func(t *testing.T, value []byte) {
		if p, err := DecodePartition(value); err == nil {
			require.Equal(t, value, EncodePartition(p))
		}
	})
}

func TestHeaderValueIsTheLast(t *testing.T) {
	headers := []Header{{Key: "a", Value: []byte("1")}, {Key: "b", Value: nil}, {Key: "a", Value: []byte("2")}}
	got, ok := HeaderValue(headers, "a")
	require.True(t, ok)
	require.Equal(t, "2", string(got))
	_, ok = HeaderValue(headers, "b")
	require.True(t, ok)
	_, ok = HeaderValue(headers, "c")
	require.False(t, ok)
}
