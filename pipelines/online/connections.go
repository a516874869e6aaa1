package online

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// Connections are the servers and stores that the roles of a process share. What no role asked for is nil.
type Connections struct {
	Registry schemas.Registry
	Items    *items.Store
	Profiles *profiles.Store
	Index    *candidates.Index
	Writer   *kafkaio.Writer

	userTowers  []*towers.UserTower
	queryTowers []*towers.QueryTower // none where the bundle has none
	itemTower   *towers.ItemTower
	closers     []func() error
}

// needs says what a set of roles connects to.
type needs struct {
	redis, milvus, writer, userTower, queryTower, itemTower bool
	roles                                                   []Role
}

func needsOf(roles []Role) needs {
	n := needs{writer: true, roles: roles}
	n.redis = slices.ContainsFunc(roles, func(r Role) bool { return r != Recall })
	n.milvus = slices.Contains(roles, Catalogue) || slices.Contains(roles, Recommendations)
	n.userTower = slices.Contains(roles, Interactions) || slices.Contains(roles, Recommendations) || slices.Contains(roles, Recall)
	n.itemTower = slices.Contains(roles, Catalogue) || slices.Contains(roles, Recall)
	n.queryTower = slices.Contains(roles, Recommendations)
	return n
}

// connect opens what the roles need. On an error everything that was opened is closed again.
func connect(ctx context.Context, s settings.Settings, n needs, log *slog.Logger) (c *Connections, err error) {
	c = &Connections{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.Registry, err = schemas.NewRegistry(s.Registry, log); err != nil {
		return c, peerRegistry.explain(fmt.Errorf("opening the schema registry: %w", err), secure.ProblemOf(err))
	}
	if s.Registry.URL != "" {
		c.Registry = explainedRegistry{c.Registry}
	}
	if n.writer {
		if err := checkTopics(ctx, s, n.roles); err != nil {
			return c, err
		}
	}
	if err := c.loadTowers(s.Bundle, n, log); err != nil {
		return c, err
	}
	if n.redis {
		rdb, err := redisdb.Connect(ctx, s.Redis)
		if err != nil {
			return c, explainRedis(s, err)
		}
		c.closers = append(c.closers, rdb.Close)
		c.Items = items.New(rdb, s.Items)
		c.Profiles = profiles.New(rdb, c.Items, c.UserTowers, s.Profiles)
	}
	if n.milvus {
		if c.Index, err = candidates.Connect(ctx, s.Milvus); err != nil {
			return c, peerMilvus.explain(err, candidates.ProblemOf(err))
		}
		c.closers = append(c.closers, c.Index.Close)
	}
	if n.writer {
		c.Writer = kafkaio.NewWriter(s.Kafka, s.Writer, log)
		c.closers = append(c.closers, func() error { return c.Writer.Close(context.WithoutCancel(ctx)) })
	}
	return c, nil
}

// Inspect connects to Redis and Milvus only, for commands that look into them. No tower is loaded.
func Inspect(ctx context.Context, s settings.Settings, log *slog.Logger) (*Connections, error) {
	return connect(ctx, s, needs{redis: true, milvus: true}, log)
}

// OpenItems connects to Redis only.
func OpenItems(ctx context.Context, s settings.Settings, log *slog.Logger) (*Connections, error) {
	return connect(ctx, s, needs{redis: true}, log)
}

// UserTowers lists the user towers of the live model versions.
func (c *Connections) UserTowers() []*towers.UserTower { return c.userTowers }

// QueryTowers lists the query towers of the live model versions; a version whose bundle has none is not among them.
func (c *Connections) QueryTowers() []*towers.QueryTower { return c.queryTowers }

// Close closes the connections, the last opened first.
func (c *Connections) Close() error {
	var errs []error
	for _, closer := range slices.Backward(c.closers) {
		errs = append(errs, closer())
	}
	c.closers = nil
	return errors.Join(errs...)
}

func (c *Connections) loadTowers(bundle string, n needs, log *slog.Logger) error {
	if n.userTower {
		tower, err := towers.LoadUserTower(bundle)
		if err != nil {
			return fmt.Errorf("loading the user tower: %w (train one with `freshet train`, or name its folder with `bundle`)", err)
		}
		c.userTowers = []*towers.UserTower{tower}
	}
	if n.queryTower {
		switch tower, err := towers.LoadQueryTower(bundle); {
		case towers.IsAbsent(err):
			log.Info("requests with a query cannot be answered as such", "reason", err)
		case err != nil:
			return fmt.Errorf("loading the query tower: %w (train one with `freshet train`, or name its folder with `bundle`)", err)
		default:
			c.queryTowers = []*towers.QueryTower{tower}
		}
	}
	if n.itemTower {
		tower, err := towers.LoadItemTower(bundle)
		if err != nil {
			return fmt.Errorf("loading the item tower: %w (train one with `freshet train`, or name its folder with `bundle`)", err)
		}
		c.itemTower = tower
	}
	return nil
}

// topicsOf lists the topics that roles read and write, dead letters included.
func topicsOf(t topics.Config, roles []Role) []string {
	var names []string
	for _, role := range roles {
		switch role {
		case Interactions:
			names = append(names, t.Interactions.Name, stream.DeadLetterTopic(t.Interactions.Name))
		case Catalogue:
			names = append(names, t.Items.Name, stream.DeadLetterTopic(t.Items.Name))
		case Recommendations:
			names = append(names, t.Requests.Name, stream.DeadLetterTopic(t.Requests.Name), t.Replies.Name)
		case Recall:
			names = append(names, t.Interactions.Name, t.Replies.Name, t.Items.Name, t.Recall.Name)
		}
	}
	return names
}

// checkTopics refuses to start without the roles' topics: a consumer of a topic that is not there would wait in silence.
func checkTopics(ctx context.Context, s settings.Settings, roles []Role) error {
	return RequireTopics(ctx, s, topicsOf(s.Topics, roles)...)
}

// RequireTopics refuses to go on without topics, and names the command that makes them: whoever writes to one that is not there
// would hear of it record by record, and whoever reads it would find nothing.
func RequireTopics(ctx context.Context, s settings.Settings, names ...string) error {
	missing, err := topics.Missing(ctx, s.Kafka, names...)
	if err != nil {
		return peerKafka.explain(fmt.Errorf("looking for the topics: %w", err), kafkaio.ProblemOf(err))
	}
	switch {
	case len(missing) == 0:
		return nil
	case s.Kafka.SASL.Mechanism != "" || s.Kafka.TLS.CertFile != "":
		return fmt.Errorf("topics %s do not exist, or our user may not see them: run `freshet topics create`, or grant the user "+
			"what infra/permissions lists for this role", strings.Join(missing, ", "))
	default:
		return fmt.Errorf("topics %s do not exist: run `freshet topics create`, or correct their names in the section topics",
			strings.Join(missing, ", "))
	}
}
