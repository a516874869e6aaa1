package rules

import (
	"sync"

	"github.com/freshet/freshet/schemas"
)

// FilterCache remembers compiled filters, and refused ones, since clients send the same few again and again: compiling takes
// some ten microseconds, and a refused filter repeated a thousand times a second would otherwise cost as much each time.
//
// It keeps two generations. A filter that is asked for moves into the young one; when that is full it becomes the old one, and
// what was old and unused since is forgotten. So it holds at most twice its size, of at most 4 KiB of source each.
type FilterCache struct {
	size int

	mu    sync.Mutex
	young map[string]compiledFilter
	old   map[string]compiledFilter
}

type compiledFilter struct {
	filter *Filter
	err    error
}

// NewFilterCache makes a cache whose generations hold size filters each.
func NewFilterCache(size int) *FilterCache {
	return &FilterCache{size: max(1, size), young: map[string]compiledFilter{}}
}

// Compile is CompileFilter, remembered.
func (c *FilterCache) Compile(source string) (*Filter, error) {
	if len(source) > schemas.MostFilterBytes {
		return CompileFilter(source) // refused by its length alone: not worth the memory
	}
	if found, ok := c.lookUp(source); ok {
		return found.filter, found.err
	}
	// Two requests may compile the same new filter at once; holding the lock instead would let one slow compilation stop all.
	f, err := CompileFilter(source)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remember(source, compiledFilter{f, err})
	return f, err
}

func (c *FilterCache) lookUp(source string) (compiledFilter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.young[source]; ok {
		return found, true
	}
	found, ok := c.old[source]
	if ok {
		c.remember(source, found)
	}
	return found, ok
}

func (c *FilterCache) remember(source string, f compiledFilter) {
	if len(c.young) >= c.size {
		c.old, c.young = c.young, make(map[string]compiledFilter, c.size)
	}
	c.young[source] = f
}
