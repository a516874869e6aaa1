package profiles

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// Shadow is profiles that are made anew beside the live ones, under keys of their own in the same cluster slots, by the
// ordinary Apply over the whole topic, and then put in place of the live ones, user by user, while others go on writing to
// those. The order of calls is: fold the topic through Store, to its end; Settle; then, for as long as EachUser finds some,
// Replace, and fold on what has come into the topic for those who are ahead; Remove.
//
// Why not fold into the live profiles: Redis was emptied; the consumer applies event 900 of user u to a profile that is not
// there; its watermark is 900 now, and a replay skips events 1 to 899 for ever.
//
// Why the swap loses and doubles nothing, whenever the consumer writes:
//
//	consumer: reads u, revision 7 ....................... writes: revision is 12, refused; reads; folds what is above
//	shadow:   ....................  7 -> 12, by RENAME ..............................................  the watermarks
//
//	consumer: ......................... applies 901, revision 8 .......................  applies 902
//	shadow:   reads u, revision 7, mark 900 ............ swaps 7: refused; folds 901; reads u; swaps 8
//
// A live profile that is ahead is never replaced, so no event that was applied goes. One that is behind is replaced by a fold
// that has all of its events: what the consumer applies next lies above the watermarks of both.
//
// A process that dies leaves live profiles that are whole or wait to be replaced, never anything between, and a shadow that
// the next one removes before it folds anew.
type Shadow struct {
	live, store *Store
	claim       *redisdb.Claim
	// prefix begins the keys of the shadow.
	prefix string
}

// folding is what a shadow's Store does beyond an ordinary one.
type folding struct {
	// settled: profiles that are not there are not begun.
	settled atomic.Bool
	// begun counts profiles that Apply made where there was none.
	begun atomic.Int64
}

const (
	claimLife   = 15 * time.Second
	claimKind   = ":rebuild:profiles"
	shadowInfix = ":rebuild."
)

// OpenShadow begins an empty shadow. There is one at a time: while another process has one, it waits. What broken-off ones have
// left is removed. The context that it returns ends when the shadow must not be used any more, redisdb.ErrClaimLost being its
// cause. Close gives it back.
func (s *Store) OpenShadow(ctx context.Context) (context.Context, *Shadow, error) {
	ctx, claim, err := redisdb.TakeClaim(ctx, s.rdb, s.cfg.KeyPrefix+claimKind, claimLife)
	if err != nil {
		return ctx, nil, err
	}
	cfg := s.cfg
	cfg.KeyPrefix += shadowInfix + claim.ID()
	// No time runs for a shadow: a profile of which one half expired would be taken for a whole one.
	cfg.InactiveTTL = max(cfg.InactiveTTL, shadowTTL)
	cfg.ErasedRetention = max(cfg.ErasedRetention, shadowTTL)
	store := New(s.rdb, s.items, s.models, cfg)
	store.folding = &folding{}
	if _, err := redisdb.Remove(ctx, s.rdb, redisdb.EscapePattern(s.cfg.KeyPrefix+shadowInfix)+"*"); err != nil {
		return ctx, nil, errors.Join(fmt.Errorf("removing what an earlier rebuild left: %w", err), claim.Release(context.WithoutCancel(ctx)))
	}
	return ctx, &Shadow{live: s, store: store, claim: claim, prefix: cfg.KeyPrefix}, nil
}

// shadowTTL lets a shadow that nobody removes go some time.
const shadowTTL = 7 * 24 * time.Hour

// KeyPrefix begins the shadow's keys, for others that are made anew beside it.
func (h *Shadow) KeyPrefix() string { return h.prefix }

// Store is for Apply.
func (h *Shadow) Store() *Store { return h.store }

// Check returns redisdb.ErrClaimLost if the shadow must not be used any more.
func (h *Shadow) Check(ctx context.Context) error { return h.claim.Check(ctx) }

// Begun is how many users the shadow has got so far.
func (h *Shadow) Begun() int64 { return h.store.folding.begun.Load() }

// Settle says that the shadow has the whole topic, up to some end. From now on Apply moves only the profiles that it has: a
// user without one has been put in place already, and would get a second shadow of the last events alone, or is new, and no
// concern of the shadow. Apply reports the events of such users as applied.
func (h *Shadow) Settle() { h.store.folding.settled.Store(true) }

// passes says that a settled shadow has no profile of the user.
func (s *Store) passes(w *work) bool {
	return s.folding != nil && s.folding.settled.Load() && w.stored.revision == ""
}

func (s *Store) countBegun(w *work) {
	if s.folding != nil && w.stored.revision == "" {
		s.folding.begun.Add(1)
	}
}

// fieldErased, of a shadow alone, says that the topic erases the user somewhere: whatever the live profile still knows from
// before goes.
const fieldErased = "x"

func (s *Store) noteErased(p *plan, args []any) []any {
	if s.folding == nil || !p.erased {
		return args
	}
	return append(args, fieldErased, "1")
}

// ShadowUser names a user of the shadow by what follows the prefix in its keys, up to the kind.
type ShadowUser string

func (u ShadowUser) keys(prefix string) (profile, seen string) {
	return prefix + string(u) + ":profile", prefix + string(u) + ":seen"
}

// EachUser calls each with the users whom the shadow has, some hundreds at a time. A user may come twice.
func (h *Shadow) EachUser(ctx context.Context, each func([]ShadowUser) error) error {
	pattern := redisdb.EscapePattern(h.prefix) + ":*:profile"
	return redisdb.EachKey(ctx, h.live.rdb, pattern, func(keys []string) error {
		users := make([]ShadowUser, len(keys))
		for i, key := range keys {
			users[i] = ShadowUser(strings.TrimSuffix(strings.TrimPrefix(key, h.prefix), ":profile"))
		}
		return each(users)
	})
}

// Replaced tells what became of the users of one or more calls of Replace.
type Replaced struct {
	// Done are users whom the shadow has no more. Of them, Kept had a live profile that knew more than the topic still has,
	// and Expired would have expired by now.
	Done, Kept, Expired int
	// Ahead are users whose live profile has events that the shadow has yet to fold.
	Ahead []ShadowUser
}

// Passed says whether the fold is past an offset: whether a record there was handed to Apply, or the topic has it no more.
type Passed func(partition int32, offset int64) bool

//go:embed replace.lua
var replaceSource string

var replaceScript = redisdb.NewScript(replaceSource)

// Replace puts the shadow's profiles of users in place of the live ones, each in one atomic step.
//
// The claim is looked at between the reading and the swap: a process that was stopped for a minute in the middle of its fold
// must not go on with a shadow that its successor has removed, and that it has begun anew with its later events. If the claim
// was held after a revision was read, nobody had removed anything before, so that revision's profile is whole; and the swap
// is of that revision or of none.
func (h *Shadow) Replace(ctx context.Context, users []ShadowUser, passed Passed) (Replaced, error) {
	var r Replaced
	pairs, err := h.read(ctx, users)
	if err != nil {
		return r, err
	}
	verdicts := make([]verdict, len(pairs))
	lives := make([]time.Duration, len(pairs))
	for i, p := range pairs {
		verdicts[i], lives[i] = p.judge(h.live.cfg, passed)
	}
	if err := h.await(ctx, pairs, verdicts); err != nil {
		return r, err
	}
	if err := h.claim.Check(ctx); err != nil {
		return r, err
	}
	var calls []redisdb.Call
	var called []int
	for i, p := range pairs {
		switch verdicts[i] {
		case gone:
			r.Done++
			continue
		case ahead:
			r.Ahead = append(r.Ahead, p.user)
			continue
		}
		calls, called = append(calls, h.replaceCall(p, verdicts[i], lives[i])), append(called, i)
	}
	var replaced []pair
	for i, answer := range replaceScript.Run(ctx, h.live.rdb, calls) {
		done, err := answer.Int()
		if err != nil {
			return r, fmt.Errorf("replacing a user's profile: %w", err)
		}
		if done == 0 {
			r.Ahead = append(r.Ahead, pairs[called[i]].user)
			continue
		}
		r.Done++
		switch verdicts[called[i]] {
		case swap:
			replaced = append(replaced, pairs[called[i]])
		case kept:
			r.Kept++
		case expired:
			r.Expired++
		}
	}
	return r, h.leave(ctx, replaced)
}

func (h *Shadow) replaceCall(p pair, v verdict, ttl time.Duration) redisdb.Call {
	liveProfile, liveSeen := p.user.keys(h.live.cfg.KeyPrefix)
	profile, seen := p.user.keys(h.prefix)
	if v != swap {
		ttl = 0
	}
	return redisdb.Call{
		Keys: []string{liveProfile, liveSeen, profile, seen},
		Args: []any{p.live.revision, p.shadow.revision, ttl.Milliseconds()},
	}
}

// pair is the two profiles of a user; shadow is nil where there is none any more.
type pair struct {
	user         ShadowUser
	live, shadow *stored
	erased       bool // by the topic
	// lacks and lacked are what tastes of the shadow and of the live profile lack, by model.
	lacks, lacked [][]string
}

func (h *Shadow) read(ctx context.Context, users []ShadowUser) ([]pair, error) {
	pipe := h.live.rdb.Pipeline()
	reads := make([][2]*redis.SliceCmd, len(users))
	fields := append(slices.Clip(profileFields), fieldErased)
	for _, tower := range h.live.models() {
		fields = append(fields, lackingField(tower.Version()))
	}
	for i, u := range users {
		profile, _ := u.keys(h.live.cfg.KeyPrefix)
		reads[i][0] = pipe.HMGet(ctx, profile, fields...)
		profile, _ = u.keys(h.prefix)
		reads[i][1] = pipe.HMGet(ctx, profile, fields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading profiles and their shadows: %w", err)
	}
	pairs := make([]pair, len(users))
	for i, u := range users {
		pairs[i].user = u
		var err error
		if pairs[i].live, err = readReplaceable(h.live.cfg.KeyPrefix, reads[i][0].Val()); err != nil {
			return nil, err
		}
		if fields := reads[i][1].Val(); fields[0] != nil {
			if pairs[i].shadow, err = unpackStored(fields); err != nil {
				return nil, redisdb.ReadError(unnamedKey(h.prefix), "run the rebuild again", err)
			}
			pairs[i].erased = fields[len(profileFields)] != nil
			if err := pairs[i].readLacking(fields, reads[i][0].Val()); err != nil {
				return nil, redisdb.ReadError(unnamedKey(h.prefix), "run the rebuild again", err)
			}
		}
	}
	return pairs, nil
}

// readReplaceable takes a live profile that is corrupt for one that has nothing to lose: to be replaced is its remedy. One of
// a newer release is left to that release.
func readReplaceable(prefix string, fields []any) (*stored, error) {
	st, err := unpackStored(fields)
	if err == nil {
		return st, nil
	}
	if err := redisdb.ReadError(unnamedKey(prefix), remedyProfile, err); !redisdb.IsCorrupt(err) {
		return nil, err
	}
	return &stored{revision: text(fields[0])}, nil
}

// verdict is what is to become of a user's shadow.
type verdict int

const (
	gone    verdict = iota // there is none: an earlier call has done it, and its answer was lost
	ahead                  // the live profile has events that the shadow will have too
	swap                   // it takes the live profile's place
	kept                   // it goes, the live profile stays
	expired                // it goes, the user's time is over
)

// judge decides, and says how long the profile may live if it takes the place.
//
// The live profile stays where it counts more events than the shadow: retention has removed the earlier ones from the topic,
// and the profile was not emptied. (Not where the topic erases the user, which a live profile that is behind has yet to
// hear.) A live mark that the fold is past without having moved the shadow's is of such an event too.
func (p pair) judge(cfg Config, passed Passed) (verdict, time.Duration) {
	if p.shadow == nil {
		return gone, 0
	}
	for _, mark := range p.live.marks {
		known, has := p.shadow.marks.of(mark.Partition)
		if (!has || mark.Offset > known) && !passed(mark.Partition, mark.Offset) {
			return ahead, 0
		}
	}
	if !p.erased && p.live.counters.total() > p.shadow.counters.total() {
		return kept, 0
	}
	ttl := cfg.InactiveTTL
	switch {
	case len(p.shadow.counters) == 0: // erased, and nothing since
		ttl = cfg.ErasedRetention
	case p.shadow.updated != 0:
		ttl -= time.Since(time.UnixMilli(p.shadow.updated))
	}
	if ttl < time.Millisecond {
		return expired, 0
	}
	return swap, ttl
}

func (c Counters) total() (n uint64) {
	for _, count := range c {
		n += count
	}
	return n
}

// Close removes what is left of the shadow and gives the claim back.
func (h *Shadow) Close(ctx context.Context) error {
	_, err := redisdb.Remove(ctx, h.live.rdb, redisdb.EscapePattern(h.prefix)+"*")
	return errors.Join(err, h.claim.Release(ctx))
}

// Whole is the mark that the profiles have all that the topic says.
func (s *Store) Whole() redisdb.Whole { return redisdb.NewWhole(s.rdb, s.cfg.KeyPrefix, "profiles") }
