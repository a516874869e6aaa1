package towers

import (
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/freshet/freshet/schemas"
)

// ItemFeatures is what the item tower reads of an item. Every field but ItemID may be empty.
type ItemFeatures struct {
	ItemID      string
	Title       string
	Description string
	Brand       string
	Categories  []string
	Tags        []string
	// Price is in the catalogue's main unit; nil where the item has none.
	Price *float64
	// PublishedAt is the zero time where unknown.
	PublishedAt time.Time
}

// FeaturesOf picks the item tower's features out of an item change. It shares the change's slices.
func FeaturesOf(c *schemas.ItemChange) ItemFeatures {
	return ItemFeatures{
		ItemID:      c.ItemID,
		Title:       c.Title,
		Description: c.Description,
		Brand:       c.Brand,
		Categories:  c.Categories,
		Tags:        c.Tags,
		Price:       c.Price,
		PublishedAt: c.PublishedAt,
	}
}

// Bounds of what Tokens reads, so that a hostile or careless item (a title of a megabyte) costs no more than a long honest one.
const (
	maxTokenBytes       = 64
	maxTitleWords       = 64
	maxDescriptionWords = 256
	maxLabels           = 64
)

// tokenFieldBytes has room for the longest field prefix.
const tokenFieldBytes = len("category:")

// tokenBuffer assembles one token after the other without allocation.
type tokenBuffer [tokenFieldBytes + maxTokenBytes + utf8.UTFMax]byte

// Tokens calls emit for each content token of the item; emit must not keep the slice. A token is a field's name, a colon
// and a value in lower case: "category:comedy", "title:story", "year:1995", "decade:199", "price:7". The same token may
// come twice (a word that is twice in a title); the reader counts it once.
//
// A price falls into half-octave buckets (a factor of 1.41 wide), which need no knowledge of the currency as long as a
// catalogue keeps to one. A title word that only repeats the year of publication is left out.
func (f *ItemFeatures) Tokens(emit func(token []byte)) {
	var buf tokenBuffer
	for _, c := range f.Categories[:min(len(f.Categories), maxLabels)] {
		emitLabel(&buf, "category:", c, emit)
	}
	for _, t := range f.Tags[:min(len(f.Tags), maxLabels)] {
		emitLabel(&buf, "tag:", t, emit)
	}
	emitLabel(&buf, "brand:", f.Brand, emit)
	if bucket, ok := priceBucket(f.Price); ok {
		emit(strconv.AppendInt(append(buf[:0], "price:"...), bucket, 10))
	}
	var year []byte
	var yearBuf [24]byte
	if !f.PublishedAt.IsZero() {
		y := int64(f.PublishedAt.UTC().Year())
		year = strconv.AppendInt(yearBuf[:0], y, 10)
		emit(append(append(buf[:0], "year:"...), year...))
		emit(strconv.AppendInt(append(buf[:0], "decade:"...), y/10, 10))
	}
	emitWords(&buf, "title:", f.Title, maxTitleWords, year, emit)
	emitWords(&buf, "text:", f.Description, maxDescriptionWords, nil, emit)
}

// priceBucket is floor(2 log2 price); free items share one bucket below all others.
func priceBucket(price *float64) (int64, bool) {
	switch {
	case price == nil || math.IsNaN(*price) || math.IsInf(*price, 0) || *price < 0:
		return 0, false
	case *price < 1e-3:
		return -100, true
	default:
		return int64(math.Floor(2 * math.Log2(*price))), true
	}
}

// emitLabel emits a whole field as one token, without the spaces around it; one longer than maxTokenBytes is cut.
func emitLabel(buf *tokenBuffer, field, value string, emit func([]byte)) {
	tok := buf[:0]
	tok = append(tok, field...)
	for _, r := range value {
		if len(tok) == len(field) && unicode.IsSpace(r) {
			continue
		}
		if len(tok) >= len(field)+maxTokenBytes {
			break
		}
		tok = utf8.AppendRune(tok, unicode.ToLower(r))
	}
	for len(tok) > len(field) && tok[len(tok)-1] == ' ' {
		tok = tok[:len(tok)-1]
	}
	if len(tok) > len(field) {
		emit(tok)
	}
}

// emitWords emits each run of letters and digits, at most limit of them; a word longer than maxTokenBytes is cut.
func emitWords(buf *tokenBuffer, field, text string, limit int, skip []byte, emit func([]byte)) {
	tok := buf[:0]
	tok = append(tok, field...)
	flush := func() {
		if len(tok) > len(field) && string(tok[len(field):]) != string(skip) {
			emit(tok)
			limit--
		}
		tok = tok[:len(field)]
	}
	for _, r := range text {
		if limit <= 0 {
			return
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if len(tok) < len(field)+maxTokenBytes {
			tok = utf8.AppendRune(tok, unicode.ToLower(r))
		}
	}
	if limit > 0 {
		flush()
	}
}
