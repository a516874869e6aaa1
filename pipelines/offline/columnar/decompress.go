package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// decompressor unpacks pages, never beyond the size that their headers say, which is within the bounds.
type decompressor struct {
	zstd   *zstd.Decoder
	gzip   *gzip.Reader
	brotli *brotli.Reader
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
		d.zstd = nil
	}
}

var errUnpacked = errors.New("a page does not unpack to the size that its header says: write the file anew")

// mostUnpacked is how many bytes one byte can become at most, by the longest match that the format has: what says more is
// refused before there is room made for it. (One of brotli has no such limit worth the name.)
var mostUnpacked = map[format.CompressionCodec]int64{
	format.Snappy: 32, format.Lz4Raw: 256, lz4Hadoop: 256, format.Gzip: 1100, format.Zstd: 1 << 15, format.Brotli: 1 << 22,
}

const lz4Hadoop = format.CompressionCodec(5)

// unpacksTo says whether so many bytes can become as many as size.
func unpacksTo(codec format.CompressionCodec, packed, size int64) bool {
	if codec == format.Uncompressed {
		return packed == size
	}
	most, known := mostUnpacked[codec]
	return !known || size <= most*packed
}

// slack is room behind what is unpacked. With it the decoder of zstd need not look for the end before each copy.
const slack = 32

// unpack fills into with what src unpacks to. Its capacity is slack more than its length.
func (d *decompressor) unpack(codec format.CompressionCodec, src, into []byte) error {
	if len(src) == 0 && len(into) == 0 {
		return nil // parquet-java compresses nothing to nothing, which is no sound frame
	}
	switch codec {
	case format.Uncompressed:
		return unpackedTo(copy(into, src), nil, len(into))
	case format.Snappy:
		if n, err := snappy.DecodedLen(src); err != nil || n != len(into) {
			return errUnpacked
		}
		_, err := snappy.Decode(into, src)
		return unpackedTo(len(into), err, len(into))
	case format.Zstd:
		return d.unpackZstd(src, into)
	case format.Gzip:
		return d.unpackGzip(src, into)
	case format.Brotli:
		if d.brotli == nil {
			d.brotli = new(brotli.Reader)
		}
		if err := d.brotli.Reset(bytes.NewReader(src)); err != nil {
			return unpackedTo(0, err, len(into))
		}
		return exactly(d.brotli, into)
	case format.Lz4Raw:
		n, err := lz4.UncompressBlock(src, into)
		return unpackedTo(n, err, len(into))
	case lz4Hadoop:
		return unpackHadoop(src, into)
	default:
		return fmt.Errorf("pages are compressed with %v: write the file with zstd, snappy or gzip", codec)
	}
}

// unpackedTo holds that n bytes are what was expected.
func unpackedTo(n int, err error, want int) error {
	if err != nil {
		return fmt.Errorf("%w (%w)", errUnpacked, err)
	}
	if n != want {
		return errUnpacked
	}
	return nil
}

// unpackZstd needs no memory for the window, which is as large as the writer likes, since a page is unpacked in one piece.
func (d *decompressor) unpackZstd(src, into []byte) (err error) {
	if d.zstd == nil {
		// Without concurrency a decoder has no goroutines.
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return err
		}
	}
	out, err := d.zstd.DecodeAll(src, into[:0])
	return unpackedTo(len(out), err, len(into))
}

func (d *decompressor) unpackGzip(src, into []byte) error {
	if d.gzip == nil {
		d.gzip = new(gzip.Reader)
	}
	if err := d.gzip.Reset(bytes.NewReader(src)); err != nil {
		return unpackedTo(0, err, len(into))
	}
	return exactly(d.gzip, into)
}

// exactly reads as many bytes as into has, and holds that there are no more.
func exactly(r io.Reader, into []byte) error {
	if n, err := io.ReadFull(r, into); err != nil {
		return unpackedTo(n, err, len(into))
	}
	var more [1]byte
	n, err := io.ReadFull(r, more[:])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return unpackedTo(len(into)+n, err, len(into))
}

// unpackHadoop unpacks what is called LZ4 in the format. It has two forms: blocks of Hadoop's, with two sizes before each, and
// one bare block, as Arrow wrote it before version 0.15.
func unpackHadoop(src, into []byte) error {
	const head = 8
	rest, at := src, 0
	for len(rest) >= head {
		unpacked, packed := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
		if uint64(packed) > uint64(len(rest)-head) || uint64(unpacked) > uint64(len(into)-at) {
			break
		}
		n, err := lz4.UncompressBlock(rest[head:head+packed], into[at:at+int(unpacked)])
		if err != nil || n != int(unpacked) {
			break
		}
		rest, at = rest[head+packed:], at+n
	}
	if len(rest) == 0 && at == len(into) {
		return nil
	}
	n, err := lz4.UncompressBlock(src, into)
	return unpackedTo(n, err, len(into))
}
