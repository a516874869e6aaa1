package faults

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/services/redisdb"
)

// replicated is Redis with replicas, the case's own: what dies stays dead.
type replicated struct {
	cluster   *servertest.RedisCluster
	sentinels *servertest.Sentinels
	slot      int
	from, to  *servertest.RedisNode
}

func (r *replicated) startCluster(w *world, s *settings.Settings) {
	r.cluster = servertest.StartRedisCluster(w.t)
	s.Redis.Addresses = r.cluster.Addresses()
}

func (r *replicated) startSentinels(w *world, s *settings.Settings) {
	r.sentinels = servertest.StartSentinels(w.t)
	s.Redis.Sentinel.Master, s.Redis.Sentinel.Addresses = r.sentinels.Master, r.sentinels.Addresses
}

// profileKey is a key that the load writes.
func profileKey(w *world, user int) string {
	return redisdb.Key(w.name, fmt.Sprint("user", user), "profile")
}

func (r *replicated) failOver(l *load) { l.healedAt = r.cluster.KillMasterOf(profileKey(l.world, 0)) }

func (r *replicated) failOverSentinels(l *load) { l.healedAt = r.sentinels.KillMaster() }

// reshard moves slots from one master to another while all go on.
func (r *replicated) reshard(l *load) {
	from, to := r.cluster.MastersFor(profileKey(l.world, 0))
	l.t.Log(r.cluster.Reshard(from, to, 3000))
	l.healedAt = time.Now()
}

// openSlot leaves a user's slot as a resharding tool does that dies half way: of the user's keys one is on the new master, the
// others on the old one.
func (r *replicated) openSlot(l *load) {
	key := profileKey(l.world, 0)
	r.from, r.to = r.cluster.MastersFor(key)
	r.slot = r.cluster.OpenSlot(key, r.from, r.to)
	l.t.Logf("slot %d stays open", r.slot)
}

func (r *replicated) fix(l *load) {
	out := r.cluster.Fix()
	require.Contains(l.t, out, "All 16384 slots covered")
}

func clusterCases() []fault {
	failover, sentinel, resharded, open := &replicated{}, &replicated{}, &replicated{}, &replicated{}
	return []fault{
		{ // half a second of it is how long good health is looked at
			name: "Redis Cluster failover, the old master stays away", prepare: failover.startCluster, strike: failover.failOver,
			within: failoverBound, late: 10, maybeLost: true,
		},
		{
			name: "Sentinel failover, the old master stays away", prepare: sentinel.startSentinels, strike: sentinel.failOverSentinels,
			within: failoverBound, late: 10, maybeLost: true,
		},
		{
			name: "Redis Cluster, 3,000 slots moved", prepare: resharded.startCluster, strike: resharded.reshard,
			within: failoverBound, late: 10,
		},
		{
			name: "Redis Cluster, a slot left open for 5 s", prepare: open.startCluster, strike: open.openSlot, heal: open.fix, hold: 5 * time.Second,
			within: failoverBound, late: 10, logs: "redis-cli --cluster fix",
		},
	}
}

// failoverBound: two seconds, and half a second of replies in a row by which good health is told.
const failoverBound = 2500 * time.Millisecond
