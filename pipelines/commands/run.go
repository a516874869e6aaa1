package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/services/telemetry"
)

// Run runs roles.
type Run struct {
	Roles    []string `arg:"" optional:"" help:"Roles to run: interactions, catalogue, recommendations, recall; none means all but recall."`
	Embedded bool     `help:"Start an embedded Kafka, Redis and Milvus in this process, at the configured addresses, and create the topics."`
}

// readyTimeout is how often the log says what is missing.
const readyTimeout = 30 * time.Second

// Run runs the roles until a signal or an error ends them.
func (c *Run) Run(env *Env) (err error) {
	roles, err := online.ParseRoles(c.Roles)
	if err != nil {
		return usageError{err}
	}
	for _, notice := range online.Renamed(c.Roles) {
		env.Log.Warn(notice)
	}
	s, err := env.Settings()
	if err != nil {
		return err
	}
	seen, end, err := env.observe(s, env.Out, !s.Admin.Off())
	if err != nil {
		return err
	}
	defer end()
	health := new(telemetry.Health)
	admin, err := telemetry.OpenAdmin(env.Context, s.Admin, health, seen.Metrics(), env.Log)
	if err != nil {
		return err
	}
	defer admin.Close(env.Context)
	if c.Embedded {
		stack, startErr := startEmbedded(env, s)
		if startErr != nil {
			return startErr
		}
		defer stack.Close()
	}
	system, err := online.Open(env.Context, s, roles, env.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	// Whatever ends the roles, the announcement ends before the connections that it asks are closed.
	running, cancel := context.WithCancel(env.Context)
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		announce(running, system, roles, env.Log)
	}()
	health.Running(func(ctx context.Context) []string {
		if running.Err() != nil {
			return []string{"the roles finish what they hold, and end"}
		}
		return system.Missing(ctx)
	})
	health.Degraded(system.Degraded)
	err = system.Run(running)
	health.Ended(err)
	cancel()
	<-announced
	return err
}

// announce logs when the system is ready, and now and then what it still waits for.
func announce(ctx context.Context, system *online.System, roles []online.Role, log *slog.Logger) {
	for ctx.Err() == nil {
		waiting, cancel := context.WithTimeout(ctx, readyTimeout)
		err := system.AwaitReady(waiting)
		cancel()
		switch {
		case err == nil:
			log.Info("ready", "roles", roles)
			return
		case ctx.Err() == nil:
			log.Warn("not ready yet", "missing", strings.Join(system.Missing(ctx), "; "))
		}
	}
}

// startEmbedded starts the embedded servers where the configuration expects the real ones.
func startEmbedded(env *Env, s settings.Settings) (*embedded.Stack, error) {
	stack, err := embedded.Start(env.Context, embedded.Config{
		KafkaAddr: s.Kafka.Brokers[0], RedisAddr: s.Redis.Addresses[0], MilvusAddr: s.Milvus.Address,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the embedded servers: %w", err)
	}
	if _, err := topics.Ensure(env.Context, s.Kafka, s.Topics); err != nil {
		stack.Close()
		return nil, fmt.Errorf("creating the topics: %w", err)
	}
	env.Log.Info("embedded servers started", "kafka", stack.Kafka.Addr(), "redis", stack.Redis.Addr(), "milvus", stack.Milvus.Addr())
	return stack, nil
}
