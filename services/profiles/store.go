package profiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// Store is all users' profiles in Redis. It is safe for concurrent use, also by several processes.
type Store struct {
	rdb    redis.UniversalClient
	items  *items.Store
	models func() []*towers.UserTower
	cfg    Config
	memory *memory
	// folding is set in a Shadow's.
	folding *folding
}

// New makes a store. models names, at each call, the user towers that are live: each has its own state and embedding in
// every profile that Apply touches. The caller keeps rdb and closes it.
func New(rdb redis.UniversalClient, store *items.Store, models func() []*towers.UserTower, cfg Config) *Store {
	return &Store{rdb: rdb, items: store, models: models, cfg: cfg, memory: newMemory(cfg.RememberedUsers)}
}

// The hash of a user, beside stateField and embeddingField of each model. An erased user's has revision, watermarks and the
// time of the erasure only.
const (
	fieldRevision   = "r" // 8 random bytes, drawn anew by each write
	fieldHistory    = "h"
	fieldWatermarks = "w"
	fieldCounters   = "c"
	fieldUpdated    = "u" // broker's time of the newest event, ms, decimal
	fieldErasedAt   = "e" // broker's time of the newest tombstone, ms, decimal; stays when the user comes back
	fieldPast       = "p" // absent while there is none
	fieldTurned     = "d" // items turned down; absent while none ever was
)

var profileFields = []string{fieldRevision, fieldHistory, fieldWatermarks, fieldCounters, fieldUpdated, fieldTurned, fieldPast}

// shownFields are those of them that a reader needs; the past serves the writer alone.
var shownFields = profileFields[:len(profileFields)-1]

const remedyProfile = "delete the user's keys :profile and :seen and send the user's events again (dead letters can be redriven)"

// Ratings is how the profiles judge ratings.
func (s *Store) Ratings() schemas.RatingScale { return s.cfg.Ratings }

func (s *Store) profileKey(user string) string { return redisdb.Key(s.cfg.KeyPrefix, user, "profile") }
func (s *Store) seenKey(user string) string    { return redisdb.Key(s.cfg.KeyPrefix, user, "seen") }

// unnamedKey stands for the profile of a user in errors: they reach logs and replies, and whose profile it is the record or the asker
// tells.
func unnamedKey(prefix string) string { return redisdb.Key(prefix, "…", "profile") }

// stored is a profile as it lies in Redis, the models' tastes apart.
type stored struct {
	revision string
	history  history
	marks    watermarks
	counters Counters
	updated  int64
	past     past
	turned   turnedDown
	// turnedStored: turned lies in Redis, and is not what the history tells.
	turnedStored bool
}

// readStored takes the answer to an HMGET of profileFields (and possibly more) apart; a profile that is not there is empty.
func (s *Store) readStored(fields []any) (*stored, error) {
	st, err := unpackStored(fields)
	if err != nil {
		return nil, redisdb.ReadError(unnamedKey(s.cfg.KeyPrefix), remedyProfile, err)
	}
	for i := range st.history {
		st.history[i].Kind = kindOf(s.cfg.Ratings, &st.history[i])
	}
	if !st.turnedStored {
		st.turned = turnedDownOf(st.history)
	}
	return st, nil
}

func unpackStored(fields []any) (st *stored, err error) {
	st = &stored{revision: text(fields[0])}
	if fields[1] != nil {
		if st.history, err = unpackHistory(text(fields[1])); err != nil {
			return nil, err
		}
	}
	if fields[2] != nil {
		if st.marks, err = unpackWatermarks(text(fields[2])); err != nil {
			return nil, err
		}
	}
	if fields[3] != nil {
		if st.counters, err = unpackCounters(text(fields[3])); err != nil {
			return nil, err
		}
	}
	if fields[4] != nil {
		if st.updated, err = strconv.ParseInt(text(fields[4]), 10, 64); err != nil {
			return nil, errors.New("the time of the last event is no number")
		}
	}
	if fields[5] != nil {
		if st.turned, err = unpackTurned(text(fields[5])); err != nil {
			return nil, err
		}
		st.turnedStored = true
	}
	switch {
	case len(fields) == len(shownFields):
	case fields[6] == nil:
		st.past = st.pastOf()
	default:
		st.past, err = unpackPast(text(fields[6]))
	}
	return st, err
}

func text(field any) string {
	s, _ := field.(string)
	return s
}

// Load reads profiles in one pipelined round trip; the answer is aligned with users, nil for an unknown user. model names
// the embedding and state to return; none for an empty one. The error is about Redis alone: a profile that cannot be read is
// a Profile with Err.
func (s *Store) Load(ctx context.Context, users []string, model string) ([]*Profile, error) {
	if len(users) == 0 {
		return nil, nil
	}
	fields := append(slices.Clip(shownFields), stateField(model), embeddingField(model))
	pipe := s.rdb.Pipeline()
	hashes, seen := make([]*redis.SliceCmd, len(users)), make([]*redis.StringCmd, len(users))
	for i, user := range users {
		hashes[i] = pipe.HMGet(ctx, s.profileKey(user), fields...)
		seen[i] = pipe.Get(ctx, s.seenKey(user))
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)

	var tower *towers.UserTower
	for _, t := range s.models() {
		if t.Version() == model {
			tower = t
		}
	}
	loaded := make([]*Profile, len(users))
	for i, user := range users {
		if err := errors.Join(hashes[i].Err(), ignoreNil(seen[i].Err())); err != nil {
			return nil, fmt.Errorf("reading the user's profile: %w", err)
		}
		values := hashes[i].Val()
		if values[0] == nil {
			continue
		}
		st, err := s.readStored(values[:len(shownFields)])
		if err != nil {
			loaded[i] = &Profile{UserID: user, Err: err}
			continue
		}
		loaded[i] = st.profile(user, seen[i].Val())
		stamp := st.counters.remembered()
		if t := unpackTaste(text(values[len(shownFields)]), text(values[len(shownFields)+1]), stamp, tower); t != nil {
			loaded[i].State, loaded[i].Embedding = &t.state, t.embedding
		}
	}
	return loaded, nil
}

func ignoreNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

func (st *stored) profile(user, seen string) *Profile {
	p := &Profile{
		UserID: user, History: st.history, Counters: st.counters, seen: seen, turned: st.turned,
		Watermarks: make(map[int32]int64, len(st.marks)),
	}
	if st.updated != 0 {
		p.UpdatedAt = time.UnixMilli(st.updated).UTC()
	}
	for i, mark := range st.marks {
		p.Watermarks[mark.Partition] = mark.Offset
		if i == 0 {
			p.last = &st.marks[0]
		}
	}
	return p
}
