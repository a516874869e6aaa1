package recommender

import (
	"fmt"
	"slices"
	"strings"

	"github.com/freshet/freshet/schemas"
)

// degradation is something that an answer has to do without: its code for programs, the detail for people.
type degradation struct {
	code   schemas.Degradation
	detail string
}

// degrade notes what the answer has to do without, and the cause or the remedy.
func (j *job) degrade(code schemas.Degradation, format string, args ...any) {
	j.degraded = append(j.degraded, degradation{code, fmt.Sprintf(format, args...)})
}

// lacks reports whether the answer is known to do without something.
func (j *job) lacks(code schemas.Degradation) bool {
	return slices.ContainsFunc(j.degraded, func(d degradation) bool { return d.code == code })
}

// describe returns what a reply says of its degradations: the codes, each once, and the text, with every detail, that is made from them.
func describe(list []degradation) (codes []schemas.Degradation, text string) {
	parts := make([]string, len(list))
	for i, d := range list {
		if !slices.Contains(codes, d.code) {
			codes = append(codes, d.code)
		}
		parts[i] = subject(d.code) + ": " + d.detail
	}
	return codes, strings.Join(parts, "; ")
}

// subject is a code in words: the request's field, where it is about one.
func subject(code schemas.Degradation) string {
	switch code {
	case schemas.DegradedSeedItem:
		return "seed_item_id"
	case schemas.DegradedSeenThrough:
		return "seen_through"
	default:
		return strings.ReplaceAll(string(code), "_", " ")
	}
}
