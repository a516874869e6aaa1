package erasure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/services/profiles"
)

const (
	// mostPublishing is how long brokers may take to take a tombstone.
	mostPublishing = 30 * time.Second
	// look is how often it is asked whether the role has come so far.
	look = 50 * time.Millisecond
	// mostTombstones bounds how often events are erased that were published before a tombstone and applied after it. A second finds
	// them all, unless other partitions are read by a role that was not there in between.
	mostTombstones = 3
)

// erasing is one erasure.
type erasing struct {
	settings  settings.Settings
	user      string
	stores    *online.Connections
	publisher *producers.EventPublisher
	report    Report
	// published is when the last tombstone had been.
	published time.Time
	// ends are the ends of the partitions just after.
	ends map[int32]int64
}

// Erase erases a user, and waits for the roles until ctx ends or wait is over: what was not seen by then is in the report, which is
// then not Confirmed. The error is about an id that no key can hold (schemas.IsInvalid), or servers that are away before anything
// was published.
func Erase(ctx context.Context, s settings.Settings, user string, wait time.Duration, log *slog.Logger) (report Report, err error) {
	if err := s.Limits.ID("user_id", user); err != nil {
		return report, err
	}
	began := time.Now()
	e := &erasing{settings: s, user: user, report: Report{User: user}}
	if e.stores, err = online.OpenItems(ctx, s, log); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, e.stores.Close()) }()
	if e.publisher, err = producers.NewEventPublisher(ctx, s.Producer(log)); err != nil {
		return report, online.Explain(err)
	}
	defer func() { err = errors.Join(err, e.publisher.Close(context.WithoutCancel(ctx))) }()
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := e.erase(ctx, waiting); err != nil {
		return report, online.Explain(err)
	}
	e.lookAtTopics(ctx)
	e.lookBeyond()
	e.report.Took = time.Since(began)
	return e.report, nil
}

// erase publishes tombstones until one has nothing behind it that was published before, and looks at Redis.
func (e *erasing) erase(ctx, waiting context.Context) error {
	for e.report.Tombstones < mostTombstones {
		if err := e.bury(ctx); err != nil {
			return err
		}
		profile, notSeen := e.follow(waiting)
		if notSeen != nil {
			e.report.add(Row{Where: "role interactions", State: Unknown, Found: notSeen.Error(), Remedy: "see that `freshet run interactions` " +
				"is up and what its lag is (`freshet topics describe`), then erase again: a second tombstone does no harm"})
			e.lookAtRedis(ctx, profile)
			return nil //nolint:nilerr // the report has it
		}
		if !e.overtaken(profile) {
			e.report.add(Row{Where: "role interactions", State: Gone, Found: fmt.Sprintf("has applied the tombstone at %d:%d and all that lay "+
				"in the topic before it", e.report.Tombstone.Partition, e.report.Tombstone.Offset)})
			e.report.Confirmed = e.lookAtRedis(ctx, profile)
			return nil
		}
	}
	e.report.add(Row{Where: "role interactions", State: Left, Found: "events of the user that were published before the tombstones were " +
		"applied after them", Remedy: "erase again once the role has no lag"})
	return nil
}

// bury publishes a tombstone, and notes where the topic ends then.
func (e *erasing) bury(ctx context.Context) (err error) {
	publishing, cancel := context.WithTimeout(ctx, mostPublishing)
	defer cancel()
	if e.report.Tombstone, err = e.publisher.EraseUser(publishing, e.user); err != nil {
		return fmt.Errorf("publishing the tombstone, which may be there or not: %w", err)
	}
	e.report.Tombstones++
	e.published = time.Now()
	described, err := topics.Ends(ctx, e.settings.Kafka, e.settings.Topics.Interactions.Name)
	if err != nil {
		return fmt.Errorf("the tombstone is published at %d:%d, but nobody can tell what becomes of it: %w",
			e.report.Tombstone.Partition, e.report.Tombstone.Offset, err)
	}
	e.ends = described
	return nil
}

// isOver reports whether the wait has ended. A connection's deadline is the context's, and its timer may fire first: then a call fails by
// the end of the wait while the context does not say so yet.
func isOver(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(deadline)
}

// follow waits until the profile has the tombstone's offset and the role has committed all that lay in the topic then.
func (e *erasing) follow(ctx context.Context) (profile *profiles.Profile, err error) {
	group, topic := online.Interactions.Group(e.settings.Consumers.Group), e.settings.Topics.Interactions.Name
	var behind int64
	var trouble error
	for applied := false; ; {
		if !applied {
			if profile, err = e.profile(ctx); err == nil && profile != nil {
				applied = profile.Watermarks[e.report.Tombstone.Partition] >= e.report.Tombstone.Offset
			}
		}
		if err == nil {
			behind, err = topics.Behind(ctx, e.settings.Kafka, group, topic, e.ends)
		}
		if err == nil && applied && behind == 0 {
			return e.profile(context.WithoutCancel(ctx))
		}
		if err != nil && !isOver(ctx) {
			trouble = err
		}
		select {
		case <-ctx.Done():
			switch {
			case trouble != nil:
				return profile, trouble
			case !applied:
				return profile, fmt.Errorf("the tombstone at %d:%d is not applied; group %s has %d records to go to where the topic ended then",
					e.report.Tombstone.Partition, e.report.Tombstone.Offset, group, behind)
			}
			return profile, fmt.Errorf("the tombstone is applied, but group %s has %d records to go that lay in the topic before it, of "+
				"which some may be the user's", group, behind)
		case <-time.After(look):
			err = nil
		}
	}
}

func (e *erasing) profile(ctx context.Context) (*profiles.Profile, error) {
	loaded, err := e.stores.Profiles.Load(ctx, []string{e.user}, "")
	if err != nil {
		return nil, err
	}
	if loaded[0] != nil && loaded[0].Err != nil {
		return nil, loaded[0].Err
	}
	return loaded[0], nil
}

// overtaken tells whether the profile has an event that lay in the topic when the tombstone was published: on another partition.
func (e *erasing) overtaken(p *profiles.Profile) bool {
	if p == nil {
		return false
	}
	for _, entry := range p.History {
		if entry.Position.Offset < e.ends[entry.Position.Partition] && entry.Position != e.report.Tombstone &&
			entry.Position.Partition != e.report.Tombstone.Partition {
			return true
		}
	}
	return false
}

// lookAtRedis tells whether nothing of what was before the tombstone is left.
func (e *erasing) lookAtRedis(ctx context.Context, p *profiles.Profile) bool {
	keys, waiting, err := e.stores.Profiles.Traces(ctx, e.user)
	if err != nil {
		e.report.add(Row{Where: "Redis", State: Unknown, Found: err.Error(), Remedy: "grant the user what infra/permissions lists for " +
			"operator, and erase again"})
		return false
	}
	at, erased, err := e.stores.Profiles.ErasedAt(ctx, e.user)
	switch {
	case err != nil:
		e.report.add(Row{Where: "profile in Redis", State: Unknown, Found: err.Error()})
		return false
	case !erased:
		e.report.add(Row{Where: "profile in Redis", State: Left, Found: "not erased yet", Remedy: "erase again"})
		return false
	}
	until := time.Now().Add(e.settings.Profiles.ErasedRetention)
	row := Row{Where: "profile in Redis", State: Gone, Until: &until, Found: "history, counters, embeddings and past event ids are gone; " +
		"offsets and the time of the erasure, " + at.Format(time.RFC3339) + ", are kept so that a replay brings nothing back"}
	anew := p != nil && len(p.Counters) > 0
	if anew {
		row = Row{Where: "profile in Redis", State: Left, Found: fmt.Sprintf("erased at %s; %d events in its history were published since",
			at.Format(time.RFC3339), len(p.History)), Remedy: "stop the product from publishing events of this user, and erase again"}
	}
	e.report.add(row)
	e.report.add(goneOrLeft("seen items in Redis", keys.Seen, "the set of items that the user has seen"))
	e.report.add(goneOrLeft("sets of who waits for items", waiting, "items without a vector that the user waits for"))
	e.report.add(goneOrLeft("rebuild under way in Redis", keys.Shadows, "keys of a rebuild that has not come to the tombstone; it "+
		"reads it before it puts profiles in place"))
	return anew || keys.Seen == 0 && waiting == 0
}

func goneOrLeft(where string, n int, what string) Row {
	if n == 0 {
		return Row{Where: where, State: Gone, Found: "nothing"}
	}
	return Row{Where: where, State: Left, Found: fmt.Sprintf("%d: %s", n, what), Remedy: "erase again once the role has no lag"}
}

// letters counts the dead letters of a topic that are about the user, and tells when the last was written.
func (e *erasing) letters(ctx context.Context, about *online.Abouts, topic string) (n int, last time.Time, err error) {
	// Listing writes nothing.
	err = stream.NewDeadLetters(e.settings.Kafka, nil).List(ctx, topic, stream.Selection{}, func(l stream.DeadLetter) error {
		r := l.Original
		r.Topic = topic
		ids, err := about.Of(ctx, &r)
		if err != nil {
			return err
		}
		if slices.Contains(ids, e.user) {
			n++
			if l.Written.After(last) {
				last = l.Written
			}
		}
		return nil
	})
	return n, last, err
}
