package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
)

// prepare brings everything up to where the story begins.
func (d *Demo) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	stages := []struct {
		what string
		work func() (string, error)
	}{
		{"world", func() (string, error) { return d.makeWorld() }},
		{"servers", func() (string, error) { return d.startServers(ctx) }},
		{"towers", func() (string, error) { return d.train(ctx) }},
		{"roles", func() (string, error) { return d.startRoles(ctx) }},
		{"catalogue", func() (string, error) { return d.publishCatalogue(ctx) }},
		{"interactions", func() (string, error) { return d.replay(ctx) }},
	}
	for _, s := range stages {
		if err := d.stage(s.what, s.work); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) makeWorld() (string, error) {
	w, err := newWorld(d.options)
	if err != nil {
		return "", err
	}
	d.world = w
	return w.describe(), nil
}

func (d *Demo) startServers(ctx context.Context) (string, error) {
	stack, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		return "", err
	}
	d.stack = stack
	s := settings.Default()
	s.Kafka.Brokers = []string{stack.Kafka.Addr()}
	s.Redis.Addresses = []string{stack.Redis.Addr()}
	s.Milvus.Address = stack.Milvus.Addr()
	s.Profiles.Ratings = d.world.data.Ratings
	s.Bundle = filepath.Join(d.folder, "bundle")
	s.RulesFile = filepath.Join(d.folder, "rules.yaml")
	if err := os.WriteFile(s.RulesFile, rules.DefaultSource(), 0o600); err != nil {
		return "", err
	}
	// A killed member is missed sooner than with the defaults, since a person is watching.
	s.Consumers.Interactions.DrainTimeout = 700 * time.Millisecond
	s.Consumers.Interactions.Group.HeartbeatInterval = 200 * time.Millisecond
	s.Consumers.Interactions.Group.SessionTimeout = time.Second
	d.settings = s
	if _, err := topics.Ensure(ctx, s.Kafka, s.Topics); err != nil {
		return "", err
	}
	return fmt.Sprintf("Kafka %s, Redis %s, Milvus %s", stack.Kafka.Addr(), stack.Redis.Addr(), stack.Milvus.Addr()), nil
}

func (d *Demo) train(ctx context.Context) (string, error) {
	c := d.settings.Training
	c.TimeBudget = d.options.TrainingBudget
	var progress func(training.Progress)
	if d.progress != nil {
		progress = training.NewPrinter(d.progress).Print
	}
	model, result, err := training.Train(ctx, training.FromDataset(d.world.Past), c, progress)
	if err != nil {
		return "", err
	}
	manifest, err := model.WriteBundle(towers.Place{Dir: d.settings.Bundle})
	if err != nil {
		return "", err
	}
	if d.tower, err = towers.LoadUserTower(d.settings.Bundle); err != nil {
		return "", err
	}
	d.measure("training", fmt.Sprintf("%.1f s", result.Elapsed.Seconds()))
	return fmt.Sprintf("model %s, trained on %d past events: %s", manifest.Version, len(d.world.Past.Events), result), nil
}

func (d *Demo) startRoles(ctx context.Context) (string, error) {
	// The interactions role runs apart from the others, so that step 6 can kill it.
	var err error
	if d.serving, err = start(ctx, d.settings, []online.Role{online.Catalogue, online.Recommendations}, d.log); err != nil {
		return "", err
	}
	if d.worker, err = start(ctx, d.settings, []online.Role{online.Interactions}, d.log); err != nil {
		return "", err
	}
	config := d.settings.Producer(d.log)
	if d.publisher, err = producers.NewEventPublisher(ctx, config); err != nil {
		return "", err
	}
	if d.client, err = producers.NewRecommendationClient(ctx, config); err != nil {
		return "", err
	}
	names := make([]string, 0, len(online.AllRoles()))
	for _, r := range online.AllRoles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ") + " have their partitions", nil
}

// publishAll publishes n records and returns when all are acknowledged.
func publishAll(n int, bar interface{ Add(int) error }, publish func(i int, done func(schemas.Position, error)) error) error {
	var pending sync.WaitGroup
	var failure atomic.Pointer[error]
	for i := range n {
		pending.Add(1)
		err := publish(i, func(_ schemas.Position, err error) {
			if err != nil {
				failure.Store(&err)
			}
			_ = bar.Add(1)
			pending.Done()
		})
		if err != nil {
			return err
		}
	}
	pending.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (d *Demo) publishCatalogue(ctx context.Context) (string, error) {
	items := d.world.data.Items
	bar := d.bar(len(items), "catalogue")
	begin := time.Now()
	err := publishAll(len(items), bar, func(i int, done func(schemas.Position, error)) error {
		return d.publisher.PublishItemAsync(ctx, &items[i], done)
	})
	if err != nil {
		return "", err
	}
	indexed, err := d.awaitCount(ctx, int64(len(items)), d.candidateCount)
	if err != nil {
		return "", err
	}
	_ = bar.Finish()
	rate := float64(indexed) / time.Since(begin).Seconds()
	d.measure("catalogue", fmt.Sprintf("%.0f items/s published, encoded and indexed", rate))
	return fmt.Sprintf("%d items in Redis and Milvus", indexed), nil
}

func (d *Demo) candidateCount(ctx context.Context) (int64, error) {
	return d.serving.Index.Count(ctx, d.tower.Version())
}

// replay publishes what was told before the story and waits until the profiles hold all of it.
func (d *Demo) replay(ctx context.Context) (string, error) {
	events := d.world.Told
	bar := d.bar(len(events.Events), "interactions")
	begin := time.Now()
	err := publishAll(len(events.Events), bar, func(i int, done func(schemas.Position, error)) error {
		interaction := events.Interaction(i)
		return d.publisher.PublishInteractionAsync(ctx, &interaction, done)
	})
	if err != nil {
		return "", err
	}
	if _, err := d.awaitCount(ctx, 0, d.interactionsBehind); err != nil {
		return "", err
	}
	_ = bar.Finish()
	rate := float64(len(events.Events)) / time.Since(begin).Seconds()
	d.measure("interactions", fmt.Sprintf("%.0f events/s published and applied to profiles", rate))
	return fmt.Sprintf("%d events of %d users, %d of them later than what the towers learnt from",
		len(events.Events), len(events.Users), len(d.world.Later.Events)), nil
}

// awaitCount waits until count returns want, and returns it.
func (d *Demo) awaitCount(ctx context.Context, want int64, count func(context.Context) (int64, error)) (int64, error) {
	for {
		n, err := count(ctx)
		if err != nil {
			return n, err
		}
		if n == want {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return n, fmt.Errorf("waiting for %d, have %d: %w", want, n, ctx.Err())
		case <-d.serving.ended:
			return n, fmt.Errorf("waiting for %d, have %d: %w", want, n, d.serving.err)
		case <-d.worker.ended:
			return n, fmt.Errorf("waiting for %d, have %d: %w", want, n, d.worker.err)
		case <-time.After(countPoll):
		}
	}
}

const countPoll = 20 * time.Millisecond

// interactionsBehind is the consumer group's lag on the interactions topic, in records.
func (d *Demo) interactionsBehind(ctx context.Context) (int64, error) {
	return topics.Lag(ctx, d.settings.Kafka, online.Interactions.Group(d.settings.Consumers.Group), d.settings.Topics.Interactions.Name)
}
