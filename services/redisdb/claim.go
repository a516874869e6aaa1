package redisdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrClaimLost says that what a Claim stood for may be in other hands by now, or that Redis was emptied meanwhile.
var ErrClaimLost = errors.New("the claim in Redis is lost: the process stood still for too long, or Redis was emptied again")

// Claim is the right to do what only one process may do at a time. It ends by itself some seconds after its process has died.
// It does not keep a process that stood still from going on: whoever holds it asks Check at the right moment.
type Claim struct {
	rdb  redis.UniversalClient
	key  string
	id   string
	life time.Duration
	stop context.CancelFunc
	done sync.WaitGroup
}

// renewals is how often in its life a claim is renewed.
const renewals = 3

// TakeClaim waits until no other process has the claim, and takes it. The context that it returns ends with ErrClaimLost as
// its cause when the claim is lost; the claim lives for life after each renewal.
func TakeClaim(ctx context.Context, rdb redis.UniversalClient, key string, life time.Duration) (context.Context, *Claim, error) {
	c := &Claim{rdb: rdb, key: key, id: rand.Text(), life: life}
	for {
		taken, err := rdb.SetNX(ctx, key, c.id, life).Result()
		if err != nil {
			return ctx, nil, fmt.Errorf("taking the claim %s: %w", key, err)
		}
		if taken {
			break
		}
		select {
		case <-ctx.Done():
			return ctx, nil, fmt.Errorf("waiting for the claim %s, which another process has: %w", key, ctx.Err())
		case <-time.After(life / (2 * renewals)):
		}
	}
	ctx, end := context.WithCancelCause(ctx)
	c.stop = func() { end(context.Canceled) }
	c.done.Go(func() { c.renew(ctx, end) })
	return ctx, c, nil
}

// ID is drawn anew for each claim.
func (c *Claim) ID() string { return c.id }

// Check returns ErrClaimLost unless the claim was still held when Redis was asked, after Check was called.
func (c *Claim) Check(ctx context.Context) error {
	holder, err := c.rdb.Get(ctx, c.key).Result()
	switch {
	case errors.Is(err, redis.Nil), err == nil && holder != c.id:
		return ErrClaimLost
	case err != nil:
		return fmt.Errorf("looking for the claim %s: %w", c.key, err)
	}
	return nil
}

// Release gives the claim back.
func (c *Claim) Release(ctx context.Context) error {
	c.stop()
	c.done.Wait()
	if err := releaseScript.Run(ctx, c.rdb, []string{c.key}, c.id).Err(); err != nil {
		return fmt.Errorf("giving the claim %s back: %w", c.key, err)
	}
	return nil
}

var (
	renewScript   = redis.NewScript(`return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0`)
	releaseScript = redis.NewScript(`return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0`)
)

// renew goes on while Redis is away: what the claim protects needs Redis too, and asks Check.
func (c *Claim) renew(ctx context.Context, end context.CancelCauseFunc) {
	tick := time.NewTicker(c.life / renewals)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		renewed, err := renewScript.Run(ctx, c.rdb, []string{c.key}, c.id, c.life.Milliseconds()).Int()
		if err == nil && renewed == 0 {
			end(ErrClaimLost)
			return
		}
	}
}
