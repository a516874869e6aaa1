package embedded

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/freshet/freshet/infra/embedded/faults"
)

// Redis is a Redis server in this process. The embedded Miniredis lets a test look at keys directly.
type Redis struct {
	*miniredis.Miniredis
	addr   string
	tls    *tls.Config
	plan   faults.Plan
	ctx    context.Context // ends with Close; held calls end with it
	cancel context.CancelFunc
	clock  sync.WaitGroup
	once   sync.Once
}

// clockInterval is how often keys expire. A pass walks over all keys under the one lock of the server (some 80 ms at 100,000
// keys), hence clockShare: the passes take at most that part of the time.
const (
	clockInterval = 500 * time.Millisecond
	clockShare    = 50
)

// StartRedis starts the server that cfg describes.
func StartRedis(ctx context.Context, cfg Config) (*Redis, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Redis{Miniredis: miniredis.NewMiniRedis(), tls: cfg.TLS}
	start := r.StartAddr
	if cfg.TLS != nil {
		start = func(addr string) error { return r.StartAddrTLS(addr, cfg.TLS) }
	}
	if err := start(cfg.RedisAddr); err != nil {
		return nil, fmt.Errorf("starting embedded Redis on %s: %w", cfg.RedisAddr, err)
	}
	r.addr = r.Miniredis.Addr()
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.Server().SetPreHook(r.intercept)
	r.clock.Go(r.runClock)
	return r, nil
}

// Addr is the server's host:port, also while it is stopped.
func (r *Redis) Addr() string { return r.addr }

// Close stops the server and drops its data.
func (r *Redis) Close() {
	r.once.Do(func() {
		r.cancel()
		r.clock.Wait()
		r.Miniredis.Close()
	})
}

// Stop closes the port and all connections and keeps the data, as a server that is restarted does.
func (r *Redis) Stop() { r.Miniredis.Close() }

// Restart opens the port again after Stop.
func (r *Redis) Restart() error {
	restart := r.Miniredis.Restart
	if r.tls != nil {
		restart = func() error { return r.StartTLS(r.tls) } // at the port that it had
	}
	if err := restart(); err != nil {
		return fmt.Errorf("restarting embedded Redis on %s: %w", r.addr, err)
	}
	r.Server().SetPreHook(r.intercept)
	return nil
}

// Fail answers the nth call of command from now on (1 is the next; faults.Every: each) with an error reply, such as "LOADING
// Redis is loading the dataset in memory", and does not run it. command is in upper case; faults.Any matches all. The commands
// of a pipeline count one by one, those that a script runs do not count.
func (r *Redis) Fail(command string, nth int, reply string) {
	r.plan.Add(command, nth, faults.Effect{Err: replyError(reply)})
}

// FailNext is Fail for the next call.
func (r *Redis) FailNext(command, reply string) { r.Fail(command, 1, reply) }

// Delay holds the nth call of command back for d, then serves it.
func (r *Redis) Delay(command string, nth int, d time.Duration) {
	r.plan.Add(command, nth, faults.Effect{Wait: d})
}

// Sever closes the connection of the nth call of command without running it. The client cannot know whether it ran.
func (r *Redis) Sever(command string, nth int) { r.plan.Add(command, nth, faults.Effect{Sever: true}) }

// ClearFaults drops all scripted faults.
func (r *Redis) ClearFaults() { r.plan.Clear() }

// Calls returns how many calls of command the server has seen; faults.Any counts all.
func (r *Redis) Calls(command string) int { return r.plan.Calls(command) }

type replyError string

func (e replyError) Error() string { return string(e) }

// intercept runs before each command, on its connection's goroutine; true means that the command is done.
func (r *Redis) intercept(peer *server.Peer, command string, _ ...string) bool {
	effect := r.plan.Next(command)
	if err := faults.Hold(r.ctx, effect.Wait); err != nil {
		peer.Close()
		return true
	}
	switch {
	case effect.Sever:
		peer.Close()
		return true
	case effect.Err != nil:
		peer.WriteError(effect.Err.Error())
		return true
	}
	return false
}

// runClock lets keys expire: miniredis moves time only when it is told to.
func (r *Redis) runClock() {
	last := time.Now()
	wait := clockInterval
	for {
		if faults.Hold(r.ctx, wait) != nil {
			return
		}
		begin := time.Now()
		r.FastForward(begin.Sub(last))
		last = begin
		wait = max(clockInterval, clockShare*time.Since(begin))
	}
}
