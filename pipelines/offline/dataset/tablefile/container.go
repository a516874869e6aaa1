package tablefile

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// containerMagic begins an Avro object container file
// (https://avro.apache.org/docs/1.12.0/specification/#object-container-files).
const containerMagic = "Obj\x01"

const (
	// mostContainerHeader bounds a container's metadata: its schema, and what else writers keep there.
	mostContainerHeader = 16 << 20
	// mostBlock bounds a block, stored and unpacked. Writers aim at 16 KiB to 1 MiB.
	mostBlock = 64 << 20

	syncBytes = 16
)

// container reads the blocks of an Avro container file. goavro's own reader bounds neither what a block unpacks to nor its count, and
// takes an empty block for the end.
type container struct {
	r      *bufio.Reader
	schema string
	codec  string
	sync   [syncBytes]byte
	block  int // of the file, from 1
	left   int64

	stored, unpacked bytes.Buffer
	plain            []byte // where snappy unpacks to
	inflate          io.ReadCloser
	zstd             *zstd.Decoder
}

// newContainer reads the header of a file that holds at most so many records.
func newContainer(r *bufio.Reader, most int64) (*container, error) {
	c := &container{r: r, codec: "null", left: most}
	if err := c.header(); err != nil {
		return nil, fmt.Errorf("reading the header: %w", endsEarly(err))
	}
	switch c.codec {
	case "null", "deflate", "snappy", "bzip2":
	case "zstandard":
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(mostBlock))
		if err != nil {
			return nil, err
		}
		c.zstd = d
	default:
		return nil, fmt.Errorf("its blocks are compressed with %.40q: write it with deflate, snappy, zstandard, bzip2, or without compression",
			c.codec)
	}
	return c, nil
}

var errCutOff = errors.New("the file ends too early: it was cut off, or was not written to its end")

func endsEarly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}

func (c *container) header() error {
	if _, err := c.r.Discard(len(containerMagic)); err != nil {
		return err
	}
	room := int64(mostContainerHeader)
	for {
		n, err := c.long()
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if n < 0 {
			if n == math.MinInt64 {
				return errors.New("its metadata counts wrongly")
			}
			n = -n
			if _, err := c.long(); err != nil { // how many bytes
				return err
			}
		}
		for ; n > 0; n-- {
			key, err := c.bytes(&room)
			if err != nil {
				return err
			}
			value, err := c.bytes(&room)
			if err != nil {
				return err
			}
			switch string(key) {
			case "avro.schema":
				c.schema = string(value)
			case "avro.codec":
				c.codec = string(value)
			}
		}
	}
	if c.schema == "" {
		return errors.New("it has no avro.schema")
	}
	if c.codec == "" {
		c.codec = "null"
	}
	_, err := io.ReadFull(c.r, c.sync[:])
	return err
}

// long reads a number; io.EOF says that nothing of it is there.
func (c *container) long() (int64, error) {
	u, err := binary.ReadUvarint(c.r)
	return int64(u>>1) ^ -int64(u&1), err
}

// bytes reads a part of the header, of which room is left. It takes no memory on the word of a length.
func (c *container) bytes(room *int64) ([]byte, error) {
	n, err := c.long()
	if err != nil {
		return nil, err
	}
	if *room--; n < 0 || n > *room { // an empty one takes some, too
		return nil, fmt.Errorf("it has more than %d bytes", mostContainerHeader)
	}
	*room -= n
	var b bytes.Buffer
	if _, err := io.CopyN(&b, c.r, n); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// next unpacks the next block that holds records, and says how many; io.EOF is the end. The bytes are valid until the next call.
func (c *container) next() (body []byte, records int64, err error) {
	for {
		c.block++
		records, err = c.long()
		if errors.Is(err, io.EOF) {
			return nil, 0, io.EOF
		}
		if err = endsEarly(err); err == nil {
			body, err = c.read(records)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("block %d: %w", c.block, err)
		}
		if records > 0 {
			return body, records, nil
		}
		// Some writers write a block for each batch, also where that is empty.
	}
}

func (c *container) read(records int64) ([]byte, error) {
	size, err := c.long()
	switch {
	case err != nil:
		return nil, endsEarly(err)
	case records < 0 || size < 0:
		return nil, fmt.Errorf("it says that it has %d records of %d bytes: the file is damaged", records, size)
	case records > c.left:
		return nil, errors.New("the file says that it has more records than any that is read: part it")
	case size > mostBlock:
		return nil, fmt.Errorf("it has %d bytes, more than %d: write smaller blocks (the writer's sync interval)", size, mostBlock)
	}
	c.left -= records
	c.stored.Reset()
	if _, err := io.CopyN(&c.stored, c.r, size); err != nil {
		return nil, endsEarly(err)
	}
	var sync [syncBytes]byte
	if _, err := io.ReadFull(c.r, sync[:]); err != nil {
		return nil, endsEarly(err)
	}
	if sync != c.sync {
		return nil, errors.New("it does not end with the file's sync marker: the file is damaged")
	}
	if records == 0 {
		return nil, nil
	}
	body, err := c.unpack(c.stored.Bytes())
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", c.codec, err)
	}
	return body, nil
}

var errTooLarge = fmt.Errorf("it unpacks to more than %d bytes: write smaller blocks (the writer's sync interval)", mostBlock)

func (c *container) unpack(stored []byte) ([]byte, error) {
	switch c.codec {
	case "deflate":
		if c.inflate == nil {
			c.inflate = flate.NewReader(bytes.NewReader(stored))
		} else if err := c.inflate.(flate.Resetter).Reset(bytes.NewReader(stored), nil); err != nil {
			return nil, err
		}
		return c.all(c.inflate)
	case "zstandard":
		if err := c.zstd.Reset(bytes.NewReader(stored)); err != nil {
			return nil, err
		}
		return c.all(c.zstd)
	case "bzip2":
		return c.all(bzip2.NewReader(bytes.NewReader(stored)))
	case "snappy":
		return c.unsnap(stored)
	}
	return stored, nil
}

func (c *container) all(r io.Reader) ([]byte, error) {
	c.unpacked.Reset()
	n, err := io.Copy(&c.unpacked, io.LimitReader(r, mostBlock+1))
	if err == nil && n > mostBlock {
		err = errTooLarge
	}
	return c.unpacked.Bytes(), err
}

// unsnap reads snappy with a checksum of what was packed behind it.
func (c *container) unsnap(stored []byte) ([]byte, error) {
	const sum = 4
	if len(stored) < sum {
		return nil, errors.New("it is too short for a checksum: the file is damaged")
	}
	packed, want := stored[:len(stored)-sum], binary.BigEndian.Uint32(stored[len(stored)-sum:])
	n, err := snappy.DecodedLen(packed)
	if err != nil {
		return nil, err
	}
	if n > mostBlock {
		return nil, errTooLarge
	}
	c.plain, err = snappy.Decode(c.plain[:cap(c.plain)], packed)
	if err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(c.plain) != want {
		return nil, errors.New("its checksum is another: the file is damaged")
	}
	return c.plain, nil
}

func (c *container) close() {
	if c.zstd != nil {
		c.zstd.Close()
	}
}
