package towers

import (
	"encoding/binary"
	"math"
)

// A weights file: the magic, a format version, the number of tensors, each tensor's name and shape, then the tensors' values
// one after the other, float32, everything little-endian. A vocabulary file: its magic, a format version, the number of
// lists, then each list as its length and its strings, each after its length in bytes.
const (
	weightsMagic    = "freshetW"
	vocabularyMagic = "freshetV"
	fileVersion     = 1
	maxTensors      = 4096
	headBytes       = len(weightsMagic) + 2 + 4
)

func appendHead(dst []byte, magic string, count int) []byte {
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, fileVersion)
	return binary.LittleEndian.AppendUint32(dst, uint32(count))
}

func appendString(dst []byte, s string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

func encodeTensors(ts []tensor) []byte {
	size := headBytes
	for _, t := range ts {
		size += len(t.name) + 12 + 4*len(t.data)
	}
	b := appendHead(make([]byte, 0, size), weightsMagic, len(ts))
	for _, t := range ts {
		b = appendString(b, t.name)
		b = binary.LittleEndian.AppendUint32(b, uint32(t.rows))
		b = binary.LittleEndian.AppendUint32(b, uint32(t.cols))
	}
	for _, t := range ts {
		for _, v := range t.data {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

func encodeLists(lists ...[]string) []byte {
	b := appendHead(nil, vocabularyMagic, len(lists))
	for _, list := range lists {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
		for _, s := range list {
			b = appendString(b, s)
		}
	}
	return b
}

// reader walks through a file's bytes; every read is bounded by what is left, so that a hostile length costs nothing.
type reader struct {
	path string
	b    []byte
	err  *Refusal
}

func (r *reader) fail(why reason, remedy, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(why, r.path, remedy, format, args...)
	}
	r.b = nil
}

func (r *reader) take(n int, what string) []byte {
	if n < 0 || n > len(r.b) {
		r.fail(truncated, remedyTrainAgain, "ends within %s (%d bytes wanted, %d left)", what, n, len(r.b))
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) uint32(what string) int {
	b := r.take(4, what)
	if b == nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}

func (r *reader) string(what string) string { return string(r.take(r.uint32(what), what)) }

// head checks magic and version and gives the count that follows.
func (r *reader) head(magic string) int {
	got := r.take(len(magic), "its first bytes")
	if r.err == nil && string(got) != magic {
		r.fail(unsupported, remedySameBuild, "begins with %q instead of %q", got, magic)
	}
	version := r.take(2, "its format version")
	if r.err == nil && binary.LittleEndian.Uint16(version) != fileVersion {
		r.fail(unsupported, remedySameBuild, "has format version %d, this build reads %d",
			binary.LittleEndian.Uint16(version), fileVersion)
	}
	return r.uint32("its head")
}

// decodeTensors reads a weights file whole. All values are finite in what it returns.
func decodeTensors(path string, b []byte) ([]tensor, error) {
	r := &reader{path: path, b: b}
	count := r.head(weightsMagic)
	if count > maxTensors {
		r.fail(corrupted, remedyTrainAgain, "claims %d tensors, at most %d are possible", count, maxTensors)
	}
	var ts []tensor
	for i := 0; i < count && r.err == nil; i++ {
		ts = append(ts, tensor{name: r.string("a tensor's name"), rows: r.uint32("a shape"), cols: r.uint32("a shape")})
	}
	for i := range ts {
		r.values(&ts[i])
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(corrupted, remedyTrainAgain, "has %d bytes after its last tensor", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	return ts, nil
}

func (r *reader) values(t *tensor) {
	if r.err != nil {
		return
	}
	// Both factors are below 2³², so the product fits into 64 bits.
	if n := uint64(t.rows) * uint64(t.cols); n > uint64(len(r.b))/4 {
		r.fail(truncated, remedyTrainAgain, "ends within tensor %q of %d x %d", t.name, t.rows, t.cols)
		return
	}
	raw := r.take(4*t.rows*t.cols, t.name)
	t.data = make([]float32, len(raw)/4)
	for i := range t.data {
		v := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		if v-v != 0 {
			r.fail(corrupted, remedyTrainAgain, "holds %v in tensor %q", v, t.name)
			return
		}
		t.data[i] = v
	}
}

// decodeLists reads a vocabulary file of want lists.
func decodeLists(path string, b []byte, want int) ([][]string, error) {
	r := &reader{path: path, b: b}
	if count := r.head(vocabularyMagic); r.err == nil && count != want {
		r.fail(corrupted, remedyTrainAgain, "holds %d lists instead of %d", count, want)
	}
	lists := make([][]string, want)
	for i := range lists {
		n := r.uint32("a list's length")
		if n > len(r.b)/4 {
			r.fail(truncated, remedyTrainAgain, "claims %d strings in %d bytes", n, len(r.b))
		}
		for j := 0; j < n && r.err == nil; j++ {
			lists[i] = append(lists[i], r.string("a string"))
		}
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(corrupted, remedyTrainAgain, "has %d bytes after its last list", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	return lists, nil
}

// sameShapes refuses a file whose tensors differ in name or shape from those that the manifest's dimensions call for.
func sameShapes(path string, got, want []tensor) error {
	if len(got) != len(want) {
		return refuse(mismatched, path, remedyTrainAgain, "holds %d tensors, the manifest's dimensions call for %d",
			len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.name != w.name || g.rows != w.rows || g.cols != w.cols {
			return refuse(mismatched, path, remedyTrainAgain, "holds %q of %d x %d where the manifest calls for %q of %d x %d",
				g.name, g.rows, g.cols, w.name, w.rows, w.cols)
		}
	}
	return nil
}
