package profiles

import (
	"errors"
	"math"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// watermarks are the last offsets applied, one for each partition that ever had an event of the user, the one that moved
// last in front. There are several only where partitions were added.
type watermarks []schemas.Position

func (w watermarks) of(partition int32) (offset int64, known bool) {
	for _, p := range w {
		if p.Partition == partition {
			return p.Offset, true
		}
	}
	return 0, false
}

func (w watermarks) move(to schemas.Position) watermarks {
	i := slices.IndexFunc(w, func(p schemas.Position) bool { return p.Partition == to.Partition })
	if i >= 0 {
		w = slices.Delete(w, i, i+1)
	}
	return slices.Insert(w, 0, to)
}

// The packed watermarks: format 1, number, then for each partition and offset.
const (
	watermarksFormat = 1
	maxWatermarks    = 1 << 16
)

func packWatermarks(w watermarks) []byte {
	packed := appendUvarint([]byte{watermarksFormat}, int64(len(w)))
	for _, p := range w {
		packed = appendUvarint(packed, int64(p.Partition))
		packed = appendUvarint(packed, p.Offset)
	}
	return packed
}

func unpackWatermarks(value string) (watermarks, error) {
	u := unpack("the watermarks", value, watermarksFormat)
	count := int(u.uvarint(maxWatermarks))
	var w watermarks
	for range count {
		p := schemas.Position{Partition: int32(u.uvarint(math.MaxInt32)), Offset: int64(u.uvarint(math.MaxInt64))}
		if u.err != nil {
			return nil, u.err
		}
		if _, again := w.of(p.Partition); again {
			return nil, errors.New("the watermarks name a partition twice")
		}
		w = append(w, p)
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	return w, nil
}
