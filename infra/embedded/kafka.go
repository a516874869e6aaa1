package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka is a one-broker Kafka in this process. The embedded Cluster scripts faults (ControlKey, Fault), moves partitions and
// tells about groups; its Close must not be called, Kafka.Close does more.
type Kafka struct {
	*kfake.Cluster
	addr      string
	lock      *flock.Flock
	cancel    context.CancelFunc
	retention sync.WaitGroup
	once      sync.Once
}

// minSessionTimeout lets tests use group sessions far below a broker's usual six seconds, so that the death of a member is
// noticed within a test's patience.
const minSessionTimeout = 100 * time.Millisecond

// StartKafka starts the broker that cfg describes. It answers on Addr once StartKafka has returned. More options of the embedded
// Cluster, such as its users, may follow.
func StartKafka(ctx context.Context, cfg Config, more ...kfake.Opt) (*Kafka, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	k := &Kafka{}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("freshet-embedded"),
		kfake.DefaultNumPartitions(cfg.Partitions),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			return (&net.ListenConfig{}).Listen(ctx, network, cfg.KafkaAddr)
		}),
	}
	if cfg.TLS != nil {
		opts = append(opts, kfake.TLS(cfg.TLS))
	}
	opts = append(opts, more...)
	if cfg.DataDir != "" {
		lock, err := lockDir(cfg.DataDir)
		if err != nil {
			return nil, err
		}
		k.lock = lock
		opts = append(opts, kfake.DataDir(filepath.Join(cfg.DataDir, "kafka")))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting embedded Kafka on %s: %w", cfg.KafkaAddr, err), k.unlock())
	}
	k.Cluster = cluster
	k.addr = cluster.ListenAddrs()[0]
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.cancel = cancel
	k.retention.Go(func() { k.applyRetention(background, cfg.RetentionInterval) })
	return k, nil
}

// Addr is the broker's host:port.
func (k *Kafka) Addr() string { return k.addr }

// Close stops the broker, closes its connections and, with a data directory, writes its state and gives up the lock.
func (k *Kafka) Close() {
	k.once.Do(func() {
		k.cancel()
		k.retention.Wait()
		k.Cluster.Close()
		_ = k.unlock() // the lock goes with the process at the latest
	})
}

// applyRetention removes expired records; kfake by itself looks once an hour only.
func (k *Kafka) applyRetention(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.ApplyRetention()
		}
	}
}

func (k *Kafka) unlock() error {
	if k.lock == nil {
		return nil
	}
	return k.lock.Unlock()
}

// lockDir takes dir for this process. kfake itself would let two brokers write into one directory, and the second would read
// what the first had half written.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "LOCK"))
	taken, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking data directory %s: %w", dir, err)
	}
	if !taken {
		return nil, fmt.Errorf("data_dir %s is in use by another process: stop that one or name another directory", strconv.Quote(dir))
	}
	return lock, nil
}
