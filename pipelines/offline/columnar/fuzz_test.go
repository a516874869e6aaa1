package columnar

import (
	"bytes"
	"runtime"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/format"
)

// allocated is how many bytes do took from the heap, over time.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{
		"none", "snappy", "zstd", "gzip", "lz4", "v2", "int96", "delta", "types-delta", "types-dictionary", "types-plain", "types-split", "empty",
	} {
		f.Add(fixture(f, name))
	}
	bounds := Bounds{Rows: 10_000, PageBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, b []byte) {
		if used := allocated(func() { _, _ = read(b, bounds) }); used > 256<<20 {
			t.Fatalf("%d bytes allocated for a file of %d", used, len(b))
		}
	})
}

// FuzzPage decodes a page of each type in each encoding, with a dictionary or without, and holds that what is given does not
// depend on how it is read: all at once, or the first half alone.
func FuzzPage(f *testing.F) {
	f.Add([]byte{2, 3, 5, 0, 0, 0, 'f', 'i', 'r', 's', 't'}, []byte{4, 0, 0, 0, 'd', 'i', 'c', 't'}, uint8(6), uint8(8), uint8(0), uint8(1))
	for encoding := range uint8(10) {
		for kind := range uint8(8) {
			f.Add([]byte{8, 1, 4, 4, 0, 2, 0, 0, 0, 1, 0, 1, 0}, []byte{1, 0, 0, 0, 9, 0, 0, 0}, kind, encoding, kind, uint8(4))
		}
	}
	const most = 1 << 16
	f.Fuzz(func(t *testing.T, data, dictData []byte, kind, encoding, convert, n uint8) {
		l := &leaf{kind: format.Type(kind % 8), logical: logical{convert: conversion(convert % uint8(asHalf+1)), scale: 3}}
		l.width = widths[l.kind]
		switch l.kind {
		case format.FixedLenByteArray:
			l.width = map[conversion]int{asUUID: 16, asHalf: 2}[l.convert]
			l.width = max(l.width, int(n%33))
			l.stored = Text
		case format.ByteArray:
			l.stored = Text
		case format.Float, format.Double:
			l.stored = Float
		default:
			l.stored = Int
		}
		if bytesOnly := l.convert == asUUID || l.convert == asHalf; bytesOnly && l.kind != format.FixedLenByteArray {
			l.convert = asIs
		}
		if l.convert == asUUID && l.width != 16 || l.convert == asHalf && l.width != 2 || l.kind == format.FixedLenByteArray && l.width == 0 {
			return
		}
		decode := func(steps ...int) (got []Value) {
			var dict dictionary
			if dict.begin(l, dictData, len(dictData)/max(l.width, 5)) != nil {
				dict = dictionary{leaf: l}
			}
			d, err := new(decoders).of(l, format.Encoding(encoding%10), data, &dict, most, &shared{most: pagesHeld * most})
			if err != nil {
				return nil
			}
			for _, step := range steps {
				values := make([]Value, step)
				if d.decode(values) != nil {
					return got
				}
				if _, err := l.converted(values, nil); err != nil {
					return got
				}
				for i := range values {
					values[i].Text = bytes.Clone(values[i].Text)
				}
				got = append(got, values...)
			}
			return got
		}
		var once, halves []Value
		used := allocated(func() { once, halves = decode(int(n)), decode(int(n)/2, int(n)-int(n)/2) })
		if used > 64<<20 {
			t.Fatalf("%d bytes allocated for a page of %d", used, len(data))
		}
		if len(once) > 0 && !slices.EqualFunc(once, halves, func(a, b Value) bool {
			return a.Kind == b.Kind && a.Int == b.Int && (a.Float == b.Float || a.Float != a.Float) && bytes.Equal(a.Text, b.Text)
		}) {
			t.Fatalf("%v, and in halves %v", once, halves)
		}
	})
}

// FuzzUnpack unpacks in each format.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0x29, 0x00, 0x00, 'f', 'r', 'e', 's', 'h'}, uint8(format.Zstd), uint16(5))
	f.Add([]byte{5, 16, 'f', 'r', 'e', 's', 'h'}, uint8(format.Snappy), uint16(5))
	f.Add([]byte{0x50, 'f', 'r', 'e', 's', 'h'}, uint8(format.Lz4Raw), uint16(5))
	f.Add([]byte{0, 0, 0, 5, 0, 0, 0, 6, 0x50, 'f', 'r', 'e', 's', 'h'}, uint8(lz4Hadoop), uint16(5))
	f.Add([]byte{0x0b, 0x02, 0x80, 'f', 'r', 'e', 's', 'h', 0x03}, uint8(format.Brotli), uint16(5))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x2b, 0x4a, 0x2d, 0xce, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0}, uint8(format.Gzip), uint16(5))
	d := new(decompressor)
	f.Fuzz(func(t *testing.T, b []byte, codec uint8, size uint16) {
		c := format.CompressionCodec(codec % 8)
		if !unpacksTo(c, int64(len(b)), int64(size)) {
			return
		}
		into := make([]byte, size, int(size)+slack)
		used := allocated(func() { _ = d.unpack(c, b, into) })
		if used > 64<<20 {
			t.Fatalf("%d bytes allocated for %d that unpack to %d", used, len(b), size)
		}
	})
}
