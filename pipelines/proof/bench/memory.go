package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// Memory measures what a user and an item take in Redis, and what the roles hold themselves, at several sizes.
//
// The floor is the bytes of the values: a history of 64 events, embedding, state, marks and counters, the seen items of a
// user; record and vector of an item. Users and items beyond some hundred that the real stores have written are copies of
// these, value by value, under ids of their own: to memory it is all the same, and a million is there in a minute.
//
// The embedded Redis knows neither its memory nor that of a key, so this needs a real one; best one that nobody else uses
// meanwhile.
func Memory(ctx context.Context, o Options, sizes []int) (report *Report, err error) {
	if o.Embedded {
		return nil, errors.New("the embedded Redis cannot tell what memory it uses: run this bench on real servers, without --embedded")
	}
	if err := checkSizes(sizes); err != nil {
		return nil, err
	}
	o.Repeats = 1
	l, err := openLab(ctx, o, needs{milvus: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	m := &memory{lab: l}
	if err := m.makeTemplates(ctx); err != nil {
		return nil, err
	}
	for _, size := range sizes {
		if err := m.measure(ctx, size); err != nil {
			return nil, fmt.Errorf("at %d users and items: %w", size, err)
		}
	}
	return m.report(ctx)
}

func checkSizes(sizes []int) error {
	if len(sizes) == 0 {
		return errors.New("sizes is empty: give at least one, such as 10k")
	}
	for i, n := range sizes {
		if n < templates || i > 0 && n <= sizes[i-1] {
			return fmt.Errorf("sizes has %d: give growing numbers of %d or more", n, templates)
		}
	}
	return nil
}

// memory is one run of the bench.
type memory struct {
	*lab
	users, items []specimen
	levels       []level
}

// specimen is all that Redis holds of a user or an item.
type specimen struct {
	hash       map[string]string // of the key of hashKind
	value      string            // of the key of valueKind
	ttl        bool              // both keys have a time to live
	hashKind   string
	valueKind  string
	valueBytes int64 // of all values: the floor
}

// level is what was found at one size.
type level struct {
	size               int
	perUser, perItem   float64 // bytes of used_memory
	userUsage, itemKey float64 // bytes by MEMORY USAGE
	rss, weights       float64 // bytes: what the roles hold, and what their towers weigh
}

// templates is how many users and items the real stores write.
const templates = 500

func (m *memory) measure(ctx context.Context, size int) error {
	v := level{size: size}
	for _, kind := range []struct {
		what     string
		from     []specimen
		prefix   string
		per, use *float64
	}{
		{"users", m.users, m.prefix() + "-users", &v.perUser, &v.userUsage},
		{"items", m.items, m.prefix() + "-items", &v.perItem, &v.itemKey},
	} {
		m.say("%d: writing %s…", size, kind.what)
		before, err := m.usedMemory(ctx)
		if err != nil {
			return err
		}
		if err := m.copyAll(ctx, kind.from, kind.prefix, size); err != nil {
			return err
		}
		after, err := m.usedMemory(ctx)
		if err != nil {
			return err
		}
		*kind.per = float64(after-before) / float64(size)
		if *kind.use, err = m.usage(ctx, kind.from, kind.prefix, size); err != nil {
			return err
		}
		m.say("  %.0f bytes each, %.0f by MEMORY USAGE", *kind.per, *kind.use)
		if err := removeKeys(ctx, m.rdb, kind.prefix); err != nil {
			return err
		}
	}
	var err error
	if v.rss, v.weights, err = m.rolesMemory(ctx, size); err != nil {
		return err
	}
	m.say("  roles: %.0f MiB resident, towers of %.0f MiB", v.rss/mebi, v.weights/mebi)
	m.levels = append(m.levels, v)
	return nil
}

const mebi = 1 << 20

// usedMemory sums what all nodes use.
func (m *memory) usedMemory(ctx context.Context) (total int64, err error) {
	ask := func(ctx context.Context, node redis.Cmdable) error {
		info, err := node.Info(ctx, "memory").Result()
		if err != nil {
			return fmt.Errorf("asking Redis for its memory: %w", err)
		}
		used, err := strconv.ParseInt(infoField(info, "used_memory"), 10, 64)
		if err != nil {
			return fmt.Errorf("reading Redis's used_memory: %w", err)
		}
		total += used
		return nil
	}
	return total, eachNode(ctx, m.rdb, ask)
}

// keysOf are those of the i-th copy.
func (e *specimen) keysOf(prefix string, i int) (hash, value string) {
	id := fmt.Sprintf("%010d", i)
	return redisdb.Key(prefix, id, e.hashKind), redisdb.Key(prefix, id, e.valueKind)
}

func (m *memory) copyAll(ctx context.Context, from []specimen, prefix string, size int) error {
	for begin := 0; begin < size; begin += keysAtOnce {
		pipe := m.rdb.Pipeline()
		for i := begin; i < min(begin+keysAtOnce, size); i++ {
			e := &from[i%len(from)]
			hash, value := e.keysOf(prefix, i)
			pipe.HSet(ctx, hash, e.hash)
			pipe.Append(ctx, value, e.value) // as the stores do: SET and APPEND reserve differently
			if e.ttl {
				pipe.PExpire(ctx, hash, m.base.Profiles.InactiveTTL)
				pipe.PExpire(ctx, value, m.base.Profiles.InactiveTTL)
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("writing copies: %w", err)
		}
	}
	return nil
}

// usage is the mean of what MEMORY USAGE says of both keys of some copies.
func (m *memory) usage(ctx context.Context, from []specimen, prefix string, size int) (float64, error) {
	pipe := m.rdb.Pipeline()
	n := min(size, templates)
	for i := range n {
		hash, value := from[i%len(from)].keysOf(prefix, i)
		pipe.MemoryUsage(ctx, hash, 0)
		pipe.MemoryUsage(ctx, value, 0)
	}
	answers, err := pipe.Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking for the memory of keys: %w", err)
	}
	var total int64
	for _, a := range answers {
		if bytes, ok := a.(*redis.IntCmd); ok {
			total += bytes.Val()
		}
	}
	return float64(total) / float64(n), nil
}

// meanBytes is the floor: the mean of the bytes of all values.
func meanBytes(of []specimen) float64 {
	var total int64
	for i := range of {
		total += of[i].valueBytes
	}
	return float64(total) / float64(len(of))
}

func (m *memory) report(ctx context.Context) (*Report, error) {
	r, err := m.lab.report(ctx, "memory", fmt.Sprintf("vectors of %d", m.base.Training.Dim),
		fmt.Sprintf("histories of %d", m.base.Profiles.HistoryLength))
	if err != nil {
		return nil, err
	}
	user, item := meanBytes(m.users), meanBytes(m.items)
	for i, v := range m.levels {
		at := fmt.Sprintf(", %s", sizeName(v.size))
		r.compare("a user in Redis"+at, "bytes", []float64{v.perUser}, []float64{user}, atMost(2))
		r.tell("a user by MEMORY USAGE"+at, "bytes", []float64{v.userUsage})
		r.compare("an item in Redis"+at, "bytes", []float64{v.perItem}, []float64{item}, atMost(2))
		r.tell("an item by MEMORY USAGE"+at, "bytes", []float64{v.itemKey})
		r.tell("all roles, resident"+at, "MiB", []float64{v.rss / mebi})
		if i > 0 {
			last := m.levels[i-1]
			r.compare("growth of the roles for an item, up to "+sizeName(v.size), "bytes",
				[]float64{(v.rss - last.rss) / float64(v.size-last.size)}, []float64{(v.weights - last.weights) / float64(v.size-last.size)},
				atMost(2))
		}
	}
	if first, last := m.levels[0], m.levels[len(m.levels)-1]; len(m.levels) > 1 {
		r.compare("linear: a user at the largest size, beside the smallest", "bytes", []float64{last.perUser}, []float64{first.perUser},
			atMost(mostCurve))
	}
	r.note("in Redis: what used_memory grew by, divided by the number; the floor is the bytes of the values, without keys and fields' names")
	r.note("roles: resident memory of this process with all three roles after some traffic, less what it was before; the floor of their " +
		"growth is the towers' weights and ids")
	return r, nil
}

// mostCurve is how far from a straight line a size may lie: Redis doubles its tables, so that they are half empty at worst.
const mostCurve = 1.1

// sizeName writes a size as people do.
func sizeName(n int) string {
	switch {
	case n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return strconv.Itoa(n)
}
