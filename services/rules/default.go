package rules

import (
	_ "embed"
	"fmt"
	"sync"
)

//go:embed default.yaml
var defaultSource []byte

var defaultSet = sync.OnceValue(func() *Set {
	set, err := Parse(defaultSource)
	if err != nil {
		panic(fmt.Sprintf("the embedded default rules: %v", err)) // part of the binary: a test parses it
	}
	return set
})

// Default is the set that serves where no rules file is configured: available, region, min_age, exclude_listed,
// exclude_seen, request_filter, category_cap.
func Default() *Set { return defaultSet() }

// DefaultSource is the file that Default is read from, with a comment for each rule, as a start for one's own.
func DefaultSource() []byte { return append([]byte(nil), defaultSource...) }
