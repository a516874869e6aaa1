package profiles

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/freshet/freshet/services/redisdb"
)

//go:embed apply.lua
var applySource string

var applyScript = redisdb.NewScript(applySource)

// maxAttempts bounds how often one user is computed again because another writer came first. Each time one of the writers
// has got on, so even two are unlikely.
const maxAttempts = 10

var errContended = errors.New("other writers kept changing the profile")

// work is one user of a batch.
type work struct {
	user    string
	events  []*Event
	indexes []int // of the events in the batch
	stored  *stored
	stamp   uint64     // that of what is stored
	tastes  []*taste   // by model; nil where none is current
	lacking [][]string // by model, of what is stored
	again   bool       // the history is to be encoded anew where it lacks items; there are no events
	plan    *plan
	// revision is the one that the plan is written under.
	revision string
	recalled bool // from memory, in the last attempt
	err      error
	// unheard counts items that the user should wait for, and could not, in the last attempt.
	unheard int
}

// Apply applies a batch of events in its order. It needs two pipelined round trips for all users together, one more if
// histories are to be encoded anew, one more for events that may have been counted long ago, two more if seen items are to be
// made distinct again, and again as many for users that another writer changed in between:
//
//	old owner: reads revision 1, computes ............................ writes: revision is 2, refused; reads, all replayed
//	new owner: ............................ reads revision 1, writes 2
//
// The error is a TopicRecreatedError; all else is in the Report.
func (s *Store) Apply(ctx context.Context, events []Event) (Report, error) {
	return s.ApplyFrom(ctx, nil, events)
}

// ApplyFrom is Apply of events that were fetched from a log whose end can be asked for. It is asked only of a partition of which a
// profile knows more than the events do (see logMovedOn). The error may be that of asking, too; the events can be applied again then.
func (s *Store) ApplyFrom(ctx context.Context, end LogEnd, events []Event) (Report, error) {
	return newBatch(s, events).run(ctx, end)
}

// run folds and writes all users of the batch.
func (b *batch) run(ctx context.Context, end LogEnd) (report Report, err error) {
	pending := b.users
	for attempt := 0; len(pending) > 0; attempt++ {
		b.read(ctx, pending)
		if err := b.logMovedOn(ctx, end, pending); err != nil {
			return report, err
		}
		b.readPast(ctx, pending)
		b.fold(pending)
		b.readHistoryVectors(ctx, pending)
		b.encode(pending)
		again := b.await(ctx, pending)
		pending = slices.Concat(again, b.write(ctx, without(pending, again)))
		if attempt == maxAttempts {
			for _, w := range pending {
				w.err = fmt.Errorf("writing the user's profile: %w", errContended)
			}
			break
		}
	}
	for _, w := range b.users {
		report.add(w)
	}
	slices.Sort(report.NewlyApplied)
	return report, nil
}

func without(pending, again []*work) []*work {
	if len(again) == 0 {
		return pending
	}
	return slices.DeleteFunc(slices.Clone(pending), func(w *work) bool { return slices.Contains(again, w) })
}

func (r *Report) add(w *work) {
	if w.err != nil {
		if r.Failed == nil {
			r.Failed = map[int]error{}
		}
		for _, i := range w.indexes {
			r.Failed[i] = w.err
		}
		return
	}
	r.Applied += len(w.plan.applied)
	r.Late += w.plan.late
	r.Duplicates += w.plan.duplicates
	r.Untold += w.plan.untold
	r.Replayed += w.plan.replayed
	r.Erased += w.plan.erasures
	r.Unknown = append(r.Unknown, w.plan.unknown...)
	r.Unheard += w.unheard
	r.NewlyApplied = append(r.NewlyApplied, w.plan.applied...)
	if w.recalled {
		r.Recalled++
	} else {
		r.Read++
	}
}

func (b *batch) fold(pending []*work) {
	for _, w := range pending {
		switch {
		case w.err != nil:
		case w.again:
			w.plan = planAgain(w, b.vectors)
		case b.store.passes(w):
			w.plan = &plan{applied: w.indexes, moves: make([]move, len(w.tastes))}
		default:
			w.plan = foldUser(w.stored, w.tastes, w.events, w.indexes, b.store.cfg.limits(), b.vectors)
		}
	}
}

// write writes the plans and returns the users whose profile had changed since it was read.
func (b *batch) write(ctx context.Context, pending []*work) (conflicts []*work) {
	var writing []*work
	var calls []redisdb.Call
	for _, w := range pending {
		if w.err == nil && w.plan.changed {
			writing = append(writing, w)
			calls = append(calls, b.writeCall(w))
		}
	}
	var done, grown []*work
	for i, answer := range applyScript.Run(ctx, b.store.rdb, calls) {
		written, err := answer.Int() // if more than 1, the length of the seen items
		switch {
		case err != nil:
			writing[i].err = fmt.Errorf("writing the user's profile: %w", err)
		case written == 0:
			conflicts = append(conflicts, writing[i])
		default:
			b.store.countBegun(writing[i])
			done = append(done, writing[i])
			if writing[i].plan.past.overgrown(written) {
				grown = append(grown, writing[i])
			}
		}
	}
	b.compact(ctx, grown)
	for _, w := range done {
		b.remember(w)
	}
	return conflicts
}

func (b *batch) writeCall(w *work) redisdb.Call {
	s, p := b.store, w.plan
	ttl := s.cfg.InactiveTTL
	if len(p.counters) == 0 { // nothing since the erasure
		ttl = s.cfg.ErasedRetention
	}
	args := make([]any, 0, 6+2*(len(profileFields)+3*len(p.moves)))
	w.revision = newRevision()
	args = append(args, w.stored.revision, w.revision, ttl.Milliseconds(), flag(s.livesAnew(w)), flag(p.erased), p.seen)
	args = append(args, fieldWatermarks, packWatermarks(p.marks))
	if p.erasedAt != 0 {
		args = append(args, fieldErasedAt, strconv.FormatInt(p.erasedAt, 10))
	}
	args = s.noteErased(p, args)
	if len(p.counters) > 0 {
		args = append(args, fieldCounters, packCounters(p.counters))
	}
	if p.updated != 0 {
		args = append(args, fieldUpdated, strconv.FormatInt(p.updated, 10))
	}
	if p.kept {
		args = append(args, fieldHistory, packHistory(p.history))
	}
	// What a profile of an earlier release turned down is known by its history alone, until it leaves that.
	if p.turns || p.kept && len(p.turned) > 0 && !p.turnedStored {
		args = append(args, fieldTurned, packTurned(p.turned))
	}
	if p.passed {
		args = append(args, fieldPast, packPast(&p.past))
		p.past.each(func(kind string, w *window) {
			for _, closed := range w.closed[max(0, len(w.closed)-ringBlocks):] { // the others are overwritten already
				args = append(args, blockField(kind, closed.number), packIDs(nil, closed.ids))
			}
		})
	}
	stamp := p.counters.remembered()
	restamp := stamp != w.stamp
	for m := range p.moves {
		mv, model := &p.moves[m], b.vectors.towers[m].Version()
		if len(mv.steps) > 0 {
			args = append(args, embeddingField(model), packFloats(mv.taste.embedding))
		}
		if mv.taste != nil && (len(mv.steps) > 0 || restamp) {
			args = append(args, stateField(model), mv.taste.packState(stamp))
		}
		if mv.relacked && (len(mv.lacking) > 0 || !p.erased) {
			args = append(args, lackingField(model), packLacking(mv.lacking))
		}
	}
	return redisdb.Call{Keys: []string{s.profileKey(w.user), s.seenKey(w.user)}, Args: args}
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}

// ttlSteps is in how many steps a profile's time to live begins anew: PEXPIRE is dear where it comes with each event.
const ttlSteps = 100

// livesAnew says whether a write begins the time to live anew. It does once in a hundredth of that time, by the broker's time of
// the user's newest event. Whenever the write happened, the event was not later, so that no profile goes earlier than a
// hundredth before its time.
func (s *Store) livesAnew(w *work) bool {
	step := max(s.cfg.InactiveTTL.Milliseconds()/ttlSteps, 1)
	return w.stored.revision == "" || len(w.stored.counters) == 0 || w.plan.erased || w.plan.updated == 0 ||
		w.stored.updated/step != w.plan.updated/step
}

func newRevision() string { return string(binary.LittleEndian.AppendUint64(nil, rand.Uint64())) }
