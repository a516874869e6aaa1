package columnar

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// pages reads the pages of one leaf within one row group, and begins again with the next: what is read into is kept.
type pages struct {
	*leaf
	file   *File
	shared *shared
	codec  format.CompressionCodec
	at     int64 // where the next page begins
	end    int64
	left   int64 // entries in the pages that were not read yet
	seen   int64 // entries of all chunks so far

	header   pageHeader
	begun    []byte // the bytes that a page begins with, its header among them
	body     []byte // of the page, unpacked
	dictBody []byte
	dict     dictionary
	hasDict  bool

	inPage                   int // entries of the page that were not decoded yet
	repetitions, definitions hybrid
	values                   decoder
	decoders                 decoders
}

// shared is what the columns of one Rows share.
type shared struct {
	decompressor
	packed []byte // a page as it lies in the file
	held   int64  // bytes of all pages that are in memory, and of texts that are made of them
	most   int64
}

// sized gives room for n bytes, in the memory of b where they fit. There is some more, since the next page may be a little longer.
func (s *shared) sized(b []byte, n int64) ([]byte, error) {
	if n+slack <= int64(cap(b)) {
		return b[:n], nil
	}
	room := n + n/8 + slack
	if s.held += room - int64(cap(b)); s.held > s.most {
		return nil, fmt.Errorf("the pages that must be read together have more than %d bytes: leave columns out, or %s", s.most, smallerPages)
	}
	return make([]byte, n, room), nil
}

// smallerPages is how writers are told to: DuckDB makes one page of what a row group has in a column.
const smallerPages = "write it with smaller pages " +
	"(data_page_size in pyarrow and polars, parquet.page.size in Spark, a smaller ROW_GROUP_SIZE in DuckDB)"

// mostValues bounds what the lists of a column have in all rows, and so the time that a short file can take.
const mostValues = 1 << 30

// begin takes up a chunk, once it is sure that it lies within the file. Where a chunk has no values its places mean nothing.
func (p *pages) begin(chunk *columnChunk) error {
	m := &chunk.Meta
	first := m.DataOffset
	if d := m.DictionaryOffset; d > 0 && d < first {
		first = d
	}
	p.left, p.inPage, p.hasDict = 0, 0, false
	switch {
	case len(chunk.EncryptedAgain) > 0 || chunk.Encryption.Value != nil:
		return errEncrypted
	case m.NumValues < 0:
		return errors.New("a row group says that it has less than no values: write the file anew")
	case m.NumValues == 0:
		return nil
	case chunk.FilePath != "":
		return fmt.Errorf("its data lies in another file, %q: write it in one", chunk.FilePath)
	case m.Type != p.kind:
		return fmt.Errorf("it is %v in the schema and %v in a row group: write the file anew", p.kind, m.Type)
	case first < int64(len(magic)) || first > p.file.size || m.Size < 0 || m.Size > p.file.size-first:
		return errors.New("a row group has data that lies outside of the file: it was not copied whole")
	}
	if m.NumValues > mostValues-p.seen {
		return fmt.Errorf("it has more than %d values: part the file", mostValues)
	}
	p.codec, p.at, p.end, p.left = m.Codec, first, first+m.Size, m.NumValues
	p.seen += m.NumValues
	return nil
}

// next reads the next page, and the dictionary where it is that.
func (p *pages) next() error {
	if err := p.readHeader(); err != nil {
		return err
	}
	size, unpacked := int64(p.header.Packed), int64(p.header.Unpacked)
	if size < 0 || size > p.end-p.at || unpacked < 0 {
		return errors.New("a page is longer than what is left of its column: write the file anew")
	}
	if most := p.file.bounds.PageBytes; size > most || unpacked > most {
		return fmt.Errorf("a page has %d bytes, more than %d: %s", max(size, unpacked), most, smallerPages)
	}
	packed, err := p.shared.sized(p.shared.packed, size)
	if err != nil {
		return err
	}
	p.shared.packed = packed
	if err := p.file.readAt(packed, p.at); err != nil {
		return err
	}
	p.at += size
	if crc := p.header.CRC; crc != 0 && uint32(crc) != crc32.ChecksumIEEE(packed) {
		return errors.New("a page is damaged: its checksum does not fit: write or copy the file anew")
	}
	switch p.header.Type {
	case format.DictionaryPage:
		return p.dictionaryPage(packed)
	case format.DataPage:
		return p.dataPage(packed)
	case format.DataPageV2:
		return p.dataPageV2(packed)
	default: // an index of pages
		return nil
	}
}

// The header of a page has the least and the largest value in it, and so may be long.
const (
	usualHeader = 1 << 10
	mostHeader  = usualHeader << 9
)

func (p *pages) readHeader() error {
	for size := int64(usualHeader); ; size *= 8 {
		p.begun = sizedTo(p.begun, int(min(size, p.end-p.at)))
		if err := p.file.readAt(p.begun, p.at); err != nil {
			return err
		}
		p.header = pageHeader{}
		n, err := unmarshal(p.begun, &p.header)
		if errors.Is(err, errThriftShort) && size < mostHeader && size < p.end-p.at {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the header of a page: %w: write the file anew", err)
		}
		p.at += int64(n)
		return nil
	}
}

// unpack gives what packed unpacks to, of which the header says the size. It lies behind the bytes of prefix, which are not
// packed.
func (p *pages) unpack(into, prefix, packed []byte, compressed bool) ([]byte, error) {
	codec := p.codec
	if !compressed {
		codec = format.Uncompressed
	}
	size := int64(p.header.Unpacked)
	rest := size - int64(len(prefix))
	if rest < 0 || !unpacksTo(codec, int64(len(packed)), rest) {
		return into, errUnpacked
	}
	into, err := p.shared.sized(into, size)
	if err != nil {
		return into, err
	}
	n := copy(into, prefix)
	return into, p.shared.unpack(codec, packed, into[n:])
}

func (p *pages) dictionaryPage(packed []byte) (err error) {
	h, ok := p.header.Dictionary.Get()
	if !ok || h.NumValues < 0 || p.hasDict {
		return errHeader
	}
	if h.Encoding != format.Plain && h.Encoding != format.PlainDictionary { //nolint:staticcheck // older writers say the latter
		return fmt.Errorf("the dictionary is encoded with %v: write the column with a plain encoding", h.Encoding)
	}
	if p.dictBody, err = p.unpack(p.dictBody, nil, packed, true); err != nil {
		return fmt.Errorf("unpacking the dictionary: %w", err)
	}
	p.hasDict = true
	return p.dict.begin(p.leaf, p.dictBody, int(h.NumValues))
}

var errHeader = errors.New("a page has a header that makes no sense: write the file anew")

func (p *pages) dataPage(packed []byte) (err error) {
	h, ok := p.header.Data.Get()
	if !ok {
		return errHeader
	}
	if h.NumValues == 0 {
		return nil
	}
	if p.body, err = p.unpack(p.body, nil, packed, true); err != nil {
		return fmt.Errorf("unpacking a page: %w", err)
	}
	data := p.body
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
	reps, err := levels(p.mostRepeated, h.Repetitions)
	if err != nil {
		return err
	}
	defs, err := levels(p.mostDefined, h.Definitions)
	if err != nil {
		return err
	}
	return p.decode(h.NumValues, reps, defs, h.Encoding, data)
}

func (p *pages) dataPageV2(packed []byte) (err error) {
	h, ok := p.header.DataV2.Get()
	reps, defs := int(h.RepetitionBytes), int(h.DefinitionBytes)
	if !ok || reps < 0 || defs < 0 || reps > len(packed) || defs > len(packed)-reps {
		return errHeader
	}
	if h.NumValues == 0 {
		return nil
	}
	levels := packed[:reps+defs]
	compressed, said := h.IsCompressed.Get()
	if p.body, err = p.unpack(p.body, levels, packed[len(levels):], compressed || !said); err != nil {
		return fmt.Errorf("unpacking a page: %w", err)
	}
	return p.decode(h.NumValues, p.body[:reps:reps], p.body[reps:len(levels):len(levels)], h.Encoding, p.body[len(levels):])
}

// mostEntries of one page may all be one run of levels.
const mostEntries = 1 << 26

// decode makes a page the one that entries are read from.
func (p *pages) decode(entries int32, reps, defs []byte, encoding format.Encoding, data []byte) (err error) {
	if entries < 0 || int64(entries) > p.left {
		return errHeader
	}
	if entries > mostEntries {
		return fmt.Errorf("a page has %d entries, more than %d: %s", entries, mostEntries, smallerPages)
	}
	p.left -= int64(entries)
	p.inPage = int(entries)
	p.repetitions = hybrid{rest: reps, width: widthOf(p.mostRepeated)}
	p.definitions = hybrid{rest: defs, width: widthOf(p.mostDefined)}
	var dict *dictionary
	if p.hasDict {
		dict = &p.dict
	}
	p.values, err = p.decoders.of(p.leaf, encoding, data, dict, p.file.bounds.PageBytes, p.shared)
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
