package columnar

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// chunk reads one leaf within one row group, entry by entry: what a row has in it, and the levels that say where it belongs.
type chunk struct {
	*leaf
	file  *File
	codec format.CompressionCodec
	at    int64 // where the next page begins
	end   int64
	left  int64 // entries in the pages that were not read yet

	dict           *dictionary
	inPage         int // entries left in the page
	repeated, defs hybrid
	values         values

	ahead  bool // the entry below was read, and not taken yet
	rep    int
	def    int
	cached Value
}

// open begins a chunk, once it is sure that it lies within the file.
func (f *File) open(l *leaf, meta *format.ColumnChunk) (*chunk, error) {
	m := &meta.MetaData
	begin := m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < begin {
		begin = d
	}
	switch {
	case meta.FilePath != "":
		return nil, fmt.Errorf("its data lies in another file, %q", meta.FilePath)
	case len(meta.EncryptedColumnMetadata) > 0 || meta.CryptoMetadata.Value != nil:
		return nil, errEncrypted
	case m.Type != l.kind:
		return nil, fmt.Errorf("it is %v in the schema and %v in a row group", l.kind, m.Type)
	case begin < int64(len(magic)) || begin > f.size || m.TotalCompressedSize < 0 || m.TotalCompressedSize > f.size-begin || m.NumValues < 0:
		return nil, errors.New("a row group has data that lies outside of the file")
	}
	return &chunk{leaf: l, file: f, codec: m.Codec, at: begin, end: begin + m.TotalCompressedSize, left: m.NumValues}, nil
}

// more says whether there is another entry, and reads it ahead.
func (c *chunk) more() (bool, error) {
	if c.ahead {
		return true, nil
	}
	for c.inPage == 0 {
		if c.left == 0 {
			return false, nil
		}
		if err := c.page(); err != nil {
			return false, err
		}
	}
	return true, c.entry()
}

func (c *chunk) entry() error {
	c.inPage--
	c.ahead, c.rep, c.def, c.cached = true, 0, 0, Value{}
	if c.mostRepeated > 0 {
		rep, err := c.repeated.next()
		if err != nil || int(rep) > c.mostRepeated {
			return errors.Join(errLevels, err)
		}
		c.rep = int(rep)
	}
	if c.mostDefined > 0 {
		def, err := c.defs.next()
		if err != nil || int(def) > c.mostDefined {
			return errors.Join(errLevels, err)
		}
		c.def = int(def)
	}
	if c.def < c.mostDefined {
		return nil
	}
	var err error
	c.cached, err = c.values.next()
	return err
}

var errLevels = errors.New("a page has levels that its schema does not have")

// mostListed bounds the elements of one row: runs of levels say that there are billions in a few bytes.
const mostListed = 1 << 16

// row appends what the next row has.
func (c *chunk) row(into []Value) ([]Value, error) {
	for first := true; ; first = false {
		more, err := c.more()
		switch {
		case err != nil:
			return into, err
		case !more && first:
			return into, errors.New("it has fewer rows than the file says")
		case !more, !first && c.rep == 0:
			return into, nil
		case first && c.rep != 0:
			return into, errLevels
		case len(into) >= mostListed:
			return into, fmt.Errorf("a list has more than %d elements", mostListed)
		}
		c.ahead = false
		if c.mostRepeated == 0 {
			return append(into, c.cached), nil
		}
		if c.def >= c.listDefined {
			into = append(into, c.cached)
		}
	}
}

// page reads the next page, and the dictionary where it is that.
func (c *chunk) page() error {
	header, err := c.header()
	if err != nil {
		return err
	}
	size, unpacked := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
	most := c.file.bounds.PageBytes
	if size < 0 || size > c.end-c.at || unpacked < 0 {
		return errors.New("a page is longer than what is left of its column")
	}
	if size > most || unpacked > most {
		return fmt.Errorf("a page has %d bytes, more than %d: write the file with smaller pages", max(size, unpacked), most)
	}
	data := make([]byte, size)
	if err := c.file.readAt(data, c.at); err != nil {
		return err
	}
	c.at += size
	if header.CRC != 0 && uint32(header.CRC) != crc32.ChecksumIEEE(data) {
		return errors.New("a page is damaged: its checksum does not fit")
	}
	switch header.Type {
	case format.DictionaryPage:
		return c.dictionaryPage(header, data)
	case format.DataPage:
		return c.dataPage(header, data)
	case format.DataPageV2:
		return c.dataPageV2(header, data)
	default: // an index of pages
		return nil
	}
}

// The header of a page has the least and the largest value in it, and so may be long.
const (
	usualHeader = 1 << 10
	mostHeader  = 1 << 20
)

// header reads the header of the next page.
func (c *chunk) header() (*format.PageHeader, error) {
	for size := int64(usualHeader); ; size = mostHeader {
		b := make([]byte, min(size, c.end-c.at))
		if err := c.file.readAt(b, c.at); err != nil {
			return nil, err
		}
		h := new(format.PageHeader)
		n, err := unmarshal(b, h)
		if errors.Is(err, errThriftShort) && size < mostHeader && size < c.end-c.at {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the header of a page: %w", err)
		}
		c.at += int64(n)
		return h, nil
	}
}

func (c *chunk) dictionaryPage(header *format.PageHeader, data []byte) error {
	h, ok := header.DictionaryPageHeader.Get()
	if !ok || h.NumValues < 0 || c.dict != nil {
		return errHeader
	}
	data, err := c.file.unpack(c.codec, data, int(header.UncompressedPageSize))
	if err != nil {
		return fmt.Errorf("unpacking the dictionary: %w", err)
	}
	c.dict, err = newDictionary(c.leaf, data, int(h.NumValues))
	return err
}

var errHeader = errors.New("a page has a header that makes no sense")

func (c *chunk) dataPage(header *format.PageHeader, data []byte) error {
	h, ok := header.DataPageHeader.Get()
	if !ok {
		return errHeader
	}
	data, err := c.file.unpack(c.codec, data, int(header.UncompressedPageSize))
	if err != nil {
		return fmt.Errorf("unpacking a page: %w", err)
	}
	levels := func(most int, encoding format.Encoding) (part []byte, err error) {
		if most == 0 {
			return nil, nil
		}
		if encoding != format.RLE {
			return nil, fmt.Errorf("levels are encoded with %v: write the file with a newer version of your library", encoding)
		}
		part, data, err = sized(data)
		return part, err
	}
	reps, err := levels(c.mostRepeated, h.RepetitionLevelEncoding)
	if err != nil {
		return err
	}
	defs, err := levels(c.mostDefined, h.DefinitionLevelEncoding)
	if err != nil {
		return err
	}
	return c.begin(h.NumValues, reps, defs, h.Encoding, data)
}

func (c *chunk) dataPageV2(header *format.PageHeader, data []byte) error {
	h, ok := header.DataPageHeaderV2.Get()
	reps, defs := int(h.RepetitionLevelsByteLength), int(h.DefinitionLevelsByteLength)
	if !ok || reps < 0 || defs < 0 || reps > len(data) || defs > len(data)-reps || int(header.UncompressedPageSize) < reps+defs {
		return errHeader
	}
	packed := data[reps+defs:]
	if compressed, said := h.IsCompressed.Get(); compressed || !said {
		var err error
		if packed, err = c.file.unpack(c.codec, packed, int(header.UncompressedPageSize)-reps-defs); err != nil {
			return fmt.Errorf("unpacking a page: %w", err)
		}
	}
	return c.begin(h.NumValues, data[:reps:reps], data[reps:reps+defs:reps+defs], h.Encoding, packed)
}

// mostEntries of one page may all be one run of levels.
const mostEntries = 1 << 26

// begin makes a page the one that entries are read from.
func (c *chunk) begin(entries int32, reps, defs []byte, encoding format.Encoding, data []byte) (err error) {
	if entries < 0 || int64(entries) > c.left {
		return errHeader
	}
	if entries > mostEntries {
		return fmt.Errorf("a page has %d entries, more than %d: write the file with smaller pages", entries, mostEntries)
	}
	c.left -= int64(entries)
	c.inPage = int(entries)
	c.repeated = hybrid{rest: reps, width: widthOf(c.mostRepeated)}
	c.defs = hybrid{rest: defs, width: widthOf(c.mostDefined)}
	c.values, err = c.valuesOf(encoding, data, int(entries), c.dict)
	return err
}

// readAt fills b, which the caller has bounded.
func (f *File) readAt(b []byte, at int64) error {
	n, err := f.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), at, err)
}
