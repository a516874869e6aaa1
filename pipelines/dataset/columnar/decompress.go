package columnar

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// decompressor unpacks pages, never beyond the size that their headers say, which is within the bounds.
type decompressor struct {
	zstd *zstd.Decoder
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

var errUnpacked = errors.New("a page does not unpack to the size that its header says")

// unpack gives the size bytes that src unpacks to.
func (d *decompressor) unpack(codec format.CompressionCodec, src []byte, size int) ([]byte, error) {
	switch codec {
	case format.Uncompressed:
		if len(src) != size {
			return nil, errUnpacked
		}
		return src, nil
	case format.Snappy:
		if n, err := snappy.DecodedLen(src); err != nil || n != size {
			return nil, errUnpacked
		}
		return snappy.Decode(nil, src)
	case format.Zstd:
		if err := d.resetZstd(src); err != nil {
			return nil, err
		}
		return exactly(d.zstd, size)
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return exactly(r, size)
	case format.Lz4Raw:
		out := make([]byte, size)
		if n, err := lz4.UncompressBlock(src, out); err != nil || n != size {
			return nil, errors.Join(errUnpacked, err)
		}
		return out, nil
	default:
		return nil, fmt.Errorf("pages are compressed with %v: write the file with zstd, snappy, gzip or lz4_raw", codec)
	}
}

// resetZstd begins with src. Without concurrency a decoder has no goroutines.
func (d *decompressor) resetZstd(src []byte) (err error) {
	if d.zstd == nil {
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(mostWindow))
		if err != nil {
			return err
		}
	}
	return d.zstd.Reset(bytes.NewReader(src))
}

// mostWindow bounds how far back a page compressed with zstd may refer, and so the decoder's memory: RFC 8878 asks decoders for
// that much, and compressors to keep to it.
const mostWindow = 8 << 20

// exactly reads size bytes and no more.
func exactly(r io.Reader, size int) ([]byte, error) {
	var out bytes.Buffer // grows with what really comes
	n, err := io.Copy(&out, io.LimitReader(r, int64(size)+1))
	if err != nil {
		return nil, err
	}
	if n != int64(size) {
		return nil, errUnpacked
	}
	return out.Bytes(), nil
}
