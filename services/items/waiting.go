package items

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// Waiters are the users, of one key prefix of profiles, whose events came before their items' vectors.
//
// A user begins to wait in the same atomic step that finds no vector, and Write looks for who waits in the step that writes one:
// one of the two sees the other. Write then queues the item as arrived, before its change counts as written: who dies in between
// has the change again. An arrival leaves the queue once nobody waits for it any more, and a user waits no more once the profile
// is written. So whoever dies, the next one finds what is left to do.
type Waiters struct {
	store  *Store
	prefix string
	limit  int
	ttl    time.Duration
}

// Waiters returns those whose profiles lie under a key prefix. At most limit of them wait for an item, for ttl after the last came.
func (s *Store) Waiters(prefix string, limit int, ttl time.Duration) *Waiters {
	return &Waiters{store: s, prefix: prefix, limit: limit, ttl: ttl}
}

// Wait is a user who waits for an item's vector of a model.
type Wait struct{ Model, ItemID, User string }

// Waiting says what became of a Wait.
type Waiting int

// The outcomes.
const (
	Waits   Waiting = iota // until the vector comes
	Arrived                // the vector is there
	TooMany                // as many wait as may
)

// waitUnwritten is how long after Await the profile may be written that says what it waits for. Until then nobody takes a profile
// that does not say so for one that waits no more.
const waitUnwritten = 30 * time.Second

var (
	//go:embed wait.lua
	waitSource string
	//go:embed served.lua
	servedSource string
	//go:embed take.lua
	takeSource string
	//go:embed settle.lua
	settleSource string

	waitScript, servedScript = redisdb.NewScript(waitSource), redisdb.NewScript(servedSource)
	takeScript, settleScript = redisdb.NewScript(takeSource), redisdb.NewScript(settleSource)
)

func (s *Store) waitersKey(model, id string) string {
	return redisdb.Key(s.cfg.KeyPrefix, id, "waiters:"+model)
}

func (w *Waiters) waitingKey(model, id string) string {
	return redisdb.Key(w.store.cfg.KeyPrefix, id, "waiting:"+model+":"+w.prefix)
}

func (s *Store) arrivalsKey(prefix, model string) string {
	return redisdb.Key(s.cfg.KeyPrefix, prefix+":"+model, "arrivals")
}

// Await has users wait, in one pipelined round trip, before their profiles are written. The answers are aligned with waits.
func (w *Waiters) Await(ctx context.Context, waits []Wait) ([]Waiting, error) {
	calls := make([]redisdb.Call, len(waits))
	for i, one := range waits {
		calls[i] = redisdb.Call{
			Keys: []string{w.store.vectorsKey(one.ItemID), w.waitingKey(one.Model, one.ItemID), w.store.waitersKey(one.Model, one.ItemID)},
			Args: []any{one.Model, one.User, waitUnwritten.Milliseconds(), w.limit, w.ttl.Milliseconds(), w.prefix},
		}
	}
	answers := make([]Waiting, len(waits))
	for i, answer := range waitScript.Run(ctx, w.store.rdb, calls) {
		n, err := answer.Int()
		if err != nil {
			return nil, fmt.Errorf("waiting for the vector of item %q: %w", waits[i].ItemID, err)
		}
		answers[i] = Waiting(n)
	}
	return answers, nil
}

// Forget has users wait no more: of erased ones nothing may stay.
func (w *Waiters) Forget(ctx context.Context, waits []Wait) error {
	pipe := w.store.rdb.Pipeline()
	for _, one := range waits {
		pipe.ZRem(ctx, w.waitingKey(one.Model, one.ItemID), one.User)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("forgetting who waits for items: %w", err)
	}
	return nil
}

// Arrival is an item whose vector has come, and some of the users who waited.
type Arrival struct {
	Model, ItemID string
	Users         []string
	until         string
}

// takenFor is how long others leave an arrival alone that somebody works at. If it takes longer, the work is done twice.
const takenFor = time.Second

// Take takes some arrivals of a model, and of each some users.
func (w *Waiters) Take(ctx context.Context, model string, arrivals, users int) ([]Arrival, error) {
	call := redisdb.Call{Keys: []string{w.store.arrivalsKey(w.prefix, model)}, Args: []any{takenFor.Milliseconds(), arrivals}}
	answer, err := takeScript.Run(ctx, w.store.rdb, []redisdb.Call{call})[0].StringSlice()
	if err != nil {
		return nil, fmt.Errorf("looking for items that have arrived: %w", err)
	}
	taken := make([]Arrival, len(answer)-1)
	reads := make([]*redis.StringSliceCmd, len(taken))
	pipe := w.store.rdb.Pipeline()
	for i, id := range answer[1:] {
		taken[i] = Arrival{Model: model, ItemID: id, until: answer[0]}
		reads[i] = pipe.ZRange(ctx, w.waitingKey(model, id), 0, int64(users)-1)
	}
	if len(taken) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading who waits for items: %w", err)
	}
	for i, read := range reads {
		taken[i].Users = read.Val()
	}
	return taken, nil
}

// Serve gives an arrival back. The profiles of moved have the item's vector now; those of unknown do not say that they wait for it:
// they have it already, or are yet to be written. When nobody is left, the arrival goes. When some are, it comes again: at once, if
// anybody could be served, else after a while.
func (w *Waiters) Serve(ctx context.Context, a Arrival, moved, unknown []string) error {
	args := make([]any, 0, 2+len(moved)+len(unknown))
	args = append(args, w.prefix, len(moved))
	for _, users := range [][]string{moved, unknown} {
		for _, user := range users {
			args = append(args, user)
		}
	}
	keys := []string{w.waitingKey(a.Model, a.ItemID), w.store.waitersKey(a.Model, a.ItemID)}
	left, err := servedScript.Run(ctx, w.store.rdb, []redisdb.Call{{Keys: keys, Args: args}})[0].Int()
	if err != nil {
		return fmt.Errorf("noting who waits no more for item %q: %w", a.ItemID, err)
	}
	if left > 0 && len(moved) == 0 {
		return nil
	}
	remove := "0"
	if left == 0 {
		remove = "1"
	}
	call := redisdb.Call{Keys: []string{w.store.arrivalsKey(w.prefix, a.Model)}, Args: []any{a.ItemID, a.until, remove}}
	if err := settleScript.Run(ctx, w.store.rdb, []redisdb.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("giving the arrival of item %q back: %w", a.ItemID, err)
	}
	return nil
}

// queueArrivals queues items for whose vectors users wait, and fails the outcomes of those for which it could not.
func (s *Store) queueArrivals(ctx context.Context, arrived []arrived, outcomes []Outcome) {
	if len(arrived) == 0 {
		return
	}
	pipe := s.rdb.Pipeline()
	adds := make([]*redis.IntCmd, len(arrived))
	for i, a := range arrived {
		adds[i] = pipe.ZAdd(ctx, s.arrivalsKey(a.prefix, a.model), redis.Z{Member: a.itemID})
	}
	_, _ = pipe.Exec(ctx)
	for i, add := range adds {
		if err := add.Err(); err != nil {
			outcomes[arrived[i].change] = Outcome{Err: fmt.Errorf("queueing the arrival of item %q: %w", arrived[i].itemID, err)}
		}
	}
}

// arrived is an item that a change was written of, and the prefix of profiles that wait for it.
type arrived struct {
	change                int
	prefix, model, itemID string
}
