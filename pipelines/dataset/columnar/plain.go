package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// values gives the values of a page that are not null, one by one.
type values interface {
	next() (Value, error)
}

var errValuesShort = errors.New("a page has fewer values than it says")

// valuesOf reads n values or fewer, which data holds in an encoding.
func (l *leaf) valuesOf(encoding format.Encoding, data []byte, n int, dict *dictionary) (values, error) {
	switch encoding {
	case format.Plain:
		return &plain{leaf: l, rest: data}, nil
	case format.PlainDictionary, format.RLEDictionary: //nolint:staticcheck // older writers say the former
		if dict == nil {
			return nil, errors.New("a page refers to a dictionary, and there is none")
		}
		if len(data) == 0 { // all values are null
			return &plain{leaf: l}, nil
		}
		if data[0] > 32 {
			return nil, fmt.Errorf("a page has dictionary indexes of %d bits", data[0])
		}
		return &indexed{indexes: hybrid{rest: data[1:], width: int(data[0])}, dict: dict}, nil
	case format.RLE:
		if l.kind != format.Boolean {
			break
		}
		runs, _, err := sized(data)
		return &booleans{hybrid{rest: runs, width: 1}}, err
	case format.DeltaBinaryPacked:
		if l.kind != format.Int32 && l.kind != format.Int64 {
			break
		}
		return newDeltas(l, data)
	case format.DeltaLengthByteArray:
		if l.kind != format.ByteArray {
			break
		}
		return newLengthened(l, data, n)
	}
	return nil, fmt.Errorf("a page of %v is encoded with %v: write the column with a plain or dictionary encoding", l.kind, encoding)
}

// sized takes a part that is preceded by its length in four bytes.
func sized(data []byte) (part, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, errValuesShort
	}
	n := binary.LittleEndian.Uint32(data)
	if data = data[4:]; uint64(n) > uint64(len(data)) {
		return nil, nil, errValuesShort
	}
	return data[:n:n], data[n:], nil
}

// plain reads values as they are.
type plain struct {
	*leaf
	rest []byte
	bit  int // of the booleans
}

// widths in bytes, of the kinds that have one.
var widths = map[format.Type]int{format.Int32: 4, format.Int64: 8, format.Int96: 12, format.Float: 4, format.Double: 8}

func (p *plain) next() (v Value, err error) {
	switch p.kind {
	case format.Boolean:
		if p.bit >= 8*len(p.rest) {
			return v, errValuesShort
		}
		v = Value{Kind: Bool, Int: int64(bitsAt(p.rest, p.bit, 1))}
		p.bit++
		return v, nil
	case format.ByteArray:
		part, rest, err := sized(p.rest)
		p.rest = rest
		return Value{Kind: Text, Text: part}, err
	}
	width := widths[p.kind]
	if width == 0 || len(p.rest) < width {
		return v, errValuesShort
	}
	v, err = p.fixed(p.rest[:width])
	p.rest = p.rest[width:]
	return v, err
}

// fixed converts the bytes of a value of a fixed width.
func (l *leaf) fixed(b []byte) (Value, error) {
	switch l.kind {
	case format.Int32:
		return l.convert.number(int64(int32(binary.LittleEndian.Uint32(b))), 32)
	case format.Int64:
		return l.convert.number(int64(binary.LittleEndian.Uint64(b)), 64)
	case format.Int96:
		return Value{Kind: Time, Int: int96(b)}, nil
	case format.Float:
		return Value{Kind: Float, Float: float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))}, nil
	default:
		return Value{Kind: Float, Float: math.Float64frombits(binary.LittleEndian.Uint64(b))}, nil
	}
}

// int96 is how Hive, Impala and older versions of Spark write a moment: ns of a day, and the Julian day.
func int96(b []byte) (ms int64) {
	const julianEpoch = 2_440_588
	ns, day := int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint32(b[8:]))
	return (day-julianEpoch)*msADay + floorDiv(ns, 1_000_000)
}

// booleans are written as runs by some.
type booleans struct{ hybrid }

func (b *booleans) next() (Value, error) {
	v, err := b.hybrid.next()
	return Value{Kind: Bool, Int: int64(v)}, err
}

// dictionary holds a chunk's distinct values as they lie in its page, and where each begins.
type dictionary struct {
	*leaf
	data  []byte
	width int      // of a fixed one
	ends  []uint32 // where each byte array ends; it begins four bytes after the end of the one before
}

func newDictionary(l *leaf, data []byte, n int) (*dictionary, error) {
	d := &dictionary{leaf: l, data: data, width: widths[l.kind]}
	switch {
	case l.kind == format.ByteArray:
		if n > len(data)/4 {
			return nil, errValuesShort
		}
		d.ends = make([]uint32, 0, n)
		for rest := data; len(d.ends) < n; {
			var err error
			if _, rest, err = sized(rest); err != nil {
				return nil, err
			}
			d.ends = append(d.ends, uint32(len(data)-len(rest)))
		}
	case d.width == 0 || n > len(data)/d.width:
		return nil, errValuesShort
	}
	return d, nil
}

func (d *dictionary) at(i uint32) (Value, error) {
	if d.width > 0 {
		if end := uint64(i+1) * uint64(d.width); i == math.MaxUint32 || end > uint64(len(d.data)) {
			return Value{}, errIndex
		}
		return d.fixed(d.data[int(i)*d.width:][:d.width])
	}
	if uint64(i) >= uint64(len(d.ends)) {
		return Value{}, errIndex
	}
	begin := uint32(4)
	if i > 0 {
		begin += d.ends[i-1]
	}
	return Value{Kind: Text, Text: d.data[begin:d.ends[i]:d.ends[i]]}, nil
}

var errIndex = errors.New("a page refers to a place that the dictionary does not have")

// indexed reads values by their places in the dictionary.
type indexed struct {
	indexes hybrid
	dict    *dictionary
}

func (x *indexed) next() (Value, error) {
	i, err := x.indexes.next()
	if err != nil {
		return Value{}, err
	}
	return x.dict.at(i)
}
