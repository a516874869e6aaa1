package items

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func FuzzDecodeRecord(f *testing.F) {
	full, gone := record("i", 3), schemas.ItemChange{ItemID: "i", Op: schemas.DeleteItem, Version: 4}
	for _, c := range []schemas.ItemChange{full, gone} {
		value := encodeRecord(&c)
		f.Add(value)
		f.Add(value[:len(value)-1])
		f.Add(append(value, 0))
	}
	f.Add([]byte{})
	f.Add([]byte("\x02future"))
	f.Fuzz(func(t *testing.T, value []byte) {
		it, err := decodeRecord("i", value)
		if err != nil {
			return
		}
		require.Equal(t, "i", it.ItemID)
		if it.Op == schemas.DeleteItem == it.Deleted {
			again, err := decodeRecord("i", encodeRecord(&it.ItemChange))
			require.NoError(t, err)
			require.Equal(t, it, again)
		}
	})
}

func FuzzDecodeVector(f *testing.F) {
	st := makeStamp(-3, false)
	good := string(appendFloats(append([]byte{vectorFormat}, st[:]...), []float32{1, -2.5}))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:vectorHeader])
	f.Add("")
	f.Add("\x02future")
	f.Fuzz(func(t *testing.T, value string) {
		st, vector, err := decodeVector(value)
		if err == nil {
			require.Equal(t, value, string(appendFloats(append([]byte{vectorFormat}, st[:]...), vector)))
		}
	})
}
