package rebuild

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/freshet/freshet/consumers/interactions"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
)

// ProfilesResult is what a rebuild of the profiles did.
type ProfilesResult struct {
	// Records of the interactions topic were read; Refused of them are no events, and dead letters of the role.
	Records, Refused int64
	// Users had a profile made; Kept of them had a live one that knows more than the topic still has, and Expired would have
	// expired by now.
	Users, Kept, Expired int
}

// errItemsFirst says what profiles are made from.
var errItemsFirst = errors.New("item vectors are missing in Redis, and profiles are made from them: " +
	"run `freshet rebuild candidates` first")

// Profiles makes all profiles and the shelf of popular items anew from the interactions topic, and puts them in place of what
// is there. profiles.Shadow says why nothing is lost or applied twice while the role interactions goes on.
//
// Popularity is not part of the exactly-once effect of events, here as elsewhere: what the role counts around the switch of the
// shelves, in about a second, is lost or counted twice.
func Profiles(ctx context.Context, s settings.Settings, report Reporter, log *slog.Logger) (result ProfilesResult, err error) {
	c, err := online.Connect(ctx, s, []online.Role{online.Interactions}, log)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	whole, err := c.Items.Whole().Is(ctx)
	if err != nil {
		return result, err
	}
	if !whole {
		return result, errItemsFirst
	}
	serde, err := schemas.NewSerde[schemas.Interaction](ctx, c.Registry, s.Topics.Interactions.Name)
	if err != nil {
		return result, err
	}
	held, shadow, err := c.Profiles.OpenShadow(ctx)
	if err != nil {
		return result, err
	}
	topic := replay.New(s.Kafka, replayConfig(s.Consumers.Interactions), s.Topics.Interactions.Name, log)
	defer topic.Close()
	shelf := c.Items.BesideShelf(shadow.KeyPrefix())
	p := &profilesRebuild{
		shadow: shadow, replay: topic, report: report, live: c.Items, shelf: shelf,
		handler: interactions.New(
			serde, s.Topics.InteractionKeys(s.Limits, c.Registry), s.Limits, shadow.Store(), shelf, topic.End, log,
		).Replaying(),
	}
	err = p.run(held)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = fmt.Errorf("%w (%w)", context.Cause(held), err)
	}
	if err == nil {
		err = markWhole(held, c.Profiles.Whole(), shadow.Check)
	}
	p.result.Records = topic.Records()
	return p.result, errors.Join(err, shadow.Close(context.WithoutCancel(ctx)))
}

type profilesRebuild struct {
	shadow      *profiles.Shadow
	replay      *replay.Replay
	handler     *interactions.Handler
	live, shelf *items.Store
	report      Reporter
	result      ProfilesResult
}

func (p *profilesRebuild) run(ctx context.Context) error {
	if err := p.fold(ctx); err != nil {
		return fmt.Errorf("folding the interactions: %w", err)
	}
	if err := p.replace(ctx); err != nil {
		return fmt.Errorf("putting the new profiles in place: %w", err)
	}
	if err := p.follow(ctx); err != nil {
		return err
	}
	return p.live.ReplacePopularity(ctx, p.shelf)
}

// closeEnough is how many records the topic may have gained during a round of the fold that is to be the last one.
const closeEnough = 10_000

// fold reads the topic to its end, and again what came meanwhile, until that is little.
func (p *profilesRebuild) fold(ctx context.Context) error {
	m := p.report.replaying(p.replay, p.shadow.Begun)
	defer m.end()
	for before := int64(-closeEnough); ; {
		if err := p.follow(ctx); err != nil {
			return err
		}
		done, _ := p.replay.Progress()
		if done-before < closeEnough {
			break
		}
		before = done
	}
	p.shadow.Settle()
	return nil
}

// follow folds what has come into the topic since the last time.
func (p *profilesRebuild) follow(ctx context.Context) error {
	refused, err := p.replay.Advance(ctx, p.handler)
	p.result.Refused += refused
	return err
}

// replace goes over the shadow until nobody is left in it.
func (p *profilesRebuild) replace(ctx context.Context) error {
	done, m := p.report.counting(StageReplace, p.shadow.Begun())
	defer m.end()
	for {
		found := 0
		err := p.shadow.EachUser(ctx, func(users []profiles.ShadowUser) error {
			found += len(users)
			before := p.result.Users
			err := p.replaceUsers(ctx, users)
			done.Add(int64(p.result.Users - before))
			return err
		})
		if err != nil || found == 0 {
			return err
		}
	}
}

// replaceUsers tries again for those who are ahead, each time with more of the topic. A user who never rests is ahead only
// while an event of theirs comes between two looks some milliseconds apart.
func (p *profilesRebuild) replaceUsers(ctx context.Context, users []profiles.ShadowUser) error {
	for len(users) > 0 {
		r, err := p.shadow.Replace(ctx, users, p.replay.Passed)
		p.result.Users += r.Done
		p.result.Kept += r.Kept
		p.result.Expired += r.Expired
		if err != nil {
			return err
		}
		if users = r.Ahead; len(users) == 0 {
			return nil
		}
		if err := p.follow(ctx); err != nil {
			return err
		}
	}
	return nil
}
