package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

// waitingCallers are the numbers of callers who wait at the same time.
var waitingCallers = []int{1, 8, 32, 128}

const (
	// pageSize is how many items a request asks for.
	pageSize = 10
	// openShare is the share of the rate that openAt waiting callers reach at which the open loop runs: a service is not run
	// at its limit.
	openShare = 0.5
	openAt    = 32
)

// Serve measures requests for recommendations from the client's call to its answer: alone, with several callers waiting, and
// at a fixed rate.
//
// The floor is an echo over the same Kafka whose replier makes one plain search in Milvus for each batch of what has queued:
// of one caller alone that is an echo and a search in series, of many an echo and batched searches.
func Serve(ctx context.Context, o Options) (report *Report, err error) {
	l, err := openLab(ctx, o, needs{milvus: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	v, err := l.prepareServe(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.close(ctx)) }()
	for repeat := range o.Repeats {
		l.say("repeat %d of %d", repeat+1, o.Repeats)
		if err := v.measure(ctx); err != nil {
			return nil, err
		}
	}
	return v.report(ctx)
}

// serve is one run of the bench.
type serve struct {
	*lab
	users    []string // who have an embedding, in the order of asking
	roles    *running
	client   *producers.RecommendationClient
	echo     *echo
	degraded atomic.Int64
	openRate float64

	ours, floor map[string][]float64 // by what was measured, an entry for each repeat
}

// prepareServe fills Redis and Milvus through the real roles, and starts those who answer.
func (l *lab) prepareServe(ctx context.Context) (v *serve, err error) {
	v = &serve{lab: l, ours: map[string][]float64{}, floor: map[string][]float64{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close(ctx))
		}
	}()
	w, err := l.makeWorld(l.Events)
	if err != nil {
		return v, err
	}
	if err := l.fill(ctx, w); err != nil {
		return v, err
	}
	embeddings, err := v.findUsers(ctx, w)
	if err != nil {
		return v, err
	}
	search, err := l.rawSearch(w, embeddings)
	if err != nil {
		return v, err
	}
	if v.roles, err = l.start(ctx, l.settings(""), online.Recommendations); err != nil {
		return v, err
	}
	if v.client, err = producers.NewRecommendationClient(ctx, l.settings("").Producer(l.Log)); err != nil {
		return v, err
	}
	request, reply, err := v.recordBytes(ctx)
	if err != nil {
		return v, err
	}
	v.echo, err = l.startEcho(ctx, request, reply, search.batch)
	return v, err
}

// fill has the real roles bring the catalogue and the events to Redis and Milvus.
func (l *lab) fill(ctx context.Context, w *world) error {
	s := l.settings("")
	changes, err := l.publishItems(ctx, w)
	if err != nil {
		return err
	}
	l.say("indexing…")
	if _, err := l.workOff(ctx, s, online.Catalogue, s.Topics.Items.Name, changes.ends()); err != nil {
		return err
	}
	if err := l.seal(ctx, s.Milvus.Collection+"_"+w.itemTower.Version()); err != nil {
		return err
	}
	events, err := l.publishEvents(ctx, w, 0, l.Events)
	if err != nil {
		return err
	}
	l.say("applying events…")
	_, err = l.workOff(ctx, s, online.Interactions, s.Topics.Interactions.Name, events.ends())
	return err
}

// findUsers lists the users that have an embedding, shuffled, and their embeddings.
func (v *serve) findUsers(ctx context.Context, w *world) (embeddings [][]float32, err error) {
	rng := rand.New(rand.NewPCG(1, 0))
	store := v.profiles(w, "")
	order := rng.Perm(len(w.Users))
	for chunk := range slices.Chunk(order, keysAtOnce) {
		users := make([]string, len(chunk))
		for i, u := range chunk {
			users[i] = w.Users[u].ID
		}
		loaded, err := store.Load(ctx, users, w.userTower.Version())
		if err != nil {
			return nil, err
		}
		for i, p := range loaded {
			if p != nil && p.Embedding != nil {
				v.users, embeddings = append(v.users, users[i]), append(embeddings, p.Embedding)
			}
		}
	}
	if len(embeddings) == 0 {
		return nil, errors.New("no user has an embedding: give more events")
	}
	return embeddings, nil
}

func (v *serve) user(i int) string { return v.users[i%len(v.users)] }

// ask requests a page for the i-th user, round and round.
func (v *serve) ask(ctx context.Context, i int) error {
	return v.count(v.client.Recommend(ctx, v.request(i)))
}

// count has an answer that is degraded, or refused for want of time or of a server, count as one, and reported: on a machine that is too
// slow for the load that is a figure, and no reason to end.
func (v *serve) count(reply schemas.RecommendationReply, err error) error {
	refused, is := errors.AsType[*producers.ReplyError](err)
	short := is && (refused.Status == schemas.StatusUnavailable || refused.Status == schemas.StatusDeadlineExceeded)
	if err != nil && !short {
		return err
	}
	if short || reply.Status != schemas.StatusOK {
		v.degraded.Add(1)
	}
	return nil
}

func (v *serve) request(i int) *schemas.RecommendationRequest {
	return &schemas.RecommendationRequest{UserID: v.user(i), Count: pageSize}
}

func (v *serve) askEcho(ctx context.Context, i int) error { return v.echo.ask(ctx, v.user(i)) }

// recordBytes asks once and encodes request and reply as they travel.
func (v *serve) recordBytes(ctx context.Context) (request, reply []byte, err error) {
	s := v.settings("")
	requests, err := schemas.NewSerde[schemas.RecommendationRequest](ctx, v.roles.Registry, s.Topics.Requests.Name)
	if err != nil {
		return nil, nil, err
	}
	replies, err := schemas.NewSerde[schemas.RecommendationReply](ctx, v.roles.Registry, s.Topics.Replies.Name)
	if err != nil {
		return nil, nil, err
	}
	q := v.request(0)
	answer, err := v.client.Recommend(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	// The client adds these two.
	q.RequestID, q.Deadline = strings.Repeat("0", 32), time.Now()
	return requests.Append(nil, q), replies.Append(nil, &answer), nil
}

// measure is one repeat: each load first on the floor, then on the role.
func (v *serve) measure(ctx context.Context) error {
	for _, n := range waitingCallers {
		for _, side := range []struct {
			what string
			do   call
			into map[string][]float64
		}{{"floor", v.askEcho, v.floor}, {"ours", v.ask, v.ours}} {
			if err := v.warm(ctx, n, side.do); err != nil {
				return err
			}
			latencies, rate, err := closedLoop(ctx, n, v.Duration, side.do)
			if err != nil {
				return fmt.Errorf("%s, %d waiting: %w", side.what, n, err)
			}
			v.say("  %-5s %3d waiting: p50 %.2f ms, p99 %.2f ms, %.0f replies/s", side.what, n, latencies.p50(), latencies.p99(), rate)
			add(side.into, keyP50(n), latencies.p50())
			add(side.into, keyP99(n), latencies.p99())
			add(side.into, keyRate(n), rate)
		}
	}
	return v.measureOpen(ctx)
}

// measureOpen has requests come at a fixed rate, the same in all repeats and for both sides.
func (v *serve) measureOpen(ctx context.Context) error {
	if v.openRate == 0 {
		v.openRate = openShare * median(v.ours[keyRate(openAt)])
	}
	for _, side := range []struct {
		what string
		do   call
		into map[string][]float64
	}{{"floor", v.askEcho, v.floor}, {"ours", v.ask, v.ours}} {
		latencies, err := openLoop(ctx, v.openRate, v.Duration, side.do)
		if err != nil {
			return fmt.Errorf("%s, open loop: %w", side.what, err)
		}
		v.say("  %-5s at %.0f/s: p50 %.2f ms, p99 %.2f ms", side.what, v.openRate, latencies.p50(), latencies.p99())
		add(side.into, keyOpenP50, latencies.p50())
		add(side.into, keyOpenP99, latencies.p99())
	}
	return nil
}

// warm makes a tenth of the calls of a measurement, so that connections and caches are there.
func (v *serve) warm(ctx context.Context, callers int, do call) error {
	_, _, err := closedLoop(ctx, callers, v.Duration/10, do)
	return err
}

func add(to map[string][]float64, key string, value float64) { to[key] = append(to[key], value) }

// The names of the rows.
const (
	keyOpenP50 = "at a fixed rate, p50"
	keyOpenP99 = "at a fixed rate, p99"
)

func keyP50(n int) string  { return callersName(n) + ", p50" }
func keyP99(n int) string  { return callersName(n) + ", p99" }
func keyRate(n int) string { return callersName(n) + ", rate" }

func callersName(n int) string {
	if n == 1 {
		return "alone"
	}
	return fmt.Sprintf("%d waiting", n)
}

func (v *serve) report(ctx context.Context) (*Report, error) {
	r, err := v.lab.report(ctx, "serve",
		fmt.Sprintf("%d items", v.Items), fmt.Sprintf("%d users", len(v.users)), fmt.Sprintf("%d events", v.Events),
		fmt.Sprintf("pages of %d", pageSize), fmt.Sprintf("%s a load", v.Duration))
	if err != nil {
		return nil, err
	}
	for _, n := range waitingCallers {
		var latency, rate *Goal
		if n == 1 {
			latency = atMost(1.3)
		} else {
			rate = atLeast(0.7)
		}
		r.compare(keyP50(n), "ms", v.ours[keyP50(n)], v.floor[keyP50(n)], latency)
		if latency != nil {
			latency = atMost(1.3)
		}
		r.compare(keyP99(n), "ms", v.ours[keyP99(n)], v.floor[keyP99(n)], latency)
		r.compare(keyRate(n), "replies/s", v.ours[keyRate(n)], v.floor[keyRate(n)], rate)
	}
	r.compare(keyOpenP50, "ms", v.ours[keyOpenP50], v.floor[keyOpenP50], nil)
	r.compare(keyOpenP99, "ms", v.ours[keyOpenP99], v.floor[keyOpenP99], nil)
	r.note("the fixed rate is %.0f requests/s for both sides, half of what %d waiting callers reached; latency counts from when a call "+
		"was due", v.openRate, openAt)
	r.note("%d replies were degraded or refused", v.degraded.Load())
	r.note("the floor searches Milvus as the role does (k %d, ids alone), and reads neither profile nor item records",
		v.base.Recommender.Candidates)
	return r, nil
}

// close ends clients before the roles.
func (v *serve) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTimeout)
	defer cancel()
	var errs []error
	if v.echo != nil {
		errs = append(errs, v.echo.close(ctx))
	}
	if v.client != nil {
		errs = append(errs, v.client.Close(ctx))
	}
	if v.roles != nil {
		errs = append(errs, v.roles.stop())
	}
	return errors.Join(errs...)
}
