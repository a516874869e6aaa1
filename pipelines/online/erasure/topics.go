package erasure

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/services/profiles"
)

// lookAtTopics tells for how long Kafka keeps what it has of the user. What was published is not searched for, since a topic of half a
// year takes long to read: all of it is older than the tombstone.
func (e *erasing) lookAtTopics(ctx context.Context) {
	t := e.settings.Topics
	names := []string{t.Interactions.Name, t.Requests.Name, t.Replies.Name, stream.DeadLetterTopic(t.Interactions.Name),
		stream.DeadLetterTopic(t.Requests.Name)}
	described, err := topics.Describe(ctx, e.settings.Kafka, names...)
	if err != nil {
		e.report.add(Row{Where: "topics", State: Unknown, Found: online.Explain(err).Error(), Remedy: "see `freshet topics describe`"})
		return
	}
	for i, what := range []string{"the user's events", "the user's requests", "pages shown to the user"} {
		if d := described[i]; !d.Missing {
			e.report.add(kept(d, what+", if any; roles, rebuilds, exports and training leave them out", e.published))
		}
	}
	about, err := online.NewAbouts(ctx, e.settings)
	for i, topic := range []string{t.Interactions.Name, t.Requests.Name} {
		d := described[3+i]
		if d.Missing {
			continue
		}
		if err != nil {
			e.report.add(Row{Where: "topic " + d.Name, State: Unknown, Found: err.Error()})
			continue
		}
		n, last, err := e.letters(ctx, about, topic)
		switch {
		case err != nil:
			e.report.add(Row{Where: "topic " + d.Name, State: Unknown, Found: online.Explain(err).Error()})
		case n == 0:
			e.report.add(Row{Where: "topic " + d.Name, State: Gone, Found: "no dead letter that can be told to be of the user"})
		default:
			e.report.add(kept(d, fmt.Sprintf("dead letters of the user: %d; `freshet deadletters redrive` leaves them alone", n), last))
		}
	}
}

// kept is the row of a topic that has something of the user, the newest of it written at a time.
func kept(d topics.Description, what string, newest time.Time) Row {
	row := Row{Where: "topic " + d.Name, State: Left, Found: what}
	keeps := millis(d.Settings["retention.ms"])
	if !strings.Contains(d.Settings["cleanup.policy"], "delete") || keeps < 0 {
		row.Remedy = "set retention.ms of the topic, which keeps records for ever, or delete records up to the tombstone (kafka-delete-records)"
		return row
	}
	// A record goes with its segment, which takes records for as long as segment.ms.
	until := newest.Add(keeps + max(millis(d.Settings["segment.ms"]), 0))
	row.Until = &until
	return row
}

func millis(setting string) time.Duration {
	ms, err := strconv.ParseInt(setting, 10, 64)
	if err != nil || ms > int64(maxKept/time.Millisecond) {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}

// maxKept is what counts as for ever: a century, which a Duration still holds twice.
const maxKept = 100 * 365 * 24 * time.Hour

// lookBeyond names what no command can look at.
func (e *erasing) lookBeyond() {
	memory := e.published.Add(profiles.RememberedFor)
	e.report.add(Row{Where: "memory of the roles", State: Unknown, Until: &memory,
		Found: "profiles that a member wrote last; none is served or written from there without asking Redis"})
	e.report.add(Row{Where: "role recall", State: Unknown, Found: "it forgets the user when it reads the tombstone; it is in no " +
		"consumer group, so that nobody can ask how far it is"})
	e.report.add(Row{Where: "outside of Freshet", State: Unknown, Found: "exports, model bundles that learnt from the user among others, " +
		"kept runs of evaluations, copies and backups of Redis and Kafka, and what others read from the topics",
		Remedy: "export and train anew; see to the others"})
}
