package items

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// The value of an item's record:
//
//	byte   0      format, 1
//	bytes  1-9    stamp: 8 bytes version, big-endian with the sign bit flipped, then 0 (live) or 1 (deleted)
//	bytes 10-     the ItemChange in Avro, by the schema of format 1's release; nothing where deleted
//
// The bytes of stamps order as (version, deleted) does, which is the order in which changes win; the scripts rely on it.
const (
	recordFormat = 1
	stampBytes   = 9
	recordHeader = 1 + stampBytes
)

const remedyRecord = "delete the key and publish the item again"

// noVersion is the version of an item that was deleted by a tombstone before anything else of it was known.
const noVersion = math.MinInt64

type stamp [stampBytes]byte

func makeStamp(version int64, deleted bool) (s stamp) {
	binary.BigEndian.PutUint64(s[:8], uint64(version)^(1<<63))
	if deleted {
		s[8] = 1
	}
	return s
}

func (s stamp) version() int64 { return int64(binary.BigEndian.Uint64(s[:8]) ^ (1 << 63)) }
func (s stamp) deleted() bool  { return s[8] == 1 }

func readStamp[T []byte | string](b T) (s stamp, err error) {
	copy(s[:], b[:stampBytes])
	if s[8] > 1 {
		return s, fmt.Errorf("life is %d, neither 0 (live) nor 1 (deleted)", s[8])
	}
	return s, nil
}

func encodeRecord(c *schemas.ItemChange) []byte {
	s := makeStamp(c.Version, c.Op == schemas.DeleteItem)
	value := append([]byte{recordFormat}, s[:]...)
	if s.deleted() {
		return value
	}
	return schemas.AppendItemChange(value, c)
}

func decodeRecord(id string, value []byte) (*Item, error) {
	if len(value) == 0 {
		return nil, errors.New("the record is empty")
	}
	if err := redisdb.CheckFormat("the record", value[0], recordFormat); err != nil {
		return nil, err
	}
	if len(value) < recordHeader {
		return nil, fmt.Errorf("the record has only %d bytes", len(value))
	}
	s, err := readStamp(value[1:])
	if err != nil {
		return nil, err
	}
	body := value[recordHeader:]
	if s.deleted() {
		if len(body) != 0 {
			return nil, fmt.Errorf("the record of a deleted item has %d bytes too many", len(body))
		}
		gone := schemas.ItemChange{ItemID: id, Op: schemas.DeleteItem, Version: s.version()}
		return &Item{ItemChange: gone, Deleted: true}, nil
	}
	change, err := schemas.DecodeItemChange(body)
	if err != nil {
		return nil, fmt.Errorf("decoding the record: %w", err)
	}
	if change.ItemID != id || change.Version != s.version() {
		return nil, fmt.Errorf("the record is of item %q version %d, its stamp of version %d",
			change.ItemID, change.Version, s.version())
	}
	return &Item{ItemChange: change}, nil
}
