package online

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/consumers/catalogue"
	"github.com/freshet/freshet/consumers/interactions"
	"github.com/freshet/freshet/consumers/recommendations"
	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/online/recall"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/rules"
)

// runner is what consumers/stream makes of a role.
type runner interface {
	Run(ctx context.Context) error
	Ready() bool
	Abort()
}

// System is a set of roles that run in this process.
type System struct {
	*Connections
	settings settings.Settings
	log      *slog.Logger
	runners  map[Role]runner
	roles    []Role
	// stops run, in order, after the consumers have ended and before the connections close.
	stops []func()
	// noted is what loss was logged last.
	noted lossNoted
}

// Open connects to what the roles need and prepares them. Run starts them; Close gives everything back.
func Open(ctx context.Context, s settings.Settings, roles []Role, log *slog.Logger) (*System, error) {
	connections, err := connect(ctx, s, needsOf(roles), log)
	if err != nil {
		return nil, err
	}
	y := &System{Connections: connections, settings: s, log: log, runners: map[Role]runner{}, roles: roles}
	if err := y.markWhole(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("asking what Redis holds: %w", err), y.Close())
	}
	deadLetters := stream.NewDeadLetters(s.Kafka, y.Writer)
	for _, role := range roles {
		var err error
		switch role {
		case Catalogue:
			err = y.openCatalogue(ctx, deadLetters)
		case Interactions:
			err = y.openInteractions(ctx, deadLetters)
		case Recommendations:
			err = y.openRecommendations(ctx, deadLetters)
		case Recall:
			err = y.openRecall(ctx)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("starting role %s: %w", role, err), y.Close())
		}
	}
	y.stops = append(y.stops, y.observe())
	return y, nil
}

// Run runs the roles until ctx ends, when they finish what they hold, or until one of them cannot go on.
func (y *System) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for role, r := range y.runners {
		group.Go(func() error {
			if err := r.Run(ctx); err != nil {
				return fmt.Errorf("role %s: %w", role, err)
			}
			return nil
		})
	}
	if _, applies := y.runners[Interactions]; applies {
		group.Go(func() error {
			y.Profiles.FollowArrivals(ctx, y.log)
			return nil
		})
	}
	return group.Wait()
}

// Abort stops all roles at once, as if the process had died: nothing more is committed, and Run returns an error.
func (y *System) Abort() {
	for _, r := range y.runners {
		r.Abort()
	}
}

// Close stops what Run left and closes the connections. Call it after Run has returned.
func (y *System) Close() error {
	for _, stop := range y.stops {
		stop()
	}
	y.stops = nil
	return y.Connections.Close()
}

// Missing lists what keeps the system from being ready; nothing means that it is.
func (y *System) Missing(ctx context.Context) []string {
	var missing []string
	for _, role := range y.roles {
		switch {
		case y.runners[role].Ready():
		case role == Recall:
			missing = append(missing, "role recall is still reading the topics from their beginning")
		default:
			missing = append(missing, fmt.Sprintf("role %s has no partitions yet", role))
		}
	}
	if y.Profiles == nil { // of a process that evaluates alone
		return missing
	}
	if _, err := y.Connections.lost(ctx); err != nil { // what Redis has lost makes replies degraded, but lets the roles work
		missing = append(missing, fmt.Sprintf("Redis does not answer: %v", err))
	}
	if y.Index != nil {
		if err := y.indexReady(ctx); err != nil {
			missing = append(missing, err.Error())
		}
	}
	return missing
}

func (y *System) indexReady(ctx context.Context) error {
	model, err := y.Index.Live(ctx)
	if candidates.IsNoLive(err) {
		// Where there are items, the collection was lost: the roles work, and Degraded says so. Otherwise none was made yet.
		if recent, err := y.Items.Recent(ctx, 1); err == nil && len(recent) > 0 {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("looking for the live collection: %w", err)
	}
	if _, serving := y.runners[Recommendations]; !serving { // who only writes needs it not loaded
		return nil
	}
	loaded, err := y.Index.Loaded(ctx, model)
	if err != nil {
		return fmt.Errorf("asking for the load state of model %s: %w", model, err)
	}
	if !loaded {
		return fmt.Errorf("the collection of model %s is not loaded", model)
	}
	return nil
}

// readyPoll is how often AwaitReady looks; each look asks Milvus twice.
const readyPoll = 20 * time.Millisecond

// AwaitReady returns when nothing is missing. When ctx ends first, the error lists what still is.
func (y *System) AwaitReady(ctx context.Context) error {
	for {
		missing := y.Missing(ctx)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting to be ready: %v: %w", missing, ctx.Err())
		case <-time.After(readyPoll):
		}
	}
}

func (y *System) group(role Role) string { return role.Group(y.settings.Consumers.Group) }

// openCatalogue makes the collection of the bundle's version, and makes it live where none is.
func (y *System) openCatalogue(ctx context.Context, dead *stream.DeadLetters) error {
	serde, err := schemas.NewSerde[schemas.ItemChange](ctx, y.Registry, y.settings.Topics.Items.Name)
	if err != nil {
		return err
	}
	version := y.itemTower.Version()
	if err := y.Index.Ensure(ctx, version, y.itemTower.Dim()); err != nil {
		return fmt.Errorf("preparing the collection of model %s: %w", version, err)
	}
	if err := y.makeLive(ctx, version); err != nil {
		return err
	}
	handler := catalogue.New(
		serde, y.settings.Topics.ItemKeys(y.settings.Limits, y.Registry), y.settings.Limits,
		catalogue.NewIndexer(y.Items, y.Index, y.itemTower), y.Writer, y.log)
	y.runners[Catalogue] = stream.NewConsumer(
		y.settings.Kafka, y.settings.Consumers.Catalogue, y.group(Catalogue), y.settings.Topics.Items.Name, handler, dead, y.log)
	return nil
}

func (y *System) openInteractions(ctx context.Context, dead *stream.DeadLetters) error {
	serde, err := schemas.NewSerde[schemas.Interaction](ctx, y.Registry, y.settings.Topics.Interactions.Name)
	if err != nil {
		return err
	}
	client := y.settings.Kafka.Client()
	y.stops = append(y.stops, func() { kafkaio.CloseIdle(client) })
	topic := y.settings.Topics.Interactions.Name
	end := func(ctx context.Context, partition int32) (int64, error) {
		ranges, err := kafkaio.Ranges(ctx, client, topic, partition)
		if err != nil {
			return 0, err
		}
		span, answered := ranges[partition]
		if !answered { // 0 would look like a topic that was made anew
			return 0, fmt.Errorf("asking for the end of %s/%d: the brokers did not answer for it", topic, partition)
		}
		return span.End, nil
	}
	handler := interactions.New(
		serde, y.settings.Topics.InteractionKeys(y.settings.Limits, y.Registry), y.settings.Limits, y.Profiles, y.Items, end, y.log)
	y.stops = append(y.stops, handler.Close)
	y.runners[Interactions] = stream.NewConsumer(
		y.settings.Kafka, y.settings.Consumers.Interactions, y.group(Interactions), topic, handler, dead, y.log)
	return nil
}

func (y *System) openRecommendations(ctx context.Context, dead *stream.DeadLetters) error {
	requests, err := schemas.NewSerde[schemas.RecommendationRequest](ctx, y.Registry, y.settings.Topics.Requests.Name)
	if err != nil {
		return err
	}
	replies, err := schemas.NewSerde[schemas.RecommendationReply](ctx, y.Registry, y.settings.Topics.Replies.Name)
	if err != nil {
		return err
	}
	set, err := y.openRules()
	if err != nil {
		return err
	}
	service := recommender.New(recommender.Parts{
		Profiles: y.Profiles, Items: y.Items, Index: y.Index, Ranker: ranking.NewLinear(y.settings.Ranking),
		Towers: y.UserTowers, Queries: y.QueryTowers, Rules: set, Limits: y.settings.Limits, Lost: y.lost,
	}, y.settings.Recommender, y.log)
	y.stops = append([]func(){service.Close}, y.stops...)
	handler := recommendations.New(y.settings.Consumers.Replies, requests, replies, service, y.Writer, y.log)
	topic := y.settings.Topics.Requests.Name
	y.runners[Recommendations] = stream.NewGatherer(
		y.settings.Kafka, y.settings.Consumers.Requests, y.group(Recommendations), topic, handler, dead, y.log)
	return nil
}

func (y *System) openRecall(ctx context.Context) error {
	s := y.settings
	evaluator, err := recall.New(ctx, recall.Parts{
		Kafka: s.Kafka, Reading: s.Consumers.Interactions.Reading, Topics: s.Topics, Registry: y.Registry, Limits: s.Limits,
		ItemTower: y.itemTower, UserTower: y.userTowers[0], Profiles: s.Profiles, Writer: y.Writer, Log: y.log,
	}, s.Recall)
	if err != nil {
		return err
	}
	y.stops = append(y.stops, evaluator.Close)
	y.runners[Recall] = evaluator
	return nil
}

// rulesPoll is how often the rules file is looked at.
const rulesPoll = time.Second

func (y *System) openRules() (func() *rules.Set, error) {
	live, err := rules.OpenLive(y.settings.RulesFile, rulesPoll, y.log)
	if err != nil {
		return nil, err
	}
	y.stops = append(y.stops, live.Close)
	return live.Current, nil
}
