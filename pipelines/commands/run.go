package commands

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
)

// Run runs roles.
type Run struct {
	Roles    []string `arg:"" optional:"" help:"Roles to run: interactions, catalogue, recommendations; none means all."`
	Embedded bool     `help:"Start an embedded Kafka, Redis and Milvus in this process, at the configured addresses, and create the topics."`
	DataDir  string   `placeholder:"DIR" type:"path" help:"Where the embedded Kafka keeps its log; without it nothing outlives the process."`
}

// readyTimeout bounds the wait for the first partitions before the log says what is missing.
const readyTimeout = 30 * time.Second

// Run runs the roles until a signal or an error ends them.
func (c *Run) Run(env *Env) (err error) {
	roles, err := online.ParseRoles(c.Roles)
	if err != nil {
		return usageError{err}
	}
	if c.DataDir != "" && !c.Embedded {
		return usage("--data-dir goes with --embedded")
	}
	s, err := env.Settings()
	if err != nil {
		return err
	}
	if c.Embedded {
		stack, startErr := startEmbedded(env, s, c.DataDir)
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
	go announce(env, system, roles)
	return system.Run(env.Context)
}

// announce logs when the system is ready, or what it still waits for.
func announce(env *Env, system *online.System, roles []online.Role) {
	for {
		begin := time.Now()
		missing := system.Missing(env.Context)
		for len(missing) > 0 && time.Since(begin) < readyTimeout && env.Context.Err() == nil {
			time.Sleep(readyTick)
			missing = system.Missing(env.Context)
		}
		if env.Context.Err() != nil {
			return
		}
		if len(missing) == 0 {
			env.Log.Info("ready", "roles", roles)
			return
		}
		env.Log.Warn("not ready yet", "missing", strings.Join(missing, "; "))
	}
}

const readyTick = 100 * time.Millisecond

// startEmbedded starts the embedded servers where the configuration expects the real ones.
func startEmbedded(env *Env, s settings.Settings, dataDir string) (*embedded.Stack, error) {
	stack, err := embedded.Start(env.Context, embedded.Config{
		DataDir: dataDir, KafkaAddr: s.Kafka.Brokers[0], RedisAddr: s.Redis.Addresses[0], MilvusAddr: s.Milvus.Address,
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
