package towers

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a query tower reads of a text: one of a megabyte costs no more than a long honest one. A word of n letters has
// about 3 n features, so that there are at most maxQueryWords * (3 * maxTokenBytes + 1) of them.
const (
	maxQueryBytes = 1 << 11
	maxQueryWords = 24
)

// The lengths of a word's n-grams, in runes, the two marks of its ends included.
const (
	shortestGram = 3
	longestGram  = 5
)

// The marks of a word's ends, which no word holds: an n-gram at the beginning is another than the same within.
const (
	wordStart = '<'
	wordEnd   = '>'
)

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// QueryWords are the words that a query tower reads of a text, in lower case, within its bounds; a long one is whole here.
func QueryWords(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text[:min(len(text), maxQueryBytes)]), func(r rune) bool { return !inWord(r) })
	return words[:min(len(words), maxQueryWords)]
}

// AppendQueryBuckets appends to dst the buckets of a text's features, of which there are buckets, a power of two: for each word,
// a run of letters and digits in lower case, the word itself and its character n-grams of 3 to 5 runes (Bojanowski and others,
// "Enriching Word Vectors with Subword Information", 2017), hashed by FNV-1a. Equal features give equal buckets, in the order of
// the text, as often as they come; a text without a letter or digit has none.
func AppendQueryBuckets(dst []int32, text string, buckets int) []int32 {
	var w queryWord
	w.reset()
	words := 0
	for _, r := range text[:min(len(text), maxQueryBytes)] {
		if inWord(r) {
			w.add(unicode.ToLower(r))
			continue
		}
		if w.runes > 1 {
			dst = w.appendBuckets(dst, buckets)
			if words++; words == maxQueryWords {
				return dst
			}
			w.reset()
		}
	}
	if w.runes > 1 {
		dst = w.appendBuckets(dst, buckets)
	}
	return dst
}

// queryWord is a word between its marks. What is beyond maxTokenBytes is cut.
type queryWord struct {
	bytes [maxTokenBytes + utf8.UTFMax + 2]byte
	// start is where each rune begins, and, at runes, where the last one ends.
	start [maxTokenBytes + utf8.UTFMax + 3]uint8
	runes int
}

func (w *queryWord) reset() {
	w.runes = 0
	w.push(wordStart)
}

func (w *queryWord) add(r rune) {
	if w.start[w.runes] <= maxTokenBytes {
		w.push(r)
	}
}

func (w *queryWord) push(r rune) {
	from := w.start[w.runes]
	n := utf8.EncodeRune(w.bytes[from:], r)
	w.runes++
	w.start[w.runes] = from + uint8(n)
}

func (w *queryWord) appendBuckets(dst []int32, buckets int) []int32 {
	w.push(wordEnd)
	mask := uint64(buckets - 1)
	whole := hashWord
	for _, b := range w.bytes[:w.start[w.runes]] {
		whole = addByte(whole, b)
	}
	dst = append(dst, bucketOf(whole, mask))
	for first := 0; first+shortestGram <= w.runes; first++ {
		hash := hashGram
		for last := first; last < min(first+longestGram, w.runes); last++ {
			for _, b := range w.bytes[w.start[last]:w.start[last+1]] {
				hash = addByte(hash, b)
			}
			if last-first+1 >= shortestGram {
				dst = append(dst, bucketOf(hash, mask))
			}
		}
	}
	return dst
}

// FNV-1a of 64 bits (Fowler, Noll and Vo), begun with a byte that tells words from n-grams: "<art>" is both.
const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

var hashWord, hashGram = addByte(fnvOffset, 'w'), addByte(fnvOffset, 'g')

func addByte(hash uint64, b byte) uint64 { return (hash ^ uint64(b)) * fnvPrime }

// bucketOf folds the hash, whose lower bits know little of what the upper ones do.
func bucketOf(hash, mask uint64) int32 {
	return int32((hash ^ hash>>29 ^ hash>>47) & mask)
}
