package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// decoder gives the stored values of a page that are not null, some at a time. It writes what its kind of values has, and
// leaves the rest as it is.
type decoder interface {
	decode(into []Value) error
}

var errValuesShort = errors.New("a page has fewer values than it says: write the file anew")

// decoders are those of a column, one of which has the page. They keep their memory from page to page.
type decoders struct {
	plain      plain
	indexed    indexed
	booleans   booleans
	integers   integers
	lengthened lengthened
	fronted    fronted
	split      split
}

// of reads the values which data holds in an encoding. most bounds the bytes that they may become.
func (d *decoders) of(l *leaf, encoding format.Encoding, data []byte, dict *dictionary, most int64, s *shared) (decoder, error) {
	texts := l.kind == format.ByteArray
	switch encoding {
	case format.Plain:
		d.plain = plain{leaf: l, rest: data}
		return &d.plain, nil
	case format.PlainDictionary, format.RLEDictionary: //nolint:staticcheck // older writers say the former
		return &d.indexed, d.indexed.begin(data, dict)
	case format.RLE:
		if l.kind == format.Boolean {
			runs, _, err := sized(data)
			d.booleans.runs = hybrid{rest: runs, width: 1}
			return &d.booleans, err
		}
	case format.DeltaBinaryPacked:
		if l.kind == format.Int32 || l.kind == format.Int64 {
			return &d.integers, d.integers.begin(l, data)
		}
	case format.DeltaLengthByteArray:
		if texts {
			return &d.lengthened, d.lengthened.begin(data)
		}
	case format.DeltaByteArray:
		if texts || l.kind == format.FixedLenByteArray {
			return &d.fronted, d.fronted.begin(l, data, most, s)
		}
	case format.ByteStreamSplit:
		if l.width > 0 && l.kind != format.Int96 {
			return &d.split, d.split.begin(l, data)
		}
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

func (p *plain) decode(into []Value) error {
	switch {
	case p.kind == format.Boolean:
		if p.bit+len(into) > 8*len(p.rest) {
			return errValuesShort
		}
		for i := range into {
			into[i].Kind, into[i].Int = Bool, int64(p.rest[(p.bit+i)/8]>>((p.bit+i)%8)&1)
		}
		p.bit += len(into)
	case p.width == 0:
		return p.texts(into)
	default:
		size := len(into) * p.width
		if size > len(p.rest) {
			return errValuesShort
		}
		p.fixed(into, p.rest[:size], p.width)
		p.rest = p.rest[size:]
	}
	return nil
}

func (p *plain) texts(into []Value) error {
	rest := p.rest
	for i := range into {
		if len(rest) < 4 {
			return errValuesShort
		}
		n := uint64(binary.LittleEndian.Uint32(rest))
		if rest = rest[4:]; n > uint64(len(rest)) {
			return errValuesShort
		}
		into[i].Kind, into[i].Text = Text, rest[:n:n]
		rest = rest[n:]
	}
	p.rest = rest
	return nil
}

// fixed reads values of a fixed width, which lie step bytes apart.
func (l *leaf) fixed(into []Value, data []byte, step int) {
	switch l.kind {
	case format.Int32:
		for i := range into {
			into[i].Kind, into[i].Int = Int, int64(int32(binary.LittleEndian.Uint32(data[i*step:])))
		}
	case format.Int64:
		for i := range into {
			into[i].Kind, into[i].Int = Int, int64(binary.LittleEndian.Uint64(data[i*step:]))
		}
	case format.Int96:
		for i := range into {
			into[i].Kind, into[i].Int = Time, int96(data[i*step:])
		}
	case format.Float:
		for i := range into {
			into[i].Kind, into[i].Float = Float, float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i*step:])))
		}
	case format.Double:
		for i := range into {
			into[i].Kind, into[i].Float = Float, math.Float64frombits(binary.LittleEndian.Uint64(data[i*step:]))
		}
	default:
		for i := range into {
			into[i].Kind, into[i].Text = Text, data[i*step:][:l.width:l.width]
		}
	}
}

// booleans are written as runs by some.
type booleans struct {
	runs    hybrid
	scratch []uint8
}

func (b *booleans) decode(into []Value) error {
	b.scratch = sizedTo(b.scratch, len(into))
	if err := fill(&b.runs, b.scratch); err != nil {
		return err
	}
	for i, v := range b.scratch {
		into[i].Kind, into[i].Int = Bool, int64(v&1)
	}
	return nil
}

// split reads numbers of which all first bytes come first, then all second bytes (BYTE_STREAM_SPLIT).
type split struct {
	*leaf
	data  []byte
	at, n int
	arena []byte
}

func (s *split) begin(l *leaf, data []byte) error {
	if len(data)%l.width != 0 {
		return errValuesShort
	}
	s.leaf, s.data, s.at, s.n = l, data, 0, len(data)/l.width
	return nil
}

func (s *split) decode(into []Value) error {
	if len(into) > s.n-s.at {
		return errValuesShort
	}
	s.arena = sizedTo(s.arena, len(into)*s.width)
	for k := range s.width {
		stream := s.data[k*s.n+s.at:][:len(into)]
		for i, b := range stream {
			s.arena[i*s.width+k] = b
		}
	}
	s.at += len(into)
	s.fixed(into, s.arena, s.width)
	return nil
}

// dictionary holds a chunk's distinct values as they lie in its page, and where each begins.
type dictionary struct {
	*leaf
	data []byte
	n    int
	ends []uint32 // where each byte array ends; it begins four bytes after the end of the one before, which has the place before
}

func (d *dictionary) begin(l *leaf, data []byte, n int) error {
	d.leaf, d.data, d.n, d.ends = l, data, n, d.ends[:0]
	switch {
	case l.kind == format.Boolean:
		return errors.New("a dictionary of booleans makes no sense: write the column with a plain encoding")
	case l.width > 0:
		if n > len(data)/l.width {
			return errValuesShort
		}
		return nil
	case n > len(data)/4:
		return errValuesShort
	}
	if n >= cap(d.ends) {
		d.ends = make([]uint32, 0, n+1)
	}
	d.ends = append(d.ends, 0)
	for rest := data; len(d.ends) <= n; {
		var err error
		if _, rest, err = sized(rest); err != nil {
			return err
		}
		d.ends = append(d.ends, uint32(len(data)-len(rest)))
	}
	return nil
}

var errIndex = errors.New("a page refers to a place that the dictionary does not have: write the file anew")

// look gives the values of some places.
func (d *dictionary) look(into []Value, places []uint32) error {
	for _, at := range places {
		if uint64(at) >= uint64(d.n) {
			return errIndex
		}
	}
	if d.width == 0 {
		for i, at := range places {
			from, to := d.ends[at]+4, d.ends[at+1]
			into[i].Kind, into[i].Text = Text, d.data[from:to:to]
		}
		return nil
	}
	for i, at := range places {
		d.fixed(into[i:i+1], d.data[int(at)*d.width:], d.width)
	}
	return nil
}

// indexed reads values by their places in the dictionary.
type indexed struct {
	places  hybrid
	dict    *dictionary
	scratch []uint32
}

func (x *indexed) begin(data []byte, dict *dictionary) error {
	if dict == nil {
		return errors.New("a page refers to a dictionary, and there is none: write the file anew")
	}
	x.dict, x.places = dict, hybrid{}
	if len(data) == 0 { // all values are null
		return nil
	}
	if data[0] > 32 {
		return fmt.Errorf("a page has dictionary indexes of %d bits: write the file anew", data[0])
	}
	x.places = hybrid{rest: data[1:], width: int(data[0])}
	return nil
}

func (x *indexed) decode(into []Value) error {
	x.scratch = sizedTo(x.scratch, len(into))
	if err := fill(&x.places, x.scratch); err != nil {
		return err
	}
	return x.dict.look(into, x.scratch)
}
