package towers

import (
	"slices"
	"strings"
)

// VocabularyConfig says which tokens of a catalogue get a content embedding.
type VocabularyConfig struct {
	// MinItems is the least number of items that a token must occur in: a token of one item says no more than its id.
	MinItems int `yaml:"min_items" env:"MIN_ITEMS" json:"min_items"`
	// MaxWordShare drops title and description words that occur in more than this share of the items ("the", "of"): the
	// commonest words tell items apart the least and, in a mean, dilute the rest. Categories, tags and the like stay.
	MaxWordShare float64 `yaml:"max_word_share" env:"MAX_WORD_SHARE" json:"max_word_share"`
	// MaxTokens bounds the vocabulary; the tokens of the most items stay.
	MaxTokens int `yaml:"max_tokens" env:"MAX_TOKENS" json:"max_tokens"`
}

// DefaultVocabularyConfig is what the study of ml-1m used, with stop words found by share instead of by a list of English.
func DefaultVocabularyConfig() VocabularyConfig {
	return VocabularyConfig{MinItems: 2, MaxWordShare: 0.04, MaxTokens: 200_000}
}

// Validate names the first setting that cannot work.
func (c VocabularyConfig) Validate() error {
	switch {
	case c.MinItems < 1:
		return invalidSetting("min_items", c.MinItems, "set it to 1 or more (2 leaves out tokens of a single item)")
	case !(c.MaxWordShare > 0 && c.MaxWordShare <= 1):
		return invalidSetting("max_word_share", c.MaxWordShare, "set it above 0 and at most 1 (1 keeps every word)")
	case c.MaxTokens < 1:
		return invalidSetting("max_tokens", c.MaxTokens, "set it to 1 or more")
	}
	return nil
}

// Below fewWords items a share of the catalogue is no evidence that a word is common.
const fewWords = 20

// BuildVocabulary collects the tokens of a catalogue, in byte order, so that equal catalogues give equal vocabularies in
// whatever order they come.
func BuildVocabulary(items []ItemFeatures, cfg VocabularyConfig) []string {
	counts, lastItem := map[string]int{}, map[string]int{}
	for i := range items {
		items[i].Tokens(func(tok []byte) {
			if last, seen := lastItem[string(tok)]; seen && last == i {
				return
			}
			t := string(tok)
			lastItem[t] = i
			counts[t]++
		})
	}
	common := max(fewWords, int(cfg.MaxWordShare*float64(len(items))))
	tokens := make([]string, 0, len(counts))
	for t, n := range counts {
		word := strings.HasPrefix(t, "title:") || strings.HasPrefix(t, "text:")
		if n >= cfg.MinItems && (!word || n <= common) {
			tokens = append(tokens, t)
		}
	}
	slices.SortFunc(tokens, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	tokens = tokens[:min(len(tokens), cfg.MaxTokens)]
	slices.Sort(tokens)
	return tokens
}

// TokenIndex finds the rows of an item's tokens in the content table.
type TokenIndex map[string]int32

// NewTokenIndex numbers the tokens in their order.
func NewTokenIndex(tokens []string) TokenIndex {
	index := make(TokenIndex, len(tokens))
	for i, t := range tokens {
		index[t] = int32(i)
	}
	return index
}

// Rows appends to dst the content rows of the item, each once, in the order of Tokens; tokens that the vocabulary lacks are
// ignored. (Hashing them into shared rows would add noise to the mean of exactly those items that are known the least.)
func (x TokenIndex) Rows(dst []int32, f *ItemFeatures) []int32 {
	start := len(dst)
	f.Tokens(func(tok []byte) {
		row, ok := x[string(tok)]
		if ok && !slices.Contains(dst[start:], row) {
			dst = append(dst, row)
		}
	})
	return dst
}
